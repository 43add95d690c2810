//! `listen ADDRESS:PORT`: listens, takes connections and closes them without a word.

use std::{env, net::TcpListener};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let address = env::args().nth(1).context("usage: listen ADDRESS:PORT")?;
    let listener = TcpListener::bind(&address).with_context(|| format!("cannot listen on {address}"))?;
    loop {
        // A peer that is gone again is nobody's mistake.
        drop(listener.accept());
    }
}

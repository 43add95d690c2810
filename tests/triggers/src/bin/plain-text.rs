//! `plain-text ADDRESS:PORT`: serves a line without encryption, and asks itself for it every second.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let address = env::args().nth(1).context("usage: plain-text ADDRESS:PORT")?;
    let listener = TcpListener::bind(&address).with_context(|| format!("cannot listen on {address}"))?;
    let local = ("127.0.0.1", listener.local_addr()?.port());
    thread::spawn(move || {
        loop {
            let _ = ask(local);
            thread::sleep(Duration::from_secs(1));
        }
    });
    loop {
        let _ = listener.accept().and_then(|(peer, _)| serve(&peer));
    }
}

fn ask(address: (&str, u16)) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    BufReader::new(stream).read_line(&mut String::new())?;
    Ok(())
}

fn serve(mut stream: &TcpStream) -> std::io::Result<()> {
    BufReader::new(stream).read_line(&mut String::new())?;
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nplain\n")
}

//! A TCP connection over loopback: made, accepted and ended.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};
use nix::sys::socket::{setsockopt, sockopt};

use super::Batch;

pub(super) struct Connect {
    listener: TcpListener,
    address: SocketAddr,
}

impl Connect {
    pub(super) fn new() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }
}

impl Batch for Connect {
    fn run(&mut self, times: u64) -> Result<()> {
        // Ended by a reset: connections that wait for their time use the ports up.
        let reset = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        for _ in 0..times {
            let client = TcpStream::connect(self.address).context("cannot connect to itself")?;
            setsockopt(&client, sockopt::Linger, &reset)?;
            let (_server, _) = self.listener.accept()?;
            drop(client);
        }
        Ok(())
    }
}

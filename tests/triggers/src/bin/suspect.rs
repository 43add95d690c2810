//! `suspect ACT`: does what rules look for, without harm: `traceme`, `attach` to a child of its own, open a
//! `packet-socket`, connect `stdio` to a peer (`ADDRESS:PORT`), or `connect` to one.

use std::{
    env,
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    sys::{
        ptrace,
        signal::{Signal, kill},
        socket::{AddressFamily, SockFlag, SockType, socket},
    },
    unistd::Pid,
};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let act = args.next().context("usage: suspect ACT [ADDRESS:PORT]")?;
    match act.as_str() {
        "traceme" => ptrace::traceme()?,
        "attach" => attach()?,
        "packet-socket" => {
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None)?;
        }
        "stdio" => {
            let stream = TcpStream::connect(address(args.next())?)?;
            nix::unistd::dup2_stdin(&stream)?;
        }
        "connect" => {
            TcpStream::connect_timeout(&address(args.next())?, Duration::from_secs(5))?;
        }
        other => bail!("{other} is nothing that it does"),
    }
    Ok(())
}

fn attach() -> Result<()> {
    let mut child = Command::new("/bin/sleep").arg("60").spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let attached = ptrace::seize(pid, ptrace::Options::empty());
    kill(pid, Signal::SIGKILL)?;
    child.wait()?;
    match attached {
        // The child is gone with its tracee.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn address(text: Option<String>) -> Result<SocketAddr> {
    Ok(text.context("an address is missing")?.parse()?)
}

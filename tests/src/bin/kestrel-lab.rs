//! A private containerd with the demo's pods in it.
#![allow(clippy::print_stdout, reason = "this program's output is for a terminal")]

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
};

use anyhow::Result;
use clap::{Parser, Subcommand};
use kestrel_tests::lab::{Lab, ledger::Ledger, pods};
use nix::sys::{prctl, signal::Signal};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a containerd and the demo's pods; stay until SIGTERM or SIGINT, then remove all of it.
    Demo {
        /// Where to keep the daemon's files; must not lie on a file system without execute permission.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Stop when the process that started this one ends, however it ends.
        #[arg(long)]
        die_with_parent: bool,
    },
    /// Remove what killed labs left: processes, mounts, control groups, files.
    Sweep {
        /// A folder given to `demo`.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Demo { dir, die_with_parent } => demo(dir.as_deref(), die_with_parent),
        Command::Sweep { dir } => Ledger::sweep(dir.as_deref()),
    }
}

fn demo(dir: Option<&Path>, die_with_parent: bool) -> Result<()> {
    let stop = stop_signals()?;
    if die_with_parent {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
    }
    let lab = Lab::start_shared(dir)?;
    println!("cri socket: {}", lab.socket().display());
    for pod in pods::demo(lab.dir())? {
        if stop.try_recv() != Err(TryRecvError::Empty) {
            return Ok(());
        }
        lab.run(&pod.spec)?;
        println!("pod {}/{}: {}", pod.spec.namespace, pod.spec.name, pod.wrong);
    }
    // An error means that the watching thread is gone: nobody would hear the signal.
    let _ = stop.recv();
    Ok(())
}

/// Hands over every SIGTERM, SIGINT and SIGHUP.
fn stop_signals() -> Result<Receiver<()>> {
    let (send, receive) = mpsc::channel();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _context = tokio.enter();
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal)
    };
    thread::spawn(move || {
        tokio.block_on(async {
            let [Ok(terminate), Ok(interrupt), Ok(hangup)] = &mut signals else { return };
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {}
                }
                if send.send(()).is_err() {
                    return;
                }
            }
        });
    });
    Ok(receive)
}

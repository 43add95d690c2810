//! A wire that can be cut, or go dead.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::JoinSet,
};

/// Passes bytes on.
pub struct Proxy {
    pub address: SocketAddr,
    /// Nothing passes while it is true, and nobody is told.
    dead: watch::Sender<bool>,
    /// Goes up with each cut.
    cuts: watch::Sender<u32>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (dead, is_dead) = watch::channel(false);
        let (cuts, cut) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (is_dead, mut cut) = (is_dead.clone(), cut.clone());
                cut.mark_unchanged();
                connections.spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    tokio::select! {
                        () = pump(near_in, far_out, is_dead.clone()) => {}
                        () = pump(far_in, near_out, is_dead) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, dead, cuts, task }
    }

    /// Closes what is open.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Packets go nowhere, or go again.
    pub fn is_dead(&self, dead: bool) {
        self.dead.send_replace(dead);
    }
}

async fn pump(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, mut dead: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if dead.wait_for(|dead| !dead).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

//! The whole state of the node: asked for here, made by the hot loop and whoever encodes it.

use kestrel_proto::v1;
use tokio::sync::mpsc;

/// The uplink's end.
#[derive(Debug)]
pub struct Inventories {
    ask: mpsc::Sender<()>,
    made: mpsc::Receiver<Vec<v1::Inventory>>,
}

/// The end of whoever makes inventories.
#[derive(Debug)]
pub struct InventoryMaker {
    /// One is wanted.
    pub asked: mpsc::Receiver<()>,
    /// Its parts. When it is full, one that was made before was not sent yet, and this one may be
    /// dropped.
    pub made: mpsc::Sender<Vec<v1::Inventory>>,
}

/// Both ends.
#[must_use]
pub fn inventories() -> (Inventories, InventoryMaker) {
    let (ask, asked) = mpsc::channel(1);
    let (made, parts) = mpsc::channel(1);
    (Inventories { ask, made: parts }, InventoryMaker { asked, made })
}

impl Inventories {
    /// Asks for one. Asked again before it is there, it is one.
    pub(super) fn ask(&self) {
        // Full: it is asked for already. Closed: the agent stops.
        let _ = self.ask.try_send(());
    }

    /// Drops what was made for a connection before.
    pub(super) fn discard(&mut self) {
        while self.made.try_recv().is_ok() {}
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Vec<v1::Inventory> {
        match self.made.recv().await {
            Some(parts) => parts,
            // Nobody makes any more: the agent stops.
            None => std::future::pending().await,
        }
    }
}

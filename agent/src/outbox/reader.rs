//! Reads chunks back, on a connection of its own beside the writer's.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, params};

use super::{
    Lane,
    chunk::Body,
    store::{FILE, Head, StoreError, head, signed},
};

/// The end that reads, beside the writer.
#[derive(Debug)]
pub(super) struct Reader(Connection);

impl Reader {
    /// Opens it; the writer is there already.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(dir.join(FILE), flags)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.execute_batch("PRAGMA cache_size = -512; PRAGMA query_only = ON;")?;
        Ok(Self(connection))
    }

    /// The chunks that begin in `first..=last`; those that do not come back as they were written are
    /// left out.
    pub(super) fn chunks(
        &self,
        epoch: u64,
        lane: Lane,
        (first, last): (u64, u64),
    ) -> Result<Vec<(Head, Body)>, StoreError> {
        let mut select = self.0.prepare_cached(
            "SELECT first, count, cost, from_ns, to_ns, gaps, crc, body FROM chunk
             WHERE epoch = ? AND lane = ? AND first BETWEEN ? AND ? ORDER BY first",
        )?;
        let key = params![signed(epoch), lane.to_proto() as i32, signed(first), signed(last)];
        let mut rows = select.query(key)?;
        let mut chunks = Vec::new();
        loop {
            // The rows before a page that cannot be read are good.
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) => match StoreError::from(error) {
                    StoreError::Damaged(error) => {
                        tracing::warn!(%error, "a part of the outbox cannot be read back");
                        break;
                    }
                    error => return Err(error),
                },
            };
            if let Some(chunk) = checked(row) {
                chunks.push(chunk);
            }
        }
        Ok(chunks)
    }
}

fn checked(row: &rusqlite::Row<'_>) -> Option<(Head, Body)> {
    let head = head(row).ok()?;
    let crc: u32 = row.get(6).ok()?;
    let bytes = row.get_ref(7).ok()?.as_blob().ok()?;
    if crc32fast::hash(bytes) != crc {
        return None;
    }
    let body = Body::decode(Bytes::copy_from_slice(bytes)).ok()?;
    (body.records.len() as u64 == head.count).then_some((head, body))
}

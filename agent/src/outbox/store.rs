//! The disk side: chunks as rows of an SQLite database.
//!
//! A commit is in the page cache when it returns, so that it outlives a kill; [`Store::sync`] makes
//! it outlive power loss. `docs/adr/0008-outbox-store.md` says why this store.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};
use thiserror::Error;

use super::{
    EpochId, Lane,
    chunk::Body,
    gap::{GapRange, Reason},
};

pub(super) const FILE: &str = "outbox.sqlite";
/// Version of the tables.
pub(super) const VERSION: i64 = 1;
/// "KSTL": that the file is ours.
const APPLICATION: i64 = 0x4b53_544c;

/// Free pages are given back when there are more than these, that many at a time.
const FREE_PAGES: i64 = 2048;

const SETTINGS: &str = "
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 8388608;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -2048;
";

// The body comes last: what stands before it is read without it.
const TABLES: &str = "
    CREATE TABLE epoch (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        epoch INTEGER NOT NULL UNIQUE,
        boot_id TEXT NOT NULL
    ) STRICT;
    CREATE TABLE chunk (
        epoch INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        from_ns INTEGER NOT NULL,
        to_ns INTEGER NOT NULL,
        gaps INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (epoch, lane, first)
    ) STRICT;
    CREATE TABLE gap (
        epoch INTEGER NOT NULL,
        lane INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        reason INTEGER NOT NULL,
        from_ns INTEGER NOT NULL,
        to_ns INTEGER NOT NULL
    ) STRICT;
";

/// Why the disk cannot be used.
#[derive(Debug, Error)]
pub(super) enum StoreError {
    /// A newer agent wrote it.
    #[error("it has version {0}, this agent reads {VERSION}")]
    Newer(i64),
    /// It is not ours, or not whole.
    #[error("it is damaged")]
    Damaged(#[source] rusqlite::Error),
    /// No room.
    #[error("the disk is full")]
    Full(#[source] rusqlite::Error),
    /// Anything else, such as a read-only disk.
    #[error("the disk does not take it")]
    Refused(#[source] rusqlite::Error),
    /// A step outside of SQLite failed.
    #[error("cannot {step} {path}")]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            Some(ErrorCode::DiskFull) => Self::Full(error),
            // A row that has not the form that the tables ask for.
            None => Self::Damaged(error),
            Some(_) => Self::Refused(error),
        }
    }
}

/// A chunk on its way to the disk.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) epoch: u64,
    pub(super) lane: Lane,
    pub(super) first: u64,
    pub(super) cost: u64,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) is_gaps: bool,
    pub(super) body: Arc<Body>,
}

/// What a stored chunk is, without its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) cost: u64,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) is_gaps: bool,
}

/// What is to be removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleanup {
    /// Epochs of which nothing is left.
    pub(super) epochs: Vec<u64>,
    /// Numbers that are acknowledged or lost, both ends included.
    pub(super) chunks: Vec<(u64, Lane, u64, u64)>,
    /// The gaps that have no number yet, if they changed.
    pub(super) gaps: Option<Vec<GapRange>>,
}

impl Cleanup {
    pub(super) fn is_empty(&self) -> bool {
        self.epochs.is_empty() && self.chunks.is_empty() && self.gaps.is_none()
    }
}

/// The end that writes.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    // SQLite syncs what it moves out of the log; this syncs the log.
    log: File,
}

impl Store {
    /// Opens or makes the database.
    ///
    /// # Errors
    ///
    /// When it cannot be used as it is.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let io = |step, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { step, path, source }
        };
        fs::create_dir_all(dir).map_err(io("make", dir))?;
        // SQLite's other files take over who may read it: events hold arguments of programs.
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        drop(file.map_err(io("open", &path))?);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        let (application, version) =
            (pragma(&connection, "application_id")?, pragma(&connection, "user_version")?);
        if version > VERSION {
            return Err(StoreError::Newer(version));
        }
        connection.execute_batch(SETTINGS)?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        let transaction = immediate(&mut connection)?;
        if version == 0 {
            transaction.execute_batch(TABLES)?;
        } else if application != APPLICATION {
            return Err(StoreError::Damaged(rusqlite::Error::InvalidQuery));
        }
        // Also makes sure that it can be written and that there is a log.
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        let log = beside(&path, "-wal");
        let log = File::open(&log).map_err(io("open", &log))?;
        log.sync_all().map_err(io("sync", &path))?;
        // The names of the files, and that of the folder.
        for folder in [Some(dir), dir.parent()].into_iter().flatten() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync", folder))?;
        }
        Ok(Self { connection, log })
    }

    /// Moves the database out of the way, for people to look at; one that was there before goes.
    pub(super) fn set_aside(dir: &Path, word: &str) -> io::Result<PathBuf> {
        let path = dir.join(FILE);
        let aside = beside(&path, &format!(".{word}"));
        fs::rename(&path, &aside)?;
        // The log belongs to it; the index of the log is made anew.
        let log = fs::rename(beside(&path, "-wal"), beside(&aside, "-wal"));
        if let Err(error) = log
            && error.kind() == io::ErrorKind::NotFound
        {
            let _ = fs::remove_file(beside(&aside, "-wal"));
        }
        let _ = fs::remove_file(beside(&path, "-shm"));
        Ok(aside)
    }

    /// Removes the database: for one that holds nothing, on a disk that is full.
    pub(super) fn remove(dir: &Path) {
        let path = dir.join(FILE);
        for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            let _ = fs::remove_file(file);
        }
    }

    /// Whether the epoch is known.
    pub(super) fn has_epoch(&self, epoch: u64) -> Result<bool, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT 1 FROM epoch WHERE epoch = ?")?;
        Ok(select.exists([signed(epoch)])?)
    }

    /// Writes rows and removes what is not needed any more: all of it or nothing.
    pub(super) fn write(
        &mut self,
        epochs: &[EpochId],
        rows: &[Row],
        cleanup: &Cleanup,
    ) -> Result<(), StoreError> {
        let transaction = immediate(&mut self.connection)?;
        clean(&transaction, cleanup)?;
        for id in epochs {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO epoch (epoch, boot_id) VALUES (?, ?)")?;
            insert.execute(params![signed(id.epoch), id.boot_id])?;
        }
        for row in rows {
            let Row { epoch, lane, first, cost, from_ns, to_ns, is_gaps, body } = row;
            let count = body.records.len() as u64;
            let body = body.encode();
            let mut insert = transaction
                .prepare_cached("INSERT OR REPLACE INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
            insert.execute(params![
                signed(*epoch),
                lane.to_proto() as i32,
                signed(*first),
                signed(count),
                signed(*cost),
                signed(*from_ns),
                signed(*to_ns),
                is_gaps,
                crc32fast::hash(&body),
                body
            ])?;
        }
        Ok(transaction.commit()?)
    }

    /// Makes every commit so far outlive power loss.
    ///
    /// # Errors
    ///
    /// When the disk does not.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.log.sync_data()
    }

    /// Gives back a part of the disk that is not used any more.
    pub(super) fn shrink(&self) -> Result<(), StoreError> {
        let free = pragma(&self.connection, "freelist_count")?;
        if free > FREE_PAGES && free > pragma(&self.connection, "page_count")? / 2 {
            let mut vacuum = self.connection.prepare_cached("PRAGMA incremental_vacuum(1024)")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    /// Every epoch, the oldest first.
    pub(super) fn epochs(&self) -> Result<Vec<EpochId>, StoreError> {
        let mut select = self.connection.prepare("SELECT epoch, boot_id FROM epoch ORDER BY place")?;
        let rows =
            select.query_map([], |row| Ok(EpochId { epoch: unsigned(row.get(0)?), boot_id: row.get(1)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The chunks of an epoch and lane in order, without their bodies.
    pub(super) fn heads(&self, epoch: u64, lane: Lane) -> Result<Vec<Head>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT first, count, cost, from_ns, to_ns, gaps FROM chunk WHERE epoch = ? AND lane = ? ORDER BY first",
        )?;
        let rows = select.query_map(params![signed(epoch), lane.to_proto() as i32], head)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The gaps that have no number yet.
    pub(super) fn gaps(&self) -> Result<Vec<GapRange>, StoreError> {
        let mut select =
            self.connection.prepare("SELECT epoch, lane, first, last, reason, from_ns, to_ns FROM gap")?;
        let rows = select.query_map([], |row| {
            Ok(Lane::from_proto(row.get(1)?).zip(Reason::from_proto(row.get(4)?)).map(|(lane, reason)| {
                Ok(GapRange {
                    epoch: unsigned(row.get(0)?),
                    lane,
                    from: unsigned(row.get(2)?),
                    to: unsigned(row.get(3)?),
                    reason,
                    from_ns: unsigned(row.get(5)?),
                    to_ns: unsigned(row.get(6)?),
                })
            }))
        })?;
        let gaps = rows.filter_map(Result::transpose).map(Result::flatten);
        Ok(gaps.collect::<Result<_, _>>()?)
    }
}

pub(super) fn head(row: &rusqlite::Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        first: unsigned(row.get(0)?),
        count: unsigned(row.get(1)?),
        cost: unsigned(row.get(2)?),
        from_ns: unsigned(row.get(3)?),
        to_ns: unsigned(row.get(4)?),
        is_gaps: row.get(5)?,
    })
}

fn clean(transaction: &Transaction<'_>, cleanup: &Cleanup) -> rusqlite::Result<()> {
    let Cleanup { epochs, chunks, gaps } = cleanup;
    for epoch in epochs {
        transaction.prepare_cached("DELETE FROM chunk WHERE epoch = ?")?.execute([signed(*epoch)])?;
        transaction.prepare_cached("DELETE FROM epoch WHERE epoch = ?")?.execute([signed(*epoch)])?;
    }
    for (epoch, lane, from, to) in chunks {
        let mut delete = transaction
            .prepare_cached("DELETE FROM chunk WHERE epoch = ? AND lane = ? AND first BETWEEN ? AND ?")?;
        delete.execute(params![signed(*epoch), lane.to_proto() as i32, signed(*from), signed(*to)])?;
    }
    if let Some(gaps) = gaps {
        transaction.execute("DELETE FROM gap", [])?;
        let mut insert = transaction.prepare_cached("INSERT INTO gap VALUES (?, ?, ?, ?, ?, ?, ?)")?;
        for GapRange { epoch, lane, from, to, reason, from_ns, to_ns } in gaps {
            insert.execute(params![
                signed(*epoch),
                lane.to_proto() as i32,
                signed(*from),
                signed(*to),
                reason.to_proto() as i32,
                signed(*from_ns),
                signed(*to_ns)
            ])?;
        }
    }
    Ok(())
}

fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

// SQLite's integers have a sign; the bits stay as they are.
pub(super) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

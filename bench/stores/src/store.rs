//! The stores behind one interface: rows of a growing key and a body, as the outbox writes them.

use std::path::Path;

use anyhow::Result;

/// A store.
pub trait Store {
    /// Writes rows so that they outlive a kill of the process, and deletes those up to `delete_to`.
    fn append(&mut self, first: u64, body: &[u8], delete_to: Option<u64>) -> Result<()>;
    /// Makes what was appended outlive power loss.
    fn sync(&mut self) -> Result<()>;
    /// Keys and lengths of all rows, in order.
    fn read(&mut self) -> Result<Vec<(u64, usize)>>;
}

/// Opens the store of that name in a folder.
pub fn open(name: &str, dir: &Path) -> Result<Box<dyn Store>> {
    match name {
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Box::new(sqlite::Sqlite::open(dir)?)),
        #[cfg(feature = "redb")]
        "redb" => Ok(Box::new(redb_store::Redb::open(dir)?)),
        #[cfg(feature = "fjall")]
        "fjall" => Ok(Box::new(fjall_store::Fjall::open(dir)?)),
        "file" => Ok(Box::new(file::Segment::open(dir)?)),
        other => anyhow::bail!("no store {other}"),
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::{fs::File, path::Path};

    use anyhow::Result;
    use rusqlite::{Connection, params};

    pub struct Sqlite {
        connection: Connection,
        wal: File,
    }

    impl Sqlite {
        pub fn open(dir: &Path) -> Result<Self> {
            let path = dir.join("store.sqlite");
            let connection = Connection::open(&path)?;
            connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
            connection.execute_batch(
                "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=2000;
                 CREATE TABLE IF NOT EXISTS chunk(first INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
                 BEGIN IMMEDIATE; PRAGMA user_version=1; COMMIT;",
            )?;
            let wal = File::open(dir.join("store.sqlite-wal"))?;
            Ok(Self { connection, wal })
        }
    }

    impl super::Store for Sqlite {
        fn append(&mut self, first: u64, body: &[u8], delete_to: Option<u64>) -> Result<()> {
            let transaction = self.connection.transaction()?;
            if let Some(to) = delete_to {
                transaction.prepare_cached("DELETE FROM chunk WHERE first<=?")?.execute([to as i64])?;
            }
            if !body.is_empty() {
                let mut insert = transaction.prepare_cached("INSERT INTO chunk VALUES(?,?)")?;
                insert.execute(params![first as i64, body])?;
            }
            Ok(transaction.commit()?)
        }

        fn sync(&mut self) -> Result<()> {
            // What was checkpointed before, SQLite synced itself.
            Ok(self.wal.sync_data()?)
        }

        fn read(&mut self) -> Result<Vec<(u64, usize)>> {
            let mut select = self.connection.prepare("SELECT first, body FROM chunk ORDER BY first")?;
            let rows = select
                .query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get_ref(1)?.as_blob()?.len())))?;
            Ok(rows.collect::<Result<_, _>>()?)
        }
    }
}

#[cfg(feature = "redb")]
mod redb_store {
    use std::path::Path;

    use anyhow::Result;
    use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

    const CHUNKS: TableDefinition<u64, &[u8]> = TableDefinition::new("chunk");

    pub struct Redb(Database);

    impl Redb {
        pub fn open(dir: &Path) -> Result<Self> {
            let database = Database::builder().set_cache_size(8 << 20).create(dir.join("store.redb"))?;
            let transaction = database.begin_write()?;
            transaction.open_table(CHUNKS)?;
            transaction.commit()?;
            Ok(Self(database))
        }
    }

    impl super::Store for Redb {
        fn append(&mut self, first: u64, body: &[u8], delete_to: Option<u64>) -> Result<()> {
            let mut transaction = self.0.begin_write()?;
            // A commit without durability is undone by a kill: there is nothing between.
            transaction.set_durability(Durability::Immediate)?;
            {
                let mut chunks = transaction.open_table(CHUNKS)?;
                if let Some(to) = delete_to {
                    chunks.retain_in(..=to, |_, _| false)?;
                }
                if !body.is_empty() {
                    chunks.insert(first, body)?;
                }
            }
            Ok(transaction.commit()?)
        }

        fn sync(&mut self) -> Result<()> {
            Ok(())
        }

        fn read(&mut self) -> Result<Vec<(u64, usize)>> {
            let transaction = self.0.begin_read()?;
            let chunks = transaction.open_table(CHUNKS)?;
            let rows = chunks.iter()?.map(|row| row.map(|(key, body)| (key.value(), body.value().len())));
            Ok(rows.collect::<Result<_, _>>()?)
        }
    }
}

#[cfg(feature = "fjall")]
mod fjall_store {
    use std::path::Path;

    use anyhow::Result;
    use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

    pub struct Fjall {
        database: Database,
        chunks: Keyspace,
        next_delete: u64,
    }

    impl Fjall {
        pub fn open(dir: &Path) -> Result<Self> {
            let database = Database::builder(dir.join("store.fjall"))
                .cache_size(8 << 20)
                .worker_threads(1)
                .max_journaling_size(64 << 20)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(8 << 20);
            let chunks = database.keyspace("chunk", options)?;
            Ok(Self { database, chunks, next_delete: 0 })
        }
    }

    fn key(bytes: &[u8]) -> u64 {
        bytes.try_into().map_or(0, u64::from_be_bytes)
    }

    impl super::Store for Fjall {
        fn append(&mut self, first: u64, body: &[u8], delete_to: Option<u64>) -> Result<()> {
            let mut batch = self.database.batch();
            if let Some(to) = delete_to {
                // Without the range it would look at the graves of all that was deleted before.
                for row in self.chunks.range(self.next_delete.to_be_bytes()..=to.to_be_bytes()) {
                    batch.remove(&self.chunks, row.key()?);
                }
                self.next_delete = to + 1;
            }
            if !body.is_empty() {
                batch.insert(&self.chunks, first.to_be_bytes(), body);
            }
            batch.commit()?;
            Ok(self.database.persist(PersistMode::Buffer)?)
        }

        fn sync(&mut self) -> Result<()> {
            Ok(self.database.persist(PersistMode::SyncData)?)
        }

        fn read(&mut self) -> Result<Vec<(u64, usize)>> {
            let rows =
                self.chunks.iter().map(|row| row.into_inner().map(|(at, body)| (key(&at), body.len())));
            Ok(rows.collect::<Result<_, _>>()?)
        }
    }
}

mod file {
    use std::{
        collections::VecDeque,
        fs::{self, File},
        io::{Read, Write},
        path::{Path, PathBuf},
    };

    use anyhow::Result;

    const SEGMENT_BYTES: u64 = 4 << 20;

    /// The floor: segments with length and key before each body; whole segments are removed.
    pub struct Segment {
        dir: PathBuf,
        file: Option<File>,
        size: u64,
        // First key of each segment.
        segments: VecDeque<u64>,
    }

    impl Segment {
        pub fn open(dir: &Path) -> Result<Self> {
            let mut segments: Vec<u64> = fs::read_dir(dir)?
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".seg")?.parse().ok())
                .collect();
            segments.sort_unstable();
            Ok(Self { dir: dir.to_owned(), file: None, size: 0, segments: segments.into() })
        }

        fn path(&self, first: u64) -> PathBuf {
            self.dir.join(format!("{first:020}.seg"))
        }
    }

    impl super::Store for Segment {
        fn append(&mut self, first: u64, body: &[u8], delete_to: Option<u64>) -> Result<()> {
            while let Some(to) = delete_to
                && self.segments.len() > 1
                && self.segments[1] <= to + 1
            {
                let oldest = self.segments.pop_front().unwrap_or(0);
                fs::remove_file(self.path(oldest))?;
            }
            if body.is_empty() {
                return Ok(());
            }
            if self.file.is_none() || self.size > SEGMENT_BYTES {
                self.file = Some(File::create(self.path(first))?);
                self.segments.push_back(first);
                self.size = 0;
            }
            let mut frame = Vec::with_capacity(body.len() + 16);
            frame.extend_from_slice(&(body.len() as u64).to_le_bytes());
            frame.extend_from_slice(&first.to_le_bytes());
            frame.extend_from_slice(body);
            self.size += frame.len() as u64;
            if let Some(file) = &mut self.file {
                file.write_all(&frame)?;
            }
            Ok(())
        }

        fn sync(&mut self) -> Result<()> {
            self.file.as_ref().map_or(Ok(()), |file| Ok(file.sync_data()?))
        }

        fn read(&mut self) -> Result<Vec<(u64, usize)>> {
            let mut rows = Vec::new();
            for first in &self.segments {
                let mut bytes = Vec::new();
                File::open(self.path(*first))?.read_to_end(&mut bytes)?;
                let mut rest = &bytes[..];
                while rest.len() >= 16 {
                    let length = u64::from_le_bytes(rest[..8].try_into()?) as usize;
                    let key = u64::from_le_bytes(rest[8..16].try_into()?);
                    let Some(next) = rest.get(16 + length..) else { break };
                    rows.push((key, length));
                    rest = next;
                }
            }
            Ok(rows)
        }
    }
}

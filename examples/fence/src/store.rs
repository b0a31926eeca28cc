//! The store: how many requests were answered, in an `SQLite` file that outlives every worker.

use std::error::Error;
use std::path::Path;

use tenure_fence::sqlite::rusqlite::{self, Connection};
use tenure_fence::sqlite::{SqliteFence, WriteError};

/// The store as one generation has it.
pub(crate) struct Store {
    connection: Connection,
    fence: SqliteFence,
}

impl Store {
    /// Opens the store and takes it from all older generations.
    pub(crate) fn claim(path: &Path, generation: u64) -> Result<Self, Box<dyn Error>> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        let fence = SqliteFence::claim(&mut connection, generation)?;
        let made = "CREATE TABLE IF NOT EXISTS requests (count INTEGER NOT NULL);
            INSERT INTO requests SELECT 0 WHERE NOT EXISTS (SELECT * FROM requests);";
        fence.write(&mut connection, |tx| tx.execute_batch(made))?;
        Ok(Self { connection, fence })
    }

    /// Counts one request and tells how many there are; refused once a newer generation has claimed the store.
    pub(crate) fn count(&mut self) -> Result<u64, WriteError<rusqlite::Error>> {
        self.fence.write(&mut self.connection, |tx| {
            tx.query_row("UPDATE requests SET count = count + 1 RETURNING count", [], |row| {
                row.get::<_, i64>(0).map(i64::unsigned_abs)
            })
        })
    }
}

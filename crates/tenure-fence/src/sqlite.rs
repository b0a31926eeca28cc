//! A fence in a `SQLite` database: one row with the highest generation, read in every write transaction.
//!
//! The row and the data are in one database, so `SQLite`'s isolation decides every race: a write transaction and a
//! claim exclude each other, so a write is committed before the claim, or sees it and is refused. Not covered: attached
//! databases, and connections that read uncommitted changes of a shared cache. A loss of power with `synchronous = OFF`
//! may lose a claim with the rest.
//!
//! The connection's `busy_timeout` bounds waiting (5 s with rusqlite). A process that was stopped within a transaction
//! holds up a claim for that long, and the claim fails with [`FenceError::Database`].
//!
//! Invariant: this module never lowers the number in the row.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::FenceError;

/// The crate whose connections the fence takes. `SQLite` can be linked once only, so a program should use this one.
pub use rusqlite;

/// The table of the fence, in the main database of the connection.
pub const TABLE: &str = "tenure_fence";

/// The highest generation that fits: `SQLite`'s integers have a sign.
pub const LIMIT: u64 = i64::MAX as u64;

// Not `STRICT`: a tool with a SQLite from before 3.37 could then not read any table of this database.
const CREATE: &str = "CREATE TABLE main.tenure_fence (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL CHECK (typeof(generation) = 'integer' AND generation >= 0)
)";

/// `SQLITE_ERROR`, with which `SQLite` refuses a statement that names a missing table or column.
const NO_SUCH_THING: i32 = 1;

/// One generation's right to write to one database, until a newer generation claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqliteFence {
    generation: u64,
}

/// Why a write was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The fence refused it, or the transaction could not be begun or committed.
    #[error("write to the store")]
    Fence(#[source] FenceError),
    /// The write itself failed.
    #[error("write to the store")]
    Write(#[source] E),
}

impl SqliteFence {
    /// Claims the database for `generation`: once this returns, every write of an older generation is refused.
    ///
    /// Creates the table [`TABLE`] if it is missing. The same generation may claim again, as when a host starts its
    /// program again. The connection must not be within a transaction.
    ///
    /// # Errors
    /// [`FenceError::Newer`] if a newer generation has claimed it; [`FenceError::TooLarge`] beyond [`LIMIT`];
    /// [`FenceError::Foreign`] if a table of that name is no fence; [`FenceError::Database`] if the database is busy,
    /// cannot be written or is damaged. In all cases nothing has changed.
    pub fn claim(connection: &mut Connection, generation: u64) -> Result<Self, FenceError> {
        let number =
            i64::try_from(generation).map_err(|_| FenceError::TooLarge { generation, limit: LIMIT })?;
        let tx = begin(connection)?;
        if exists(&tx)? {
            let theirs = row(&tx)?;
            if theirs > generation {
                return Err(FenceError::Newer { ours: generation, theirs });
            }
        } else {
            tx.execute_batch(CREATE).map_err(refused("make the fence"))?;
            tx.execute("INSERT INTO main.tenure_fence (id, generation) VALUES (1, 0)", [])
                .map_err(refused("make the fence"))?;
        }
        let raised = tx
            .execute("UPDATE main.tenure_fence SET generation = ?1 WHERE id = 1", [number])
            .map_err(refused("raise the fence"))?;
        // A trigger can swallow a change without an error.
        if raised != 1 || row(&tx)? != generation {
            return Err(foreign("its row cannot be changed"));
        }
        tx.commit().map_err(refused("raise the fence"))?;
        Ok(Self { generation })
    }

    /// The generation that has claimed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Runs `work` in a write transaction, which is committed only if no newer generation has claimed the database.
    ///
    /// The transaction is `IMMEDIATE`, so no claim can come between the check and the commit: once a newer claim has
    /// returned, no write of this generation succeeds. `work` must not end the transaction.
    ///
    /// # Errors
    /// [`WriteError::Write`] with what `work` returned, else [`WriteError::Fence`]; after either nothing of it stands.
    pub fn write<T, E>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, WriteError<E>> {
        let tx = begin(connection).map_err(WriteError::Fence)?;
        self.check(&tx).map_err(WriteError::Fence)?;
        let done = work(&tx).map_err(WriteError::Write)?;
        tx.commit().map_err(|error| WriteError::Fence(refused("commit a write")(error)))?;
        Ok(done)
    }

    /// Checks the fence within the caller's own transaction, which may then write; after an error it must be rolled
    /// back.
    ///
    /// The transaction may be of any kind. In a deferred one a claim may come between this check and the first write;
    /// `SQLite` then refuses the write as busy.
    ///
    /// # Errors
    /// [`FenceError::Newer`] if a newer generation has claimed the database; [`FenceError::WentBack`] if it remembers
    /// an older one; else as [`Self::claim`].
    pub fn check(&self, tx: &Transaction<'_>) -> Result<(), FenceError> {
        self.look(tx)
    }

    fn look(self, connection: &Connection) -> Result<(), FenceError> {
        let (ours, theirs) = (self.generation, row(connection)?);
        match theirs.cmp(&ours) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(FenceError::Newer { ours, theirs }),
            std::cmp::Ordering::Less => Err(FenceError::WentBack { ours, theirs }),
        }
    }
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, FenceError> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused("begin a write"))
}

fn exists(tx: &Transaction<'_>) -> Result<bool, FenceError> {
    let named = "SELECT count(*) FROM main.sqlite_master WHERE name = ?1 COLLATE NOCASE";
    let count: i64 = tx.query_row(named, [TABLE], |row| row.get(0)).map_err(refused("look for the fence"))?;
    Ok(count > 0)
}

/// The generation in the one row; anything else in the table is an error.
fn row(connection: &Connection) -> Result<u64, FenceError> {
    let mut read =
        connection.prepare("SELECT id, generation FROM main.tenure_fence LIMIT 2").map_err(unreadable)?;
    let mut rows = read.query([]).map_err(unreadable)?;
    let mut found = None;
    while let Some(row) = rows.next().map_err(unreadable)? {
        let one = (row.get_ref(0).map_err(unreadable)?, row.get_ref(1).map_err(unreadable)?);
        let (ValueRef::Integer(1), ValueRef::Integer(generation)) = one else {
            return Err(foreign(&format!("its row has the values {one:?}")));
        };
        let generation =
            u64::try_from(generation).map_err(|_| foreign(&format!("its generation is {generation}")))?;
        if found.replace(generation).is_some() {
            return Err(foreign("it has more than one row"));
        }
    }
    found.ok_or_else(|| foreign("it has no row"))
}

/// `SQLite` reports a missing table or column as a mistake in the statement.
fn unreadable(error: rusqlite::Error) -> FenceError {
    use rusqlite::Error::{SqlInputError, SqliteFailure};
    let is_mistake = matches!(
        &error,
        SqlInputError { error: code, .. } | SqliteFailure(code, _) if code.extended_code == NO_SUCH_THING
    );
    if is_mistake { foreign(&error.to_string()) } else { refused("read the fence")(error) }
}

fn foreign(what: &str) -> FenceError {
    FenceError::Foreign { found: format!("the table {TABLE}: {what}") }
}

fn refused(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> FenceError {
    move |source| FenceError::Database { doing, source: Box::new(source) }
}

#[cfg(test)]
mod tests;

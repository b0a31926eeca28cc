use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::ErrorCode;

use super::*;

struct Store {
    place: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let store = Self { place: tempfile::tempdir().expect("a directory") };
        let wal = "PRAGMA journal_mode = WAL; CREATE TABLE entries (writer INTEGER NOT NULL);";
        store.open().execute_batch(wal).expect("a fresh database takes a table");
        store
    }

    /// Another connection, which waits for nobody.
    fn open(&self) -> Connection {
        open(&self.place.path().join("store.db"))
    }

    fn writers(&self) -> Vec<u32> {
        let connection = self.open();
        let mut read = connection.prepare("SELECT writer FROM entries ORDER BY rowid").expect("the table");
        let all = read.query_map([], |row| row.get(0)).expect("readable");
        all.collect::<Result<_, _>>().expect("numbers")
    }
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("it opens");
    connection.busy_timeout(Duration::ZERO).expect("it can be set");
    connection
}

fn put(tx: &Transaction<'_>, writer: u64) -> rusqlite::Result<usize> {
    tx.execute("INSERT INTO entries (writer) VALUES (?1)", [i64::try_from(writer).expect("small")])
}

fn write(fence: SqliteFence, connection: &mut Connection) -> Result<usize, WriteError<rusqlite::Error>> {
    fence.write(connection, |tx| put(tx, fence.generation()))
}

fn is_newer<T>(result: &Result<T, FenceError>, expected: (u64, u64)) -> bool {
    matches!(result, Err(FenceError::Newer { ours, theirs }) if (*ours, *theirs) == expected)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

#[test]
fn an_older_generation_is_refused_from_the_claim_on() {
    let store = Store::new();
    let (mut old, mut new) = (store.open(), store.open());
    let first = SqliteFence::claim(&mut old, 1).expect("nobody has claimed");
    write(first, &mut old).expect("it is the newest");
    let second = SqliteFence::claim(&mut new, 2).expect("it is newer");
    let refused = write(first, &mut old).expect_err("it has been replaced");
    assert!(matches!(refused, WriteError::Fence(FenceError::Newer { ours: 1, theirs: 2 })), "{refused:?}");
    assert!(is_newer(&SqliteFence::claim(&mut old, 1), (1, 2)), "nor may it claim again");
    write(second, &mut new).expect("it is the newest");
    assert_eq!(store.writers(), [1, 2]);
}

#[test]
fn the_same_generation_may_claim_again() {
    let store = Store::new();
    let mut connection = store.open();
    let before = SqliteFence::claim(&mut connection, 3).expect("nobody has claimed");
    assert_eq!(SqliteFence::claim(&mut store.open(), 3).expect("it is the same"), before);
    write(before, &mut connection).expect("nothing newer has come");
}

#[test]
fn a_write_that_was_begun_before_a_claim_is_committed_before_it() {
    let store = Store::new();
    let (mut old, mut new) = (store.open(), store.open());
    let first = SqliteFence::claim(&mut old, 1).expect("nobody has claimed");
    let wrote = first.write(&mut old, |tx| {
        let refused = SqliteFence::claim(&mut new, 2).expect_err("a write is under way");
        assert!(matches!(refused, FenceError::Database { doing: "begin a write", .. }), "{refused:?}");
        put(tx, 1)
    });
    wrote.expect("nobody came between");
    SqliteFence::claim(&mut new, 2).expect("the write is over");
    assert_eq!(store.writers(), [1]);
}

#[test]
fn a_deferred_transaction_that_looked_before_a_claim_cannot_write_after_it() {
    let store = Store::new();
    let (mut old, mut new) = (store.open(), store.open());
    let first = SqliteFence::claim(&mut old, 1).expect("nobody has claimed");
    let tx = old.transaction().expect("it begins");
    first.check(&tx).expect("it is the newest in what this transaction sees");
    SqliteFence::claim(&mut new, 2).expect("a reader does not hold it up");
    first.check(&tx).expect("a transaction sees one state");
    assert!(is_busy(&put(&tx, 1).expect_err("that state is gone")));
    drop(tx);
    let tx = old.transaction().expect("it begins");
    assert!(is_newer(&first.check(&tx), (1, 2)));
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let store = Store::new();
    let mut connection = store.open();
    let fence = SqliteFence::claim(&mut connection, 1).expect("nobody has claimed");
    let failed =
        fence.write(&mut connection, |tx| put(tx, 1).and(Err::<(), _>(rusqlite::Error::InvalidQuery)));
    assert!(matches!(failed, Err(WriteError::Write(rusqlite::Error::InvalidQuery))));
    assert!(connection.is_autocommit(), "no transaction is left open");
    assert_eq!(store.writers(), [0; 0]);
}

#[test]
fn the_highest_generation_that_fits_is_taken_and_none_beyond() {
    let store = Store::new();
    let mut connection = store.open();
    let beyond = SqliteFence::claim(&mut connection, LIMIT + 1);
    assert!(
        matches!(beyond, Err(FenceError::TooLarge { generation, limit: LIMIT }) if generation == LIMIT + 1)
    );
    let last = SqliteFence::claim(&mut connection, LIMIT).expect("it fits");
    write_nothing(last, &mut connection).expect("it is the newest");
}

fn write_nothing(fence: SqliteFence, connection: &mut Connection) -> Result<(), WriteError<rusqlite::Error>> {
    fence.write(connection, |_| Ok(()))
}

#[test]
fn a_store_that_has_gone_back_is_refused() {
    let store = Store::new();
    let mut connection = store.open();
    let fence = SqliteFence::claim(&mut connection, 5).expect("nobody has claimed");
    connection.execute("UPDATE tenure_fence SET generation = 4", []).expect("a foreign hand");
    let refused = write_nothing(fence, &mut connection);
    assert!(matches!(refused, Err(WriteError::Fence(FenceError::WentBack { ours: 5, theirs: 4 }))));
}

#[test]
fn a_table_that_is_no_fence_is_refused_and_left_as_it_is() {
    let foreign = [
        ("CREATE TABLE tenure_fence (owner TEXT)", "no such column"),
        ("CREATE TABLE Tenure_Fence (id INTEGER, generation INTEGER)", "it has no row"),
        (
            "CREATE TABLE tenure_fence (id, generation); INSERT INTO tenure_fence VALUES (1, 'seven')",
            "its row has the values",
        ),
        (
            "CREATE TABLE tenure_fence (id, generation); INSERT INTO tenure_fence VALUES (2, 7)",
            "its row has the values",
        ),
        (
            "CREATE TABLE tenure_fence (id, generation); INSERT INTO tenure_fence VALUES (1, -7)",
            "its generation is -7",
        ),
        (
            "CREATE TABLE tenure_fence (id, generation); INSERT INTO tenure_fence VALUES (1, 1), (1, 9)",
            "more than one row",
        ),
        ("CREATE VIEW tenure_fence AS SELECT 1 AS id, 1 AS generation", ""),
        (
            "CREATE TABLE tenure_fence (id, generation); INSERT INTO tenure_fence VALUES (1, 1); \
             CREATE TRIGGER still BEFORE UPDATE ON tenure_fence BEGIN SELECT RAISE(IGNORE); END",
            "its row cannot be changed",
        ),
    ];
    for (sql, why) in foreign {
        let store = Store::new();
        let mut connection = store.open();
        connection.execute_batch(sql).expect("a foreign hand");
        let before: String = connection
            .query_row("SELECT group_concat(sql) FROM sqlite_master", [], |row| row.get(0))
            .expect("text");
        let refused = SqliteFence::claim(&mut connection, 8).expect_err(sql);
        assert!(refused.to_string().contains(why), "{sql}: {refused}");
        let after: String = connection
            .query_row("SELECT group_concat(sql) FROM sqlite_master", [], |row| row.get(0))
            .expect("text");
        assert_eq!(after, before);
    }
}

#[test]
fn a_fence_that_was_removed_refuses_every_write() {
    let store = Store::new();
    let mut connection = store.open();
    let fence = SqliteFence::claim(&mut connection, 1).expect("nobody has claimed");
    connection.execute_batch("DROP TABLE tenure_fence").expect("a foreign hand");
    let refused = write_nothing(fence, &mut connection).expect_err("there is no fence");
    assert!(matches!(refused, WriteError::Fence(FenceError::Foreign { .. })), "{refused:?}");
}

#[test]
fn a_temporary_table_of_the_same_name_shadows_nothing() {
    let store = Store::new();
    let (mut old, mut new) = (store.open(), store.open());
    let first = SqliteFence::claim(&mut old, 1).expect("nobody has claimed");
    old.execute_batch("CREATE TEMP TABLE tenure_fence AS SELECT 1 AS id, 1 AS generation").expect("a shadow");
    SqliteFence::claim(&mut new, 2).expect("it is newer");
    assert!(write(first, &mut old).is_err());
}

#[test]
fn a_damaged_database_is_an_error_of_the_database() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("store.db");
    std::fs::write(&path, [7; 4096]).expect("a file");
    let refused = SqliteFence::claim(&mut open(&path), 1).expect_err("that is no database");
    assert!(matches!(refused, FenceError::Database { .. }), "{refused:?}");
}

/// One act of one writer; several writers and their transactions come between each other in any order.
#[derive(Clone, Copy, Debug)]
enum Act {
    Claim,
    Write,
    BeginDeferred,
    BeginImmediate,
    Check,
    Put,
    Commit,
    Rollback,
}

/// A writer with its own connection; a transaction of its own is open over several acts.
struct Writer {
    generation: u64,
    connection: Connection,
    fence: Option<SqliteFence>,
    checked: bool,
    put: usize,
}

impl Writer {
    /// Does the act if the writer may; a writer that keeps to the fence puts only what it has checked for.
    fn act(&mut self, act: Act) -> Outcome {
        let in_transaction = !self.connection.is_autocommit();
        match (act, self.fence) {
            (Act::Claim, _) if !in_transaction => {
                self.fence = SqliteFence::claim(&mut self.connection, self.generation).ok().or(self.fence);
                Outcome { claimed: self.fence.is_some(), committed: 0 }
            }
            (Act::Write, Some(fence)) if !in_transaction => {
                let written = write(fence, &mut self.connection).is_ok();
                Outcome { claimed: false, committed: usize::from(written) }
            }
            (Act::BeginDeferred, Some(_)) if !in_transaction => self.batch("BEGIN DEFERRED"),
            (Act::BeginImmediate, Some(_)) if !in_transaction => self.batch("BEGIN IMMEDIATE"),
            (Act::Check, Some(fence)) if in_transaction => {
                self.checked = fence.look(&self.connection).is_ok();
                Outcome::default()
            }
            (Act::Put, Some(fence)) if in_transaction && self.checked => {
                let number = i64::try_from(fence.generation()).expect("small");
                self.put += self.connection.execute("INSERT INTO entries VALUES (?1)", [number]).unwrap_or(0);
                Outcome::default()
            }
            (Act::Commit, Some(_)) if in_transaction => {
                let committed = if self.connection.execute_batch("COMMIT").is_ok() { self.put } else { 0 };
                self.batch("ROLLBACK");
                Outcome { claimed: false, committed }
            }
            (Act::Rollback, Some(_)) if in_transaction => self.batch("ROLLBACK"),
            (_, _) => Outcome::default(),
        }
    }

    fn batch(&mut self, sql: &str) -> Outcome {
        drop(self.connection.execute_batch(sql));
        (self.checked, self.put) = (false, 0);
        Outcome::default()
    }
}

#[derive(Default)]
struct Outcome {
    claimed: bool,
    committed: usize,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    use Act::{BeginDeferred, BeginImmediate, Check, Claim, Commit, Put, Rollback, Write};
    let act = prop::sample::select(vec![
        Claim,
        Write,
        Write,
        BeginDeferred,
        BeginImmediate,
        Check,
        Check,
        Put,
        Put,
        Commit,
        Commit,
        Rollback,
    ]);
    prop::collection::vec((0..3_usize, act), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_accepts_an_older_generation_after_a_newer_claim(acts in acts(), wal in any::<bool>()) {
        let store = Store::new();
        store.open().execute_batch(if wal { "PRAGMA journal_mode = WAL" } else { "PRAGMA journal_mode = DELETE" })
            .expect("both are known");
        let mut writers: Vec<Writer> = (1..=3)
            .map(|generation| Writer {
                generation, connection: store.open(), fence: None, checked: false, put: 0,
            })
            .collect();
        let (mut highest, mut committed) = (0, 0);
        for (who, act) in acts {
            let writer = &mut writers[who];
            let outcome = writer.act(act);
            if outcome.committed > 0 {
                prop_assert!(writer.generation >= highest, "{} wrote after {highest} claimed", writer.generation);
                committed += outcome.committed;
            }
            if outcome.claimed {
                highest = highest.max(writer.generation);
            }
        }
        drop(writers);
        prop_assert_eq!(store.writers().len(), committed, "what was accepted stands, and nothing else");
    }
}

//! Rows of a store in `SQLite`: an old writer that was stopped, continued or killed, and the one after it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction};
use tenure_fence::FenceError;
use tenure_fence::sqlite::{SqliteFence, WriteError, rusqlite};
use tenure_sys::process::Signal;

use crate::kit::{Case, cases};
use crate::stores::{Writer, answer, next_order};

cases!(
    a_stopped_writer_of_rows_that_is_continued_is_refused,
    a_writer_that_is_killed_within_a_write_leaves_nothing_of_it,
    a_claim_outlives_the_kill_of_its_process,
);

fn open(store: &Path) -> Connection {
    let connection = Connection::open(store).expect("it opens");
    let table = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS entries (text TEXT NOT NULL);";
    connection.execute_batch(table).expect("it takes a table");
    connection
}

fn put(tx: &Transaction<'_>, text: &str) -> rusqlite::Result<usize> {
    tx.execute("INSERT INTO entries (text) VALUES (?1)", [text])
}

fn entries(connection: &Connection) -> Vec<String> {
    let mut read = connection.prepare("SELECT text FROM entries ORDER BY rowid").expect("the table");
    let all = read.query_map([], |row| row.get(0)).expect("readable");
    all.collect::<Result<_, _>>().expect("text")
}

/// The writer's orders, one after the other.
pub(crate) fn write(store: &Path, generation: u64) {
    let mut connection = open(store);
    let mut fence = None;
    while let Some(order) = next_order() {
        if order == "claim" {
            fence = Some(SqliteFence::claim(&mut connection, generation).expect("it is the newest"));
            answer("done");
            continue;
        }
        let written = fence.expect("claimed first").write(&mut connection, |tx| {
            put(tx, &order)?;
            if order == "slowly" {
                answer("writing");
                next_order();
            }
            Ok::<(), rusqlite::Error>(())
        });
        match written {
            Ok(()) => answer("done"),
            Err(WriteError::Fence(refused)) => answer(&refused.to_string()),
            Err(WriteError::Write(failed)) => answer(&failed.to_string()),
        }
    }
}

fn a_stopped_writer_of_rows_that_is_continued_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let store = place.path().join("store.db");
    let mut here = open(&store);
    let mut old = Writer::start("sqlite", &store, 1);
    assert_eq!(old.ask("claim"), "done");
    assert_eq!(old.ask("one"), "done");
    old.signal(Signal::Stop);
    old.order("late");
    let second = SqliteFence::claim(&mut here, 2).expect("it is newer");
    second.write(&mut here, |tx| put(tx, "two")).expect("it is the newest");
    old.signal(Signal::Cont);
    assert_eq!(old.answer(), "use the store as generation 1, which generation 2 has claimed");
    assert_eq!(entries(&here), ["one", "two"]);
    old.kill();
}

fn a_writer_that_is_killed_within_a_write_leaves_nothing_of_it() {
    let place = tempfile::tempdir().expect("a directory");
    let store = place.path().join("store.db");
    let mut here = open(&store);
    let mut old = Writer::start("sqlite", &store, 1);
    assert_eq!(old.ask("claim"), "done");
    assert_eq!(old.ask("slowly"), "writing");
    old.signal(Signal::Stop);
    here.busy_timeout(Duration::ZERO).expect("it can be set");
    let busy = SqliteFence::claim(&mut here, 2).expect_err("a write is under way");
    assert!(matches!(busy, FenceError::Database { .. }), "{busy:?}");
    old.kill();
    let second = SqliteFence::claim(&mut here, 2).expect("nobody holds it up");
    second.write(&mut here, |tx| put(tx, "two")).expect("it is the newest");
    assert_eq!(entries(&here), ["two"]);
}

fn a_claim_outlives_the_kill_of_its_process() {
    let place = tempfile::tempdir().expect("a directory");
    let store = place.path().join("store.db");
    let mut here = open(&store);
    let first = SqliteFence::claim(&mut here, 1).expect("nobody has claimed");
    let mut second = Writer::start("sqlite", &store, 2);
    assert_eq!(second.ask("claim"), "done");
    second.kill();
    let refused = first.write(&mut here, |tx| put(tx, "late")).expect_err("it was replaced");
    assert!(matches!(refused, WriteError::Fence(FenceError::Newer { ours: 1, theirs: 2 })));
    let third = SqliteFence::claim(&mut here, 3).expect("a rollback has a generation of its own");
    third.write(&mut here, |tx| put(tx, "three")).expect("it is the newest");
    assert_eq!(entries(&here), ["three"]);
}

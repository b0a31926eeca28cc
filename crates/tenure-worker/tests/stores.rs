//! Stores that several processes write to: an old writer that was stopped, continued or killed, and the one after it.
//!
//! The other process is this very program, told by a variable to be a writer. It does one line of its standard input after
//! the other and answers each with one line, so every order of events here is made and not waited for.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::pipe::pipe;
use tenure_sys::process::Signal;
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_worker::fence::directory::{DirectoryFence, carry};

const ROLE: &str = "STORE_WRITER";
const PATIENCE: Duration = Duration::from_secs(30);

/// A writer in a process of its own.
struct Writer {
    child: Child,
    orders: File,
    answers: BufReader<File>,
}

impl Writer {
    fn start(kind: &str, store: &Path, generation: u64) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let (answers, stdout) = pipe().expect("a pipe");
        let (stdin, orders) = pipe().expect("a pipe");
        let args: Vec<OsString> =
            ["the_other_process", "--exact", "--ignored", "--nocapture"].map(Into::into).to_vec();
        let role = format!("{kind} {generation} {}", store.display());
        let launch = Launch {
            args: &args,
            env: &[(ROLE.into(), role.into())],
            stdin: Stream::Fd(stdin.as_fd()),
            stdout: Stream::Fd(stdout.as_fd()),
            stderr: Stream::Inherit,
            ..Launch::new(&program, Path::new("/"))
        };
        let child = spawn::child(&launch).expect("this program runs");
        Self { child, orders: File::from(orders), answers: BufReader::new(File::from(answers)) }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it reads its orders");
    }

    /// Its next answer; the harness it runs under says other things.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).expect("text") > 0, "the writer has ended");
            if let Some((_, answer)) = line.trim_end().split_once("> ") {
                return answer.to_owned();
            }
        }
    }

    fn ask(&mut self, order: &str) -> String {
        self.order(order);
        self.answer()
    }

    fn signal(&self, signal: Signal) {
        self.child.handle().signal(signal).expect("it is ours");
    }

    fn kill(self) {
        self.child.kill().expect("it is ours");
        assert!(self.child.wait_within(PATIENCE).expect("it is ours").is_some());
    }
}

fn answer(text: &str) {
    writeln!(io::stdout(), "> {text}").expect("somebody listens");
}

fn next_order() -> Option<String> {
    io::stdin().lines().next().map(|line| line.expect("text"))
}

#[test]
#[ignore = "it is the other process of the tests here, and does nothing by itself"]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let mut words = role.splitn(3, ' ');
    let mut word = || words.next().expect("three words");
    let (kind, generation) = (word().to_owned(), word().parse().expect("a number"));
    let store = PathBuf::from(word());
    match kind.as_str() {
        "directory" => write_files(&store, generation),
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite::write_rows(&store, generation),
        other => panic!("no store of the kind {other}"),
    }
}

fn write_files(root: &Path, generation: u64) {
    let mut fence = None;
    while let Some(order) = next_order() {
        match order.as_str() {
            "claim" => {
                fence = Some(DirectoryFence::claim(root, generation, carry).expect("it is the newest"));
            }
            "claim slowly" => {
                let claimed = DirectoryFence::claim(root, generation, |_, fresh| {
                    std::fs::write(fresh.join("half"), "")?;
                    answer("filling");
                    next_order();
                    Ok(())
                });
                drop(claimed);
            }
            text => match fence.as_ref().expect("claimed first").write("entry", text.as_bytes()) {
                Ok(()) => {}
                Err(refused) => {
                    answer(&refused.to_string());
                    continue;
                }
            },
        }
        answer("done");
    }
}

#[test]
fn a_stopped_writer_of_files_that_is_continued_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path().join("store");
    let mut old = Writer::start("directory", &root, 1);
    assert_eq!(old.ask("claim"), "done");
    assert_eq!(old.ask("one"), "done");
    old.signal(Signal::Stop);
    old.order("late");
    let new = DirectoryFence::claim(&root, 2, carry).expect("it is newer");
    new.write("entry", b"two").expect("it is the newest");
    old.signal(Signal::Cont);
    assert_eq!(old.answer(), "use the store as generation 1, which generation 2 has claimed");
    let read = |generation: u32| {
        std::fs::read_to_string(root.join(format!("gen-{generation}/entry"))).expect("readable")
    };
    assert_eq!((read(1), read(2)), ("one".into(), "two".into()));
    old.kill();
}

#[test]
fn a_claim_that_is_killed_while_it_fills_has_not_happened() {
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path().join("store");
    let first = DirectoryFence::claim(&root, 1, carry).expect("nobody has claimed");
    let mut second = Writer::start("directory", &root, 2);
    assert_eq!(second.ask("claim slowly"), "filling");
    second.kill();
    first.write("entry", b"one").expect("nobody newer has claimed, and the lock is free");
    let third = DirectoryFence::claim(&root, 3, carry).expect("it is newer");
    assert_eq!(std::fs::read_to_string(third.current().join("entry")).expect("carried over"), "one");
    assert!(!third.current().join("half").exists());
    assert!(first.write("entry", b"late").expect_err("it was replaced").is_replaced());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use tenure_worker::fence::FenceError;
    use tenure_worker::fence::sqlite::{SqliteFence, WriteError, rusqlite};

    use super::*;
    use rusqlite::{Connection, Transaction};

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

    pub(super) fn write_rows(store: &Path, generation: u64) {
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

    #[test]
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

    #[test]
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

    #[test]
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
}

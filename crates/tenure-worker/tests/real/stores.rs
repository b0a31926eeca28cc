//! Stores that several processes write to: an old writer that was stopped, continued or killed, and the one after it.
//!
//! The other process is this program as a `store`. It does one line of its standard input after the other and answers each
//! with one line, so every order of events here is made and not waited for.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use tenure_core::store::paths::ROOT_VARIABLE;
use tenure_fence::directory::{DirectoryFence, carry};
use tenure_sys::pipe::pipe;
use tenure_sys::process::Signal;
use tenure_sys::spawn::{self, Child, Launch, Stream};

use crate::kit::{Case, LONG, cases};

cases!(
    a_stopped_writer_of_files_that_is_continued_is_refused,
    a_claim_that_is_killed_while_it_fills_has_not_happened,
);

/// A writer in a process of its own.
pub(crate) struct Writer {
    child: Child,
    orders: File,
    answers: BufReader<File>,
}

impl Writer {
    pub(crate) fn start(kind: &str, store: &Path, generation: u64) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let (answers, stdout) = pipe().expect("a pipe");
        let (stdin, orders) = pipe().expect("a pipe");
        let generation = generation.to_string();
        let args = ["store".as_ref(), kind.as_ref(), generation.as_ref(), store.as_os_str()];
        let args: Vec<OsString> = args.map(OsString::from).to_vec();
        // What is left of it at the end of the case is found by its root.
        let root = std::env::var_os(ROOT_VARIABLE).expect("a case has a root");
        let launch = Launch {
            args: &args,
            env: &[(ROOT_VARIABLE.into(), root)],
            stdin: Stream::Fd(stdin.as_fd()),
            stdout: Stream::Fd(stdout.as_fd()),
            stderr: Stream::Inherit,
            ..Launch::new(&program, Path::new("/"))
        };
        let child = spawn::child(&launch).expect("this program runs");
        Self { child, orders: File::from(orders), answers: BufReader::new(File::from(answers)) }
    }

    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it reads its orders");
    }

    /// Its next answer.
    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).expect("text") > 0, "the writer has ended");
        line.trim_end().to_owned()
    }

    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.order(order);
        self.answer()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.child.handle().signal(signal).expect("it is ours");
    }

    pub(crate) fn kill(self) {
        self.child.kill().expect("it is ours");
        assert!(self.child.wait_within(LONG).expect("it is ours").is_some());
    }
}

pub(crate) fn answer(text: &str) {
    writeln!(io::stdout(), "{text}").expect("somebody listens");
}

pub(crate) fn next_order() -> Option<String> {
    io::stdin().lines().next().map(|line| line.expect("text"))
}

/// The writer: kind of the store, generation, place.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let [kind, generation, store] = words else { return ExitCode::FAILURE };
    let (store, generation) = (Path::new(store), generation.parse().expect("a number"));
    match kind.as_str() {
        "directory" => write_files(store, generation),
        "sqlite" => crate::rows::write(store, generation),
        other => panic!("no store of the kind {other}"),
    }
    ExitCode::SUCCESS
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

//! The example with a store, kept by `tenure`: what one generation counted the next one goes on from, and a writer that has
//! not noticed that it was replaced is refused.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use tenure_sys::pipe::pipe;
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_sys::spawn::{self, Launch, Stream};
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

/// The example, trusted, and its executable.
fn example() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fence/tenure.toml");
    fs::copy(spec, sandbox.work().join("tenure.toml")).expect("the example has a configuration");
    let program = sandbox.work().join("example-fence");
    let built = PathBuf::from(BINARIES.tenure).with_file_name("example-fence");
    fs::copy(built, &program).expect("the example is built with the workspace");
    sandbox.tenure(["trust"]).run().expect(0);
    (sandbox, program)
}

fn ensure(sandbox: &Sandbox) -> Output {
    sandbox.tenure(["ensure", "counter", "--json"]).run().expect(0)
}

fn count(answer: &Output) -> String {
    ask::get(ask::address(answer), "/").expect("it serves")
}

#[test]
fn the_next_generation_goes_on_from_what_the_last_one_counted() {
    let (sandbox, _) = example();
    let first = ensure(&sandbox);
    assert_eq!(count(&first), "request 1, counted by generation 1\n");
    assert_eq!(count(&first), "request 2, counted by generation 1\n");
    sandbox.tenure(["restart", "counter"]).run().expect(0);
    let second = ensure(&sandbox);
    assert_eq!(count(&second), "request 3, counted by generation 2\n");

    let pid = second.json()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("it has a pid");
    let worker = ProcessHandle::open(pid).expect("the worker lives");
    worker.signal(Signal::Kill).expect("our own worker can be killed");
    processes::await_end(&worker);
    assert_eq!(count(&ensure(&sandbox)), "request 4, counted by generation 3\n");
    sandbox.tenure(["stop", "counter"]).run().expect(0);
}

#[test]
fn a_writer_that_has_not_noticed_that_it_was_replaced_is_refused() {
    let (sandbox, program) = example();
    count(&ensure(&sandbox));

    let (answers, stdout) = pipe().expect("a pipe");
    let (stdin, orders) = pipe().expect("a pipe");
    let stderr = tempfile::tempfile_in(sandbox.path()).expect("a sandbox takes files");
    let work = sandbox.work();
    let launch = Launch {
        args: &[OsString::from("1")],
        stdin: Stream::Fd(stdin.as_fd()),
        stdout: Stream::Fd(stdout.as_fd()),
        stderr: Stream::Fd(stderr.as_fd()),
        ..Launch::new(&program, &work)
    };
    let late = spawn::child(&launch).expect("the example runs");
    drop((stdin, stdout));
    let (mut orders, mut answers) = (File::from(orders), BufReader::new(File::from(answers)));
    let mut said = String::new();
    writeln!(orders).expect("it reads its orders");
    answers.read_line(&mut said).expect("text");
    assert_eq!(said, "request 2, counted by generation 1\n", "it is of the newest generation still");

    let restarted = sandbox.tenure(["restart", "counter", "--json"]).run().expect(0);
    assert_eq!(restarted.json()["generation"], 2);
    writeln!(orders).expect("it reads its orders");
    let ended = late.wait_within(PATIENCE).expect("it is our child").expect("it ends by itself");
    assert_eq!(ended.code, Some(1));
    let why = read(stderr);
    assert!(why.contains("use the store as generation 1, which generation 2 has claimed"), "{why}");
    assert_eq!(count(&ensure(&sandbox)), "request 3, counted by generation 2\n", "it has counted nothing");
    sandbox.tenure(["stop", "counter"]).run().expect(0);
}

fn read(mut file: File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().expect("a regular file rewinds");
    file.read_to_string(&mut text).expect("text");
    text
}

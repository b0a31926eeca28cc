//! What is in the way: the command line, the state directory, limits, locks, and whoever answers in the worker's place.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use super::super::world::{Line, World};
use super::Case;

/// A worker has run, and has been stopped.
fn ran(world: &mut World) {
    world.done("ensure", "");
    world.done("stop", "");
}

/// This process holds a lock of the worker.
fn holds(world: &mut World, lock: &str) {
    let file = fs::File::options().write(true).open(world.records().join(lock)).expect("it is there");
    file.lock().expect("nobody else holds it");
    world.kept.push(Box::new(file));
}

/// A directory that is closed when the world ends.
struct Closed(PathBuf);

impl Drop for Closed {
    fn drop(&mut self) {
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700)).expect("ours");
    }
}

/// The worker's records are open to others.
fn opens(world: &mut World, mode: u32) {
    fs::set_permissions(world.records(), fs::Permissions::from_mode(mode)).expect("ours");
    world.kept.push(Box::new(Closed(world.records())));
}

pub(super) const CASES: &[Case] = &[
    Case::of("wrong-use", "a value that is none", |world| world.line("tenure list --timeout soon"))
        .once()
        .prints(&["tenure --help"]),
    Case::of("wrong-use", "two keys", |world| world.line("tenure status a@b --key c"))
        .once()
        .prints(&["tenure list"]),
    Case::of("wrong-use", "times of a log that has none", |world| {
        world.done("ensure", "");
        world.typed("logs --worker --since 1h", "")
    })
    .prints(&["tenure logs "]),
    Case::of("output-failed", "a full device", |world| {
        let line = world.typed("status", "");
        Line { text: format!("{} >/dev/full", line.text), ..line }
    }),
    Case::of("limit-too-low", "few descriptors", |world| {
        ran(world);
        let line = world.typed("ensure", "");
        let text = format!("(ulimit -n 20; {})", line.text);
        Line { text, ..line }
    })
    .prints(&["tenure ensure "]),
    Case::of("state-unusable", "a relative directory", |world| {
        let line = world.typed("status", "");
        Line { text: line.text.replacen("tenure ", "TENURE_STATE_DIR=relative tenure ", 1), ..line }
    }),
    Case::of("state-unusable", "a directory that others can write", |world| {
        ran(world);
        opens(world, 0o777);
        world.typed("ensure", "")
    })
    .prints(&["tenure doctor --fix"]),
    Case::of("state-unusable", "a record that is damaged", |world| {
        ran(world);
        fs::write(world.records().join("ledger.json"), "{").expect("ours");
        world.typed("ensure", "")
    })
    .prints(&["tenure doctor ", "tenure status "]),
    Case::of("state-unusable", "a directory in the place of a record", |world| {
        ran(world);
        fs::remove_file(world.records().join("ledger.json")).expect("ours");
        fs::create_dir(world.records().join("ledger.json")).expect("ours");
        world.typed("ensure", "")
    })
    .prints(&["mv "]),
    Case::of("down", "its status with a record that is damaged", |world| {
        ran(world);
        fs::write(world.records().join("ledger.json"), "{").expect("ours");
        world.typed("status", "")
    })
    .prints(&["tenure doctor "]),
    Case::of("findings", "a record that is damaged", |world| {
        ran(world);
        fs::write(world.records().join("ledger.json"), "{").expect("ours");
        world.typed("doctor", "")
    })
    .prints(&["tenure doctor --fix "]),
    Case::of("findings", "a directory that others can read", |world| {
        ran(world);
        opens(world, 0o755);
        world.typed("doctor", "")
    })
    .prints(&["chmod 700 "]),
    Case::of("gate-held", "somebody else is at work", |world| {
        ran(world);
        holds(world, "gate");
        world.typed("ensure --timeout 2s", "")
    })
    .prints(&["tenure events "]),
    Case::of("survivor", "something holds the program's lock", |world| {
        ran(world);
        holds(world, "program");
        world.typed("ensure", "")
    }),
    Case::of("not-ours", "a stranger answers", |world| {
        ran(world);
        let listener = UnixListener::bind(world.records().join("control.sock")).expect("the path is free");
        // Ends with the test's process: nobody waits for it.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                drop(stream.read(&mut [0; 4096]));
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
            }
        });
        world.typed("status", "")
    }),
];

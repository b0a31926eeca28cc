//! The app that embeds the kit: answers its pid on the listener `http`, and misbehaves by its first word.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::spawn::{self, Launch};
use tenure_worker::Worker;

pub(crate) fn run(words: &[String]) -> ExitCode {
    let mode = words.first().map_or("", String::as_str);
    match Worker::adopt() {
        Ok(Some(worker)) => ExitCode::from(live(worker, mode)),
        // Not started as a worker.
        Ok(None) => ExitCode::from(42),
        Err(_) => ExitCode::from(43),
    }
}

fn live(mut worker: Worker, mode: &str) -> u8 {
    match mode {
        "fails" => return worker.fail("config", "no such file: app.toml"),
        "hangs" => park(),
        "boots-until-stop" => {
            drop(worker.wait_for_stop());
            return worker.finish();
        }
        "versioned" => worker.app_version("v13.6.0").expect("a version"),
        "child" => worker.status().check("child", true, child_code()),
        _ => {}
    }
    let listener = worker.take_listener("http").map(TcpListener::from);
    let Some(listener) = listener else { return worker.fail("listener", "there is none") };
    if worker.ready().is_err() {
        return worker.finish();
    }
    match mode {
        // Beats once, and never again.
        "stalls" => worker.status().beat(),
        "deaf" => park(),
        "hungry" => eat_descriptors(&worker, &listener),
        _ => {}
    }
    serve(&worker, &listener);
    worker.finish()
}

/// Answers until a stop was asked for.
fn serve(worker: &Worker, listener: &TcpListener) {
    loop {
        let mut waiting = [
            Interest::new(worker.stop_signal(), Readiness::Read),
            Interest::new(listener.as_fd(), Readiness::Read),
        ];
        poll::wait(&mut waiting, None).expect("a wait");
        let [stop, connection] = waiting.map(|interest| interest.ready());
        if stop {
            return;
        }
        if connection && let Ok((mut stream, _)) = listener.accept() {
            drop(write!(stream, "{}", std::process::id()));
        }
    }
}

/// Once somebody connects: opens descriptors until there are none, answers on the very last one, and keeps them all.
fn eat_descriptors(worker: &Worker, listener: &TcpListener) {
    let mut waiting = [Interest::new(listener.as_fd(), Readiness::Read)];
    poll::wait(&mut waiting, None).expect("a wait");
    tenure_sys::limits::set_nofile_soft(64).expect("a limit");
    let mut eaten: Vec<OwnedFd> = Vec::new();
    while let Ok(fd) = worker.stop_signal().try_clone_to_owned() {
        eaten.push(fd);
    }
    eaten.pop();
    let (mut stream, _) = listener.accept().expect("one descriptor is left for it");
    stream.write_all(b"eaten").expect("room");
    drop(worker.wait_for_stop());
}

/// Starts this program again with this environment, as an app does that starts helpers: what `adopt` says there.
fn child_code() -> String {
    let own = std::env::current_exe().expect("a program has a path");
    let env: Vec<_> = std::env::vars_os().collect();
    let args = ["app".into(), "serve".into()];
    let launch = Launch { args: &args, env: &env, ..Launch::new(&own, Path::new("/")) };
    let child = spawn::child(&launch).expect("a child");
    child.wait().expect("it ends").to_string()
}

/// Blocks for ever: both ends are ours.
fn park() {
    let (mut ours, _theirs) = UnixStream::pair().expect("a pair");
    drop(ours.read(&mut [0u8; 1]));
}

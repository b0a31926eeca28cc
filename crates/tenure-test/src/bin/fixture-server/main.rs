//! A well-behaved HTTP/1.1 server for tests to keep and to replace under load; it misbehaves only where it is told to.
//!
//! `fixture-server ORACLE VERSION [WORD…]`. It serves on descriptor 3 (`LISTEN_FDS`), else on the port of `PORT`, else on
//! the address of `bind=ADDRESS`. Words: `ready=fd|notify|log|none` (how it tells that it serves; `none` without the
//! word), `boot=MS` (time before it serves), `slow=MS` (time of each answer), `linger=MS` (how long it waits, when it is
//! to end, for the next request of a connection that it has served), `overlaps` (two at once are no fault),
//! `claims=VERSION` (says that it is another), `exit-at-boot`, `exit-at-boot=FILE` (while FILE exists), `never-ready`,
//! `die-after-ready=MS`, `dies-as=VERSION` (the former holds for that version alone).
//!
//! `/stream?chunks=N&every=MS` is a long answer; everything else is answered with one line that tells version, generation
//! and pid. The oracle's log gets `start`, `serve`, `drain` and `end` with the time of the monotonic clock in µs.

mod life;
mod serve;

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tenure_sys::signals::SignalFd;
use tenure_test::fixtures::oracle::Oracle;

use life::{Life, pass};

/// Exit code of a program that fails at boot.
const AT_BOOT: u8 = 7;

/// The words of the command line.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

impl Words {
    /// Whether the word is there.
    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }

    /// The value of `name=value`.
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Prints the line that it was told to.
    fn say(&self) {
        if let Some(text) = self.value("say") {
            let mut out = std::io::stdout();
            drop(writeln!(out, "{text}").and_then(|()| out.flush()));
        }
    }

    /// A time in milliseconds; none without the word.
    fn millis(&self, name: &str) -> Option<Duration> {
        self.value(name)?.parse().ok().map(Duration::from_millis)
    }
}

fn main() -> ExitCode {
    let inherited = inherited();
    let args: Vec<String> = std::env::args().collect();
    let [_, oracle, version, words @ ..] = args.as_slice() else { return ExitCode::from(2) };
    let words = Words(words.to_vec());
    words.say();
    // Before any thread: each inherits what is blocked.
    let Ok(signals) = SignalFd::for_termination() else { return ExitCode::from(9) };
    let life = Life::begin(Oracle::at(Path::new(oracle)), version, &words);
    let _lock = (!words.has("overlaps")).then(|| life.oracle().hold("program"));
    if words.millis("boot").is_some_and(|boot| pass(boot, &signals)) {
        return life.end(ExitCode::SUCCESS);
    }
    let fails = words.value("exit-at-boot").is_some_and(|file| Path::new(file).exists());
    if fails || words.has("exit-at-boot") {
        return life.end(ExitCode::from(AT_BOOT));
    }
    if words.has("never-ready") {
        pass(Duration::MAX, &signals);
        return life.end(ExitCode::SUCCESS);
    }
    let Some(listener) = inherited.listener.or_else(|| bound(&words)) else {
        return life.end(ExitCode::from(9));
    };
    life.serves(&words, inherited.ready);
    serve::serve(&listener, &signals, &life, &words);
    life.end(ExitCode::SUCCESS)
}

/// What a host hands down.
#[derive(Debug, Default)]
struct Inherited {
    listener: Option<TcpListener>,
    ready: Option<OwnedFd>,
}

fn inherited() -> Inherited {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let listeners = number("LISTEN_FDS").unwrap_or(0);
    let told = number("TENURE_READY_FD").is_some();
    let count = listeners + usize::from(told);
    let Ok(mut fds) = tenure_sys::fdset::take_inherited(count) else { return Inherited::default() };
    let ready = if told { fds.pop() } else { None };
    Inherited { listener: (listeners > 0).then(|| fds.swap_remove(0)).map(TcpListener::from), ready }
}

fn bound(words: &Words) -> Option<TcpListener> {
    let port = std::env::var("PORT").ok().map(|port| format!("127.0.0.1:{port}"));
    let address = port.or_else(|| words.value("bind").map(str::to_owned))?;
    tenure_sys::socket::bind_tcp(address.parse().ok()?, 4096).ok()
}

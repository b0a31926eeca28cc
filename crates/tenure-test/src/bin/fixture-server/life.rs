//! What the server says of itself: to the oracle, to its host, and in every answer.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::time::Duration;

use tenure_core::deadline::monotonic;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::signals::SignalFd;
use tenure_test::fixtures::oracle::Oracle;

use crate::Words;

/// One run of the server.
#[derive(Debug)]
pub(crate) struct Life {
    oracle: Oracle,
    version: String,
    told: String,
}

impl Life {
    pub(crate) fn begin(oracle: Oracle, version: &str, words: &Words) -> Self {
        let version = words.value("claims").unwrap_or(version);
        let generation = std::env::var("TENURE_GENERATION").unwrap_or_default();
        let told = format!("version={version} generation={generation} pid={}", std::process::id());
        let life = Self { oracle, version: version.to_owned(), told };
        life.log("start");
        life
    }

    pub(crate) fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    /// The first line of every answer.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// Whether what the words say of an early death is about this version.
    pub(crate) fn dies(&self, words: &Words) -> bool {
        words.value("dies-as").is_none_or(|version| version == self.version)
    }

    /// Tells whoever waits for it that the server serves.
    pub(crate) fn serves(&self, words: &Words, ready: Option<OwnedFd>) {
        self.log("serve");
        let claimed = words.value("claims");
        match words.value("ready") {
            Some("fd") => {
                let version = claimed.map(|version| format!("version={version}\n")).unwrap_or_default();
                let line = format!("{version}ready\n");
                drop(ready.map(|ready| File::from(ready).write_all(line.as_bytes())));
            }
            Some("notify") => notify(claimed),
            Some("log") => {
                let mut out = std::io::stdout();
                drop(writeln!(out, "serving: {}", self.told).and_then(|()| out.flush()));
            }
            Some(_) | None => {}
        }
    }

    /// The server was asked to end.
    pub(crate) fn drains(&self) {
        self.log("drain");
    }

    pub(crate) fn end(&self, code: ExitCode) -> ExitCode {
        self.log("end");
        code
    }

    fn log(&self, what: &str) {
        self.oracle.log(what, &format!("{} {}", self.told, monotonic().as_micros()));
    }
}

fn notify(claimed: Option<&str>) {
    if let Ok(path) = std::env::var("NOTIFY_SOCKET")
        && let Ok(socket) = UnixDatagram::unbound()
    {
        let version = claimed.map(|version| format!("X_TENURE_VERSION={version}\n")).unwrap_or_default();
        drop(socket.send_to(format!("{version}READY=1").as_bytes(), path));
    }
}

/// Lets time pass, unless the server is asked to end before: true then.
pub(crate) fn pass(span: Duration, signals: &SignalFd) -> bool {
    let mut asked = [Interest::new(signals.as_fd(), Readiness::Read)];
    poll::wait(&mut asked, Some(span)).is_ok_and(|asked| asked > 0)
}

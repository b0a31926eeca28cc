//! What is wanted: the command, its listeners, its version and its budgets.
//!
//! One form serves configuration files, `--spec`, the record of offers and the handshake that a worker gets. A spec is
//! validated once, when it is built (room `valid`, [`Spec::validate`]); rooms after that rely on it. Pure.

use std::path::PathBuf;
use std::time::Duration;

use crate::spec::version::Version;
use serde::{Deserialize, Serialize};
use tenure_sys::process::Signal;

use crate::spec::amount::Span;
use crate::spec::environment::Environment;

mod check;
mod depends;
mod digest;
mod forking;
mod listen;
mod part;
mod status_codes;
mod valid;

pub use check::{Health, HttpCheck, Ready, TcpCheck};
pub use forking::Forking;
pub use listen::{Address, Listen, ListenMode, Upstream};
pub use part::{Backoff, IdleTimeout, Kind, Logs, RestartOn, RestartPolicy, Stdin, StopPolicy, Umask};
pub use status_codes::{BadStatus, StatusCodes};

/// The description of a worker.
///
/// ```
/// use tenure::{Listen, Ready, Spec, Version};
///
/// let mut spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/shop".into());
/// spec.version = Version::new(1, 4, 0);
/// spec.listen = vec![Listen::inherit("http", "127.0.0.1:0".parse()?)];
/// spec.ready = Some(Ready::Http("/healthz".into()));
/// spec.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spec {
    /// Program and arguments; bytes that are not UTF-8 are written as [`crate::os_text`] says. A program without `/` is
    /// looked up in PATH.
    pub command: Vec<String>,
    /// Directory that the worker runs in; absolute once resolved.
    #[serde(default = "root", with = "crate::os_text::path")]
    pub cwd: PathBuf,
    /// Whether the command is a program under the host, or embeds the worker kit.
    #[serde(default)]
    pub kind: Kind,
    /// The identity of what is kept, such as `vendor.plugin`. Two installations of one app differ in their paths and
    /// share a worker; another app does not get its name. Default: what one file describes, or a program that calls name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The workers, as NAME or NAME@KEY, that are ensured before this one is started. A running worker is not looked at
    /// again for them. [`Request::find_dependency`](crate::launch::request::Request::find_dependency) says what the
    /// names stand for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<String>,
    /// Semantic version. Versions are totally ordered, and a worker is replaced by a higher one.
    #[serde(default = "Spec::unversioned")]
    pub version: Version,
    /// Globs, relative to `cwd`, of the files whose content is the build that runs. The next `ensure` replaces a worker
    /// whose files have changed. For workers of one project directory only, where all launchers see the same files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
    /// Listening sockets.
    #[serde(default)]
    pub listen: Vec<Listen>,
    /// How it is found out that the worker serves; [`Spec::readiness`] has the default.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// Continuous check after readiness.
    #[serde(default)]
    pub health: Option<Health>,
    /// Longest time from the start to ready. A booting worker is ended for nothing else.
    #[serde(default = "defaults::start_timeout")]
    pub start_timeout: Span,
    /// Embedded worker: longest time from the announcement of its end to the end. Program behind a proxy: longest time
    /// for the connections that are open, before the program is asked to end.
    #[serde(default = "defaults::drain_timeout")]
    pub drain_timeout: Span,
    /// The watchdog ends an embedded app whose runtime has not answered for this long.
    #[serde(default = "defaults::stall_timeout")]
    pub stall_timeout: Span,
    /// How long the worker lives while nobody uses it. Default: until somebody stops it.
    #[serde(default, skip_serializing_if = "IdleTimeout::is_off")]
    pub idle_timeout: IdleTimeout,
    /// Signal and grace of a polite stop.
    #[serde(default)]
    pub stop: StopPolicy,
    /// The signal by which the program reads its configuration again. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Signal>,
    /// Restarts of the program within one generation.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// A command that must exit with 0 before a new program takes the place of one that serves: it checks what would
    /// run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<String>,
    /// A command that must exit with 0 before each start of the program, restarts included. It gets what the program
    /// gets, and what it leaves behind ends with the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before_start: Vec<String>,
    /// What the program reads from its standard input.
    #[serde(default, skip_serializing_if = "Stdin::is_null")]
    pub stdin: Stdin,
    /// Whether the program puts itself into the background. Default: no.
    #[serde(default, skip_serializing_if = "Forking::is_no")]
    pub forking: Forking,
    /// The new program is ready on the shared listeners before the old program is asked to end. Otherwise the old
    /// program is gone before the new one starts, and clients wait in the listeners' queues.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overlap: bool,
    /// How long a new worker is on probation: if it fails meanwhile, the old worker goes on. Default: [`USUAL_BAKE`]
    /// for another version or build, none for a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Span>,
    /// Environment variables that the worker gets.
    #[serde(default)]
    pub env: Environment,
    /// Permissions that new files of the program do not get. Default: the umask that users of the system usually
    /// have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<Umask>,
    /// Size and number of log files.
    #[serde(default)]
    pub logs: Logs,
}

mod defaults {
    use crate::spec::amount::Span;

    pub(super) fn start_timeout() -> Span {
        Span::secs(30)
    }

    pub(super) fn drain_timeout() -> Span {
        Span::secs(10)
    }

    pub(super) fn stall_timeout() -> Span {
        Span::secs(30)
    }
}

fn root() -> PathBuf {
    PathBuf::from("/")
}

/// A spec that contradicts itself.
///
/// ```
/// let bad = tenure::Spec::of_command(Vec::new(), "/".into()).validate().unwrap_err();
/// assert_eq!(bad.key, "command");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use this spec: `{key}` {why}")]
#[non_exhaustive]
pub struct BadSpec {
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub why: String,
}

impl Spec {
    /// A spec of a command with every other value at its default.
    #[must_use]
    pub fn of_command(command: Vec<String>, cwd: PathBuf) -> Self {
        Self {
            command,
            cwd,
            kind: Kind::Program,
            app: None,
            depends: Vec::new(),
            version: Self::unversioned(),
            build: Vec::new(),
            listen: Vec::new(),
            ready: None,
            health: None,
            start_timeout: defaults::start_timeout(),
            drain_timeout: defaults::drain_timeout(),
            stall_timeout: defaults::stall_timeout(),
            idle_timeout: IdleTimeout::OFF,
            stop: StopPolicy::default(),
            reload: None,
            restart: RestartPolicy::default(),
            preflight: Vec::new(),
            before_start: Vec::new(),
            stdin: Stdin::Null,
            forking: Forking::No,
            overlap: false,
            bake: None,
            env: Environment::default(),
            umask: None,
            logs: Logs::default(),
        }
    }

    /// The version of a spec that names none: 0.0.0.
    #[must_use]
    pub fn unversioned() -> Version {
        Version::new(0, 0, 0)
    }

    /// How it is found out that this worker serves. The default is `tcp` where the program binds the port that is
    /// asked, its own or the one behind a proxy. It is `up` (the program runs) otherwise: with an inherited listener
    /// clients wait in the kernel's queue until the program accepts.
    #[must_use]
    pub fn readiness(&self) -> Ready {
        let default = match self.listen.first().map(|listen| listen.mode) {
            Some(ListenMode::SelfBound | ListenMode::Proxy) => Ready::Tcp(TcpCheck::default()),
            Some(ListenMode::Inherit) | None => Ready::Up,
        };
        self.ready.clone().unwrap_or(default)
    }

    /// The listener that a check asks: the one that it names, else the first; `None` where there is none.
    #[must_use]
    pub fn asked_listener(&self, check: &Ready) -> Option<&Listen> {
        match check.listener() {
            Some(name) => self.listen.iter().find(|listen| listen.name == name),
            None => self.listen.first(),
        }
    }

    /// Time for the open connections of a program behind a proxy, before it is asked to end.
    fn relay_budget(&self) -> Duration {
        let proxied = self.listen.iter().any(|listen| listen.mode == ListenMode::Proxy);
        if proxied { self.drain_timeout.duration() } else { Duration::ZERO }
    }

    /// Longest time that a polite end of this worker may take before it is forced.
    #[must_use]
    pub fn end_budget(&self) -> Duration {
        match self.kind {
            Kind::Embedded => self.drain_timeout.duration(),
            Kind::Program => self.relay_budget() + self.stop.grace.duration() + KILL_GRACE,
        }
    }
}

/// Probation of a worker of another version or build whose spec names none. A restart has none then, because it starts
/// what has run before.
pub const USUAL_BAKE: Span = Span::secs(3);

/// Time from SIGKILL to the end of the process: a machine under load needs a moment for the exit path.
pub const KILL_GRACE: Duration = Duration::from_secs(1);

/// The part of a spec that HELLO shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Directory.
    #[serde(with = "crate::os_text::path")]
    pub cwd: PathBuf,
    /// Listeners as asked for.
    pub listen: Vec<Listen>,
    /// Globs of the files of its build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
    /// [`Spec::identity_digest`].
    pub identity: String,
    /// [`Spec::settings_digest`].
    pub settings: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Spec {
        let mut spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/app".into());
        spec.listen = vec![Listen::inherit("http", "127.0.0.1:0".parse().expect("address"))];
        spec
    }

    #[test]
    fn a_spec_reads_back_what_it_writes() {
        let mut spec = server();
        spec.ready = Some(Ready::Http("/readyz".into()));
        spec.health = Some(Health { check: Ready::Http("/livez".into()), ..Health::of(Ready::Up) });
        let text = serde_json::to_string(&spec).expect("writes");
        assert_eq!(serde_json::from_str::<Spec>(&text).expect("reads"), spec);
    }

    #[test]
    fn a_program_that_binds_its_own_port_is_ready_when_it_accepts() {
        let mut spec = server();
        assert_eq!(spec.readiness(), Ready::Up);
        spec.listen[0].mode = ListenMode::SelfBound;
        assert_eq!(spec.readiness(), Ready::Tcp(TcpCheck::default()));
        spec.listen[0].mode = ListenMode::Proxy;
        assert_eq!(spec.readiness(), Ready::Tcp(TcpCheck::default()), "it is asked on its own side");
        spec.ready = Some(Ready::Notify);
        assert_eq!(spec.readiness(), Ready::Notify);
    }

    #[test]
    fn a_listener_has_one_address_and_is_written_as_before() {
        let read = serde_json::from_str::<Listen>;
        let tcp = r#"{"name":"http","tcp":"127.0.0.1:0","mode":"inherit"}"#;
        assert_eq!(serde_json::to_string(&server().listen[0]).expect("writes"), tcp);
        let unix = r#"{"name":"rpc","unix":"run/rpc.sock","mode":"self"}"#;
        let listen = read(unix).expect("reads");
        assert_eq!(listen.named_path("/srv".as_ref()), Some("/srv/run/rpc.sock".into()));
        assert_eq!(serde_json::to_string(&listen).expect("writes"), unix);
        for bad in [r#"{"name":"x"}"#, r#"{"name":"x","tcp":"127.0.0.1:0","unix":""}"#] {
            let error = read(bad).expect_err("not one address").to_string();
            assert!(error.contains("needs `tcp` or `unix`, and not both"), "{error}");
        }
    }

    #[test]
    fn a_umask_is_three_octal_digits() {
        let read = |text: &str| Umask::try_from(text.to_owned());
        assert_eq!(read("027").map(Umask::bits), Ok(0o027));
        assert_eq!(read("0077").map(String::from), Ok("077".to_owned()));
        for bad in ["22", "", "1777", "089", "+22", "rwx"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        let text = serde_json::to_string(&server()).expect("writes");
        for key in [
            "\"app\"",
            "preflight",
            "before_start",
            "stdin",
            "forking",
            "reload",
            "overlap",
            "bake",
            "umask",
            "\"to\"",
            "idle",
        ] {
            assert!(!text.contains(key), "{text}");
        }
    }
}

//! What is wanted: the command, its listeners, its version and its budgets.
//!
//! One form serves configuration files, `--spec`, the record of offers and the brief that a worker gets. A spec is
//! validated once, when it is built ([`Spec::validate`]); rooms after that rely on it. Pure.

use std::path::PathBuf;
use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::amount::Span;
use crate::build::globs;
use crate::environment::Environment;
use crate::scope;

mod part;

pub use part::{
    Backoff, Health, Kind, Listen, ListenMode, Logs, Ready, RestartOn, RestartPolicy, StopPolicy, Upstream,
};

/// A worker that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Program and arguments. A program without `/` is looked up in PATH.
    pub command: Vec<String>,
    /// Directory that the worker runs in; absolute once resolved.
    #[serde(default = "root")]
    pub cwd: PathBuf,
    /// A program under the host, or a program that embeds the worker kit.
    #[serde(default)]
    pub kind: Kind,
    /// Totally ordered version (semantic versioning); the only thing that makes one worker replace another.
    #[serde(default = "Spec::unversioned")]
    pub version: Version,
    /// Globs, relative to `cwd`, of the files whose content is the build that runs. A worker whose files have changed is
    /// replaced by the next `ensure`; for workers of one project directory only, where all launchers see the same files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
    /// Listening sockets.
    #[serde(default)]
    pub listen: Vec<Listen>,
    /// How readiness is told; see [`Spec::readiness`] for the default.
    #[serde(default)]
    pub ready: Option<Ready>,
    /// Continuous check after readiness.
    #[serde(default)]
    pub health: Option<Health>,
    /// From start to ready; ending a booting worker is decided by nothing else.
    #[serde(default = "defaults::start_timeout")]
    pub start_timeout: Span,
    /// From announcing the end to the end, for an embedded worker's drain.
    #[serde(default = "defaults::drain_timeout")]
    pub drain_timeout: Span,
    /// An embedded app whose runtime has not answered for this long is ended by the watchdog.
    #[serde(default = "defaults::stall_timeout")]
    pub stall_timeout: Span,
    /// Signal and grace of a polite stop.
    #[serde(default)]
    pub stop: StopPolicy,
    /// Restarts of the program within one generation.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// A command that must end with 0 before a new program takes the place of one that serves: a look at what would run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<String>,
    /// The new program is ready on the shared listeners before the old one is asked to end. Otherwise the old one is gone
    /// before the new one starts, and clients wait in the listeners' queues.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overlap: bool,
    /// How long a new worker is on probation: if it fails meanwhile, the old one goes on. Where it is not said: 3 s for
    /// another version or build, none for a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Span>,
    /// Variables.
    #[serde(default)]
    pub env: Environment,
    /// Size and number of log files.
    #[serde(default)]
    pub logs: Logs,
}

mod defaults {
    use crate::amount::Span;

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

/// For fields that are left out where they say nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(value: &bool) -> bool {
    !value
}

fn root() -> PathBuf {
    PathBuf::from("/")
}

/// A spec that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use this spec: `{key}` {why}")]
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
            version: Self::unversioned(),
            build: Vec::new(),
            listen: Vec::new(),
            ready: None,
            health: None,
            start_timeout: defaults::start_timeout(),
            drain_timeout: defaults::drain_timeout(),
            stall_timeout: defaults::stall_timeout(),
            stop: StopPolicy::default(),
            restart: RestartPolicy::default(),
            preflight: Vec::new(),
            overlap: false,
            bake: None,
            env: Environment::default(),
            logs: Logs::default(),
        }
    }

    /// The version of a spec that names none: 0.0.0.
    #[must_use]
    pub fn unversioned() -> Version {
        Version::new(0, 0, 0)
    }

    /// Refuses what contradicts itself.
    pub fn validate(&self) -> Result<(), BadSpec> {
        let bad = |key, why: &str| Err(BadSpec { key, why: why.to_owned() });
        if self.command.first().is_none_or(String::is_empty) {
            return bad("command", "is empty: name a program");
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return bad("command", "has a NUL byte in it");
        }
        if !self.cwd.is_absolute() {
            return bad("cwd", "must be an absolute directory here");
        }
        if self.kind == Kind::Embedded && (self.ready.is_some() || self.health.is_some()) {
            return bad(
                "ready",
                "and `health` are the worker's own answer when `kind = \"embedded\"`: remove them",
            );
        }
        let settable = |(name, value): (&String, &String)| {
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
        };
        if !self.env.set.iter().all(settable) {
            return bad(
                "env",
                "sets a variable whose name is empty or has '=' in it, or that has a NUL byte",
            );
        }
        if let Err(error) = globs::check(&self.build) {
            return Err(BadSpec { key: "build", why: error.fault() });
        }
        self.validate_listeners()?;
        self.validate_readiness()?;
        self.validate_amounts()
    }

    fn validate_listeners(&self) -> Result<(), BadSpec> {
        let bad = |why: String| Err(BadSpec { key: "listen", why });
        for (index, listen) in self.listen.iter().enumerate() {
            if scope::Scope::new(&listen.name, None).is_err() {
                return bad(format!("has the name {:?}: use letters, digits, '.', '_' or '-'", listen.name));
            }
            if self.listen[..index].iter().any(|other| other.name == listen.name) {
                return bad(format!("has two listeners named {:?}", listen.name));
            }
            if listen.tcp.port() != 0 && self.listen[..index].iter().any(|other| other.tcp == listen.tcp) {
                return bad(format!("has two listeners on {}", listen.tcp));
            }
            if listen.mode == ListenMode::SelfBound && listen.tcp.port() == 0 {
                return bad(format!(
                    "{:?} is bound by the program itself: name its port instead of 0",
                    listen.name
                ));
            }
            if listen.mode == ListenMode::SelfBound && self.kind == Kind::Embedded {
                return bad("mode \"self\" is for programs: an embedded worker gets its listeners".to_owned());
            }
        }
        Ok(())
    }

    fn validate_readiness(&self) -> Result<(), BadSpec> {
        let bad = |key, why: &str| Err(BadSpec { key, why: why.to_owned() });
        let inherits = self.listen.first().is_some_and(|listen| listen.mode == ListenMode::Inherit);
        let health = self.health.as_ref().map(|health| &health.check);
        for (key, check) in [("ready", self.ready.as_ref()), ("health", health)] {
            match check {
                Some(Ready::Http(path)) if !path.starts_with('/') => {
                    return bad(key, "`http` takes a path that begins with /");
                }
                Some(Ready::Http(_) | Ready::Tcp) if self.listen.is_empty() => {
                    return bad(key, "by http or tcp needs a `listen` entry to ask");
                }
                Some(Ready::Tcp) if inherits => {
                    return bad(
                        key,
                        "by tcp proves nothing where the kernel already listens: use http, notify, fd or log",
                    );
                }
                Some(Ready::Exec(words)) if words.is_empty() => return bad(key, "`exec` names no command"),
                Some(Ready::Http(_) | Ready::Tcp | Ready::Exec(_)) | None => {}
                Some(Ready::Log(_) | Ready::Notify | Ready::Fd | Ready::Up) => {
                    if key == "health" {
                        return bad(key, "is asked again and again: use http, tcp or exec");
                    }
                }
            }
        }
        Ok(())
    }

    fn validate_amounts(&self) -> Result<(), BadSpec> {
        let zero = |span: Span| span.duration().is_zero();
        let positive = |key, span| {
            if zero(span) { Err(BadSpec { key, why: "must be longer than zero".to_owned() }) } else { Ok(()) }
        };
        positive("start_timeout", self.start_timeout)?;
        positive("drain_timeout", self.drain_timeout)?;
        positive("stall_timeout", self.stall_timeout)?;
        if let Some(health) = &self.health {
            positive("health", health.interval)?;
            positive("health", health.timeout)?;
            if health.failures == 0 {
                return Err(BadSpec { key: "health", why: "needs `failures` of at least 1".to_owned() });
            }
        }
        if self.logs.size.get() < 4096 {
            return Err(BadSpec { key: "logs", why: "needs a `size` of at least 4096B".to_owned() });
        }
        Ok(())
    }

    /// How this worker's readiness is told. The default is `tcp` for a program that binds its own port, and `up` (the
    /// program runs) otherwise: with an inherited listener clients wait in the kernel's queue until it accepts.
    #[must_use]
    pub fn readiness(&self) -> Ready {
        let own = self.listen.first().is_some_and(|listen| listen.mode == ListenMode::SelfBound);
        self.ready.clone().unwrap_or(if own { Ready::Tcp } else { Ready::Up })
    }

    /// What two specs of one version and scope must agree in: kind, command, directory and listeners.
    #[must_use]
    pub fn identity_digest(&self) -> String {
        digest_of(&(self.kind, &self.command, &self.cwd, &self.listen))
    }

    /// Everything else: a difference here is drift, reported and never acted on by itself.
    #[must_use]
    pub fn settings_digest(&self) -> String {
        let budgets = (self.start_timeout, self.drain_timeout, self.stall_timeout);
        let care = (&self.stop, &self.restart, &self.logs);
        digest_of(&(&self.ready, &self.health, budgets, care, &self.env, &self.build))
    }

    /// The whole spec.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(self)
    }

    /// The two digests and what people need to tell two specs apart.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            command: self.command.clone(),
            cwd: self.cwd.clone(),
            listen: self.listen.clone(),
            build: self.build.clone(),
            identity: self.identity_digest(),
            settings: self.settings_digest(),
        }
    }

    /// Longest time that a polite end of this worker may take before it is forced.
    #[must_use]
    pub fn end_budget(&self) -> Duration {
        match self.kind {
            Kind::Embedded => self.drain_timeout.duration(),
            Kind::Program => self.stop.grace.duration() + KILL_GRACE,
        }
    }
}

/// After SIGKILL the kernel needs no grace; this is for a machine under load to run the exit path.
pub const KILL_GRACE: Duration = Duration::from_secs(1);

/// What HELLO tells of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Directory.
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

fn digest_of(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).expect("parts of a spec have only string keys");
    scope::digest(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Size;

    fn server() -> Spec {
        let mut spec = Spec::of_command(vec!["node".into(), "server.mjs".into()], "/srv/app".into());
        spec.listen = vec![Listen {
            name: "http".into(),
            tcp: "127.0.0.1:0".parse().expect("address"),
            mode: ListenMode::Inherit,
            to: None,
        }];
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
    fn a_tcp_probe_on_an_inherited_listener_is_refused() {
        let mut spec = server();
        spec.ready = Some(Ready::Tcp);
        assert!(spec.validate().expect_err("contradiction").to_string().contains("proves nothing"));
    }

    #[test]
    fn two_listeners_cannot_have_one_address() {
        let mut spec = server();
        spec.listen.push(Listen { name: "admin".into(), ..spec.listen[0].clone() });
        assert!(spec.validate().is_ok(), "port 0 is another one for each");
        for listen in &mut spec.listen {
            listen.tcp.set_port(9);
        }
        assert!(
            spec.validate().expect_err("one address").to_string().contains("two listeners on 127.0.0.1:9")
        );
    }

    #[test]
    fn a_variable_that_cannot_be_set_is_refused() {
        for (name, value) in [("", "v"), ("A=B", "v"), ("A\0", "v"), ("A", "\0")] {
            let mut spec = server();
            spec.env.set.insert(name.to_owned(), value.to_owned());
            assert_eq!(spec.validate().expect_err("impossible").key, "env", "{name:?}={value:?}");
        }
    }

    #[test]
    fn a_program_that_binds_its_own_port_is_ready_when_it_accepts() {
        let mut spec = server();
        assert_eq!(spec.readiness(), Ready::Up);
        spec.listen[0].mode = ListenMode::SelfBound;
        assert!(spec.validate().is_err(), "port 0 cannot be bound by the program and known to us");
        spec.listen[0].tcp = "127.0.0.1:8080".parse().expect("address");
        spec.validate().expect("valid");
        assert_eq!(spec.readiness(), Ready::Tcp);
    }

    #[test]
    fn the_identity_digest_ignores_settings_and_sees_the_command() {
        let (spec, mut drifted, mut other) = (server(), server(), server());
        drifted.start_timeout = Span::secs(9);
        other.command.push("--verbose".into());
        assert_eq!(spec.identity_digest(), drifted.identity_digest());
        assert_ne!(spec.settings_digest(), drifted.settings_digest());
        assert_ne!(spec.identity_digest(), other.identity_digest());
    }

    #[test]
    fn bad_values_name_their_key() {
        let with = |change: fn(&mut Spec)| {
            let mut spec = server();
            change(&mut spec);
            spec.validate().expect_err("bad").key
        };
        assert_eq!(with(|spec| spec.command.clear()), "command");
        assert_eq!(with(|spec| spec.cwd = "relative".into()), "cwd");
        assert_eq!(with(|spec| spec.listen.push(spec.listen[0].clone())), "listen");
        assert_eq!(with(|spec| spec.ready = Some(Ready::Exec(vec![]))), "ready");
        assert_eq!(with(|spec| spec.health = Some(Health::of(Ready::Notify))), "health");
        assert_eq!(with(|spec| spec.start_timeout = Span::millis(0)), "start_timeout");
        assert_eq!(with(|spec| spec.logs.size = Size::bytes(1)), "logs");
    }
}

//! What a spec must not say: values out of range, and keys that contradict each other.
//!
//! Every error names its key and what would be right. Nothing here asks the system: whether a file is missing or a port
//! is taken is found out where it is used. Pure.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tenure_sys::socket::PATH_LIMIT;

use regex_lite::Regex;
use tenure_sys::process::Signal;

use crate::spec::amount::Span;
use crate::spec::build::globs;
use crate::spec::environment;
use crate::spec::scope::Scope;

use super::depends;
use super::{Address, BadSpec, Forking, Health, HttpCheck, Kind, Listen, ListenMode, Ready, Spec, Upstream};

/// Longest probation of a new worker. Two generations live while it lasts, and nothing else can take over: whoever
/// needs a longer look watches the worker instead.
const LONGEST_BAKE: Span = Span::secs(600);

/// Shortest time without use after which a worker ends. Whoever was told that it serves has at least this long to
/// connect.
const SHORTEST_IDLE: Span = Span::secs(1);

/// The key of a pattern for lines of the output.
const LOG_KEY: &str = "ready.log";

type CheckedSpec = Result<(), BadSpec>;

fn bad(key: &'static str, why: impl Into<String>) -> CheckedSpec {
    Err(BadSpec { key, why: why.into() })
}

impl Spec {
    /// Refuses a spec that contradicts itself, or has a value out of range.
    pub fn validate(&self) -> Result<(), BadSpec> {
        command(self)?;
        app(self)?;
        depends::check(&self.depends)?;
        variables(self)?;
        if let Err(error) = globs::check(&self.build) {
            return bad("build", error.fault());
        }
        for (index, one) in self.listen.iter().enumerate() {
            listener(self, one, &self.listen[..index])?;
            relay(self, one, &self.listen[..index])?;
        }
        validate_check("ready", self.ready.as_ref(), self)?;
        validate_check("health", self.health.as_ref().map(|health| &health.check), self)?;
        amounts(self)?;
        helper(self, "preflight", &self.preflight)?;
        helper(self, "before_start", &self.before_start)?;
        if self.kind == Kind::Embedded && self.reload.is_some() {
            return bad(
                "reload",
                "is for programs: `tenure signal NAME HUP` reaches an embedded worker; remove it",
            );
        }
        if matches!(self.reload, Some(Signal::Kill | Signal::Stop)) {
            return bad("reload", "must be a signal that a program can handle, such as \"HUP\"");
        }
        if self.kind == Kind::Embedded && !self.stdin.is_null() {
            return bad("stdin", "is for programs: an embedded worker reads what it opens itself; remove it");
        }
        forking(self)?;
        if self.overlap { self.may_overlap() } else { Ok(()) }
    }

    /// Refuses a spec whose second program cannot become ready beside the first. For `overlap`, whether the spec or one
    /// call asks for it.
    pub fn may_overlap(&self) -> Result<(), BadSpec> {
        let refused = |why: String| bad("overlap", why);
        if self.kind == Kind::Embedded {
            return refused("is for programs: an embedded worker hands over by itself; remove it".to_owned());
        }
        for Listen { name, mode, to, .. } in &self.listen {
            match (mode, to) {
                (ListenMode::SelfBound, _) => {
                    return refused(format!(
                        "needs a listener that two programs can have at once, and {name:?} is bound by the program itself: use mode \"inherit\" or \"proxy\""
                    ));
                }
                (ListenMode::Proxy, Some(Upstream::Address(to))) => {
                    return refused(format!(
                        "needs a port for each program, and {name:?} leads to {to}: write `to = \"env:PORT\"`"
                    ));
                }
                (ListenMode::Proxy, Some(to @ Upstream::Socket(_))) => {
                    return refused(format!(
                        "needs a path for each program, and {name:?} leads to {to}: write `to = \"env-path:SOCKET\"`"
                    ));
                }
                (ListenMode::Proxy, Some(Upstream::Port(_) | Upstream::Path(_)) | None)
                | (ListenMode::Inherit, _) => {}
            }
        }
        let ready = self.readiness();
        let own_side = self.asked_listener(&ready).is_some_and(|asked| asked.mode == ListenMode::Proxy);
        match ready {
            Ready::Notify | Ready::Fd | Ready::Log(_) => Ok(()),
            Ready::Http(_) | Ready::Tcp(_) if own_side => Ok(()),
            Ready::Http(_) | Ready::Tcp(_) => refused(
                "needs a `ready` that the new program tells itself, for the old one may answer on the shared listener: use notify, fd or log".to_owned(),
            ),
            Ready::Exec(_) => refused(
                "needs a `ready` that the new program tells itself, for a command may ask the old one: use notify, fd or log".to_owned(),
            ),
            Ready::Up => refused(
                "needs a `ready` that the new program tells itself, for one that runs need not serve yet: use notify, fd or log".to_owned(),
            ),
        }
    }
}

fn command(spec: &Spec) -> CheckedSpec {
    if spec.command.first().is_none_or(String::is_empty) {
        return bad("command", "is empty: name a program");
    }
    if spec.command.iter().any(|word| word.contains('\0')) {
        return bad("command", "has a NUL byte in it");
    }
    if !spec.cwd.is_absolute() {
        return bad("cwd", "must be an absolute directory here");
    }
    if spec.cwd.as_os_str().as_bytes().contains(&0) {
        return bad("cwd", "has a NUL byte in it");
    }
    if spec.kind == Kind::Embedded && (spec.ready.is_some() || spec.health.is_some()) {
        return bad(
            "ready",
            "and `health` are the worker's own answer when `kind = \"embedded\"`: remove them",
        );
    }
    Ok(())
}

fn app(spec: &Spec) -> CheckedSpec {
    match &spec.app {
        Some(name) if Scope::new(name, None).is_err() => bad(
            "app",
            format!(
                "cannot be {name:?}: use 1 to 64 letters, digits, '.', '_' or '-', with a letter or digit first, such as \
                \"vendor.plugin\""
            ),
        ),
        Some(_) | None => Ok(()),
    }
}

fn variables(spec: &Spec) -> CheckedSpec {
    let settable = |(name, value): (&String, &String)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    if let Some(file) = &spec.env.file {
        if file.as_os_str().is_empty() {
            return bad("env", "has an empty `file`: name one, or remove it");
        }
        if file.as_os_str().as_bytes().contains(&0) {
            return bad("env", "has a `file` with a NUL byte in its name");
        }
    }
    if spec.env.set.iter().all(settable) {
        return Ok(());
    }
    bad("env", "sets a variable whose name is empty or has '=' in it, or that has a NUL byte")
}

/// A listener by itself, and beside those before it.
fn listener(spec: &Spec, one: &Listen, before: &[Listen]) -> CheckedSpec {
    let bad = |why: String| bad("listen", why);
    let Listen { name, mode, .. } = one;
    if Scope::new(name, None).is_err() {
        return bad(format!("has the name {name:?}: use letters, digits, '.', '_' or '-'"));
    }
    if before.iter().any(|other| other.name == *name) {
        return bad(format!("has two listeners named {name:?}"));
    }
    match &one.address {
        Address::Tcp(tcp) if tcp.port() == 0 && *mode == ListenMode::SelfBound => {
            bad(format!("{name:?} is bound by the program itself: name its port instead of 0"))
        }
        Address::Tcp(tcp) if tcp.port() != 0 && before.iter().any(|other| other.address == one.address) => {
            bad(format!("has two listeners on {tcp}"))
        }
        Address::Tcp(_) => Ok(()),
        Address::Unix(_) => path(spec, one, before),
    }
}

/// A path that a socket can have.
fn path(spec: &Spec, one: &Listen, before: &[Listen]) -> CheckedSpec {
    let bad = |why: String| bad("listen", why);
    let Some(path) = one.named_path(&spec.cwd) else { return Ok(()) };
    let (name, shown, bytes) = (&one.name, path.display(), path.as_os_str().as_bytes());
    if path.file_name().is_none() || bytes.ends_with(b"/") || bytes.contains(&0) {
        return bad(format!("{name:?} has the path {shown}, which is no name for a socket"));
    }
    if before.iter().any(|other| other.named_path(&spec.cwd).as_ref() == Some(&path)) {
        return bad(format!("has two listeners on {shown}"));
    }
    if one.mode == ListenMode::SelfBound && bytes.len() > PATH_LIMIT {
        return bad(format!(
            "{name:?} is bound by the program itself, which can bind a path of {PATH_LIMIT} bytes at most: {shown} has {}",
            bytes.len()
        ));
    }
    Ok(())
}

/// Who binds a listener, and where a proxied listener leads to.
fn relay(spec: &Spec, one: &Listen, before: &[Listen]) -> CheckedSpec {
    let bad = |why: String| bad("listen", why);
    let Listen { name, mode, to, .. } = one;
    if spec.kind == Kind::Embedded {
        match mode {
            ListenMode::Inherit => {}
            ListenMode::SelfBound => {
                return bad("mode \"self\" is for programs: an embedded worker gets its listeners".to_owned());
            }
            ListenMode::Proxy => {
                return bad(
                    "mode \"proxy\" is for programs: an embedded worker gets its listeners".to_owned()
                );
            }
        }
    }
    let to = match (mode, to) {
        (ListenMode::Proxy, Some(to)) => to,
        (ListenMode::Proxy, None) => {
            return bad(format!(
                "{name:?} is proxied: say where the program listens, such as `to = \"env:PORT\"`"
            ));
        }
        (ListenMode::Inherit | ListenMode::SelfBound, Some(_)) => {
            return bad(format!("{name:?} has a `to`, which is for mode \"proxy\" only"));
        }
        (ListenMode::Inherit | ListenMode::SelfBound, None) => return Ok(()),
    };
    if before.iter().any(|other| other.to.as_ref() == Some(to)) {
        return bad(format!("has two listeners that lead to {to}"));
    }
    match to {
        Upstream::Address(to) => private_address(spec, name, *to),
        Upstream::Port(variable) => variable_of(spec, name, ("port", variable)),
        Upstream::Path(variable) => variable_of(spec, name, ("path", variable)),
        Upstream::Socket(to) => private_path(spec, name, &spec.cwd.join(to)),
    }
}

/// An address that a program can bind and a host can connect to while every listener is bound.
fn private_address(spec: &Spec, name: &str, to: SocketAddr) -> CheckedSpec {
    let bad = |why: String| bad("listen", why);
    if to.port() == 0 {
        return bad(format!(
            "{name:?} leads to port 0: name the program's port, or write `to = \"env:PORT\"`"
        ));
    }
    if to.ip().is_unspecified() {
        return bad(format!("{name:?} leads to {to}, which is every address: name one, such as 127.0.0.1"));
    }
    let takes = |listen: &&Listen| {
        let same =
            |tcp: SocketAddr| tcp.port() == to.port() && (tcp.ip() == to.ip() || tcp.ip().is_unspecified());
        listen.address.tcp().is_some_and(same)
    };
    match spec.listen.iter().find(takes) {
        Some(taken) => bad(format!(
            "{name:?} leads to {to}, where {:?} listens: give the program a port of its own",
            taken.name
        )),
        None => Ok(()),
    }
}

/// A path that a program can bind while every listener is bound.
fn private_path(spec: &Spec, name: &str, to: &Path) -> CheckedSpec {
    let bad = |why: String| bad("listen", why);
    let (shown, bytes) = (to.display(), to.as_os_str().as_bytes());
    if to.file_name().is_none() || bytes.ends_with(b"/") || bytes.contains(&0) {
        return bad(format!("{name:?} leads to {shown}, which is no name for a socket"));
    }
    if bytes.len() > PATH_LIMIT {
        return bad(format!(
            "{name:?} leads to {shown}, which has {} bytes: a program can bind {PATH_LIMIT} at most",
            bytes.len()
        ));
    }
    match spec.listen.iter().find(|listen| listen.named_path(&spec.cwd).as_deref() == Some(to)) {
        Some(taken) => bad(format!(
            "{name:?} leads to {shown}, where {:?} listens: give the program a path of its own",
            taken.name
        )),
        None => Ok(()),
    }
}

/// A variable that a program can read and that nothing else sets. It names a port or a path.
fn variable_of(spec: &Spec, name: &str, (what, variable): (&str, &str)) -> CheckedSpec {
    let bad = |why: String| bad("listen", why);
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if variable.is_empty()
        || !variable.chars().all(word)
        || variable.starts_with(|c: char| c.is_ascii_digit())
    {
        return bad(format!(
            "{name:?} names its {what} in {variable:?}: use letters, digits and '_', with no digit first"
        ));
    }
    if environment::is_reserved(variable) {
        return bad(format!("{name:?} names its {what} in {variable}, which has a meaning of its own"));
    }
    if spec.env.set.contains_key(variable) {
        return bad(format!(
            "{name:?} names its {what} in {variable}, which `env.set` sets: remove one of them"
        ));
    }
    Ok(())
}

/// Refuses a `ready` or `health` whose answer would prove nothing.
fn validate_check(key: &'static str, check: Option<&Ready>, spec: &Spec) -> CheckedSpec {
    let Some(check) = check else { return Ok(()) };
    let asked = spec.asked_listener(check);
    match check {
        Ready::Http(_) | Ready::Tcp(_) if spec.listen.is_empty() => {
            bad(key, "by http or tcp needs a `listen` entry to ask")
        }
        Ready::Http(_) | Ready::Tcp(_) if asked.is_none() => bad(key, no_such_listener(check, spec)),
        Ready::Http(http) => validate_http(key, http),
        Ready::Tcp(_) if asked.is_some_and(|asked| asked.mode == ListenMode::Inherit) => {
            bad(key, "by tcp proves nothing where the kernel already listens: use http, notify, fd or log")
        }
        Ready::Exec(words) if words.first().is_none_or(String::is_empty) => {
            bad(key, "`exec` names no command")
        }
        Ready::Exec(words) if words.iter().any(|word| word.contains('\0')) => {
            bad(key, "`exec` has a NUL byte in it")
        }
        Ready::Log(_) | Ready::Notify | Ready::Fd | Ready::Up if key == "health" => {
            bad(key, "is asked again and again: use http, tcp or exec")
        }
        Ready::Log(pattern) => match Regex::new(pattern) {
            Ok(_) => Ok(()),
            Err(error) => bad(LOG_KEY, format!("{pattern:?} is no pattern: {error}")),
        },
        Ready::Tcp(_) | Ready::Exec(_) | Ready::Notify | Ready::Fd | Ready::Up => Ok(()),
    }
}

fn no_such_listener(check: &Ready, spec: &Spec) -> String {
    let names: Vec<String> = spec.listen.iter().map(|listen| format!("{:?}", listen.name)).collect();
    let asked = check.listener().unwrap_or_default();
    format!("asks the listener {asked:?}, and there is none of that name: write {}", names.join(" or "))
}

fn validate_http(key: &'static str, check: &HttpCheck) -> CheckedSpec {
    if !check.path.starts_with('/') {
        return bad(key, "`http` takes a path that begins with /");
    }
    if check.path.contains(|one: char| one.is_whitespace() || one.is_control()) {
        return bad(key, "`http` takes a path without blanks: write %20 for a blank");
    }
    if key == "ready" && !check.degraded.is_empty() {
        return bad(key, "has `degraded`, which is for `health`: add these statuses to `status`");
    }
    let is_token = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|one| one.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&one))
    };
    match check.headers.iter().find(|(name, value)| !is_token(name) || value.contains(['\r', '\n', '\0'])) {
        Some((name, _)) => bad(
            key,
            format!("has a header {name:?} that cannot be sent: a name has no blanks, a value one line"),
        ),
        None => Ok(()),
    }
}

fn amounts(spec: &Spec) -> CheckedSpec {
    let positive = |key, span: Span, why| {
        if span.duration().is_zero() { bad(key, why) } else { Ok(()) }
    };
    positive("start_timeout", spec.start_timeout, "must be longer than zero")?;
    positive("drain_timeout", spec.drain_timeout, "must be longer than zero")?;
    positive("stall_timeout", spec.stall_timeout, "must be longer than zero")?;
    if let Some(Health { interval, timeout, failures, .. }) = &spec.health {
        positive("health", *interval, "needs an `interval` longer than zero")?;
        positive("health", *timeout, "needs a `timeout` longer than zero")?;
        if *failures == 0 {
            return bad("health", "needs `failures` of at least 1");
        }
    }
    if spec.bake.is_some_and(|bake| bake.duration() > LONGEST_BAKE.duration()) {
        return bad("bake", "is longer than 10m, and nothing else can take over meanwhile: use less");
    }
    if spec.idle_timeout.time().is_some_and(|time| time.duration() < SHORTEST_IDLE.duration()) {
        return bad(
            "idle_timeout",
            "is shorter than 1s, and a caller needs a moment to use the worker that it got: use more, or \"off\"",
        );
    }
    if spec.logs.size.get() < 4096 {
        return bad("logs", "needs a `size` of at least 4096B");
    }
    Ok(())
}

fn forking(spec: &Spec) -> CheckedSpec {
    if spec.kind == Kind::Embedded && !spec.forking.is_no() {
        return bad("forking", "is for programs: an embedded worker stays in the foreground; remove it");
    }
    match &spec.forking {
        Forking::PidFile(file) if file.file_name().is_none() || file.as_os_str().as_bytes().contains(&0) => {
            bad("forking", format!("has the `pid_file` {}, which is no name for a file", file.display()))
        }
        Forking::PidFile(_) | Forking::Yes | Forking::No => Ok(()),
    }
}

/// A command that is run for the program: `preflight` or `before_start`.
fn helper(spec: &Spec, key: &'static str, command: &[String]) -> CheckedSpec {
    match command.first() {
        Some(_) if spec.kind == Kind::Embedded => {
            bad(key, "is for programs: an embedded worker does this itself before it is ready; remove it")
        }
        Some(program) if program.is_empty() => bad(key, "has an empty program: name one"),
        Some(_) if command.iter().any(|word| word.contains('\0')) => bad(key, "has a NUL byte in it"),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

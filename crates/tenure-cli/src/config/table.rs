//! Every key of a worker's description: its shape, its default, and what it means in one sentence.
//!
//! The one source: the check for unknown keys, the JSON Schema, the tables of the reference and the starter file are
//! made from it or compared with it, and a test holds it against the serde form of [`tenure_core::Spec`]. Data only.

use super::keys::Default::{Either, Required, Value, Words};
use super::keys::Key;
use super::keys::Shape::{
    self, Check, Named, Number, Pattern, Repeated, Switch, SwitchOr, Table, Tables, Text, Texts, Version,
    Waits, Word,
};

mod check;
mod shape;
mod version;

use check::{HEALTH, HEALTH_CHECKS, READY};
use shape::{ADDRESS, DURATION, NAME, NONE, SIZE, UPSTREAM, key};
pub(crate) use shape::{
    ADDRESS_PATTERN, DURATION_PATTERN, IDLE_PATTERN, NAME_PATTERN, PATH_PATTERN, SIZE_PATTERN, UMASK_PATTERN,
    UPSTREAM_PATTERN,
};

/// How many of the first keys choose the scope or the patience of a call: they stand in files only, not in a spec.
const NO_SPEC: usize = 4;

/// A worker's table in a configuration file.
pub(crate) static WORKER: &[Key] = &[
    key(
        "scope",
        Word(&["project", "user"]),
        Words("`\"project\"` in a project's file, else `\"user\"`"),
        "one worker for each project directory, or one for the user",
    ),
    key(
        "key",
        NAME,
        Words("the digest of the project's directory, where `scope` is `\"project\"`"),
        "distinguishes workers of one name",
    ),
    key(
        "first_answer",
        DURATION,
        Value("\"500ms\""),
        "longest wait for the first answer of a worker, in each probe",
    ),
    key(
        "wedged_after",
        DURATION,
        Value("\"10s\""),
        "silence after which `ensure`, `start` and `restart` call a worker wedged, and replace it",
    ),
    key(
        "command",
        Texts(1),
        Required,
        "program and arguments. A program without `/` is looked up in PATH; one with `/` starts from `cwd`",
    ),
    key(
        "cwd",
        Text,
        Words("the file's directory"),
        "directory that the worker runs in; a relative one starts from the file",
    ),
    key(
        "kind",
        Word(&["program", "embedded"]),
        Value("\"program\""),
        "`\"program\"`: a command under the host. `\"embedded\"`: a program that links `tenure-worker`",
    ),
    key(
        "app",
        NAME,
        Words("what one file describes, or a program that calls name"),
        "the identity of what is kept, such as `\"vendor.plugin\"`: installations of one app share a worker, and another app does not get its name",
    ),
    key(
        "depends",
        Texts(0),
        Value("[]"),
        "workers, as `NAME` or `NAME@KEY`, that are ensured before this one is started; those without an order between them at the same time",
    ),
    key(
        "version",
        Version(version::PATTERN, version::COMMAND),
        Value("\"0.0.0\""),
        "version in any usual form, such as `1.2.3-rc.1`, `1.0rc1`, `2024.01.03` or `v1.2.3-4-gabc1234`, or `{ command, inputs, pattern, stderr }`: a command that prints it; a higher version replaces a lower one",
    ),
    key(
        "build",
        Texts(0),
        Value("[]"),
        "globs, from `cwd`, of the files that are the build; when their content changes, the worker is replaced. Only with `scope = \"project\"`",
    ),
    key("listen", Tables(LISTEN), Value("[]"), "listening sockets"),
    key("ready", Check(READY), Words("below"), "how `tenure` learns that the program is ready"),
    key(
        "health",
        Repeated(HEALTH_CHECKS, HEALTH),
        Words("none"),
        "a check that repeats while the program runs",
    ),
    key(
        "start_timeout",
        DURATION,
        Value("\"30s\""),
        "longest time from start to ready; nothing else ends a boot",
    ),
    key(
        "drain_timeout",
        DURATION,
        Value("\"10s\""),
        "longest drain: of an embedded worker before it ends, of a program's proxied connections before its signal",
    ),
    key(
        "stall_timeout",
        DURATION,
        Value("\"30s\""),
        "an embedded app that has sent beats and stops for this long is ended",
    ),
    key(
        "idle_timeout",
        Pattern(IDLE_PATTERN),
        Value("\"off\""),
        "a worker that nobody has used for this long ends, and the next `ensure` starts it again; at least 1 s",
    ),
    key(
        "stop",
        Table(STOP),
        Value("{ signal = \"TERM\", grace = \"5s\" }"),
        "how a program is asked to end, and how long it may take before it is killed",
    ),
    key(
        "reload",
        SIGNAL,
        NONE,
        "the signal by which the program reads its configuration again: `tenure reload` sends it",
    ),
    key("restart", Table(RESTART), Words("below"), "restarts of the program within one generation"),
    key(
        "preflight",
        Texts(0),
        Value("[]"),
        "a command, run in `cwd`, that must exit with 0 before a new program takes the place of one that serves",
    ),
    key(
        "before_start",
        Texts(0),
        Value("[]"),
        "a command, run in `cwd`, that must exit with 0 before each start of the program, restarts included",
    ),
    key(
        "stdin",
        Word(&["null", "open"]),
        Value("\"null\""),
        "`\"null\"`: the program reads the end of its input at once. `\"open\"`: it reads from a pipe that stays open and empty",
    ),
    key(
        "forking",
        SwitchOr(FORKING),
        Value("false"),
        "`true`: the program puts itself into the background, and the only process that is left when its first one has ended with 0 is the main process. `{ pid_file }`: the main process is the one that this file names",
    ),
    key(
        "overlap",
        Switch,
        Value("false"),
        "the new program is ready on the shared listeners before the old one is asked to end. Needs a `ready` of its own: `notify`, `fd` or `log`",
    ),
    key(
        "bake",
        DURATION,
        Words("`\"3s\"` for another version or build, `\"0s\"` for a restart"),
        "probation of a new worker: if it fails meanwhile, the old one goes on; at most 10 min. If it is set, it counts for a restart as well",
    ),
    key("env", Table(ENV), Words("below"), "which variables pass"),
    key(
        "umask",
        Pattern(UMASK_PATTERN),
        Words("the system's: `UMASK` in `/etc/login.defs`, else `\"022\"`"),
        "permissions that new files of the program and of its checks do not get, in octal digits",
    ),
    key(
        "logs",
        Table(LOGS),
        Value("{ size = \"10MB\", keep = 3 }"),
        "size of a log file, and how many old ones are kept",
    ),
];

/// Whether a key of a worker's table is part of its spec.
pub(crate) fn is_of_spec(name: &str) -> bool {
    spec().iter().any(|key| key.name == name)
}

/// A spec alone, as `--spec` takes it.
pub(crate) fn spec() -> &'static [Key] {
    &WORKER[NO_SPEC..]
}

const LISTEN: &[Key] = &[
    key("name", NAME, Required, "in endpoints, in `LISTEN_FDNAMES` and in `TENURE_LISTEN_<NAME>`"),
    key(
        "tcp",
        ADDRESS,
        Either("unix"),
        "numeric address and port. Port 0: the port of the last time if it is free, else a free one",
    ),
    key(
        "unix",
        Text,
        Either("tcp"),
        "path of a local socket, from `cwd`. Empty: a socket in the worker's own directory, whose path `ensure` tells",
    ),
    key(
        "mode",
        Word(&["inherit", "proxy", "self"]),
        Value("\"inherit\""),
        "`\"inherit\"`: `tenure` binds, the program gets the socket, from descriptor 3 in the order of the list. `\"proxy\"`: `tenure` binds, and relays to the program at `to`. `\"self\"`: the program binds; port 0 is not possible",
    ),
    key(
        "to",
        UPSTREAM,
        NONE,
        "with `mode = \"proxy\"`: where the program listens, as an address or as `env:NAME`, a port of 127.0.0.1 that `tenure` chooses and passes in that variable. At a path: `unix:PATH`, from `cwd`, or `env-path:NAME`, a path that `tenure` chooses",
    ),
];

/// A signal, as [`tenure_sys::process::Signal`] reads it.
const SIGNAL: Shape = Word(&[
    "TERM", "KILL", "INT", "HUP", "QUIT", "USR1", "USR2", "CONT", "WINCH", "TTIN", "TTOU", "STOP", "SIGTERM",
    "SIGKILL", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH", "SIGTTIN",
    "SIGTTOU", "SIGSTOP",
]);

const FORKING: &[Key] = &[key(
    "pid_file",
    Text,
    Required,
    "file, from `cwd`, to which the program writes the pid of its main process. It is removed when the program has ended",
)];

const STOP: &[Key] = &[
    key("signal", SIGNAL, Value("\"TERM\""), "the signal that asks the program to end"),
    key("grace", DURATION, Value("\"5s\""), "how long it may take before it is killed"),
];

const RESTART: &[Key] = &[
    key(
        "on",
        Word(&["failure", "always", "never"]),
        Value("\"failure\""),
        "`\"failure\"`: a failed exit status, a signal, failed health checks. `\"always\"`: any end that was not asked for. `\"never\"`",
    ),
    key("backoff", Waits, Value("[\"250ms\", \"30s\"]"), "first and longest wait; it doubles in between"),
    key(
        "limit",
        Number(0),
        Value("5"),
        "restarts within `window` after which the host gives up and ends; the next `ensure` decides",
    ),
    key("window", DURATION, Value("\"1m\""), "see `limit`"),
];

const ENV: &[Key] = &[
    key(
        "preset",
        Word(&["none", "agent"]),
        Value("\"none\""),
        "`\"agent\"` also strips what ties a process to an agent session or a CI run",
    ),
    key("strip", Texts(0), Value("[]"), "names, or prefixes with `*`, that do not pass"),
    key(
        "keep",
        Texts(0),
        Value("[]"),
        "names, or prefixes with `*`, that pass besides the allow-list. An exact name beats `strip` and the preset",
    ),
    key(
        "file",
        Text,
        NONE,
        "a file of variables in the form of `.env`, from `cwd`, read when the worker is started; above the caller's, below `set`. Values are never shown",
    ),
    key("set", Named, Value("{}"), "values to set, whatever the caller has"),
];

const LOGS: &[Key] = &[
    key("size", SIZE, Value("\"10MB\""), "size at which a file is rotated; at least 4096B"),
    key("keep", Number(0), Value("3"), "old files that are kept besides the current one"),
];

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;
    use tenure_core::Spec;
    use tenure_core::spec::amount::Span;
    use tenure_core::spec::{Address, Health, Listen, ListenMode, Ready, Upstream};

    use super::super::keys::{Described, unknown};
    use super::*;

    fn whole() -> Json {
        let mut spec = Spec::of_command(vec!["true".into()], "/".into());
        let tcp = "127.0.0.1:1".parse().expect("an address");
        spec.listen = vec![Listen::proxy("http", tcp, Upstream::Port("PORT".into()))];
        spec.listen.push(Listen::at("rpc", ListenMode::Inherit, Address::Unix("rpc.sock".into())));
        spec.preflight = vec!["true".into()];
        spec.reload = Some(tenure_sys::process::Signal::Hup);
        spec.before_start = vec!["true".into()];
        spec.stdin = tenure_core::spec::Stdin::Open;
        spec.forking = tenure_core::spec::Forking::PidFile("run/x.pid".into());
        spec.env.file = Some(".env".into());
        spec.overlap = true;
        spec.bake = Some(Span::secs(3));
        spec.idle_timeout = tenure_core::spec::IdleTimeout::after(Span::secs(60));
        spec.build = vec!["dist/**".into()];
        spec.umask = tenure_core::spec::Umask::try_from("022".to_owned()).ok();
        spec.ready = Some(Ready::Http("/".into()));
        spec.health = Some(Health::of(Ready::Http("/".into())));
        spec.app = Some("vendor.plugin".into());
        spec.depends = vec!["db".into()];
        serde_json::to_value(spec).expect("a spec is JSON")
    }

    fn paths(keys: &'static [Key], before: &str) -> Vec<String> {
        let mut found = Vec::new();
        for key in keys {
            found.push(format!("{before}{}", key.name));
            let below = key.shape.below().into_iter().flatten();
            found.extend(below.flat_map(|keys| paths(keys, &format!("{before}{}.", key.name))));
        }
        found
    }

    fn paths_of(json: &Json, before: &str) -> Vec<String> {
        let mut found: Vec<String> = json.items().iter().flat_map(|item| paths_of(item, before)).collect();
        for (key, value) in json.entries() {
            found.push(format!("{before}{key}"));
            found.extend(paths_of(value, &format!("{before}{key}.")));
        }
        found
    }

    #[test]
    fn every_key_of_a_spec_is_known_and_every_known_key_is_one_of_a_spec() {
        assert_eq!(unknown(&whole(), WORKER), None);
        let written = paths_of(&whole(), "");
        let ours: Vec<&str> = WORKER[..NO_SPEC].iter().map(|key| key.name).collect();
        let extras = |path: &str| ["ready.", "health.", "version."].iter().any(|part| path.starts_with(part));
        for path in paths(WORKER, "") {
            assert!(ours.contains(&path.as_str()) || extras(&path) || written.contains(&path), "{path}");
        }
    }

    #[test]
    fn every_default_is_the_one_of_a_spec() {
        let default = Spec::of_command(vec!["x".into()], "/".into());
        let spec = serde_json::to_value(&default).expect("JSON");
        for key in &WORKER[NO_SPEC..] {
            if let Value(text) = key.default {
                // Also of a key that is not written where it says nothing.
                let mut written = spec.clone();
                written[key.name] = value(text);
                assert_eq!(serde_json::from_value::<Spec>(written).expect(text), default, "{}", key.name);
            }
            for (name, below) in spec.get(key.name).and_then(Json::as_object).into_iter().flatten() {
                let inner = key.shape.below().into_iter().flatten().flatten().find(|key| key.name == name);
                let Some(Value(text)) = inner.map(|key| key.default) else { continue };
                assert_eq!(*below, value(text), "{}.{name}", key.name);
            }
        }
    }

    /// The rows of the reference, made from the table: checks have no default.
    fn rows(keys: &'static [Key], checks: bool, rows: &mut Vec<String>) {
        for key in keys {
            let default = match key.default {
                Required => "required".to_owned(),
                Either(other) => format!("this or `{other}`"),
                Value(text) => format!("`{text}`"),
                Words(words) => words.to_owned(),
            };
            let default = if checks { String::new() } else { format!(" {default} |") };
            rows.push(format!("| `{}` |{default} {} |", key.name, key.what));
            let [first, second] = key.shape.below().unwrap_or_default();
            self::rows(first, matches!(key.shape, Check(_) | Repeated(..)), rows);
            self::rows(second, false, rows);
        }
    }

    #[test]
    fn the_reference_has_a_row_for_every_key() {
        let page = include_str!("../../../../docs/reference/config.md");
        let mut wanted = Vec::new();
        rows(WORKER, false, &mut wanted);
        let missing: Vec<&String> =
            wanted.iter().filter(|row| !page.lines().any(|line| line == *row)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }

    fn value(text: &str) -> Json {
        let table: Json = toml::from_str(&format!("v = {text}")).expect(text);
        table["v"].clone()
    }
}

//! A place for one worker named `web`, for each way in which a worker can come to be, and the command lines that are
//! typed there.
//!
//! Every directory that stands in a remedy has blanks and quotes in its path.

use std::any::Any;
use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tenure_core::Scope;
use tenure_sys::dir::Dir;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::watch::Watch;

use crate::kit::{Running, Said, Sandbox, TENURE};

/// How a worker comes to be, and from where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A project's file, from the project.
    Project,
    /// A file of the user, from anywhere.
    User,
    /// A file that is named with --config.
    Config,
    /// A description on stdin.
    Stdin,
    /// A command line.
    Call,
    /// The same, in a project that describes another worker of that name.
    Beside,
    /// A project's file, from elsewhere by -C.
    Elsewhere,
    /// A project's file, from elsewhere by the name that `list` shows.
    Listed,
}

impl Way {
    /// Whether a project's file describes it.
    pub(super) fn is_of_project(self) -> bool {
        matches!(self, Self::Project | Self::Elsewhere | Self::Listed)
    }

    /// Whether a command line alone describes it.
    pub(super) fn is_of_call(self) -> bool {
        matches!(self, Self::Call | Self::Beside)
    }
}

/// What is typed, and what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) stdin: String,
}

/// The description of the worker.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) command: Vec<String>,
    pub(super) version: Option<String>,
    /// Other keys of a worker's table.
    pub(super) keys: Map<String, Value>,
}

impl Wanted {
    /// A program that a shell runs.
    pub(super) fn script(script: &str) -> Self {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Self { command, version: None, keys: Map::new() }
    }

    /// A program that says something and goes on.
    pub(super) fn runs() -> Self {
        Self::script("echo it runs; exec sleep 1000")
    }

    /// A program that ends until somebody repairs it.
    pub(super) fn fails(world: &World) -> Self {
        let there = world.sandbox.path("repaired").display().to_string();
        Self::script(&format!(
            "test -e {there} && echo it runs && exec sleep 1000; echo cannot open the store >&2; exit 3"
        ))
    }

    pub(super) fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    pub(super) fn key(mut self, key: &str, value: Value) -> Self {
        self.keys.insert(key.to_owned(), value);
        self
    }

    fn table(&self) -> Value {
        let mut table = self.keys.clone();
        table.insert("command".to_owned(), json!(self.command));
        if let Some(version) = &self.version {
            table.insert("version".to_owned(), json!(version));
        }
        Value::Object(table)
    }
}

/// What differs from one world to the next, as commands have it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    root: String,
    scope: String,
}

impl Place {
    /// The command of another world as it is typed in this one.
    pub(super) fn instead_of(&self, other: &Self, command: &str) -> String {
        command.replace(&other.root, &self.root).replace(&other.scope, &self.scope)
    }
}

/// A sandbox with one worker.
pub(super) struct World {
    /// What is kept as long as the world is, such as a lock. It goes before the worker is stopped.
    pub(super) kept: Vec<Box<dyn Any>>,
    pub(super) sandbox: Sandbox,
    pub(super) way: Way,
    wanted: Wanted,
    /// Whether the project's file is to be trusted and was not yet.
    to_trust: Cell<bool>,
    /// Whether a description was wanted that this way cannot say.
    pub(super) is_beyond: bool,
    /// What is typed before a command, such as a limit.
    pub(super) before: String,
}

const PROJECT: &str = "the user's \"shop\"";

impl World {
    pub(super) fn new(way: Way) -> Self {
        let mut sandbox = Sandbox::new();
        for place in [PROJECT, "else where", "given", "beside"] {
            fs::create_dir(sandbox.path(place)).expect("made");
        }
        let mut path = OsString::from(Path::new(TENURE).parent().expect("a directory"));
        path.push(":/usr/bin:/bin");
        sandbox.set("PATH", path);
        let wanted = Wanted::runs();
        let mut world = Self {
            kept: Vec::new(),
            sandbox,
            way,
            wanted,
            to_trust: Cell::new(false),
            is_beyond: false,
            before: String::new(),
        };
        if way == Way::Beside {
            world.sandbox.write("beside/tenure.toml", "[worker.web]\ncommand = ['sleep', '2000']\n");
        }
        world.describe(Wanted::runs());
        world
    }

    /// From now on this is what describes the worker. A project's file is trusted before the next line is typed.
    pub(super) fn describe(&mut self, wanted: Wanted) {
        self.describe_untrusted(wanted);
        self.to_trust.set(self.way.is_of_project());
    }

    pub(super) fn describe_untrusted(&mut self, wanted: Wanted) {
        if let Some(file) = self.file() {
            let text = format!("worker.web = {}\n", toml(&wanted.table()));
            fs::write(file, text).expect("written");
        }
        self.to_trust.set(false);
        self.is_beyond |= self.way.is_of_call() && !wanted.keys.is_empty();
        self.wanted = wanted;
    }

    /// The file that describes the worker.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match self.way {
            Way::Project | Way::Elsewhere | Way::Listed => Some(self.project().join("tenure.toml")),
            Way::User => Some(self.sandbox.path("user/web.toml")),
            Way::Config => Some(self.sandbox.path("given/it's one.toml")),
            Way::Stdin | Way::Call | Way::Beside => None,
        }
    }

    pub(super) fn project(&self) -> PathBuf {
        self.sandbox.path(PROJECT)
    }

    /// Where commands are typed.
    pub(super) fn place(&self) -> PathBuf {
        match self.way {
            Way::Project => self.project(),
            Way::Beside => self.sandbox.path("beside"),
            Way::User | Way::Config | Way::Stdin | Way::Call | Way::Elsewhere | Way::Listed => {
                self.sandbox.path("else where")
            }
        }
    }

    /// What differs from other worlds.
    pub(super) fn in_words(&self) -> Place {
        Place { root: self.sandbox.path("").display().to_string(), scope: self.scope().to_string() }
    }

    /// The scope of the worker.
    pub(super) fn scope(&self) -> Scope {
        let directory = fs::canonicalize(self.project()).expect("there");
        let key = self.way.is_of_project().then(|| Scope::project_key(&directory));
        Scope::new("web", key.as_deref()).expect("a good name")
    }

    /// The directory of the scope's records.
    pub(super) fn records(&self) -> PathBuf {
        let host = tenure_core::store::paths::host_directory(&self.sandbox.path("state"));
        host.expect("a machine").join(self.scope().to_string())
    }

    /// `tenure VERB NAME REST`, as it is typed for this worker.
    pub(super) fn typed(&self, verb: &str, rest: &str) -> Line {
        let wants = ["ensure", "start", "restart"].contains(&verb.split(' ').next().unwrap_or_default());
        let version = self.wanted.version.as_ref().map(|version| format!(" --version {version}"));
        let version = version.unwrap_or_default();
        let command: Vec<String> = self.wanted.command.iter().map(|word| quoted(word)).collect();
        let (name, behind) = match self.way {
            Way::Config => ("web".to_owned(), " --config '../given/it'\\''s one.toml'".to_owned()),
            Way::Stdin if wants => ("web".to_owned(), " --spec -".to_owned()),
            Way::Call | Way::Beside if wants => {
                ("web".to_owned(), format!("{version} -- {}", command.join(" ")))
            }
            Way::Project | Way::User | Way::Stdin | Way::Call => ("web".to_owned(), String::new()),
            Way::Beside => ("web@".to_owned(), String::new()),
            Way::Elsewhere => ("web".to_owned(), format!(" -C {}", quoted(&format!("../{PROJECT}")))),
            Way::Listed => (self.scope().to_string(), String::new()),
        };
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        self.line(&format!("{}tenure {verb} {name}{rest}{behind}", self.before))
    }

    /// A line with the stdin that goes with it.
    pub(super) fn line(&self, text: &str) -> Line {
        let stdin = if text.contains(" --spec -") { self.wanted.table().to_string() } else { String::new() };
        Line { text: text.to_owned(), stdin }
    }

    /// Types a line where this worker is asked for.
    pub(super) fn run(&self, line: &Line) -> Said {
        self.run_in(&self.place(), &line.text, &line.stdin)
    }

    /// Types a command that was printed: where the worker is asked for, or in the directory of its project, where the words
    /// say so because the name alone means nothing elsewhere.
    pub(super) fn run_where_it_is_meant(&self, line: &Line) -> Said {
        let place = if self.way == Way::Listed && line.text.ends_with(" web") {
            self.project()
        } else {
            self.place()
        };
        self.run_in(&place, &line.text, &line.stdin)
    }

    /// Does something to the worker as whoever describes it, which succeeds.
    pub(super) fn done(&self, verb: &str, rest: &str) {
        let said = self.attempted(verb, rest);
        assert_eq!(said.code, Some(0), "{verb} {rest}: {said:?}");
    }

    /// The same, which may fail.
    pub(super) fn attempted(&self, verb: &str, rest: &str) -> Said {
        self.begun(verb, rest).end()
    }

    /// The same, while it runs.
    pub(super) fn begun(&self, verb: &str, rest: &str) -> Running {
        if self.way != Way::Listed {
            let Line { text, stdin } = self.typed(verb, rest);
            return self.start_in(&self.place(), &in_place_of_the_shell(&text)).fed(&stdin);
        }
        let rest = if rest.is_empty() { String::new() } else { format!(" {rest}") };
        self.start_in(&self.project(), &in_place_of_the_shell(&format!("tenure {verb} web{rest}")))
    }

    /// Repairs the program that ends.
    pub(super) fn repair(&mut self) {
        self.sandbox.write("repaired", "");
    }

    /// What the worker's `status` says as a document.
    pub(super) fn status(&self) -> Value {
        self.run_in(Path::new("/"), &format!("tenure status {} --json", whole(&self.scope())), "").document()
    }

    /// Waits until the ledger says that the boot is over: until then a worker that does not answer counts as booting.
    pub(super) fn settled(&self) {
        let records = Dir::open_private(&self.records()).expect("a worker has a directory");
        let watch = Watch::of(&records).expect("it can be watched");
        loop {
            watch.drain();
            let bytes = records.read("ledger.json", 1 << 20).expect("ours").expect("it was written");
            let ledger: Value = serde_json::from_slice(&bytes).expect("a whole record");
            if ledger["booting_until"].is_null() {
                return;
            }
            let mut change = [Interest::new(watch.as_fd(), Readiness::Read)];
            poll::wait(&mut change, None).expect("a watch can be waited for");
        }
    }

    /// Waits until the worker's events have told something so often.
    pub(super) fn follow(&self, what: &str, times: usize) {
        let events = format!("tenure events {} -f", whole(&self.scope()));
        let mut running = self.start_in(Path::new("/"), &events);
        let mut seen = 0;
        while seen < times {
            let line = running.line();
            assert!(!line.is_empty(), "the events end before {what}");
            seen += usize::from(line.contains(what));
        }
        running.stop_reading();
        running.end();
    }

    pub(super) fn run_in(&self, place: &Path, text: &str, stdin: &str) -> Said {
        self.start_in(place, text).fed(stdin).end()
    }

    pub(super) fn start_in(&self, place: &Path, text: &str) -> Running {
        if self.to_trust.replace(false) {
            let trusted = self.run_in(&self.project(), "tenure trust -q", "");
            // A case may have removed the file, or made it wrong.
            assert!([Some(0), Some(6)].contains(&trusted.code), "{trusted:?}");
        }
        self.sandbox.start_program(Path::new("/bin/sh"), place, &["-c".into(), text.into()])
    }
}

/// A line whose process is the command itself: whoever ends it ends no shell that leaves the command behind.
fn in_place_of_the_shell(line: &str) -> String {
    if line.starts_with("tenure ") { format!("exec {line}") } else { line.to_owned() }
}

/// The name of a scope that means it everywhere.
fn whole(scope: &Scope) -> String {
    if scope.key().is_some() { scope.to_string() } else { format!("{scope}@") }
}

/// A value as TOML has it in one line: strings are written as in JSON.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(values) => {
            let pairs = values.iter().map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

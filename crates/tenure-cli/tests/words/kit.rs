//! A sandbox for each test: its own state directory, its own configuration, and nothing of it left at the end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::{pipe, tree};

/// The executable under test.
pub(crate) const TENURE: &str = env!("CARGO_BIN_EXE_tenure");

/// What any one call may take; far more than it needs, so that only a hang runs into it.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a call said.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A call that runs.
pub(crate) struct Running {
    child: Child,
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: File,
}

/// A directory with a state root, a user's configuration directory and a project.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        for part in ["user", "project"] {
            fs::create_dir(root.path().join(part)).expect("made");
        }
        let variable = |name: &str, value: OsString| (OsString::from(name), value);
        let variables = vec![
            variable("TENURE_STATE_DIR", root.path().join("state").into()),
            variable("TENURE_CONFIG_DIR", root.path().join("user").into()),
            variable("PATH", "/usr/bin:/bin".into()),
        ];
        Self { root, variables }
    }

    /// A sandbox whose project has this configuration, which is trusted where it can be understood.
    pub(crate) fn with_project(config: &str) -> Self {
        let sandbox = Self::new();
        sandbox.write("project/tenure.toml", config);
        sandbox.call("trust");
        sandbox
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
    }

    /// Calls `tenure` in the project.
    pub(crate) fn call(&self, line: &str) -> Said {
        self.start(line).end()
    }

    /// Calls `tenure` in the project with something on stdin.
    pub(crate) fn call_with(&self, line: &str, stdin: &str) -> Said {
        self.start(line).fed(stdin).end()
    }

    /// Starts `tenure` in the project; words are separated by blanks, and `'…'` keeps them together.
    pub(crate) fn start(&self, line: &str) -> Running {
        self.start_in(&self.path("project"), line)
    }

    pub(crate) fn start_in(&self, cwd: &Path, line: &str) -> Running {
        let (collect, stdout) = pipe::pipe().expect("a pipe");
        let tenure = Path::new(TENURE);
        Running { stdout: Some(File::from(collect)), ..self.launch(tenure, cwd, line, &File::from(stdout)) }
    }

    /// Runs another program in the project with something on stdin; none where this machine does not have it.
    pub(crate) fn foreign(&self, program: &str, line: &str, stdin: &str) -> Option<Said> {
        let places = ["/usr/bin", "/bin", "/usr/local/bin"].map(|place| Path::new(place).join(program));
        let program = places.iter().find(|path| path.exists())?;
        let (collect, stdout) = pipe::pipe().expect("a pipe");
        let running = self.launch(program, &self.path("project"), line, &File::from(stdout));
        Some(Running { stdout: Some(File::from(collect)), ..running }.fed(stdin).end())
    }

    /// Starts `tenure` in the project with this as its stdout.
    pub(crate) fn start_into(&self, line: &str, stdout: &File) -> Running {
        self.launch(Path::new(TENURE), &self.path("project"), line, stdout)
    }

    /// Calls `tenure` in a directory, with arguments of any bytes.
    pub(crate) fn call_in(&self, cwd: &Path, args: &[OsString]) -> Said {
        self.call_program(Path::new(TENURE), cwd, args)
    }

    /// Runs a program in a directory, with arguments of any bytes.
    pub(crate) fn call_program(&self, program: &Path, cwd: &Path, args: &[OsString]) -> Said {
        self.start_program(program, cwd, args).end()
    }

    /// Starts a program in a directory, with arguments of any bytes.
    pub(crate) fn start_program(&self, program: &Path, cwd: &Path, args: &[OsString]) -> Running {
        let (collect, stdout) = pipe::pipe().expect("a pipe");
        let running = self.launch_with(program, cwd, args, &File::from(stdout));
        Running { stdout: Some(File::from(collect)), ..running }
    }

    fn launch(&self, program: &Path, cwd: &Path, line: &str, stdout: &File) -> Running {
        let args: Vec<OsString> = words(line).into_iter().map(OsString::from).collect();
        self.launch_with(program, cwd, &args, stdout)
    }

    fn launch_with(&self, program: &Path, cwd: &Path, args: &[OsString], stdout: &File) -> Running {
        let (stdin, feed) = pipe::pipe().expect("a pipe");
        let (collect, stderr) = pipe::pipe().expect("a pipe");
        let launch = Launch {
            args,
            env: &self.variables,
            stdin: Stream::Fd(stdin.as_fd()),
            stdout: Stream::Fd(stdout.as_fd()),
            stderr: Stream::Fd(stderr.as_fd()),
            ..Launch::new(program, cwd)
        };
        let child = spawn::child(&launch).expect("started");
        Running { child, stdin: Some(File::from(feed)), stdout: None, stderr: File::from(collect) }
    }

    /// The same text on every machine and in every run.
    pub(crate) fn redact(&self, text: &str) -> String {
        let root = fs::canonicalize(self.root.path()).expect("there");
        let mut text = text.replace(&*root.to_string_lossy(), "[sandbox]");
        text = text.replace(&*self.root.path().to_string_lossy(), "[sandbox]").replace(TENURE, "[tenure]");
        text
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let listed = self.call("list --json").stdout;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_default();
        for worker in listed["workers"].as_array().into_iter().flatten() {
            let name = worker["name"].as_str().expect("a name");
            let whole = worker["key"].as_str().map_or(name.to_owned(), |key| format!("{name}@{key}"));
            let stopped = self.call(&format!("stop {whole}"));
            if !std::thread::panicking() {
                assert_eq!(stopped.code, Some(0), "{whole}: {stopped:?}");
            }
        }
        let state = self.path("state").to_string_lossy().into_owned();
        let left = tree::with_environ("TENURE_STATE_DIR", &state);
        let name = |one: &tree::CookieCarrier| format!("pid {} ({})", one.handle.pid(), one.command);
        let left: Vec<String> = left.iter().map(name).collect();
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind: {}", left.join(", "));
        }
    }
}

impl Running {
    /// Closes its stdin, waits for its end and collects what it said.
    pub(crate) fn end(mut self) -> Said {
        drop(self.stdin.take());
        let mut said = Said { code: None, stdout: String::new(), stderr: String::new() };
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_string(&mut said.stdout).expect("text");
        }
        self.stderr.read_to_string(&mut said.stderr).expect("text");
        let status = self.child.wait_within(PATIENCE).expect("waited").expect("it ends");
        said.code = status.code;
        said
    }

    /// Kills it, and waits for its end.
    pub(crate) fn kill(self) {
        self.child.kill().expect("our own child");
        self.child.wait_within(PATIENCE).expect("waited").expect("it ends");
    }

    /// Reads one line of its stdout.
    pub(crate) fn line(&mut self) -> String {
        let stdout = self.stdout.as_mut().expect("open");
        let mut line = Vec::new();
        let mut byte = [0_u8];
        while stdout.read(&mut byte).expect("read") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("text")
    }

    /// Gives it something on stdin. It may end without having read it.
    pub(crate) fn fed(mut self, stdin: &str) -> Self {
        let fed = self.stdin.take().expect("open").write_all(stdin.as_bytes());
        assert!(fed.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::BrokenPipe), "{fed:?}");
        self
    }

    /// Goes away as the reader of its stdout.
    pub(crate) fn stop_reading(&mut self) {
        drop(self.stdout.take());
    }
}

impl Said {
    /// Its stdout as one document.
    pub(crate) fn document(&self) -> serde_json::Value {
        let document = serde_json::from_str(&self.stdout);
        assert!(document.is_ok(), "no document: {self:?}");
        document.expect("asserted above")
    }
}

fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(at, part)| {
            if at % 2 == 1 {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

/// Says that a test was skipped, and why.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so in the output")]
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// Compares with a snapshot, without what differs from run to run.
macro_rules! assert_words {
    ($sandbox:expr, $said:expr) => {
        $crate::kit::assert_words!($sandbox, $said, $crate::kit::filters())
    };
    ($sandbox:expr, $said:expr, $filters:expr) => {{
        let said = &$said;
        let text = format!(
            "exit code: {:?}\n----- stdout\n{}----- stderr\n{}",
            said.code.unwrap_or(-1),
            $sandbox.redact(&said.stdout),
            $sandbox.redact(&said.stderr)
        );
        insta::with_settings!({ filters => $filters, omit_expression => true }, {
            insta::assert_snapshot!(text);
        });
    }};
}
pub(crate) use assert_words;

/// What differs from run to run: pids, ports, keys, ids and measured times.
pub(crate) fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
        (r"(degraded|fails) for \d+s", "$1 for [time]"),
        (r"pid \d+ → \d+", "pid [pid] → [pid]"),
        (r"pid \d+", "pid [pid]"),
        (r#""pid":\d+"#, r#""pid":"[pid]""#),
        (r"127\.\d+\.\d+\.\d+:\d+", "127.0.0.1:[port]"),
        (r"\b\d+ (ms|µs|s)\b", "[took]"),
        (r"\d+ms", "[took]"),
        (r"up \d+s", "up [age]"),
        (r#""(took_us|uptime_ms|at_ms|for_ms|failing_for_ms|start|inode|pidns)":\d+"#, r#""$1":"[number]""#),
        (r#""retry_after_ms":\d+"#, r#""retry_after_ms":"[number]""#),
        (r#""(boot|instance)":"[0-9a-f-]+""#, r#""$1":"[id]""#),
        (r"@[0-9a-f]{16}", "@[key]"),
        (r#""key":"[0-9a-f]{16}""#, r#""key":"[key]""#),
        (r"\n {2,}pid +\d+\n", "\n  pid  [pid]\n"),
        (r"\n {2,}up +\d+s\n", "\n  up  [age]\n"),
        (r" (\S+) +\d{2,} +(\d+) +\d+s ", " $1  [pid]  $2  [age] "),
        (r"instance +[0-9a-f]{32}", "instance  [id]"),
        (r"\b\d+s ago", "[age] ago"),
        (r"in \d+s at the earliest", "in [age] at the earliest"),
        (r" {2,}", "  "),
    ]
}

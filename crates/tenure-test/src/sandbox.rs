//! A place of its own for each test: state root, home, working directory; and the proof at its end that nothing is left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tenure_sys::process::{ExitStatus, Signal};
use tenure_sys::spawn::{self, Child, Launch, Stream};
use tenure_sys::tree::{self, Marked};

use crate::meeting::{Meeting, PATIENCE};
use crate::oracle::Oracle;

/// The machine of a fresh sandbox: the machine that runs the tests need not have a name.
pub const MACHINE: &str = "5b9a7f0c2d3e4f60718293a4b5c6d7e8";

/// A test's own world.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    tenure: PathBuf,
}

/// A command line to be run in a sandbox.
#[derive(Debug)]
pub struct Call<'sandbox> {
    sandbox: &'sandbox Sandbox,
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<String, String>,
    cwd: PathBuf,
    stdin: Option<File>,
    nofile: Option<u64>,
}

/// A process that runs in a sandbox.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
}

/// What a process said and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Sandbox {
    /// A fresh sandbox whose commands run the executable `tenure`.
    ///
    /// # Panics
    /// If the temporary directory cannot be made.
    #[must_use]
    pub fn new(tenure: &str) -> Self {
        let root = tempfile::Builder::new()
            .prefix("tenure-test-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .expect("a temporary directory can be made");
        for name in ["state", "home", "config", "work", "oracle"] {
            fs::create_dir(root.path().join(name)).expect("a fresh directory takes another");
            let private = fs::Permissions::from_mode(0o700);
            fs::set_permissions(root.path().join(name), private).expect("it is ours");
        }
        let sandbox = Self { root, tenure: PathBuf::from(tenure) };
        sandbox.be_machine(Some(MACHINE));
        sandbox
    }

    /// From now on its commands run on the machine of this id, or on one that has none.
    ///
    /// # Panics
    /// If the sandbox cannot be written.
    pub fn be_machine(&self, id: Option<&str>) {
        fs::write(self.path().join("machine-id"), id.unwrap_or_default()).expect("a sandbox takes files");
    }

    /// From now on its state is that of the machine that this runs on: a build without fault points knows no other.
    ///
    /// # Panics
    /// If the sandbox cannot be written.
    pub fn be_this_machine(&self) {
        fs::remove_file(self.path().join("machine-id")).expect("it is there once");
    }

    /// Copies an executable into the sandbox; its new place.
    ///
    /// # Panics
    /// If it cannot be copied.
    #[must_use]
    pub fn bring(&self, program: &Path) -> PathBuf {
        let place = self.path().join(program.file_name().expect("a program has a name"));
        fs::copy(program, &place).expect("a sandbox takes files");
        place
    }

    /// From now on its `tenure` commands run a copy that is in the sandbox.
    pub fn bring_executable(&mut self) {
        self.tenure = self.bring(&self.tenure);
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// The executable of its `tenure` commands.
    #[must_use]
    pub fn executable(&self) -> &Path {
        &self.tenure
    }

    /// Its state root.
    #[must_use]
    pub fn state_root(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The state directory of a scope.
    ///
    /// # Panics
    /// If the machine's name cannot be read.
    #[must_use]
    pub fn scope(&self, name: &str) -> PathBuf {
        tenure_core::store::paths::host_directory(&self.state_root()).expect("its own file tells").join(name)
    }

    /// The working directory of its commands.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// The directory of the user's own configuration files, which need no trust.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    /// What its fixture programs report to.
    #[must_use]
    pub fn oracle(&self) -> Oracle {
        Oracle::at(&self.path().join("oracle"))
    }

    /// A meeting named `name`.
    #[must_use]
    pub fn meeting(&self, name: &str) -> Meeting {
        Meeting::at(&self.path().join(name))
    }

    /// A `tenure` command line.
    #[must_use]
    pub fn tenure<I: IntoIterator<Item: Into<OsString>>>(&self, args: I) -> Call<'_> {
        let tenure = self.tenure.clone();
        self.command(&tenure, args)
    }

    /// A command line of another program.
    #[must_use]
    pub fn command<I: IntoIterator<Item: Into<OsString>>>(&self, program: &Path, args: I) -> Call<'_> {
        let mut env = BTreeMap::new();
        env.insert("PATH".to_owned(), std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned()));
        env.insert("HOME".to_owned(), self.path().join("home").display().to_string());
        env.insert(
            tenure_core::store::paths::ROOT_VARIABLE.to_owned(),
            self.state_root().display().to_string(),
        );
        env.insert("TENURE_CONFIG_DIR".to_owned(), self.config().display().to_string());
        let args = args.into_iter().map(Into::into).collect();
        Call {
            sandbox: self,
            program: program.to_owned(),
            args,
            env,
            cwd: self.work(),
            stdin: None,
            nofile: None,
        }
    }

    /// Every process that was started in this sandbox and still lives.
    #[must_use]
    pub fn processes(&self) -> Vec<Marked> {
        tree::with_environ(tenure_core::store::paths::ROOT_VARIABLE, &self.state_root().display().to_string())
    }

    /// Stops the worker of a scope and says how that went.
    #[expect(
        clippy::must_use_candidate,
        reason = "the effect is the point; the output may be wanted as well"
    )]
    pub fn stop(&self, scope: &str) -> Output {
        self.tenure(["stop", scope, "--timeout", "30s"]).run()
    }

    /// Ends every process of this sandbox by its handle.
    pub fn end_all(&self) {
        for _ in 0..8 {
            let found = self.processes();
            if found.is_empty() {
                return;
            }
            for marked in found {
                drop(marked.handle.signal(Signal::Kill));
                drop(marked.handle.wait_ended(Some(PATIENCE)));
            }
        }
    }

    /// Logs, ledgers and events, for a test that fails.
    #[must_use]
    pub fn story(&self) -> String {
        let mut story = String::new();
        collect(&self.state_root(), &mut story);
        story
    }
}

fn collect(directory: &Path, story: &mut String) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, story);
        } else if let Ok(text) = fs::read_to_string(&path) {
            story.extend(["--- ", &path.display().to_string(), "\n", &text, "\n"]);
        }
    }
}

impl Drop for Sandbox {
    /// The proof: no process of this sandbox is left. What is left is named, shown with the logs, and ended.
    fn drop(&mut self) {
        let left: Vec<String> = self
            .processes()
            .iter()
            .map(|marked| format!("{} {}", marked.handle.pid(), marked.command))
            .collect();
        if left.is_empty() {
            return;
        }
        let story = self.story();
        self.end_all();
        assert!(std::thread::panicking(), "processes of the sandbox are left: {left:#?}\n{story}");
    }
}

impl Call<'_> {
    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Arms fault points in this process and in what it starts.
    #[must_use]
    pub fn fault(self, armed: &str) -> Self {
        self.env("TENURE_FAULT", armed)
    }

    /// Runs in another directory.
    #[must_use]
    pub fn cwd(mut self, cwd: &Path) -> Self {
        cwd.clone_into(&mut self.cwd);
        self
    }

    /// Reads standard input from `file`.
    #[must_use]
    pub fn stdin(mut self, file: File) -> Self {
        self.stdin = Some(file);
        self
    }

    /// Starts with a soft limit of open files.
    #[must_use]
    pub fn nofile(mut self, soft: u64) -> Self {
        self.nofile = Some(soft);
        self
    }

    /// Starts the process.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(self) -> Running {
        let file = || tempfile::tempfile_in(self.sandbox.path()).expect("a sandbox takes files");
        let (stdout, stderr) = (file(), file());
        let env: Vec<(OsString, OsString)> =
            self.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let launch = Launch {
            args: &self.args,
            env: &env,
            stdin: self.stdin.as_ref().map_or(Stream::Null, |file| Stream::Fd(file.as_fd())),
            stdout: Stream::Fd(stdout.as_fd()),
            stderr: Stream::Fd(stderr.as_fd()),
            nofile: self.nofile,
            ..Launch::new(&self.program, &self.cwd)
        };
        let child = spawn::child(&launch).unwrap_or_else(|error| panic_with(&self.program, &error));
        Running { child, stdout, stderr }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started, or does not end within [`PATIENCE`].
    #[must_use]
    pub fn run(self) -> Output {
        self.start().wait()
    }
}

#[expect(clippy::panic, reason = "a test that cannot start its process has failed")]
fn panic_with(program: &Path, error: &spawn::SpawnError) -> Child {
    panic!("start {}: {error}", program.display())
}

impl Running {
    /// Its handle.
    #[must_use]
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Sends a signal through its handle.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn signal(&self, signal: Signal) {
        self.child.handle().signal(signal).expect("our own child can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[must_use]
    pub fn wait(mut self) -> Output {
        let status = self.child.wait_within(PATIENCE).expect("our own child can be waited for");
        let Some(status) = status else {
            drop(self.child.kill());
            let stderr = text(&mut self.stderr);
            return panic_hung(&stderr);
        };
        Output { status, stdout: text(&mut self.stdout), stderr: text(&mut self.stderr) }
    }
}

#[expect(clippy::panic, reason = "a test whose process hangs has failed")]
fn panic_hung(stderr: &str) -> Output {
    panic!("a process did not end in {PATIENCE:?}; it said: {stderr}")
}

fn text(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().expect("a regular file rewinds");
    file.read_to_string(&mut text).expect("output is UTF-8");
    text
}

impl Output {
    /// Its exit code; -1 when a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code.unwrap_or(-1)
    }

    /// Its standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|_| serde_json::json!({ "not_json": self.stdout, "stderr": self.stderr }))
    }

    /// The state that a JSON answer tells.
    #[must_use]
    pub fn state(&self) -> String {
        self.json()["state"].as_str().unwrap_or_default().to_owned()
    }

    /// The same output, which must have ended with `code`.
    ///
    /// # Panics
    /// If it did not; with all that it said.
    #[expect(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "the assertion is the point; the output may be wanted as well"
    )]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

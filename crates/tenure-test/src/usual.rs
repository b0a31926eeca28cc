//! The usual worker of a test: `w`, a fixture program under a host, described by one file; and how to ask as somebody else.
//!
//! Settings and words only: what a test expects stands in the test.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_sys::dir::Dir;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::{self, ProcessHandle, Verified};
use tenure_sys::watch::Watch;

use crate::meeting::PATIENCE;
use crate::sandbox::{Call, Output, Sandbox};

/// A user who is not root and owns nothing.
pub const NOBODY: u32 = 65_534;

/// Two executables that only a test knows the place of.
#[derive(Debug, Clone, Copy)]
pub struct Binaries {
    /// The command line.
    pub tenure: &'static str,
    /// The fixture program.
    pub program: &'static str,
}

impl Binaries {
    /// A sandbox whose user has described `w`: the fixture program with these words, on a port of its own.
    #[must_use]
    pub fn sandbox(self, words: &[&str]) -> Sandbox {
        let sandbox = Sandbox::new(self.tenure);
        self.describe(&sandbox, words);
        sandbox
    }

    /// The same, with the executables in it: another user may not reach those of a checkout.
    #[must_use]
    pub fn sandbox_for_others(self, words: &[&str]) -> Sandbox {
        let mut sandbox = Sandbox::new(self.tenure);
        sandbox.bring_executable();
        let program = sandbox.bring(Path::new(self.program));
        describe_program(&sandbox, &program.display().to_string(), words);
        sandbox
    }

    /// Writes the description of `w` anew.
    ///
    /// # Panics
    /// If the sandbox takes no file.
    pub fn describe(self, sandbox: &Sandbox, words: &[&str]) {
        describe_program(sandbox, self.program, words);
    }
}

fn describe_program(sandbox: &Sandbox, program: &str, words: &[&str]) {
    let oracle = sandbox.oracle().directory().display().to_string();
    let mut command = vec![program, oracle.as_str(), "1.0.0"];
    command.extend(words);
    describe(sandbox, &format!("{HTTP}command = {command:?}\n"));
}

/// A listener of its own, and readiness by HTTP.
pub const HTTP: &str = "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\" }]\nready = { http = \"/\" }\n";

/// Writes the description of `w`, with short times.
///
/// # Panics
/// If the sandbox takes no file.
pub fn describe(sandbox: &Sandbox, lines: &str) {
    let work = sandbox.work();
    let cwd =
        if lines.contains("cwd = ") { String::new() } else { format!("cwd = \"{}\"\n", work.display()) };
    let text = format!("[worker.w]\nstart_timeout = \"5s\"\nstop = {{ grace = \"1s\" }}\n{lines}{cwd}");
    fs::write(sandbox.config().join("w.toml"), text).expect("a sandbox takes files");
}

/// `ensure` of `w` as a document, with a wedge that is found fast.
#[must_use]
pub fn ensure(sandbox: &Sandbox) -> Call<'_> {
    sandbox.tenure(["ensure", "w", "--json", "--timeout", "20s"]).env("TENURE_WEDGED_AFTER", "300ms")
}

/// Has `w` started, and waits until the worker has written its record for the last time; its process id.
///
/// # Panics
/// If it does not start.
#[expect(clippy::must_use_candidate, reason = "the effect is the point; the number may be wanted as well")]
pub fn started(sandbox: &Sandbox) -> u32 {
    let pid = ensure(sandbox).run().expect(0).json()["pid"].as_u64().expect("a worker has a pid");
    let scope = Dir::open_private(&sandbox.scope("w")).expect("its directory is ours");
    let watch = Watch::of(&scope).expect("a directory can be watched");
    let booting = || {
        watch.drain();
        let bytes = scope.read("ledger.json", 1 << 20).expect("ours").expect("it was written");
        let ledger: Value = serde_json::from_slice(&bytes).expect("a whole record");
        !ledger["booting_until"].is_null()
    };
    while booting() {
        let changed = poll::wait(&mut [Interest::new(watch.as_fd(), Readiness::Read)], Some(PATIENCE));
        assert_eq!(
            changed.expect("a watch can be waited for"),
            1,
            "the worker never said that its boot is over"
        );
    }
    u32::try_from(pid).expect("a pid is small")
}

/// The host of `w`, which is started where it is not up.
///
/// # Panics
/// If it does not start.
#[must_use]
pub fn worker(sandbox: &Sandbox) -> ProcessHandle {
    ProcessHandle::open(started(sandbox)).expect("it lives")
}

/// The record of `w` that has this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn record(sandbox: &Sandbox, name: &str) -> Value {
    let text = fs::read_to_string(sandbox.scope("w").join(name)).expect("it was written");
    serde_json::from_str(&text).expect("a record")
}

/// The shim of the program of `w`.
///
/// # Panics
/// If it does not live.
#[must_use]
pub fn shim(sandbox: &Sandbox) -> ProcessHandle {
    let known = serde_json::from_value(record(sandbox, "ledger.json")["program"]["shim"].clone());
    let Verified::Same(shim) = process::verify(&known.expect("an identity")) else {
        unreachable!("it lives: {}", sandbox.story())
    };
    shim
}

/// `status` of `w` as a document.
#[must_use]
pub fn status(sandbox: &Sandbox) -> Output {
    sandbox.tenure(["status", "w", "--json"]).run()
}

/// `stop` of `w` as a document.
#[must_use]
pub fn stop(sandbox: &Sandbox) -> Output {
    sandbox.tenure(["stop", "w", "--json", "--timeout", "30s"]).run()
}

/// All that a failure says: message, causes and remedy in one text.
///
/// # Panics
/// If there is no error, or it has no remedy.
#[must_use]
pub fn complaint(output: &Output) -> String {
    let error = output.json()["error"].clone();
    assert!(error["hint"].is_string(), "a failure names its remedy: {}{}", output.stdout, output.stderr);
    let causes = error["causes"].as_array().cloned().unwrap_or_default();
    let parts = [&error["message"]].into_iter().chain(&causes).chain([&error["hint"]]);
    parts.filter_map(|part| part.as_str()).collect::<Vec<_>>().join(": ")
}

/// The path of a tool of the system, or a line that says what is skipped without it.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    if found.is_none() {
        skipped(&format!("there is no {name}"));
    }
    found
}

/// Whether this is root; if not, a line says what is skipped.
#[must_use]
pub fn is_root() -> bool {
    let root = tenure_sys::user::effective_uid() == 0;
    if !root {
        skipped("only root can do this");
    }
    root
}

/// Whether namespaces of these kinds (`words` of unshare(1)) can be made here; if not, a line says what is skipped: an
/// unprivileged container and a chroot give none.
#[must_use]
pub fn can_unshare(sandbox: &Sandbox, words: &[&str]) -> Option<PathBuf> {
    let unshare = tool("unshare")?;
    let tried = sandbox.command(&unshare, words.iter().copied().chain(["--fork", "true"])).run();
    if tried.code() != 0 {
        skipped(&format!("unshare {} is not permitted: {}", words.join(" "), tried.stderr.trim()));
        return None;
    }
    Some(unshare)
}

/// A line that says what is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says so in the output")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Gives a sandbox to [`NOBODY`], where this process may.
pub fn give_away_if_root(sandbox: &Sandbox) {
    if tenure_sys::user::effective_uid() == 0 {
        give_away(sandbox.path(), NOBODY);
    }
}

/// Gives a file, or everything in a directory, to another user.
///
/// # Panics
/// If the kernel refuses.
pub fn give_away(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).expect("root can give a file away");
    let directory = path.is_dir() && !path.is_symlink();
    for entry in directory.then(|| fs::read_dir(path).expect("a directory lists")).into_iter().flatten() {
        give_away(&entry.expect("an entry").path(), uid);
    }
}

/// A `tenure` command line of another user; `None`, with a line that says so, where that cannot be.
#[must_use]
pub fn as_user<'sandbox>(sandbox: &'sandbox Sandbox, uid: u32, words: &[&str]) -> Option<Call<'sandbox>> {
    let setpriv = tool("setpriv").filter(|_| is_root())?;
    let uid = uid.to_string();
    let tenure = sandbox.executable().display().to_string();
    let own = ["--reuid", &uid, "--regid", &uid, "--clear-groups", "--", &tenure];
    let args: Vec<&str> = own.iter().copied().chain(words.iter().copied()).collect();
    Some(sandbox.command(&setpriv, args).env("TENURE_WEDGED_AFTER", "300ms"))
}

/// A line of shell in the sandbox; `$T` is `tenure`.
#[must_use]
pub fn shell<'sandbox>(sandbox: &'sandbox Sandbox, line: &str) -> Call<'sandbox> {
    let tenure = sandbox.executable().display().to_string();
    sandbox.command(Path::new("/bin/sh"), ["-c", line]).env("T", &tenure).env("TENURE_WEDGED_AFTER", "300ms")
}

//! After a crash a child may be left that its user may not look into, or not end: it is ended where that can be, no other
//! process is named for it, and each remedy that is printed is typed here and works.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tenure_core::record::ledger::Ledger;
use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes::{freeze, kill};
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, as_user, give_away, is_root, skipped, tool};
use tenure_test::fixtures::worker::describe;

/// Somebody else's installation: the executable where everybody can read it, and a sandbox that is his.
struct Scene {
    sandbox: Sandbox,
    _installed: TempDir,
}

/// Whom the crash left.
struct Left {
    child: ProcessHandle,
}

impl Scene {
    /// None where this machine cannot do it; a line says why.
    fn new() -> Option<Self> {
        if !is_root() || tool("setpriv").is_none() || tool("setsid").is_none() {
            return None;
        }
        let installed = tempfile::tempdir().expect("a directory");
        fs::set_permissions(installed.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let tenure = installed.path().join("tenure");
        fs::copy(env!("CARGO_BIN_EXE_tenure-faulted"), &tenure).expect("room");
        let sandbox = Sandbox::new(&tenure.display().to_string());
        Some(Self { sandbox, _installed: installed })
    }

    /// A copy of a tool with this mode.
    fn copy(&self, name: &str, mode: u32) -> PathBuf {
        let copy = self.sandbox.path().join(name);
        fs::copy(tool(name).expect("looked for before"), &copy).expect("a sandbox takes files");
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).expect("ours");
        copy
    }

    /// The worker `w`, of another user than this one, whose program starts `child`, a line of shell that does not return;
    /// up once that child is not to be looked into.
    fn up(&self, child: &str) {
        let file = self.sandbox.work().join("child");
        let file = file.display();
        let program = format!("{child} & exec sleep 1000");
        let ready = format!("test -s {file} && ! cat /proc/$(cat {file})/environ >/dev/null 2>&1");
        let ready = ["/bin/sh", "-c", &ready];
        let command = ["/bin/sh", "-c", &program];
        describe(&self.sandbox, &format!("ready = {{ exec = {ready:?} }}\ncommand = {command:?}\n"));
        for own in ["state", "home", "config", "work"] {
            give_away(&self.sandbox.path().join(own), NOBODY);
        }
        fs::set_permissions(self.sandbox.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        self.call(&["ensure", "w", "--json"]).expect(0);
    }

    /// What a child that tells its number becomes: a program that may be run and not read cannot be looked into.
    fn hidden(&self) -> String {
        let sleep = self.copy("sleep", 0o711);
        let file = self.sandbox.work().join("child");
        format!("/bin/sh -c 'echo $$ > {}; exec {} 1001'", file.display(), sleep.display())
    }

    fn call(&self, words: &[&str]) -> Output {
        as_user(&self.sandbox, NOBODY, words).expect("looked for before").run()
    }

    /// Kills host, shim and program, so that only the child is left.
    fn crash(&self) -> Left {
        let ledger = fs::read(self.sandbox.scope("w").join("ledger.json")).expect("root reads all");
        let ledger: Ledger = serde_json::from_slice(&ledger).expect("a record");
        let program = ledger.program.expect("a program is on record");
        let open = |pid| ProcessHandle::open(pid).expect("it lives");
        let shim = open(program.shim.expect("recorded").pid);
        freeze(&shim);
        for process in [open(ledger.lineage[0].pid), shim, open(program.identity.expect("recorded").pid)] {
            kill(&process);
        }
        let child = fs::read_to_string(self.sandbox.work().join("child")).expect("it told its number");
        Left { child: open(child.trim().parse().expect("a number")) }
    }

    /// Types what was printed between backticks behind `sudo`, as root.
    fn typed(&self, printed: &str) -> String {
        let (_, rest) = printed.split_once("sudo ").expect("a command for somebody with more rights");
        let line = rest.split(['`', '\n']).next().expect("the rest of it");
        self.sandbox.command(Path::new("/bin/sh"), ["-c", line]).run().stdout
    }

    /// The remedy of the finding of this name.
    fn remedy(&self, check: &str) -> String {
        let said = self.call(&["doctor", "w", "--json"]).json();
        let findings = said["findings"].as_array().expect("a list").clone();
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.and_then(|finding| finding["remedy"].as_str()).expect("it is found").to_owned()
    }

    fn serves_again(&self, left: &Left) {
        assert!(left.child.has_ended(), "nothing starts beside it");
        assert_eq!(self.call(&["ensure", "w", "--json"]).expect(0).state(), "started");
        // Its child starts again as well, and goes with it.
        self.call(&["stop", "w"]);
    }
}

#[test]
fn a_child_that_may_not_be_looked_into_is_known_by_its_session_and_ended() {
    let Some(scene) = Scene::new() else { return };
    scene.up(&scene.hidden());
    let left = scene.crash();
    assert_eq!(scene.remedy("leftovers"), "`tenure doctor --fix w`");
    scene.call(&["doctor", "w", "--fix"]);
    scene.serves_again(&left);
}

#[test]
fn one_that_left_the_session_is_found_by_the_command_that_is_printed() {
    let Some(scene) = Scene::new() else { return };
    scene.up(&format!("setsid {}", scene.hidden()));
    let left = scene.crash();
    let pid = left.child.pid().to_string();
    let found = |printed: &str| {
        let found = scene.typed(printed);
        assert!(!found.is_empty(), "{printed} finds nothing");
        assert!(found.lines().all(|line| line.starts_with(&format!("/proc/{pid}/fd/"))), "{found}");
    };
    for words in [["ensure", "w", "--json"], ["stop", "w", "--json"]] {
        let refused = complaint(&scene.call(&words).expect(1));
        assert!(!refused.contains("pid "), "nobody is named who is not seen: {refused}");
        found(&refused);
    }
    let status = scene.call(&["status", "w"]).stdout;
    assert!(status.contains("`tenure doctor w` says what to do"), "{status}");
    found(&scene.remedy("program-lock-held"));
    // The same directory by another name: the kernel tells files by their path without links.
    let link = scene.sandbox.path().join("link[1]");
    symlink(scene.sandbox.state_root(), &link).expect("a sandbox takes links");
    let by_link = as_user(&scene.sandbox, NOBODY, &["ensure", "w", "--json"]).expect("looked for before");
    let by_link = by_link.env(tenure_core::store::paths::ROOT_VARIABLE, &link.display().to_string());
    found(&complaint(&by_link.run().expect(1)));

    kill(&left.child);

    scene.serves_again(&left);
}

#[test]
fn one_of_another_user_is_named_with_what_ends_it() {
    let Some(scene) = Scene::new() else { return };
    let setpriv = scene.copy("setpriv", 0o4755);
    let id = scene.copy("id", 0o4755);
    fs::set_permissions(scene.sandbox.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let nobody = NOBODY.to_string();
    let own = ["--reuid", &nobody, "--regid", &nobody, "--clear-groups", &id.display().to_string(), "-u"];
    if scene.sandbox.command(&tool("setpriv").expect("there"), own).run().stdout.trim() != "0" {
        skipped("nobody changes his user from this file system");
        return;
    }
    let as_root = format!("{} --reuid 0 --regid 0 --clear-groups", setpriv.display());
    scene.up(&format!("{as_root} {}", scene.hidden()));
    let left = scene.crash();
    let pid = left.child.pid().to_string();
    for words in [["ensure", "w", "--json"], ["stop", "w", "--json"]] {
        let refused = complaint(&scene.call(&words).expect(1));
        assert!(refused.contains(&format!("`sudo kill -9 {pid}`")), "{refused}");
    }
    let status = scene.call(&["status", "w"]).stdout;
    assert!(status.contains("`tenure doctor w` says what to do"), "{status}");
    let remedy = scene.remedy("leftovers-of-another-user");
    assert_eq!(remedy, format!("`sudo kill -9 {pid}`"));
    assert!(!left.child.has_ended());

    scene.typed(&remedy);

    let _ended = left.child.wait_ended(None);
    assert_eq!(scene.call(&["ensure", "w", "--json"]).expect(0).state(), "started");
    let next = fs::read_to_string(scene.sandbox.work().join("child")).expect("it told its number");
    let next = ProcessHandle::open(next.trim().parse().expect("a number")).expect("it lives");
    kill(&next);
    scene.call(&["stop", "w"]).expect(0);
}

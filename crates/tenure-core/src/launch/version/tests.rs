//! Commands that answer, and commands that do not, as real processes.

use std::path::{Path, PathBuf};
use std::{fs, thread};

use crate::deadline::Deadline;
use crate::spec::environment::{Environment, Variables};

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// A directory for state and one to run in.
struct Ground {
    root: tempfile::TempDir,
    cwd: tempfile::TempDir,
}

fn ground() -> Ground {
    let private: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let root = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
    Ground { root, cwd: tempfile::tempdir().expect("a directory") }
}

fn stage(limit: Duration) -> Stage {
    Deadline::start(limit).stage("version").expect("fresh")
}

fn variables() -> Variables {
    Environment::default().build_here()
}

fn shell(script: &str) -> VersionCommand {
    VersionCommand { command: ["sh", "-c", script].map(str::to_owned).to_vec(), ..VersionCommand::default() }
}

impl Ground {
    fn state(&self) -> StateDir {
        StateDir::at(self.root.path(), &"memory".parse().expect("a scope")).expect("private")
    }

    fn known(&self, asked: &VersionCommand) -> Option<Version> {
        cache::find(&self.state(), &Question::of(asked, self.cwd.path(), &variables()).expect("a program"))
    }

    /// As [`resolve`] does, in a directory that is not named by the environment.
    fn resolve(&self, asked: &VersionCommand, limit: Duration) -> Result<Version, VersionError> {
        let question = Question::of(asked, self.cwd.path(), &variables())?;
        let state = self.state();
        if let Some(version) = cache::find(&state, &question) {
            return Ok(version);
        }
        let run = Run { question: &question, variables: &variables(), umask: 0o027 };
        ask_in_turn(&state, run, stage(limit))
    }

    /// Asks until the answer is kept: until its inputs are older than a tick.
    fn kept_answer(&self, asked: &VersionCommand) -> Version {
        loop {
            let version = self.resolve(asked, LONG).expect("it answers");
            if self.known(asked).is_some() {
                return version;
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cwd.path().join(name)
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).map_or(0, |text| text.lines().count())
    }
}

#[test]
fn a_herd_runs_the_command_once_and_later_calls_not_at_all() {
    let ground = ground();
    let asked = shell("echo x >> runs; echo v13.6.0");
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                assert_eq!(ground.resolve(&asked, LONG).expect("an answer"), Version::new(13, 6, 0));
            });
        }
    });
    assert_eq!(ground.runs(), 1);
    assert_eq!(ground.known(&asked), Some(Version::new(13, 6, 0)));
}

#[test]
fn a_changed_input_and_a_replaced_program_are_asked_again() {
    let ground = ground();
    let script = |says: &str| {
        let text = format!("#!/bin/sh\necho x >> runs\necho {says}\"$(cat part)\"\n");
        fs::write(ground.path("next"), text).expect("room");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(ground.path("next"), executable).expect("ours");
        fs::rename(ground.path("next"), ground.path("tool")).expect("there");
    };
    fs::write(ground.path("part"), "1").expect("room");
    script("1.0.");
    let asked = VersionCommand {
        command: vec!["./tool".into()],
        inputs: vec!["part".into()],
        ..VersionCommand::default()
    };
    assert_eq!(ground.kept_answer(&asked), Version::new(1, 0, 1));
    let runs = ground.runs();
    assert_eq!(ground.kept_answer(&asked), Version::new(1, 0, 1));
    assert_eq!(ground.runs(), runs, "it is known");
    fs::write(ground.path("part"), "2").expect("room");
    assert_eq!(ground.kept_answer(&asked), Version::new(1, 0, 2));
    script("2.0.");
    assert_eq!(ground.kept_answer(&asked), Version::new(2, 0, 2));
}

#[test]
fn an_input_that_changes_while_the_command_runs_is_not_believed() {
    let ground = ground();
    let asked = VersionCommand { inputs: vec!["part".into()], ..shell("echo x >> part; echo 1.0.0") };
    for _ in 0..3 {
        assert_eq!(ground.resolve(&asked, LONG).expect("an answer"), Version::new(1, 0, 0));
        assert_eq!(ground.known(&asked), None);
    }
}

#[test]
fn each_way_to_fail_is_told_apart_and_none_is_kept() {
    let ground = ground();
    let said = |asked: &VersionCommand| {
        let error = ground.resolve(asked, LONG).expect_err("no version");
        assert_eq!(cached_by(&ground, asked), None);
        error
    };
    let missing = VersionCommand { command: vec!["no-such-program".into()], ..VersionCommand::default() };
    assert!(matches!(said(&missing), VersionError::NotFound { .. }));
    let none = VersionCommand { command: Vec::new(), ..VersionCommand::default() };
    assert!(matches!(said(&none), VersionError::NoCommand));
    let error = said(&shell("echo reading; echo no manifest here >&2; exit 3"));
    assert_eq!(
        error.to_string(),
        "ask \"sh -c echo reading; echo no manifest here >&2; exit 3\" for the version: it ended with exit status 3, \
         after it had said \"no manifest here\""
    );
    let error = said(&shell("kill -9 $$"));
    assert!(matches!(&error, VersionError::Exit { status, .. } if status.signal == Some(9)), "{error}");
    let error = said(&shell("echo 13,6"));
    let VersionError::Unclear { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.answer, "13,6");
    assert!(matches!(said(&shell("exit 0")), VersionError::Unclear { .. }));
    for flood in ["while :; do echo 1.0.0; done | head -c 1000000", "while :; do echo 1.0.0; done"] {
        let error = said(&shell(flood));
        assert!(matches!(error, VersionError::TooMuch { .. }), "{error}");
    }
}

fn cached_by(ground: &Ground, asked: &VersionCommand) -> Option<Version> {
    let question = Question::of(asked, ground.cwd.path(), &variables()).ok()?;
    cache::find(&ground.state(), &question)
}

#[test]
fn a_command_that_hangs_is_ended_with_what_it_started() {
    let ground = ground();
    // The second one holds the pipe, and would for ever.
    let asked = shell("echo stuck >&2; sleep 1000 & echo $! > below; wait");
    let error = ground.resolve(&asked, Duration::from_millis(300)).expect_err("it hangs");
    assert!(error.to_string().contains("did not end within"), "{error}");
    assert!(error.to_string().contains("stuck"), "{error}");
    let below = fs::read_to_string(ground.path("below")).expect("it ran");
    let below = below.trim().parse().expect("a pid");
    // Orphaned, and reaped by whoever that falls to.
    if let Ok(handle) = tenure_sys::process::ProcessHandle::open(below) {
        assert!(handle.wait_ended(Some(LONG)).expect("a handle can be waited for"));
    }
}

#[test]
fn a_command_that_leaves_something_behind_is_not_waited_for() {
    let ground = ground();
    let (held, hold) = tenure_sys::pipe::pipe().expect("a pipe");
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&held));
    // It ends when the test closes the pipe, and has the output open until then.
    let asked = shell(&format!("cat {path} & echo 1.0.0"));
    assert_eq!(ground.resolve(&asked, LONG).expect("an answer"), Version::new(1, 0, 0));
    drop(hold);
}

#[test]
fn a_command_gets_what_the_worker_gets_without_its_marks() {
    let ground = ground();
    let asked = shell("env | grep -q ^TENURE_ && exit 1; test -n \"$PATH\" && pwd > where && echo 1.0.0");
    assert_eq!(ground.resolve(&asked, LONG).expect("an answer"), Version::new(1, 0, 0));
    let told = fs::read_to_string(ground.path("where")).expect("it ran");
    assert_eq!(Path::new(told.trim()), ground.cwd.path().canonicalize().expect("there"));
}

#[test]
fn a_launcher_that_asks_for_too_long_is_named_to_the_others() {
    let ground = ground();
    let state = ground.state();
    let file = state.dir().open_lock(file::VERSION_LOCK).expect("room");
    let LockWait::Taken(_held) = lock::lock_within(file, LONG).expect("lockable") else {
        panic!("it is free")
    };
    let error = ground.resolve(&shell("echo 1.0.0"), Duration::from_millis(50)).expect_err("it is busy");
    assert!(matches!(&error, VersionError::Busy { holders, .. } if !holders.is_empty()), "{error}");
}

#[test]
fn a_command_gets_the_workers_umask_and_no_input() {
    let ground = ground();
    let asked = shell("umask > umask; cat > input; readlink /proc/self/fd/0 > stdin; echo 1.0.0");
    assert_eq!(ground.resolve(&asked, LONG).expect("an answer"), Version::new(1, 0, 0));
    let told = |name: &str| fs::read_to_string(ground.path(name)).expect("it ran").trim().to_owned();
    assert_eq!((told("umask").as_str(), told("input").as_str()), ("0027", ""));
    assert_eq!(told("stdin"), "/dev/null");
}

#[test]
fn the_standard_error_is_read_by_choice_and_a_kept_answer_is_one_of_the_same_pattern() {
    let ground = ground();
    let asked = shell("echo x >> runs; echo 'server 1.0.0, library 2.0.0' >&2");
    let error = ground.resolve(&asked, LONG).expect_err("it is not asked for");
    assert!(error.write().is_some_and(|key| key.ends_with("stderr = true }")), "{error}");
    let with = |pattern: &str| {
        let pattern = VersionPattern::try_from(pattern.to_owned()).ok();
        VersionCommand { pattern, stderr: true, ..asked.clone() }
    };
    assert_eq!(ground.kept_answer(&with(r"server ([0-9.]+)")), Version::new(1, 0, 0));
    assert_eq!(ground.kept_answer(&with(r"library ([0-9.]+)")), Version::new(2, 0, 0));
    assert_eq!(ground.known(&with(r"server ([0-9.]+)")), Some(Version::new(1, 0, 0)));
    assert_eq!(ground.known(&with(r"other ([0-9.]+)")), None);
}

/// The programs of [`answer`]'s table that this machine has tell their version to this very code.
#[test]
fn programs_that_are_installed_here_tell_their_version() {
    let ground = ground();
    for command in [
        "redis-server --version",
        "nginx -v",
        "node --version",
        "java -version",
        "java --version",
        "ssh -V",
        "gpg-agent --version",
        "postgres --version",
        "git --version",
        "less --version",
        "curl --version",
        "bash --version",
    ] {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let asked = VersionCommand { command: words, stderr: true, ..VersionCommand::default() };
        match ground.resolve(&asked, LONG) {
            Ok(version) => assert!(!version.is_build(), "{command}: {version}"),
            Err(VersionError::NotFound { .. }) => println!("skipped: {command}: not installed here"),
            Err(error) => panic!("{command}: {}", crate::causes::in_one_line(&error)),
        }
    }
}

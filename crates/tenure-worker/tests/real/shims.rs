//! What holds for a shim and the tree below it, one behaviour each. There is no host here but the case itself.
//!
//! Every process of a tree holds the output pipe open, so the end of the output is the proof that all of them are gone.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tenure_core::spec::amount::Span;
use tenure_core::spec::{Forking, Stdin, StopPolicy, scope};
use tenure_core::store::paths::StateDir;
use tenure_core::store::records::RecordError;
use tenure_sys::lock::{self, TryLock};
use tenure_sys::process::{ExitStatus, ProcessHandle};
use tenure_worker::host::program::{self, Program, ProgramError, ProgramPlan, ShimReport, Slot, Started};
use tenure_worker::host::shim::ShimEvent;

use crate::kit::{Case, LONG, cases, end, scope};

cases!(
    a_program_gets_its_listeners_its_pid_and_its_names,
    a_program_that_ends_takes_its_tree_with_it,
    a_stop_ends_daemons_that_left_their_session,
    a_program_that_ignores_its_stop_is_killed_after_its_grace,
    a_stopped_program_can_take_its_signal,
    a_host_that_is_gone_is_a_stop,
    what_a_killed_shim_left_is_ended_by_its_cookie,
    a_program_that_cannot_be_run_is_told_and_leaves_nothing,
    an_unrecorded_shim_is_given_up,
    what_a_shim_told_is_heard_though_it_never_read_our_last_letter,
);

/// A state directory of the case's own.
fn state() -> StateDir {
    StateDir::create(&scope()).expect("a state directory")
}

fn plan(state: &StateDir, script: &str, grace: Duration) -> ProgramPlan {
    let cookie = scope::program_cookie(&state.id(), 1);
    let variables = [("PATH", "/usr/bin:/bin"), (scope::COOKIE_VARIABLE, &cookie)];
    let mut stop = StopPolicy::default();
    stop.grace = Span::millis(u64::try_from(grace.as_millis()).expect("short"));
    ProgramPlan {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        before: Vec::new(),
        stdin: Stdin::Null,
        cwd: "/".into(),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        cookie: cookie.clone(),
        umask: 0o077,
        nofile: 64,
        forking: Forking::No,
        stop,
        reload: None,
        ready_pipe: false,
    }
}

/// A script under a shim, up to its first line of output.
struct Tree {
    program: Program,
    output: BufReader<File>,
    first_line: String,
}

fn start(state: &StateDir, plan: &ProgramPlan, listeners: &[OwnedFd]) -> Tree {
    let started = program::start(state, plan, listeners, Slot::Alone, &mut |_| Ok(())).expect("it starts");
    let Started { mut program, output, .. } = started;
    let heard = program.next_report();
    assert!(matches!(heard, ShimReport::Event(ShimEvent::Runs { .. })), "{heard:?}");
    let mut output = BufReader::new(File::from(output));
    let mut first_line = String::new();
    output.read_line(&mut first_line).expect("text");
    Tree { program, output, first_line: first_line.trim_end().to_owned() }
}

fn grown(script: &str, grace: Duration) -> (StateDir, Tree) {
    let state = state();
    let tree = start(&state, &plan(&state, script, grace), &[]);
    (state, tree)
}

impl Tree {
    /// Reads the output to its end, which comes when nobody is left to write.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        rest
    }

    /// What is told next beside what had to be killed.
    fn next(&mut self) -> ShimReport {
        loop {
            let heard = self.program.next_report();
            if !matches!(heard, ShimReport::Event(ShimEvent::Kills { .. })) {
                return heard;
            }
        }
    }

    fn exited(&mut self) -> ExitStatus {
        let heard = self.next();
        let ShimReport::Event(ShimEvent::Exited { status, .. }) = heard else { panic!("no end: {heard:?}") };
        status
    }

    fn gone(&mut self) {
        let heard = self.next();
        assert!(matches!(heard, ShimReport::Gone), "{heard:?}");
    }
}

fn lock_is_free(state: &StateDir) -> bool {
    let file = state.dir().open_lock(tenure_core::store::paths::file::PROGRAM).expect("a lock file");
    matches!(lock::try_lock(file).expect("lockable"), TryLock::Taken(_))
}

fn a_program_gets_its_listeners_its_pid_and_its_names() {
    let state = state();
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = OwnedFd::from(tenure_sys::socket::bind_tcp(address, 1).expect("a port"));
    let script = "echo $LISTEN_PID $$ $0 $(ulimit -n) $(umask); sleep 1000 & wait";
    let mut plan = plan(&state, script, LONG);
    plan.command.push("name".to_owned());
    let mut tree = start(&state, &plan, &[listener]);
    let words: Vec<&str> = tree.first_line.split(' ').collect();
    assert_eq!(words[0], words[1]);
    assert_eq!(words[2..], ["name", "64", "0077"]);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", words[0])).expect("it runs").count();
    assert_eq!(fds, 5, "streams, listener and lock, and nothing else");
    tree.program.stop(LONG);
    assert_eq!(tree.exited().signal, Some(15));
    tree.gone();
}

fn a_program_that_ends_takes_its_tree_with_it() {
    let (state, mut tree) = grown("setsid sleep 1000 & sleep 1000 & echo up; exit 3", LONG);
    assert_eq!(tree.exited().code, Some(3));
    assert_eq!(tree.rest(), "");
    tree.gone();
    assert!(lock_is_free(&state));
}

fn a_stop_ends_daemons_that_left_their_session() {
    // The middle one ends at once, so the daemon is nobody's child but the shim's; and it does not listen to TERM.
    let daemon = "trap '' TERM; echo up; exec sleep 1000";
    let (state, mut tree) =
        grown(&format!("setsid sh -c \"setsid sh -c \\\"{daemon}\\\" &\"; exec sleep 1000"), LONG);
    assert_eq!(tree.first_line, "up");
    assert!(!lock_is_free(&state));
    tree.program.stop(LONG);
    assert_eq!(tree.exited().signal, Some(15));
    tree.gone();
    assert_eq!(tree.rest(), "");
    assert!(lock_is_free(&state));
}

fn a_program_that_ignores_its_stop_is_killed_after_its_grace() {
    let (_state, mut tree) = grown("trap '' TERM; echo up; exec sleep 1000", Duration::from_millis(20));
    tree.program.stop(LONG);
    assert_eq!(tree.exited().signal, Some(9));
    tree.gone();
}

fn a_stopped_program_can_take_its_signal() {
    let (_state, mut tree) = grown("echo up; kill -STOP $$; sleep 1000", LONG);
    tree.program.stop(LONG);
    assert_eq!(tree.exited().signal, Some(15));
    tree.gone();
}

fn a_host_that_is_gone_is_a_stop() {
    let (state, tree) = grown("setsid sleep 1000 & echo up; exec sleep 1000", LONG);
    let Tree { program, mut output, .. } = tree;
    let shim = ProcessHandle::open(program.shim()).expect("it runs");
    drop(program);
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(shim.wait_ended(Some(LONG)).expect("a wait"));
    assert!(lock_is_free(&state));
}

fn what_a_killed_shim_left_is_ended_by_its_cookie() {
    let (state, mut tree) = grown("setsid sleep 1000 & echo up; exec sleep 1000", LONG);
    end(&ProcessHandle::open(tree.program.shim()).expect("it runs"));
    let heard = tree.program.next_report();
    assert!(matches!(heard, ShimReport::Lost), "{heard:?}");
    assert!(!lock_is_free(&state));
    tree.program.clear(&state).expect("it can be ended");
    assert_eq!(tree.rest(), "");
    assert!(lock_is_free(&state));
}

fn a_program_that_cannot_be_run_is_told_and_leaves_nothing() {
    let state = state();
    let script = state.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&script, executable).expect("executable");
    let mut plan = plan(&state, "", LONG);
    plan.command = vec![script.display().to_string()];
    let mut started = program::start(&state, &plan, &[], Slot::Alone, &mut |_| Ok(())).expect("a shim");
    let heard = started.program.next_report();
    assert!(
        matches!(&heard, ShimReport::Event(ShimEvent::CannotRun { message, lasting: true }) if message.contains("interpreter")),
        "{heard:?}"
    );
    let heard = started.program.next_report();
    assert!(matches!(heard, ShimReport::Gone), "{heard:?}");
    assert!(lock_is_free(&state));
}

fn an_unrecorded_shim_is_given_up() {
    let state = state();
    let mut shim = None;
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let refused =
        program::start(&state, &plan(&state, "echo up", LONG), &[], Slot::Alone, &mut |record| match &record
            .shim
        {
            None => Ok(()),
            Some(identity) => {
                shim = Some(identity.pid);
                Err(RecordError::Write { path: "ledger.json".into(), source: full() })
            }
        });
    assert!(matches!(refused, Err(ProgramError::Record(_))));
    assert!(ProcessHandle::open(shim.expect("it was spawned")).is_err(), "the shim is gone");
    assert!(lock_is_free(&state));
}

fn what_a_shim_told_is_heard_though_it_never_read_our_last_letter() {
    let (_state, mut tree) = grown("echo up; read line; exit 3", LONG);
    // The end of the output is the end of the program: its shim has told it, or is about to, and reads no more letters
    // once it has begun to end.
    assert_eq!(tree.rest(), "");
    tree.program.stop(LONG);
    assert_eq!(tree.exited().code, Some(3));
    tree.gone();
}

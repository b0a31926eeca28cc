//! Five programs of different kinds in every run: the right version and user, restarts under load that nobody notices, a
//! reload, and an end that leaves nothing.

use std::fs;

use tenure_sys::process::{self, ProcessHandle};
use tenure_sys::{tree, user};
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::skipped;
use tenure_test::programs::catalog::Program;
use tenure_test::programs::example::{self, Example};
use tenure_test::programs::trial::Trial;

use crate::BINARIES;

/// Restarts and clients of a test: enough that a mode which loses something does so. `cargo xtask programs` has more.
const RESTARTS: u64 = 3;
const CLIENTS: usize = 8;

/// A program after its restarts under load.
struct Kept {
    example: Example,
    program: &'static Program,
}

/// Runs the example as it stands, and asserts what holds for all: its own version, and no request that failed.
fn kept(name: &str) -> Kept {
    let program = Program::named(name);
    let example = Example::new(Sandbox::new(BINARIES.tenure), program);
    let trial = Trial::run(&example, program, CLIENTS, RESTARTS);
    assert_eq!(trial.failed(), 0, "{}\n{}", trial.load, example.sandbox.story());
    assert!(trial.load.fresh.answered > 0);
    let kept = Kept { example, program };
    let told = kept.answer_of_version_command();
    assert!(!trial.version.is_empty() && told.contains(&trial.version), "{} is not in {told}", trial.version);
    kept
}

impl Kept {
    /// What the version command of the description prints, asked without `tenure`.
    fn answer_of_version_command(&self) -> String {
        let version = self.example.shown("version");
        let words = version["command"].as_array().expect("it has a command");
        let words: Vec<String> = words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect();
        let said = self.example.sandbox.command("/usr/bin/env".as_ref(), words).run().expect(0);
        said.stdout + &said.stderr
    }

    fn status(&self) -> Output {
        self.example.call("status").expect(0)
    }

    /// Every process of the program.
    fn processes(&self) -> Vec<ProcessHandle> {
        let first = processes::program(&self.status());
        let mut all = tree::handles_below(&first);
        all.push(first);
        all
    }

    /// The users that the program runs as.
    fn users(&self) -> Vec<u32> {
        let mut users: Vec<u32> =
            self.processes().iter().filter_map(|one| process::uid_of(one.pid())).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Has the program read its configuration again.
    fn reload(&self) {
        self.example.call("reload").expect(0);
    }

    /// Stops it: no process of it lives, nobody serves, and these files are gone.
    fn stop(&self, files: &[&str]) {
        let (address, all) = (example::endpoint(&self.status()), self.processes());
        self.example.call("stop").expect(0);
        for process in all {
            assert!(process.has_ended(), "{} lives", process.pid());
        }
        let address = address.tcp().expect("these five have ports");
        assert!(ask::exchange(address, "").is_err(), "somebody listens on {address}");
        for file in files {
            assert!(!self.example.sandbox.work().join(file).exists(), "{file} is left");
        }
    }

    fn get(&self, path: &str) -> String {
        let address = example::endpoint(&self.status()).tcp().expect("a port");
        ask::get(address, path).expect("it serves")
    }

    /// Changes a file of the example.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let file = self.example.sandbox.work().join(file);
        let text = fs::read_to_string(&file).expect("it is there");
        assert!(text.contains(from), "{text}");
        fs::write(&file, text.replace(from, to)).expect("a sandbox takes files");
    }
}

#[test]
fn redis_keeps_its_data_and_its_clients() {
    let redis = kept("redis");
    let say = |words: &str| {
        let address = example::endpoint(&redis.status()).tcp().expect("a port");
        ask::exchange(address, &format!("{words}\r\nQUIT\r\n")).expect("it serves")
    };
    assert_eq!(say("SET kept yes"), "+OK\r\n+OK\r\n");
    redis.example.call("restart").expect(0);
    assert_eq!(say("GET kept"), "$3\r\nyes\r\n+OK\r\n");
    assert_eq!(redis.users(), [user::effective_uid()]);
    redis.stop(&["redis.sock"]);
}

#[test]
fn nginx_reads_its_file_again_and_finishes_its_requests() {
    let nginx = kept("nginx");
    assert_eq!(nginx.get("/healthz"), "ok\n");
    let old = nginx.processes();
    let (master, workers) = old.split_last().expect("it runs");
    nginx.edit("nginx.conf", "ok\\n", "changed\\n");
    nginx.reload();
    // The old processes end when the new ones serve.
    workers.iter().for_each(processes::await_end);
    assert!(!master.has_ended());
    assert_eq!(nginx.get("/healthz"), "changed\n");
    // A file with a mistake replaces nobody.
    nginx.edit("nginx.conf", "daemon off;", "daemon off");
    assert_ne!(nginx.example.call("restart").code(), 0);
    assert_eq!(nginx.get("/healthz"), "changed\n");
    nginx.stop(&["nginx.pid"]);
}

#[test]
fn postgresql_runs_as_another_user_and_ends_without_recovery() {
    let postgres = kept("postgresql");
    let own = user::effective_uid();
    let expected = if own == 0 { uid_of_user("postgres") } else { own };
    if own != 0 {
        skipped("only root can run PostgreSQL as another user: it ran as this one");
    }
    assert_eq!(postgres.users(), [expected]);
    let shows = |setting: &str| {
        let address = example::endpoint(&postgres.status()).tcp().expect("a port");
        let query = format!("SHOW {setting}");
        let port = address.port().to_string();
        let words = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-Atc", &query];
        postgres.example.sandbox.command("/usr/bin/psql".as_ref(), words).run().expect(0).stdout
    };
    assert_eq!(shows("work_mem"), "4MB\n");
    postgres.edit("data/postgresql.conf", "#work_mem = 4MB", "work_mem = 5MB");
    postgres.reload();
    assert_eq!(shows("work_mem"), "5MB\n");
    postgres.stop(&["data/postmaster.pid"]);
    let log = postgres.example.tenure(&["logs", postgres.program.worker]).run().expect(0).stdout;
    assert!(log.contains("database system is shut down"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
}

#[test]
fn uvicorn_resets_nobody_behind_the_proxy() {
    let uvicorn = kept("uvicorn");
    assert_eq!(uvicorn.get("/"), "hello\n");
    assert_eq!(uvicorn.users(), [user::effective_uid()]);
    uvicorn.stop(&[]);
}

#[test]
fn a_node_cluster_replaces_its_processes_at_a_reload() {
    let cluster = kept("node-cluster");
    let old = cluster.processes();
    let (primary, workers) = old.split_last().expect("it runs");
    assert_eq!(workers.len(), 2);
    cluster.reload();
    workers.iter().for_each(processes::await_end);
    assert!(!primary.has_ended());
    let answer = cluster.get("/");
    let by = answer.trim().strip_prefix("pid=").and_then(|pid| pid.parse::<u32>().ok()).expect("its pid");
    assert!(workers.iter().all(|worker| worker.pid() != by), "{answer}");
    cluster.stop(&[]);
}

/// The uid of a user in `/etc/passwd`.
fn uid_of_user(name: &str) -> u32 {
    let users = fs::read_to_string("/etc/passwd").expect("every user may read it");
    let line = users.lines().find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split(':').nth(2)?.parse().ok()).expect("its package made the user")
}

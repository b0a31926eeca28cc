//! Each example directory, kept by `tenure` as its README says: it serves, survives kill -9, and leaves nothing.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_sys::process::ProcessHandle;
use tenure_test::fixtures::ask;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system;

use crate::BINARIES;

fn example(name: &str) -> Sandbox {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    for entry in fs::read_dir(&directory).expect("the example is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_file() {
            fs::copy(&path, sandbox.work().join(path.file_name().expect("a file has a name")))
                .expect("it can be copied");
        }
    }
    sandbox
}

/// Trusts the example's file, as whoever copied it has to.
fn trust(sandbox: &Sandbox) {
    sandbox.tenure(["trust"]).run().expect(0);
}

/// The example's port, moved to a free one: tests run beside each other and beside whatever the machine runs.
fn with_free_port(sandbox: &Sandbox, port: &str) -> u16 {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    let file = sandbox.work().join("tenure.toml");
    let text = fs::read_to_string(&file).expect("the example has a configuration");
    assert!(text.contains(port), "the example names its port");
    fs::write(&file, text.replace(port, &free.to_string())).expect("a sandbox takes files");
    trust(sandbox);
    free
}

fn ensure(sandbox: &Sandbox, name: &str) -> Output {
    sandbox.tenure(["ensure", name, "--json"]).run().expect(0)
}

fn stop(sandbox: &Sandbox, name: &str) {
    sandbox.tenure(["stop", name]).run().expect(0);
}

#[test]
fn two_installations_of_one_plugin_share_a_worker() {
    if system::tool("python3").is_none() {
        return;
    }
    let sandbox = Sandbox::new(BINARIES.tenure);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/two-plugins");
    for agent in ["claude", "codex"] {
        let own = sandbox.work().join(agent);
        fs::create_dir(&own).expect("a sandbox takes directories");
        for file in ["tenure.toml", "server.py"] {
            fs::copy(examples.join(agent).join(file), own.join(file)).expect("it can be copied");
        }
    }
    let ensure = |agent: &str| {
        let file = sandbox.work().join(agent).join("tenure.toml").display().to_string();
        sandbox.tenure(["ensure", "notes", "--json", "--config", &file]).run().expect(0)
    };
    let runs_in = |answer: &Output| ask::get(ask::address(answer), "/").expect("it serves");
    let (first, second) = (ensure("claude"), ensure("codex"));
    assert_eq!((first.state().as_str(), second.state().as_str()), ("started", "up"));
    assert!(runs_in(&second).contains("work/claude 1"), "{}", runs_in(&second));
    let file = sandbox.work().join("codex/tenure.toml");
    let text = fs::read_to_string(&file).expect("it was copied");
    fs::write(&file, text.replace("1.0.0", "1.1.0")).expect("a sandbox takes files");
    let states = ["codex", "claude", "codex"].map(|agent| ensure(agent).state());
    assert_eq!(states, ["replaced", "up", "up"]);
    assert!(runs_in(&ensure("claude")).contains("work/codex 2"));
    stop(&sandbox, "notes");
}

#[test]
fn a_node_server_on_an_inherited_descriptor() {
    if system::tool("node").is_none() {
        return;
    }
    let sandbox = example("node");
    trust(&sandbox);
    let first = ensure(&sandbox, "web");
    let says = |path: &str| ask::get(ask::address(&first), path).expect("it serves");
    assert!(says("/x").starts_with("version=1.0.0 generation=1 pid="), "{}", says("/x"));
    assert_eq!(says("/stream?chunks=3&every=1").matches("chunk=").count(), 3);
    processes::kill(&processes::host(&first));
    let second = ensure(&sandbox, "web");
    assert_eq!(ask::address(&second), ask::address(&first), "the port is taken again");
    assert!(says("/x").contains("generation=2 "), "{}", says("/x"));
    // A file that does not parse replaces nobody.
    let server = sandbox.work().join("server.mjs");
    let text = fs::read_to_string(&server).expect("the example has a server");
    fs::write(&server, format!("{text}\n}}")).expect("a sandbox takes files");
    assert_ne!(sandbox.tenure(["restart", "web"]).run().code(), 0);
    assert!(says("/x").contains("generation=2 "), "{}", says("/x"));
    fs::write(&server, text).expect("a sandbox takes files");
    sandbox.tenure(["restart", "web"]).run().expect(0);
    assert!(says("/x").contains("pid=") && !says("/x").contains("generation=2 "), "{}", says("/x"));
    stop(&sandbox, "web");
}

#[test]
fn a_python_server_that_binds_its_own_port() {
    let sandbox = example("python");
    with_free_port(&sandbox, "8417");
    let first = ensure(&sandbox, "files");
    assert!(ask::get(ask::address(&first), "/").expect("it serves").contains("tenure.toml"));
    processes::kill(&processes::host(&first));
    let second = ensure(&sandbox, "files");
    assert!(ask::get(ask::address(&second), "/").expect("it serves").contains("tenure.toml"));
    stop(&sandbox, "files");
}

#[test]
fn a_python_server_behind_a_proxy_is_killed_and_refuses_nobody() {
    let sandbox = example("python");
    let port = with_free_port(&sandbox, "8419");
    let first = ensure(&sandbox, "app");
    assert_eq!(ask::address(&first).port(), port);
    let program = || {
        let answer = ask::get(ask::address(&first), "/").expect("nobody is refused");
        let pid = answer.strip_prefix("pid=").and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        pid.and_then(|pid| pid.parse::<u32>().ok()).expect("the program tells its pid")
    };
    let old = program();
    let handle = ProcessHandle::open(old).expect("the program lives");
    processes::kill(&handle);
    // Waits for the next start, in the queue of the listener.
    assert_ne!(program(), old);
    processes::kill(&processes::host(&first));
    let second = ensure(&sandbox, "app");
    assert!(ask::get(ask::address(&second), "/").expect("it serves").contains("generation=2"));
    stop(&sandbox, "app");
}

#[test]
fn redis_is_ready_when_it_says_so() {
    let sandbox = example("redis");
    with_free_port(&sandbox, "8418");
    let answer = ensure(&sandbox, "cache");
    assert_eq!(
        ask::exchange(ask::address(&answer), "PING\r\nQUIT\r\n").expect("it serves"),
        "+PONG\r\n+OK\r\n"
    );
    processes::kill(&processes::host(&answer));
    let again = ensure(&sandbox, "cache");
    assert_eq!(
        ask::exchange(ask::address(&again), "PING\r\nQUIT\r\n").expect("it serves"),
        "+PONG\r\n+OK\r\n"
    );
    stop(&sandbox, "cache");
}

#[test]
fn an_axum_program_that_is_its_own_worker() {
    let sandbox = example("axum");
    trust(&sandbox);
    let built = PathBuf::from(BINARIES.tenure).with_file_name("example-axum");
    fs::copy(&built, sandbox.work().join("example-axum")).expect("the example is built with the workspace");
    let first = ensure(&sandbox, "hello");
    assert!(ask::get(ask::address(&first), "/").expect("it serves").contains("generation=1 "));
    let restarted = sandbox.tenure(["restart", "hello", "--json"]).run().expect(0);
    assert_eq!(restarted.json()["generation"], 2);
    processes::kill(&processes::host(&ensure(&sandbox, "hello")));
    let third = ensure(&sandbox, "hello");
    assert!(ask::get(ask::address(&third), "/").expect("it serves").contains("generation=3 "));
    stop(&sandbox, "hello");
}

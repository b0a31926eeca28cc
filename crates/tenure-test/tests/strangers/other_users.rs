//! Another user on the machine: a port that he takes behind the proxy gets no byte, and records that he could change
//! while the directory was open to him start nothing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tenure_core::spec::scope::{COOKIE_VARIABLE, program_cookie};
use tenure_core::store::event::What;
use tenure_sys::dir::Dir;
use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::process::Signal;
use tenure_sys::watch::Watch;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Running;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{self, NOBODY, is_root, tool};
use tenure_test::fixtures::worker::{self, describe, ensure, status, stop};

use crate::BINARIES;

/// Serves on `$PORT` and writes it down; closes that port and lives on when it is asked for `/leave`.
const PROGRAM: &str = r#"
import os, signal, socket
port = int(os.environ["PORT"])
open("port", "w").write(str(port))
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen(64)
while True:
    client, _ = server.accept()
    asked = client.recv(65536)
    leaves = b"/leave" in asked
    if leaves:
        server.close()
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nours")
    client.close()
    if leaves:
        signal.pause()
"#;

/// Listens on a port, tells so, and then tells of every connection how many bytes it got.
const STRANGER: &str = r#"
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(64)
tell = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
tell.sendall(b"listens\n")
while True:
    client, _ = server.accept()
    try:
        got = len(client.recv(65536))
    except OSError:
        got = 0
    tell.sendall(b"%d\n" % got)
    client.close()
"#;

/// The same at the path in `$SOCKET`, which it writes down.
fn program_at_a_path() -> String {
    PROGRAM
        .replace("port = int(os.environ[\"PORT\"])", "path = os.environ[\"SOCKET\"]")
        .replace("open(\"port\", \"w\").write(str(port))", "open(\"path\", \"w\").write(path)")
        .replace("socket.socket()", "socket.socket(socket.AF_UNIX)")
        .replace("server.bind((\"127.0.0.1\", port))", "server.bind(path)")
        .replace("server.close()\n", "server.close(); os.unlink(path)\n")
}

/// The stranger at a path. The kernel takes for the listener whoever calls listen(2), so he can be put into a directory
/// that he could not enter.
fn stranger_at_a_path() -> String {
    STRANGER
        .replace("import socket, sys", "import os, socket, sys")
        .replace("socket.socket()", "socket.socket(socket.AF_UNIX)")
        .replace(
            "server.bind((\"127.0.0.1\", int(sys.argv[1])))",
            "server.bind(sys.argv[1]); os.setuid(65534)",
        )
}

/// A worker behind the proxy, and where its clients go.
fn proxied(sandbox: &Sandbox) -> SocketAddr {
    let script = sandbox.work().join("program.py");
    fs::write(&script, PROGRAM).expect("a sandbox takes files");
    let listen = "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }]";
    let command = format!("command = [\"python3\", {:?}]", script.display().to_string());
    describe(sandbox, &format!("{listen}\nready = {{ http = \"/\" }}\n{command}\n"));
    let up = ensure(sandbox).run().expect(0).json();
    up["endpoints"][0]["tcp"].as_str().expect("an address").parse().expect("an address")
}

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("nobody is refused");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    let request = format!("GET {path} HTTP/1.1\r\nHost: w\r\nCookie: secret=1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("room");
    stream
}

fn answer(stream: TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines();
    lines.by_ref().map_while(Result::ok).last().unwrap_or_default()
}

/// A process of another user. The sandbox does not find it at its end: it ends with this value, also where a test
/// fails.
struct Stranger(Option<Running>);

impl Drop for Stranger {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.signal(Signal::Kill);
            let _ended = running.wait();
        }
    }
}

/// A stranger who listens on the port, and what he tells.
fn stranger(sandbox: &Sandbox, port: &str) -> (Stranger, BufReader<TcpStream>) {
    let uid = NOBODY.to_string();
    let setpriv = tool("setpriv").expect("looked for before");
    let python = tool("python3").expect("looked for before").display().to_string();
    let words = ["--reuid", &uid, "--regid", &uid, "--clear-groups", &python, "-c", STRANGER, port];
    listening(sandbox, &setpriv, &words)
}

/// A stranger who listens, by this command, and what he tells at the port that is its last word.
fn listening(sandbox: &Sandbox, program: &Path, words: &[&str]) -> (Stranger, BufReader<TcpStream>) {
    let told = TcpListener::bind("127.0.0.1:0").expect("a port");
    let tell = told.local_addr().expect("an address").port().to_string();
    let words = words.iter().copied().chain([tell.as_str()]);
    let running = Stranger(Some(sandbox.command(program, words).cwd(Path::new("/")).start()));
    let mut comes = [Interest::new(told.as_fd(), Readiness::Read)];
    let came = poll::wait(&mut comes, Some(PATIENCE)).expect("a listener can be waited for");
    assert_eq!(came, 1, "he tells that he listens");
    let (stream, _) = told.accept().expect("he is there");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(line, "listens\n");
    (running, lines)
}

/// Waits until an event says that clients wait.
fn clients_wait(sandbox: &Sandbox) -> String {
    let scope = Dir::open_private(&sandbox.scope("w")).expect("ours");
    let watch = Watch::of(&scope).expect("it can be watched");
    loop {
        watch.drain();
        let text = fs::read_to_string(sandbox.scope("w").join("events.jsonl")).expect("events");
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str::<tenure_core::store::event::Event>(line).ok());
        let mut found = events.filter(|event| event.what == What::Unhealthy).map(|event| event.why);
        // That its first port was taken before it came to it, and it got another one, is another matter.
        if let Some(why) = found.find(|why| !why.contains("it gets another one")) {
            return why;
        }
        let mut change = [Interest::new(watch.as_fd(), Readiness::Read)];
        assert!(poll::wait(&mut change, Some(PATIENCE)).expect("waits") > 0, "an event tells it");
    }
}

#[test]
fn a_port_that_another_user_took_behind_the_proxy_gets_no_byte() {
    if !is_root() || tool("setpriv").is_none() || tool("python3").is_none() {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let public = proxied(&sandbox);
    assert_eq!(answer(ask(public, "/")), "ours");
    let port = fs::read_to_string(sandbox.work().join("port")).expect("the program says it");
    assert_eq!(answer(ask(public, "/leave")), "ours");
    let (stranger, told) = stranger(&sandbox, &port);
    gets_nothing(&sandbox, public, stranger, told);
}

/// Clients of a worker whose program has gone from its place wait, and the stranger who has it now gets no byte.
fn gets_nothing(sandbox: &Sandbox, public: SocketAddr, stranger: Stranger, mut told: BufReader<TcpStream>) {
    let clients: Vec<TcpStream> = (0..20).map(|_| ask(public, "/private")).collect();
    let why = clients_wait(sandbox);
    assert!(why.contains("which is not of the program"), "{why}");
    let degraded = status(sandbox);
    assert!(degraded.stdout.contains("clients wait"), "{}", degraded.stdout);
    drop(stranger);
    let mut line = String::new();
    while told.read_line(&mut line).expect("readable") > 0 {
        assert_eq!(line, "0\n", "no byte of a client went to the other user");
        line.clear();
    }
    drop(clients);
    stop(sandbox).expect(0);
}

#[test]
fn a_path_that_another_user_took_behind_the_proxy_gets_no_byte() {
    let Some(python) = tool("python3").filter(|_| is_root()) else { return };
    let sandbox = BINARIES.sandbox(&[]);
    let script = sandbox.work().join("program.py");
    fs::write(&script, program_at_a_path()).expect("a sandbox takes files");
    let listen =
        "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env-path:SOCKET\" }]";
    let command = format!("command = [\"python3\", {:?}]", script.display().to_string());
    describe(&sandbox, &format!("{listen}\nready = {{ http = \"/\" }}\n{command}\n"));
    let up = ensure(&sandbox).run().expect(0).json();
    let public = up["endpoints"][0]["tcp"].as_str().expect("an address").parse().expect("an address");
    assert_eq!(answer(ask(public, "/")), "ours");
    let path = fs::read_to_string(sandbox.work().join("path")).expect("the program says it");
    assert_eq!(answer(ask(public, "/leave")), "ours");
    let words = ["-c", &stranger_at_a_path(), &path];
    let (stranger, told) = listening(&sandbox, &python, &words);
    gets_nothing(&sandbox, public, stranger, told);
}

#[test]
fn a_program_that_gives_up_its_rights_is_still_reached_through_the_proxy() {
    if !is_root() || tool("python3").is_none() {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let script = PROGRAM.replace("while True:", "os.setuid(65534)\nwhile True:");
    let public = {
        let path = sandbox.work().join("rights.py");
        fs::write(&path, script).expect("a sandbox takes files");
        let listen =
            "listen = [{ name = \"http\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }]";
        let command = format!("command = [\"python3\", {:?}]", path.display().to_string());
        describe(&sandbox, &format!("{listen}\nready = {{ http = \"/\" }}\n{command}\n"));
        let up = ensure(&sandbox).run().expect(0).json();
        up["endpoints"][0]["tcp"].as_str().expect("an address").parse().expect("an address")
    };
    assert_eq!(answer(ask(public, "/")), "ours");
    stop(&sandbox).expect(0);
}

fn open_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("ours");
    for entry in path.is_dir().then(|| fs::read_dir(path).expect("a list")).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if !path.is_symlink() {
            open_all(&path);
        }
    }
}

/// A scope that ran once and was then open to everybody, with a record that names another command.
fn tampered() -> (Sandbox, u64) {
    let sandbox = BINARIES.sandbox(&[]);
    let generation = ensure(&sandbox).run().expect(0).json()["generation"].as_u64().expect("a number");
    stop(&sandbox).expect(0);
    let record = sandbox.scope("w").join("desired.json");
    let text = fs::read_to_string(&record).expect("ours");
    let foreign = text.replace("1.0.0", "9.9.9").replace(BINARIES.program, "/bin/false");
    open_all(&sandbox.scope("w"));
    fs::write(&record, foreign).expect("everybody may");
    (sandbox, generation)
}

#[test]
fn records_that_others_could_change_are_not_believed_after_the_directory_is_closed_by_hand() {
    let (sandbox, _) = tampered();
    let refused = || {
        let refused = ensure(&sandbox).run();
        assert_eq!(refused.json()["error"]["kind"], "record-unusable", "{}", refused.stdout);
        assert!(complaint(&refused).contains("doctor --fix"), "{}", refused.stdout);
        assert!(sandbox.processes().is_empty(), "nothing was started");
    };
    fs::set_permissions(sandbox.scope("w"), fs::Permissions::from_mode(0o700)).expect("ours");
    refused();
    // The files are closed as well: what is left is a right that nothing here gives to a file.
    for entry in fs::read_dir(sandbox.scope("w")).expect("a list") {
        let path = entry.expect("an entry").path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("ours");
    }
    refused();
    drop(sandbox.tenure(["doctor", "w", "--fix"]).run());
    assert_eq!(ensure(&sandbox).run().expect(0).json()["version"], "0.0.0");
    stop(&sandbox).expect(0);
}

#[test]
fn repair_makes_no_tampered_record_trusted_and_the_generation_goes_on() {
    let (sandbox, generation) = tampered();
    let fixed = sandbox.tenure(["doctor", "w", "--fix", "--json"]).run();
    assert!(fixed.stdout.contains("desired.json.void-"), "{}{}", fixed.stdout, fixed.stderr);
    let next = ensure(&sandbox).run().expect(0).json();
    assert!(next["generation"].as_u64().expect("a number") > generation + 1000, "{next}");
    assert!(next["version"] != "9.9.9", "{next}");
    stop(&sandbox).expect(0);
}

#[test]
fn repair_beside_a_worker_that_lives_voids_its_records_once_it_has_ended() {
    let sandbox = BINARIES.sandbox(&[]);
    let pid = worker::started(&sandbox);
    open_all(&sandbox.scope("w"));
    let fixed = sandbox.tenure(["doctor", "w", "--fix", "--json"]).run();
    assert!(fixed.stdout.contains("counts no more"), "{}{}", fixed.stdout, fixed.stderr);
    assert_eq!(status(&sandbox).expect(0).json()["pid"], pid, "it serves on");
    stop(&sandbox).expect(0);
    let refused = ensure(&sandbox).run();
    assert_eq!(refused.json()["error"]["kind"], "record-unusable", "{}", refused.stdout);
    drop(sandbox.tenure(["doctor", "w", "--fix"]).run());
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_file_of_another_user_in_the_state_directory_is_not_opened() {
    if !is_root() {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    for name in ["desired.json", "ledger.json", "gate", "instance"] {
        let path = sandbox.scope("w").join(name);
        system::give_away(&path, NOBODY);
        let refused = ensure(&sandbox).run();
        assert_ne!(refused.code(), 0, "{name}: {}", refused.stdout);
        assert!(sandbox.processes().is_empty(), "{name}: nothing was started");
        system::give_away(&path, 0);
    }
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_record_that_another_user_put_in_the_place_of_ours_is_moved_aside_by_repair() {
    if !is_root() {
        return;
    }
    for is_open in [true, false] {
        let sandbox = BINARIES.sandbox(&[]);
        ensure(&sandbox).run().expect(0);
        stop(&sandbox).expect(0);
        if is_open {
            open_all(&sandbox.scope("w"));
        }
        system::give_away(&sandbox.scope("w").join("desired.json"), NOBODY);
        let refused = ensure(&sandbox).run();
        assert!(complaint(&refused).contains("doctor --fix"), "{}", refused.stdout);
        let fixed = sandbox.tenure(["doctor", "w", "--fix", "--json"]).run();
        ensure(&sandbox).run().expect(0);
        let aside = fs::read_dir(sandbox.scope("w")).expect("a list").flatten();
        let aside = aside.filter(|one| one.file_name().to_string_lossy().starts_with("desired.json.void-"));
        assert_eq!(aside.count(), 1, "nothing is lost: {}", fixed.stdout);
        stop(&sandbox).expect(0);
    }
}

#[test]
fn repair_gives_up_no_record_whose_program_still_runs() {
    let sandbox = BINARIES.sandbox(&[]);
    ensure(&sandbox).run().expect(0);
    stop(&sandbox).expect(0);
    let identity = fs::read_to_string(sandbox.scope("w").join("identity.json")).expect("ours");
    let identity: serde_json::Value = serde_json::from_str(&identity).expect("a record");
    let cookie = program_cookie(&format!("w:{}", identity["id"].as_str().expect("an id")), 1);
    let left = sandbox.command(Path::new("/bin/sleep"), ["1000"]).env(COOKIE_VARIABLE, &cookie).start();
    open_all(&sandbox.scope("w"));
    let fix = || sandbox.tenure(["doctor", "w", "--fix", "--json"]).run();
    let fixture = fix();
    let told = format!("pid {} (/bin/sleep 1000) carries its cookie", left.child().handle().pid());
    assert!(fixture.stdout.contains(&told), "{}", fixture.stdout);
    assert!(left.child().handle().has_ended(), "it was found, and ended as what is left: {}", fixture.stdout);
    drop(left.wait());
    fix();
    ensure(&sandbox).run().expect(0);
    let doctor = sandbox.tenure(["doctor", "w", "--json"]).run();
    assert!(!doctor.stdout.contains("directory-from-before"), "{}", doctor.stdout);
    stop(&sandbox).expect(0);
}

#[test]
fn a_file_of_another_user_above_ones_own_directory_stops_nobody_and_starts_nothing() {
    if !is_root() {
        return;
    }
    let sandbox = BINARIES.sandbox(&[]);
    let here = sandbox.work().join("mine");
    fs::create_dir(&here).expect("ours");
    let above = sandbox.work().join("tenure.toml");
    for text in ["this is [ no description", "[worker.theirs]\ncommand = [\"/bin/false\"]\n"] {
        fs::write(&above, text).expect("ours");
        system::give_away(&above, NOBODY);
        assert_eq!(ensure(&sandbox).cwd(&here).run().expect(0).json()["version"], "0.0.0");
        let refused = sandbox.tenure(["ensure", "theirs", "--json"]).cwd(&here).run();
        assert_ne!(refused.code(), 0, "{}", refused.stdout);
        assert!(complaint(&refused).contains("belongs to uid 65534"), "{}", refused.stdout);
        assert_ne!(sandbox.tenure(["trust", "--json"]).cwd(&here).run().code(), 0, "nor can it be trusted");
    }
    stop(&sandbox).expect(0);
}

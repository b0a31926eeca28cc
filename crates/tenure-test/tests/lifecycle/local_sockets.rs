//! Workers that serve at paths: who binds them, who waits, and what is in the way.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tenure_sys::process::Signal;
use tenure_sys::socket::connect_path;
use tenure_sys::user;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::fixtures::system::{NOBODY, as_user, give_away_if_root, is_root, tool};
use tenure_test::fixtures::worker::{describe, ensure, started, status, stop};

use crate::BINARIES;

/// Answers every request with its own process id and the variable of its listener. Asked to end, it takes no further
/// client, and leaves its socket behind as a program that was killed does.
const PROGRAM: &str = r#"
import os, select, signal, socket
if os.environ.get("LISTEN_FDS"):
    server = socket.socket(fileno=3)
else:
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.environ.get("SOCKET") or "run/private.sock")
    server.listen(512)
wake, woken = os.pipe()
signal.signal(signal.SIGTERM, lambda *_: os.write(woken, b"x"))
while True:
    ready, _, _ = select.select([server, wake], [], [])
    if wake in ready:
        break
    client, _ = server.accept()
    if client.recv(65536):
        text = b"%d %s" % (os.getpid(), os.environ["TENURE_LISTEN_HTTP"].encode())
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(text), text))
    client.close()
"#;

/// Describes the worker with this listener.
fn described(sandbox: &Sandbox, listen: &str) {
    let script = sandbox.work().join("program.py");
    fs::write(&script, PROGRAM).expect("a sandbox takes files");
    fs::create_dir_all(sandbox.work().join("run")).expect("a sandbox takes directories");
    let command = format!("command = [\"python3\", {:?}]", script.display().to_string());
    describe(
        sandbox,
        &format!("listen = [{{ name = \"http\", {listen} }}]\nready = {{ http = \"/\" }}\n{command}\n"),
    );
}

/// The path at which the worker says that it serves.
fn path(sandbox: &Sandbox) -> PathBuf {
    ensure(sandbox).run().expect(0).json()["endpoints"][0]["unix"].as_str().expect("a path").into()
}

/// What the program at the path answers.
fn answer(path: &Path) -> String {
    let mut stream = connect_path(path, PATIENCE).expect("nobody is refused");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n").expect("room");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an end");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{text}");
    body.to_owned()
}

/// The sockets below a directory that are no control sockets.
fn sockets(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut found = Vec::new();
    for entry in entries {
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(sockets(&entry.path()));
        } else if kind.is_socket() && entry.file_name() != "control.sock" {
            found.push(entry.path());
        }
    }
    found
}

const INHERITED: &str = "unix = \"run/app.sock\"";

/// Every way in which a path can be at the front, at the back, or both.
const WAYS: [&str; 5] = [
    INHERITED,
    "unix = \"\"",
    "unix = \"run/app.sock\", mode = \"proxy\", to = \"env-path:SOCKET\"",
    "unix = \"\", mode = \"proxy\", to = \"unix:run/private.sock\"",
    "unix = \"run/private.sock\", mode = \"self\"",
];

#[test]
fn each_way_to_serve_at_a_path_serves_and_leaves_nothing() {
    for way in WAYS {
        let sandbox = Sandbox::new(BINARIES.tenure);
        described(&sandbox, way);
        let path = path(&sandbox);
        let mode = fs::metadata(&path).expect("a socket").permissions().mode() & 0o777;
        assert!(mode == 0o600 || way.contains("self"), "{way}: {mode:o}");
        assert!(answer(&path).ends_with(&path.display().to_string()), "{way}");
        assert_eq!(status(&sandbox).json()["endpoints"][0]["unix"], path.display().to_string());
        let text = sandbox.tenure(["list"]).run().expect(0).stdout;
        assert!(text.contains(&path.display().to_string()), "{text}");
        let findings = sandbox.tenure(["doctor", "w"]).run().stdout;
        assert!(!findings.contains("[port-"), "{way}: {findings}");

        // A restart leads to the next program, and so does the path.
        let before = answer(&path);
        sandbox.tenure(["restart", "w"]).run().expect(0);
        assert_ne!(answer(&path), before, "{way}");
        stop(&sandbox).expect(0);
        assert_eq!(sockets(&sandbox.work()), [] as [PathBuf; 0], "{way}");
        assert_eq!(sockets(&sandbox.scope("w")), [] as [PathBuf; 0], "{way}");
    }
}

#[test]
fn nobody_is_refused_at_a_path_while_the_worker_is_replaced() {
    for way in [INHERITED, "unix = \"\", mode = \"proxy\", to = \"env-path:SOCKET\""] {
        let sandbox = Sandbox::new(BINARIES.tenure);
        described(&sandbox, way);
        let path = path(&sandbox);
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("a socket"));
        let before = inode(&path);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clients = [(); 4].map(|()| {
                scope.spawn(|| {
                    let mut programs = Vec::new();
                    while !over.load(Ordering::Acquire) {
                        programs.push(answer(&path));
                        programs.dedup();
                    }
                    programs.len()
                })
            });
            for _ in 0..2 {
                sandbox.tenure(["restart", "w"]).run().expect(0);
            }
            over.store(true, Ordering::Release);
            for client in clients {
                assert!(client.join().expect("nobody is refused") >= 2, "{way}: more than one program");
            }
        });
        assert_eq!(inode(&path), before, "the socket is handed over");
        stop(&sandbox).expect(0);
    }
}

/// The mode belongs to the socket, which outlives programs and proxies.
#[test]
fn a_program_gets_a_listener_whose_accepts_wait_whoever_had_it_before() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let modes = sandbox.work().join("modes");
    let script = PROGRAM.replace(
        "wake, woken",
        "open(\"modes\", \"a\").write(\"%s\\n\" % os.get_blocking(server.fileno()))\nserver.setblocking(False)\nwake, woken",
    );
    let proxied = "unix = \"run/app.sock\", mode = \"proxy\", to = \"env-path:SOCKET\"";
    let mut path = None;
    for way in [proxied, INHERITED, proxied, INHERITED] {
        described(&sandbox, way);
        fs::write(sandbox.work().join("program.py"), &script).expect("a sandbox takes files");
        match &path {
            None => path = Some(self::path(&sandbox)),
            Some(_) => drop(sandbox.tenure(["restart", "w"]).run().expect(0)),
        }
        answer(path.as_ref().expect("it serves"));
    }
    sandbox.tenure(["restart", "w"]).run().expect(0);
    answer(path.as_ref().expect("it serves"));
    assert_eq!(fs::read_to_string(modes).expect("each program writes"), "True\n".repeat(5));
    stop(&sandbox).expect(0);
}

#[test]
fn what_a_killed_worker_left_at_a_path_is_replaced() {
    let long = format!("unix = \"run/{}.sock\"", "n".repeat(80));
    for way in WAYS.into_iter().chain([long.as_str()]) {
        let sandbox = Sandbox::new(BINARIES.tenure);
        described(&sandbox, way);
        let path = path(&sandbox);
        let host = started(&sandbox);
        tenure_sys::process::ProcessHandle::open(host).expect("it lives").signal(Signal::Kill).expect("ours");
        assert_eq!(self::path(&sandbox), path);
        assert!(answer(&path).ends_with(&path.display().to_string()), "{way}");
        let front = usize::from(path.starts_with(sandbox.scope("w")));
        let told = usize::from(way.contains("env-path"));
        assert_eq!(sockets(&sandbox.scope("w")).len(), front + told, "{way}: none of the one before");
        stop(&sandbox).expect(0);
        assert_eq!(sockets(&sandbox.work()), [] as [PathBuf; 0], "{way}");
        assert_eq!(sockets(&sandbox.scope("w")), [] as [PathBuf; 0], "{way}");
    }
}

#[test]
fn what_is_not_the_workers_is_named_and_stays() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    for way in [INHERITED, "unix = \"run/app.sock\", mode = \"self\""] {
        described(&sandbox, way);
        let path = sandbox.work().join("run/app.sock");
        // A restart tries at once, also after a failed start.
        let refused = || complaint(&sandbox.tenure(["restart", "w", "--json"]).run());

        fs::write(&path, "a file").expect("room");
        assert!(refused().contains("a regular file of uid"), "{}", refused());
        assert_eq!(fs::read_to_string(&path).expect("it stays"), "a file");
        fs::remove_file(&path).expect("ours");

        let listener = UnixListener::bind(&path).expect("free");
        assert!(refused().contains(&format!("pid {}", std::process::id())), "{}", refused());
        drop(listener);
        assert!(refused().contains("a socket on which nobody listens"), "{}", refused());
        assert!(fs::symlink_metadata(&path).expect("it stays").file_type().is_socket());
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
            assert!(refused().contains(&format!("a socket of uid {NOBODY}")), "{}", refused());
        }
        fs::remove_file(&path).expect("ours");

        let directory = sandbox.work().join("run");
        fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).expect("ours");
        assert!(refused().contains("chmod go-w"), "{}", refused());
        fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).expect("ours");
    }
}

#[test]
fn a_successor_takes_no_path_at_which_a_stranger_left_a_socket() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    described(&sandbox, INHERITED);
    let served = path(&sandbox);
    let other = sandbox.work().join("run/other.sock");
    drop(UnixListener::bind(&other).expect("free"));
    for way in ["unix = \"run/other.sock\", mode = \"self\"", "unix = \"run/other.sock\""] {
        described(&sandbox, way);
        // The second one finds no record of the first.
        for _ in 0..2 {
            let refused = complaint(&sandbox.tenure(["restart", "w", "--json"]).run());
            assert!(refused.contains("a socket on which nobody listens"), "{way}: {refused}");
        }
        assert!(fs::symlink_metadata(&other).expect("it stays").file_type().is_socket(), "{way}");
        answer(&served);
    }
    fs::remove_file(&other).expect("ours");
    sandbox.tenure(["restart", "w"]).run().expect(0);
    answer(&other);
    stop(&sandbox).expect(0);
}

#[test]
fn a_path_that_was_removed_is_a_finding_and_a_restart_makes_it_again() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    described(&sandbox, INHERITED);
    let path = path(&sandbox);
    fs::remove_file(&path).expect("ours");
    let findings = sandbox.tenure(["doctor", "w"]).run().stdout;
    assert!(findings.contains("[port-silent]") && findings.contains("tenure restart w"), "{findings}");
    sandbox.tenure(["restart", "w"]).run().expect(0);
    answer(&path);
    stop(&sandbox).expect(0);
}

/// As on a full disk: nothing is bound, and nothing counts against the version.
#[test]
fn a_list_of_sockets_that_cannot_be_written_is_a_fault_of_the_state_directory() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    described(&sandbox, INHERITED);
    let path = path(&sandbox);
    stop(&sandbox).expect(0);
    let list = sandbox.scope("w").join("sockets.json");
    fs::remove_file(&list).expect("it was written");
    fs::create_dir(&list).expect("free");
    let refused = ensure(&sandbox).run().expect(4);
    assert_eq!(refused.state(), "state-unusable", "{}", refused.stdout);
    assert!(complaint(&refused).contains("sockets.json"), "{}", refused.stdout);
    fs::remove_dir(&list).expect("it is empty");
    assert_eq!(self::path(&sandbox), path);
    stop(&sandbox).expect(0);
}

#[test]
fn a_directory_that_is_missing_is_named_with_what_makes_it() {
    let sandbox = BINARIES.sandbox(&[]);
    described(&sandbox, "unix = \"run/app.sock\"");
    let directory = sandbox.work().join("run");
    fs::remove_dir(&directory).expect("it is empty");
    let refused = ensure(&sandbox).run().expect(1);
    let remedy = format!("mkdir -p {}", directory.display());
    assert!(complaint(&refused).contains(&format!("`{remedy}` makes it")), "{}", refused.stdout);
    tenure_test::fixtures::system::shell(&sandbox, &remedy).run().expect(0);
    sandbox.tenure(["restart", "w", "--json"]).run().expect(0);
    stop(&sandbox).expect(0);
}

#[test]
fn a_path_longer_than_the_kernel_takes_is_served() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let long = format!("{}/app.sock", "x".repeat(110));
    fs::create_dir(sandbox.work().join("x".repeat(110))).expect("a sandbox takes directories");
    described(&sandbox, &format!("unix = {long:?}"));
    let path = path(&sandbox);
    assert!(path.as_os_str().len() > 107);
    answer(&path);
    stop(&sandbox).expect(0);
    described(&sandbox, &format!("unix = {long:?}, mode = \"self\""));
    let told = complaint(&ensure(&sandbox).run());
    assert!(told.contains("107 bytes at most"), "{told}");
}

/// Listens in a child, which hands the socket on from process to process: what a daemon does once or twice at its start.
/// The last one accepts.
const HANDED_ON: &str = r#"
import os, signal, socket
if os.fork():
    signal.pause()
server = socket.socket(socket.AF_UNIX)
server.bind("run/app.sock")
server.listen(512)
for _ in range(500):
    if os.fork():
        os._exit(0)
while True:
    client, _ = server.accept()
    try:
        client.sendall(b"x")
    except OSError:
        pass  # A check, which has gone.
    client.close()
"#;

#[test]
fn a_socket_that_goes_from_process_to_process_of_the_program_is_no_strangers() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let script = sandbox.work().join("program.py");
    fs::write(&script, HANDED_ON).expect("a sandbox takes files");
    fs::create_dir(sandbox.work().join("run")).expect("a sandbox takes directories");
    let command = format!("command = [\"python3\", {:?}]", script.display().to_string());
    let listen = "listen = [{ name = \"http\", unix = \"run/app.sock\", mode = \"self\" }]";
    describe(&sandbox, &format!("{listen}\nready = \"tcp\"\n{command}\n"));
    ensure(&sandbox).run().expect(0);
    let mut client = connect_path(&sandbox.work().join("run/app.sock"), PATIENCE).expect("it listens");
    client.read_exact(&mut [0]).expect("the last process answers");
    stop(&sandbox).expect(0);
}

/// Listens, and keeps the kernel from showing its open files to others of its user, as ssh-agent does.
const HIDDEN: &str = r#"
import ctypes, signal, socket
PR_SET_DUMPABLE = 4
ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
server = socket.socket(socket.AF_UNIX)
server.bind("run/app.sock")
server.listen(512)
signal.pause()
"#;

#[test]
fn a_program_that_hides_its_files_is_known_by_its_user() {
    let Some(python) = tool("python3") else { return };
    let mut sandbox = Sandbox::new(BINARIES.tenure);
    sandbox.bring_executable();
    let script = sandbox.work().join("program.py");
    fs::write(&script, HIDDEN).expect("a sandbox takes files");
    fs::create_dir(sandbox.work().join("run")).expect("a sandbox takes directories");
    let command = format!("command = [{python:?}, {:?}]", script.display().to_string());
    let listen = "listen = [{ name = \"http\", unix = \"run/app.sock\", mode = \"self\" }]";
    describe(&sandbox, &format!("{listen}\nready = \"tcp\"\n{command}\n"));
    // Root sees everything, so another user types.
    give_away_if_root(&sandbox);
    for words in [["ensure", "w"], ["restart", "w"], ["stop", "w"]] {
        let call = if user::effective_uid() == 0 {
            as_user(&sandbox, NOBODY, &words)
        } else {
            Some(sandbox.tenure(words))
        };
        let Some(call) = call else { return };
        call.run().expect(0);
    }
}

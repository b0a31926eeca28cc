//! A preflight gets what the program would get, and none of the clients of the worker that serves.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tenure_test::fixtures::versions::{Fixture, Offer};
use tenure_test::fixtures::{ask, processes};

use crate::BINARIES;

/// Writes down what it got. Before it looks at its listeners, it is a client of the address that it was told.
const LOOK: &str = r#"
import json, os, resource, socket, sys
told = dict(entry.split("=", 1) for entry in open("told").read().split("\0") if entry)
client = socket.socket(socket.AF_UNIX if told["TENURE_LISTEN_HTTP"].startswith("/") else socket.AF_INET)
if client.family == socket.AF_INET:
    host, port = told["TENURE_LISTEN_HTTP"].split(":")
    client.connect((host, int(port)))
    client.sendall(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
    answer = client.recv(65536).decode().split("\r\n\r\n", 1)[-1]
else:
    client.connect(told["TENURE_LISTEN_HTTP"])
    answer = ""
given = []
for number in range(3, 3 + int(told.get("LISTEN_FDS", "0"))):
    one = socket.socket(fileno=number)
    one.setblocking(False)
    try:
        one.accept()
        client_came = True
    except BlockingIOError:
        client_came = False
    listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    given.append({"family": one.family.name, "listens": listens, "client": client_came})
seen = {
    "pid": os.getpid(), "told": told, "answer": answer, "given": given, "cwd": os.getcwd(),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0], "umask": os.umask(0),
}
json.dump(seen, open(sys.argv[1], "w"))
"#;

/// The offer with that preflight.
fn looking<'fixture>(fixture: &'fixture Fixture, offer: Offer<'fixture>) -> Offer<'fixture> {
    let script = fixture.sandbox.work().join("look.py");
    fs::write(&script, LOOK).expect("a sandbox takes files");
    // What is called `python3` may be a script that changes the environment.
    let look =
        format!("cat /proc/$$/environ > told; exec python3 {} {}", script.display(), seen_file(fixture));
    let words = ["sh", "-c", &look];
    offer.line(&format!("preflight = {words:?}")).line("bake = \"0s\"")
}

fn seen_file(fixture: &Fixture) -> String {
    fixture.sandbox.work().join("seen.json").display().to_string()
}

fn seen(fixture: &Fixture) -> Value {
    let text = fs::read_to_string(seen_file(fixture)).expect("the preflight wrote it");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn it_gets_what_the_program_gets_and_the_clients_stay_with_the_worker_that_serves() {
    let fixture = Fixture::new(BINARIES.serving());
    let offer = |version| fixture.offer(version).ready(Some("\"fd\"")).words(&["ready=fd"]);
    offer("1.0.0").write();
    looking(&fixture, offer("2.0.0")).write();
    let first = fixture.ensure().run().expect(0);
    let second = fixture.launcher("ensure", "2.0.0").run().expect(0);
    assert_eq!(second.state(), "replaced");
    let seen = seen(&fixture);
    assert!(seen["answer"].as_str().is_some_and(|told| told.starts_with("version=1.0.0 ")), "{seen}");
    assert_eq!(seen["given"], json!([{ "family": "AF_INET", "listens": 1, "client": false }]));
    assert_eq!(seen["told"]["TENURE_LISTEN_HTTP"], ask::address(&first).to_string());

    let program = format!("/proc/{}", processes::program(&fixture.status()).pid());
    let text = fs::read_to_string(format!("{program}/environ")).expect("ours");
    let mut of_program: BTreeMap<&str, Value> = BTreeMap::new();
    of_program.extend(
        text.split('\0').filter_map(|entry| entry.split_once('=')).map(|(name, value)| (name, value.into())),
    );
    assert!(
        of_program.remove("TENURE_READY_FD").is_some(),
        "how it tells its readiness is for the program alone"
    );
    of_program.insert("LISTEN_PID", seen["pid"].to_string().into());
    assert_eq!(seen["told"], json!(of_program));
    assert_eq!(seen["cwd"], fs::read_link(format!("{program}/cwd")).expect("ours").display().to_string());
    let limits = fs::read_to_string(format!("{program}/limits")).expect("ours");
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
    assert_eq!(seen["files"].to_string(), files.split_whitespace().next().expect("the soft one"));
    let status = fs::read_to_string(format!("{program}/status")).expect("ours");
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("a umask");
    assert_eq!(seen["umask"], u64::from_str_radix(umask.trim(), 8).expect("octal digits"));
    fixture.stop().run().expect(0);
}

#[test]
fn paths_and_proxied_listeners_are_told_too_and_nothing_is_left_of_what_stands_in() {
    let fixture = Fixture::new(BINARIES);
    let listen = "{ name = \"http\", unix = \"\" }, \
        { name = \"web\", tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\" }";
    let offer = fixture.offer("1.0.0").line("command = [\"sleep\", \"1000\"]");
    looking(&fixture, offer.listen(Some(listen)).ready(Some("\"up\""))).write();
    let first = fixture.ensure().run().expect(0);
    let files = fixture.files();
    fixture.restart().run().expect(0);
    let (seen, endpoints) = (seen(&fixture), &first.json()["endpoints"]);
    assert_eq!(seen["given"], json!([{ "family": "AF_UNIX", "listens": 1, "client": false }]));
    assert_eq!(seen["told"]["TENURE_LISTEN_HTTP"], endpoints[0]["unix"]);
    assert_eq!(seen["told"]["TENURE_LISTEN_WEB"], endpoints[1]["tcp"]);
    assert_eq!(seen["told"]["LISTEN_FDNAMES"], "http");
    let port: u16 = seen["told"]["PORT"].as_str().and_then(|port| port.parse().ok()).expect("a port");
    assert_ne!(port, 0);
    let left: Vec<String> = fixture.files().into_iter().filter(|name| name.contains("preflight")).collect();
    assert_eq!(left, Vec::<String>::new(), "before: {files:?}");
    fixture.stop().run().expect(0);
}

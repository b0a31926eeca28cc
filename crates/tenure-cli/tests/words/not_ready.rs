//! Why a program is not ready, with real programs that are not, and remedies that are typed.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::kit::{Said, Sandbox, assert_words, skipped};

/// Answers every GET at `argv[1]` with status `argv[2]`.
const SERVER: &str = "\
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer((sys.argv[1].split(':')[0], 8417), H).serve_forever()
";

/// The same over TLS, with the certificate and key in file `argv[3]`.
const TLS_SERVER: &str = "\
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()
    def log_message(self, *words): pass
server = http.server.HTTPServer((sys.argv[1].split(':')[0], 8417), H)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

/// Answers 200 at `argv[1]` if it is asked as `shop.test` with a token, else 421.
const PICKY_SERVER: &str = "\
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers['Host'] == 'shop.test' and self.headers['X-Tenant'] == 's3cret'
        self.send_response(200 if known else 421)
        self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer((sys.argv[1].split(':')[0], 8417), H).serve_forever()
";

/// A certificate of nobody for `localhost`, with its key.
const CERTIFICATE: &str = include_str!("localhost.pem");

/// Time for an interpreter to start on a machine that is busy with other tests.
const SLOW: &str = "6s";

/// An address of the loopback that no other test has: a free port of 127.0.0.1 could be taken before the program binds
/// it.
fn free_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, high, low, _] = (std::process::id() << 8).to_be_bytes();
    format!("127.{}.{low}.{}:8417", high | 1, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A sandbox, where there is a Python.
fn with_python() -> Option<Sandbox> {
    let sandbox = Sandbox::new();
    if sandbox.foreign("python3", "-c pass", "").is_none() {
        skipped("no `python3` here");
        return None;
    }
    Some(sandbox)
}

fn server(address: &str, status: u16) -> Value {
    json!(["python3", "-c", SERVER, address, status.to_string()])
}

fn listener(address: &str, mode: &str) -> Value {
    json!([{ "name": "http", "tcp": address, "mode": mode }])
}

fn ensure(sandbox: &Sandbox, spec: &Value) -> Said {
    sandbox.call_with("ensure web --spec -", &spec.to_string())
}

/// Types what the error says is to be changed.
fn change(sandbox: &Sandbox, spec: &Value) -> Value {
    let refused = sandbox.call_with("ensure web --json --spec -", &spec.to_string());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let document = refused.document();
    let remedy = document["error"]["not_ready"]["remedy"].as_str().expect("a remedy").to_owned();
    assert!(document["error"]["hint"].as_str().expect("a hint").contains(&remedy), "{document}");
    let mut quoted = remedy.split('`').skip(1).step_by(2);
    let typed = quoted.find(|words| words.contains(" = ")).expect("something to write");
    let typed: Value = toml::from_str(typed).expect("TOML");
    let mut changed = spec.clone();
    for (key, value) in typed.as_object().expect("a table") {
        changed[key] = value.clone();
    }
    changed
}

fn the_remedy_works(sandbox: &Sandbox, spec: &Value) {
    let changed = change(sandbox, spec);
    let up = ensure(sandbox, &changed);
    assert_eq!(up.code, Some(0), "{changed}: {up:?}");
    assert_eq!(sandbox.call("stop web").code, Some(0));
}

#[test]
fn a_status_that_does_not_pass_is_told() {
    let Some(sandbox) = with_python() else { return };
    let address = free_address();
    let spec = json!({
        "command": server(&address, 404), "listen": listener(&address, "self"),
        "ready": { "http": "/readyz" }, "start_timeout": SLOW,
    });
    assert_words!(sandbox, ensure(&sandbox, &spec));
    // A suppressed start says the same, and what to change.
    assert_words!(sandbox, ensure(&sandbox, &spec));
    assert_words!(sandbox, sandbox.call("status web"));
    assert_words!(sandbox, sandbox.call("doctor web"));
    let events = sandbox.call("events web --json").stdout;
    assert!(events.contains(r#""not_ready":{"check":"http""#), "{events}");
}

#[test]
fn an_answer_of_its_own_is_a_document_for_programs() {
    let Some(sandbox) = with_python() else { return };
    let address = free_address();
    let spec = json!({
        "command": server(&address, 401), "listen": listener(&address, "self"),
        "ready": { "http": "/readyz" }, "start_timeout": SLOW,
    });
    let refused = sandbox.call_with("ensure web --json --spec -", &spec.to_string()).document();
    let told = &refused["error"]["not_ready"];
    assert_eq!(told["check"], "http");
    assert_eq!(told["target"], format!("GET http://{address}/readyz"));
    assert_eq!(told["answer"], "was answered with 401");
    assert!(told["for_ms"].is_u64());
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn where_the_program_listens_instead_is_told() {
    let Some(sandbox) = with_python() else { return };
    let spec = json!({
        "command": server(&free_address(), 200), "listen": listener(&free_address(), "self"),
        "ready": { "http": "/" }, "start_timeout": SLOW,
    });
    assert_words!(sandbox, ensure(&sandbox, &spec));
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn a_socket_that_the_program_does_not_take_is_told() {
    let Some(sandbox) = with_python() else { return };
    let inherits = |command: Value| {
        json!({
            "command": command, "listen": listener(&free_address(), "inherit"),
            "ready": { "http": "/" }, "start_timeout": SLOW,
        })
    };
    assert_words!(sandbox, ensure(&sandbox, &inherits(json!(["sleep", "1000"]))));
    // Another program is another app.
    assert_eq!(sandbox.call("forget web --app").code, Some(0));
    the_remedy_works(&sandbox, &inherits(server(&free_address(), 200)));
}

#[test]
fn a_port_that_tenure_holds_is_told() {
    let Some(sandbox) = with_python() else { return };
    let address = free_address();
    let spec = json!({
        "command": server(&address, 200), "listen": listener(&address, "inherit"),
        "ready": { "http": "/" }, "start_timeout": SLOW,
    });
    let refused = ensure(&sandbox, &spec);
    assert!(refused.stderr.contains("in use, most likely 127."), "{refused:?}");
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn tls_where_none_is_asked_for_is_told() {
    let Some(sandbox) = with_python() else { return };
    sandbox.write("project/localhost.pem", CERTIFICATE);
    let address = free_address();
    let spec = json!({
        "command": ["python3", "-c", TLS_SERVER, address, "200", "localhost.pem"],
        "listen": listener(&address, "self"), "ready": { "http": "/" }, "start_timeout": SLOW,
    });
    assert_words!(sandbox, ensure(&sandbox, &spec));
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn plain_text_where_tls_is_asked_for_is_told() {
    let Some(sandbox) = with_python() else { return };
    let address = free_address();
    let spec = json!({
        "command": server(&address, 200), "listen": listener(&address, "self"),
        "ready": { "http": "/", "tls": true }, "start_timeout": SLOW,
    });
    assert_words!(sandbox, ensure(&sandbox, &spec));
}

#[test]
fn a_check_asks_the_listener_that_it_names_with_headers_that_nobody_sees() {
    let Some(sandbox) = with_python() else { return };
    sandbox.write("project/server.py", PICKY_SERVER);
    let address = free_address();
    let check = "{ http = '/', listener = 'admin', status = [200], \
        headers = { Host = 'shop.test', X-Tenant = 's3cret' } }";
    let config = format!(
        "[worker.web]\ncommand = ['python3', 'server.py', '{address}']\n\
        listen = [{{ name = 'http', tcp = '127.0.0.1:0' }}, \
        {{ name = 'admin', tcp = '{address}', mode = 'self' }}]\nready = {check}\nhealth = {check}\n"
    );
    sandbox.write("project/tenure.toml", &config);
    let trusted = sandbox.call("trust");
    let up = sandbox.call("ensure web");
    assert_eq!(up.code, Some(0), "{up:?}");
    let calls =
        ["status web -v", "status web --json", "config show web", "config show web --json", "doctor web"];
    let said = calls.into_iter().map(|line| sandbox.call(line)).chain([trusted, up]);
    for said in said.chain([sandbox.call("events web --json")]) {
        assert!(!said.stdout.contains("s3cret") && !said.stderr.contains("s3cret"), "{said:?}");
    }
    let shown = sandbox.call("config show web");
    assert!(shown.stdout.contains("X-Tenant"), "{shown:?}");
}

#[test]
fn a_program_in_the_background_is_told() {
    let sandbox = Sandbox::new();
    let spec = json!({ "command": ["sh", "-c", "sleep 1000 & exit 0"], "ready": "notify" });
    assert_words!(sandbox, ensure(&sandbox, &spec));
}

#[test]
fn a_program_that_read_the_end_of_its_stdin_is_told() {
    let sandbox = Sandbox::new();
    let spec = json!({ "command": ["cat"] });
    assert_words!(sandbox, ensure(&sandbox, &spec));
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn output_that_stays_in_a_buffer_is_told() {
    let Some(sandbox) = with_python() else { return };
    let program = "import time\nprint('ready')\ntime.sleep(1000)";
    let spec = json!({
        "command": ["python3", "-c", program], "ready": { "log": "^ready$" }, "start_timeout": SLOW,
    });
    assert_words!(sandbox, ensure(&sandbox, &spec));
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn a_pattern_that_no_line_matches_is_told_with_the_last_line() {
    let sandbox = Sandbox::new();
    let spec = json!({
        "command": ["sh", "-c", "printf '\\033[32mup (1.2s)\\033[0m\\r\\n'; exec sleep 1000"],
        "ready": { "log": "listening" }, "start_timeout": "2s",
    });
    assert_words!(sandbox, ensure(&sandbox, &spec));
    the_remedy_works(&sandbox, &spec);
}

#[test]
fn the_last_line_of_a_check_is_told() {
    let sandbox = Sandbox::new();
    let spec = |check: Value| json!({ "command": ["sleep", "1000"], "ready": { "exec": check }, "start_timeout": "1s" });
    assert_words!(sandbox, ensure(&sandbox, &spec(json!(["sh", "-c", "echo no response >&2; exit 2"]))));
    assert_words!(sandbox, ensure(&sandbox, &spec(json!(["no-such-check"]))));
}

#[test]
fn a_program_that_tells_nothing_is_told_while_it_boots_and_after() {
    let sandbox = Sandbox::new();
    let spec = json!({ "command": ["sleep", "1000"], "ready": "notify", "start_timeout": "1m" });
    let warming = sandbox.call_with("ensure web --spec - --timeout 300ms", &spec.to_string());
    assert_eq!(warming.code, Some(124), "{warming:?}");
    let booting = std::iter::repeat_with(|| sandbox.call("status web --json").document());
    let mut told = booting.map(|booting| booting["app"]["not_ready"].clone()).filter(|told| !told.is_null());
    let told = told.next().expect("it is asked at some time");
    assert_eq!((&told["check"], &told["answer"]), (&json!("notify"), &json!("did not arrive")));
    let status = sandbox.call("status web");
    assert!(status.stdout.contains("READY=1 on NOTIFY_SOCKET did not arrive (for "), "{status:?}");
    let doctor = sandbox.call("doctor web");
    assert!(doctor.stdout.contains("READY=1 on NOTIFY_SOCKET did not arrive"), "{doctor:?}");
    assert_eq!(sandbox.call("stop web").code, Some(0));
}

#[test]
fn what_a_degraded_program_answers_is_shown_and_no_failure() {
    let Some(sandbox) = with_python() else { return };
    let address = free_address();
    let spec = json!({
        "command": server(&address, 503), "listen": listener(&address, "self"),
        "health": { "http": "/", "degraded": [503], "interval": "20ms", "failures": 1 },
    });
    assert_eq!(ensure(&sandbox, &spec).code, Some(0));
    let states = std::iter::repeat_with(|| sandbox.call("status web --json").document());
    let mut states = states.skip_while(|status| status["app"]["state"] == "ready");
    let degraded = states.next().expect("it is asked at some time");
    assert_eq!((&degraded["state"], &degraded["app"]["state"]), (&json!("up"), &json!("degraded")));
    assert_words!(
        sandbox,
        sandbox.call("status web"),
        [crate::kit::filters(), vec![(r"(command|in|program|started by) .*", "$1 [of this run]")],].concat()
    );
    assert_eq!(degraded["program"]["starts"], 1);
}

#[test]
fn the_pipe_of_the_output_is_as_large_as_the_user_may_have_it() {
    use std::os::fd::AsFd;

    let Some(sandbox) = with_python() else { return };
    let (_read, write) = tenure_sys::pipe::pipe().expect("a pipe");
    let size = tenure_sys::pipe::enlarge(write.as_fd(), 1024 * 1024);
    if size.is_err() {
        return skipped("this user may not have a larger pipe");
    }
    // F_GETPIPE_SZ of linux/fcntl.h.
    let program = "import fcntl, sys\nprint(fcntl.fcntl(2, 1032))\nsys.exit(3)";
    let refused = ensure(&sandbox, &json!({ "command": ["python3", "-c", program], "ready": "notify" }));
    assert!(refused.stderr.contains("\n    1048576\n"), "{refused:?}");
}

#[test]
fn a_line_of_any_length_does_not_hide_the_error_after_it() {
    let sandbox = Sandbox::new();
    let script = "head -c 96000 /dev/zero | tr '\\0' x; echo; echo no such table; exit 3";
    let refused = ensure(&sandbox, &json!({ "command": ["sh", "-c", script], "ready": "notify" }));
    assert!(refused.stderr.contains("\n    no such table\n"), "{refused:?}");
    assert!(refused.stderr.len() < 4096, "{}", refused.stderr.len());
}

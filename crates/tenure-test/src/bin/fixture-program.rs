//! A program for tests to keep: serves on descriptor 3, reports to an oracle, misbehaves on demand.
//!
//! `fixture-program ORACLE VERSION [WORD…]`; words: `exit=N` (before serving), `hang` (never serve), `escapee` (leave a
//! process in a session of its own), `deaf` (ignore SIGTERM), `once=FILE:N` (exit with N as long as FILE exists),
//! `meet=PATH` (wait at PATH before serving), `say=TEXT` (print a line first), `notify` (READY=1 on `NOTIFY_SOCKET`, after
//! the version of `claims=VERSION`, or the one in the file of `claims-from=FILE`, where such a word is given),
//! `flood=N` (print N bytes in lines), `nested=TENURE` (call `TENURE ensure w` and log how that ended), `sick=FILE` (answer
//! 503 below `/health` while FILE exists), `heal=FILE` (remove FILE first), `shed` (become itself without environment and
//! without descriptors, as below `sudo`; only where it listens nowhere), `untitled` (blank its environment in memory, as a
//! program that shows a title of its own), `drain=PATH` (log the signal that asks it to end, and end once it has met at
//! PATH), `beside` (another one may run at the same time), `bind=ADDRESS` (listen there itself, or on the port of `PORT` for
//! `bind=env`), `orphan` (leave a process with no environment that keeps the inherited lock). `GET /done` ends it with 0.
//! `fixture-program check FILE PATH` fails, after a meeting at PATH, while FILE exists.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use tenure_sys::poll::{self, Interest, Readiness};
use tenure_sys::signals::SignalFd;
use tenure_sys::spawn::{self, Launch};
use tenure_test::fixtures::oracle::Oracle;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, oracle, version, words @ ..] = args.as_slice() else { return ExitCode::from(2) };
    if oracle == "check" {
        return check(version, words);
    }
    let oracle = Oracle::at(Path::new(oracle));
    // Two may run beside each other where the spec says `overlap`; a third one is double.
    let beside = words.iter().any(|word| word == "beside");
    let hold = |name: &str| {
        let second = format!("{name}-beside");
        let names = [name, second.as_str()];
        oracle.hold_one_of(if beside { &names } else { &names[..1] })
    };
    for (word, name) in [("parked", "escapee"), ("parked-orphan", "orphan")] {
        if words.iter().any(|given| given == word) {
            let _lock = hold(name);
            return park();
        }
    }
    if words.iter().any(|word| word == "shed") {
        return shed(&args);
    }
    let _lock = hold("program");
    oracle.log("start", &format!("{version} {}", generation()));
    if let Some(code) = misbehave(words, &oracle, &args) {
        return ExitCode::from(code);
    }
    oracle.log("serve", &format!("{version} {}", generation()));
    serve(version, &Sick::of(words), words)
}

/// A check that fails, after the test has met it, while the file exists.
fn check(file: &str, words: &[String]) -> ExitCode {
    if !Path::new(file).exists() {
        return ExitCode::SUCCESS;
    }
    for path in words {
        meet(path);
    }
    ExitCode::FAILURE
}

/// When a program answers that it is not well.
struct Sick {
    file: Option<String>,
}

impl Sick {
    fn of(words: &[String]) -> Self {
        let file = words.iter().find_map(|word| word.strip_prefix("sick="));
        Self { file: file.map(str::to_owned) }
    }

    fn now(&self) -> bool {
        self.file.as_ref().is_some_and(|file| Path::new(file).exists())
    }
}

/// Every word in turn; the exit code, if one of them ends the program.
fn misbehave(words: &[String], oracle: &Oracle, args: &[String]) -> Option<u8> {
    for word in words {
        match word.split_once('=') {
            Some(("exit", code)) => return code.parse().ok(),
            Some(("once", rest)) => {
                let (file, code) = rest.rsplit_once(':')?;
                if Path::new(file).exists() {
                    return code.parse().ok();
                }
            }
            Some(("say", text)) => write_out(text),
            Some(("meet", path)) => meet(path),
            Some(("heal", file)) => drop(std::fs::remove_file(file)),
            Some(("flood", bytes)) => flood(bytes.parse().ok()?),
            Some(("nested", tenure)) => nested(tenure, oracle),
            Some(("drain", path)) => drain(path.to_owned(), oracle),
            None if word == "hang" => {
                park();
            }
            None if word == "deaf" => deafen(),
            None if word == "escapee" => escape(args, oracle),
            None if word == "orphan" => leave_orphan(args, oracle),
            None if word == "notify" => notify(claim(words).as_deref()),
            Some(_) | None => {}
        }
    }
    None
}

/// Blocks the signals that ask a process to end, for the rest of its life.
fn deafen() {
    if let Ok(blocked) = SignalFd::for_termination_and_children() {
        std::mem::forget(blocked);
    }
}

/// Becomes itself again, with no environment and without the lock, which is the only descriptor of one that listens nowhere.
/// It returns only if that fails.
fn shed(args: &[String]) -> ExitCode {
    drop(tenure_sys::fdset::take_inherited(1));
    let words = args.iter().skip(1).filter(|word| *word != "shed");
    let own = std::env::current_exe().unwrap_or_default();
    drop(std::process::Command::new(own).args(words).env_clear().exec());
    ExitCode::from(8)
}

/// Writes zeros over its own environment; the kernel shows that memory to others.
fn untitle() {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // Fields 50 and 51, where the first after the name is field 3.
    let bounds: Vec<u64> =
        after_name.split_ascii_whitespace().skip(47).take(2).filter_map(|field| field.parse().ok()).collect();
    let [start, end] = bounds.as_slice() else { return };
    let Ok(memory) = std::fs::File::options().write(true).open("/proc/self/mem") else { return };
    let zeros = vec![0_u8; usize::try_from(end - start).unwrap_or_default()];
    drop(memory.write_all_at(&zeros, *start));
}

/// A thread that hears of the end that is asked for; the program goes on meanwhile.
fn drain(path: String, oracle: &Oracle) {
    let Ok(signals) = SignalFd::for_termination_and_children() else { return };
    let oracle = Oracle::at(oracle.directory());
    std::thread::spawn(move || {
        let mut waiting = [Interest::new(signals.as_fd(), Readiness::Read)];
        drop(poll::wait(&mut waiting, None));
        let signal = signals.read();
        oracle.log("asked", &format!("{signal:?}"));
        meet(&path);
        tenure_sys::exit::now(0);
    });
}

fn generation() -> String {
    std::env::var("TENURE_GENERATION").unwrap_or_default()
}

fn write_out(text: &str) {
    let mut out = std::io::stdout();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Writes about this many bytes in lines.
fn flood(bytes: usize) {
    let line = [b'x'; 999];
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    for _ in 0..bytes / 1000 {
        drop(out.write_all(&line).and_then(|()| out.write_all(b"\n")));
    }
    drop(out.flush());
}

/// Calls `ensure` for the very worker that this program is, and logs the exit code and the answer.
fn nested(tenure: &str, oracle: &Oracle) {
    let Ok((answer, theirs)) = tenure_sys::pipe::pipe() else { return };
    let env: Vec<_> = std::env::vars_os().collect();
    let words = ["ensure", "w", "--json", "--", "sleep", "1000"].map(Into::into);
    let stdout = spawn::Stream::Fd(theirs.as_fd());
    let launch = Launch { args: &words, env: &env, stdout, ..Launch::new(Path::new(tenure), Path::new("/")) };
    let Ok(child) = spawn::child(&launch) else { return };
    drop(theirs);
    let mut said = String::new();
    drop(std::fs::File::from(answer).read_to_string(&mut said));
    let code = child.wait().ok().and_then(|status| status.code).unwrap_or(-1);
    oracle.log("nested", &format!("{code} {}", said.trim()));
}

fn meet(path: &str) {
    if let Ok(mut stream) = UnixStream::connect(path) {
        let greeted = writeln!(stream, "program {}", std::process::id());
        drop(greeted.and_then(|()| stream.read(&mut [0u8; 1])));
    }
}

/// The version that the program says it is, where it says one.
fn claim(words: &[String]) -> Option<String> {
    let said = |word: &String| match word.split_once('=')? {
        ("claims", version) => Some(version.to_owned()),
        ("claims-from", file) => std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned()),
        _ => None,
    };
    words.iter().find_map(said)
}

fn notify(claim: Option<&str>) {
    if let Ok(path) = std::env::var("NOTIFY_SOCKET")
        && let Ok(socket) = UnixDatagram::unbound()
    {
        let version = claim.map(|version| format!("X_TENURE_VERSION={version}\n")).unwrap_or_default();
        drop(socket.send_to(format!("{version}READY=1\nSTATUS=fixture serves").as_bytes(), path));
    }
}

/// A process in a session of its own that outlives its parent, with this program's environment.
fn escape(args: &[String], oracle: &Oracle) {
    let own = std::env::current_exe().unwrap_or_default();
    let env: Vec<_> = std::env::vars_os().collect();
    let beside = args.iter().filter(|word| *word == "beside");
    let words: Vec<_> = [&args[1], &args[2], "parked"]
        .into_iter()
        .chain(beside.map(String::as_str))
        .map(Into::into)
        .collect();
    let launch = Launch { args: &words, env: &env, ..Launch::new(&own, Path::new("/")) };
    if let Ok(handle) = spawn::detached(&launch) {
        oracle.log("escapee", &handle.pid().to_string());
    }
}

fn park() -> ExitCode {
    // Blocks for ever: both ends are ours.
    if let Ok((ours, _theirs)) = UnixStream::pair() {
        drop((&ours).read(&mut [0u8; 1]));
    }
    ExitCode::SUCCESS
}

/// A process without any environment that keeps whatever this one inherited: only the lock tells whose it is.
#[expect(
    clippy::disallowed_methods,
    reason = "a child with nothing but the descriptors that everybody inherits"
)]
fn leave_orphan(args: &[String], oracle: &Oracle) {
    let own = std::env::current_exe().unwrap_or_default();
    let words = [args[1].as_str(), args[2].as_str(), "parked-orphan"];
    let beside = args.iter().filter(|word| *word == "beside");
    let orphan = std::process::Command::new(own).args(words).args(beside).env_clear().spawn();
    if let Ok(orphan) = orphan {
        oracle.log("orphan", &orphan.id().to_string());
    }
}

fn serve(version: &str, sick: &Sick, words: &[String]) -> ExitCode {
    let bound = words.iter().find_map(|word| word.strip_prefix("bind="));
    let Some(listener) = (if let Some(bound) = bound { bind(bound) } else { inherit() }) else {
        return if bound.is_some() { ExitCode::from(9) } else { park() };
    };
    // Last of all: what its environment tells the program is read by then.
    if words.iter().any(|word| word == "untitled") {
        untitle();
    }
    for stream in listener.incoming().flatten() {
        if answer(stream, version, sick) {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn bind(address: &str) -> Option<TcpListener> {
    let port = std::env::var("PORT").unwrap_or_default();
    let address = if address == "env" { format!("127.0.0.1:{port}") } else { address.to_owned() };
    TcpListener::bind(address).ok()
}

fn inherit() -> Option<TcpListener> {
    std::env::var("LISTEN_FDS").ok()?;
    tenure_sys::fdset::take_inherited(1).ok()?.pop().map(TcpListener::from)
}

/// Answers one request; `true` for the one that tells the program that it is done.
fn answer(mut stream: TcpStream, version: &str, sick: &Sick) -> bool {
    let mut request = [0u8; 1024];
    let read = stream.read(&mut request).unwrap_or_default();
    let unwell = request[..read].starts_with(b"GET /health") && sick.now();
    let status = if unwell { "503 Service Unavailable" } else { "200 OK" };
    let body = format!("{version} {} {}", std::process::id(), generation());
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    drop(stream.write_all(format!("{head}{body}").as_bytes()));
    request[..read].starts_with(b"GET /done")
}

//! Why a program is not ready, and the one thing to change: rules over what was seen, the first that applies.
//!
//! Pure. `not_ready` gathers the evidence, when a boot has failed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tenure_core::os_text::{shell, shell_word};
use tenure_core::protocol::not_ready::NotReady;
use tenure_core::spec::{Address, HttpCheck, ListenMode, Ready, Stdin};

use super::readiness::AnswerKind;
use super::shim::LeftProcess;

use background::quoted;

mod background;

pub(super) use background::MainLack;

/// A listener of the spec, as it is for this start.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) mode: ListenMode,
    /// Where the worker serves.
    pub(super) address: Address,
    /// Where the program should listen: for a proxied listener another address than the worker's.
    pub(super) wanted: Address,
    /// The variable in which the program is told its port.
    pub(super) variable: Option<String>,
    /// The number of the descriptor that the program gets.
    pub(super) descriptor: Option<usize>,
}

/// How a program ended that was not ready.
#[derive(Debug, Clone)]
pub(super) struct UnreadyEnd {
    pub(super) succeeded: bool,
    /// What of its tree lived on.
    pub(super) left: Vec<LeftProcess>,
}

/// What was seen of a program that is not ready.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// What is asked, and its last answer.
    pub(super) told: NotReady,
    pub(super) ready: Ready,
    pub(super) answer: Option<AnswerKind>,
    /// Why its main process is not known, where one is sought.
    pub(super) lack: Option<MainLack>,
    /// The listener that is asked.
    pub(super) asked: Option<Listener>,
    /// All listeners.
    pub(super) listeners: Vec<Listener>,
    /// What the program's processes listen on; `None` where that cannot be seen.
    pub(super) listens: Option<Vec<SocketAddr>>,
    /// Connections that nobody has accepted on the listener that is asked.
    pub(super) waiting: u32,
    pub(super) end: Option<UnreadyEnd>,
    /// The last lines that the program wrote, without escape sequences; `None` where they cannot be read.
    pub(super) last_words: Option<Vec<String>>,
    pub(super) command: Vec<String>,
    pub(super) stdin: Stdin,
    pub(super) cwd: String,
}

/// What a rule found: facts in the order in which they are told, and what to change.
struct Cause {
    seen: Vec<String>,
    remedy: Option<String>,
}

impl Cause {
    fn of(seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { seen: vec![seen.into()], remedy: Some(remedy.into()) }
    }

    fn remedy(remedy: impl Into<String>) -> Self {
        Self { seen: Vec::new(), remedy: Some(remedy.into()) }
    }
}

/// In this order: how a program ended explains what its checks were answered.
const RULES: [fn(&Evidence) -> Option<Cause>; 12] = [
    takes_our_port,
    in_the_background,
    at_the_end_of_its_input,
    ended,
    without_main_process,
    other_protocol,
    elsewhere,
    not_accepted,
    other_status,
    buffered,
    other_lines,
    told_nothing,
];

/// What is told of a program that is not ready.
pub(super) fn explain(evidence: &Evidence) -> NotReady {
    let mut told = evidence.told.clone();
    if let Some(Cause { seen, remedy }) = RULES.into_iter().find_map(|rule| rule(evidence)) {
        told.seen = seen;
        told.remedy = remedy;
    }
    told
}

/// It ended because it could not bind an address that `tenure` holds for it.
fn takes_our_port(evidence: &Evidence) -> Option<Cause> {
    evidence.end.as_ref()?;
    let words = evidence.last_words.iter().flatten();
    let in_use = ["eaddrinuse", "address already in use", "address in use"];
    let line =
        words.map(|line| line.to_lowercase()).find(|line| in_use.iter().any(|word| line.contains(word)))?;
    let held = || evidence.listeners.iter().filter(|listener| listener.mode != ListenMode::SelfBound);
    let named = held().find(|listener| match &listener.address {
        Address::Unix(path) => line.contains(&path.to_string_lossy().to_lowercase()),
        Address::Tcp(tcp) => names_port(&line, tcp.port()),
        _ => false,
    });
    let (listener, surely) =
        named.map(|named| (named, true)).or_else(|| held().next().map(|one| (one, false)))?;
    let likely = if surely { "" } else { "most likely " };
    Some(Cause::of(
        format!(
            "it wanted to bind an address that is in use, {likely}{}, which `tenure` holds for it (listener {:?})",
            listener.address, listener.name
        ),
        format!(
            "have the program bind it by itself: {}",
            self_bound(evidence, &listener.name, &listener.address)
        ),
    ))
}

/// Whether a line has this number as a word of its own.
fn names_port(line: &str, port: u16) -> bool {
    line.split(|one: char| !one.is_ascii_digit()).any(|number| number == port.to_string())
}

/// The first process ended with 0, and another one lives on.
fn in_the_background(evidence: &Evidence) -> Option<Cause> {
    let left = evidence.end.as_ref().filter(|end| end.succeeded)?.left.first()?;
    Some(Cause::of(background::seen(left), background::foreground(&evidence.command)))
}

/// It ended with 0 and left nothing.
fn at_the_end_of_its_input(evidence: &Evidence) -> Option<Cause> {
    evidence.end.as_ref().filter(|end| end.succeeded && evidence.stdin == Stdin::Null)?;
    let likely = "perhaps it ended because its stdin is empty (/dev/null)";
    Some(Cause::of(likely, "if it waits for the end of its stdin: `stdin = \"open\"` keeps that open"))
}

/// It ended in another way; what its checks were answered before explains nothing.
fn ended(evidence: &Evidence) -> Option<Cause> {
    evidence.end.as_ref().map(|_| Cause { seen: Vec::new(), remedy: None })
}

/// It is to put itself into the background, and which process serves then is not known.
fn without_main_process(evidence: &Evidence) -> Option<Cause> {
    let (seen, remedy) = background::without_main_process(evidence.lack.as_ref()?);
    Some(Cause::of(seen, remedy))
}

/// TLS where none was expected, or none where it was.
fn other_protocol(evidence: &Evidence) -> Option<Cause> {
    let Ready::Http(check) = &evidence.ready else { return None };
    match evidence.answer? {
        AnswerKind::Tls => Some(Cause::remedy(format!("ask it over TLS: {}", with(check, "tls = true")))),
        AnswerKind::Plain => {
            Some(Cause::remedy("remove `tls = true` from `ready`: it answers in plain text"))
        }
        AnswerKind::Status(_)
        | AnswerKind::Refused
        | AnswerKind::Silent
        | AnswerKind::Stranger
        | AnswerKind::Command
        | AnswerKind::Missing
        | AnswerKind::Other => None,
    }
}

/// Nobody listens where it is asked, or nobody accepts there, and the program listens on another address, or on none.
fn elsewhere(evidence: &Evidence) -> Option<Cause> {
    let asked = evidence.asked.as_ref()?;
    let unheard = matches!(evidence.answer, Some(AnswerKind::Refused))
        || (asked.mode == ListenMode::Inherit && evidence.waiting > 0);
    let listens = evidence.listens.as_ref().filter(|_| unheard)?;
    let ours = |address: &SocketAddr| {
        evidence.listeners.iter().any(|listener| listener.address.tcp() == Some(*address))
    };
    let other: Vec<&SocketAddr> = listens.iter().filter(|address| !ours(address)).collect();
    let shown = |address: SocketAddr| reachable(address);
    let Some(first) = other.first() else {
        return (asked.mode != ListenMode::Inherit).then(|| nowhere(asked));
    };
    let all = other.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (seen, remedy) = match asked.mode {
        ListenMode::Inherit => (
            format!(
                "it listens on {all}, and does not accept on descriptor {}",
                asked.descriptor.unwrap_or(3)
            ),
            self_bound(evidence, &asked.name, &Address::Tcp(shown(**first))),
        ),
        ListenMode::Proxy => {
            let to = format!("`to = \"{}\"` in `listen`", shown(**first));
            (format!("it listens on {all}, not on {}", asked.wanted), to)
        }
        ListenMode::SelfBound | _ => (
            format!("it listens on {all}, not on {}", asked.wanted),
            self_bound(evidence, &asked.name, &Address::Tcp(shown(**first))),
        ),
    };
    Some(Cause::of(seen, format!("name that address: {remedy}")))
}

fn nowhere(asked: &Listener) -> Cause {
    let place = match &asked.variable {
        Some(variable) => match asked.wanted.tcp() {
            Some(tcp) => format!("{} and the port in {variable}", tcp.ip()),
            None => format!("the path in {variable}"),
        },
        None => asked.wanted.to_string(),
    };
    let seen = match asked.wanted.tcp() {
        Some(_) => "it listens on no TCP port".to_owned(),
        None => format!("it does not listen on {}, and on no TCP port", asked.wanted),
    };
    Cause::of(
        seen,
        format!("have it listen on {place}; if it only needs more time: `start_timeout = \"2m\"`"),
    )
}

/// An address that can be connected to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// What to write where the program binds a listener by itself: all of `listen`, or the one entry where there are others.
fn self_bound(evidence: &Evidence, name: &str, address: &Address) -> String {
    let key = if address.unix().is_some() { "unix" } else { "tcp" };
    let entry = format!("{{ name = \"{name}\", {key} = \"{address}\", mode = \"self\" }}");
    if evidence.listeners.len() > 1 {
        format!("`{entry}` in the place of the entry {name:?} of `listen`")
    } else {
        format!("`listen = [{entry}]`")
    }
}

/// It was given the socket, and does not accept on it.
fn not_accepted(evidence: &Evidence) -> Option<Cause> {
    let asked = evidence.asked.as_ref().filter(|asked| asked.mode == ListenMode::Inherit)?;
    if evidence.waiting == 0 || matches!(evidence.ready, Ready::Exec(_)) {
        return None;
    }
    let descriptor = asked.descriptor.unwrap_or(3);
    Some(Cause::of(
        format!("it does not accept on descriptor {descriptor}, which is the listener {:?}", asked.name),
        format!(
            "have it take descriptor {descriptor}; or, if it binds its port by itself: {}",
            self_bound(evidence, &asked.name, &asked.address)
        ),
    ))
}

/// A status that does not pass.
fn other_status(evidence: &Evidence) -> Option<Cause> {
    let (Ready::Http(check), Some(AnswerKind::Status(status))) = (&evidence.ready, evidence.answer) else {
        return None;
    };
    Some(match status {
        404 | 405 | 410 => {
            let asked = evidence.asked.as_ref().map(|asked| match &asked.wanted {
                Address::Unix(path) => format!("--unix-socket {} http://localhost/", path.display()),
                Address::Tcp(tcp) => format!("http://{}/", reachable(*tcp)),
                _ => String::new(),
            });
            Cause::remedy(format!(
                "write a path into `ready` that is answered with 2xx; `curl -i {}` shows an answer",
                asked.unwrap_or_default()
            ))
        }
        // Servers that check the Host header answer so.
        400 | 421 if check.headers.is_empty() => Cause::remedy(format!(
            "if it wants another Host header, send it: {}",
            with(check, "headers = { Host = \"localhost\" }")
        )),
        // No check takes a status below 200: it is not the last one.
        ..200 | 500.. => Cause { seen: Vec::new(), remedy: None },
        _ => Cause::remedy(format!(
            "if that is the answer of a program that is ready: {}",
            with(check, &format!("status = [{status}]"))
        )),
    })
}

/// The check as it is, with one key more. Where it has keys whose values may be secret or many, the key alone.
fn with(check: &HttpCheck, more: &str) -> String {
    if !check.headers.is_empty() || !check.status.is_empty() || !check.degraded.is_empty() {
        return format!("`{more}` in `ready`");
    }
    let listener = check.listener.as_ref().map(|name| format!("listener = \"{name}\", ")).unwrap_or_default();
    let tls = if check.tls { "tls = true, " } else { "" };
    format!("`ready = {{ http = {:?}, {listener}{tls}{more} }}`", check.path)
}

/// A line is awaited, and nothing at all was written.
fn buffered(evidence: &Evidence) -> Option<Cause> {
    let is_silent = evidence.last_words.as_ref().is_some_and(Vec::is_empty);
    if !matches!(evidence.ready, Ready::Log(_)) || !is_silent {
        return None;
    }
    let program = evidence.command.first().map(|word| Path::new(word).file_name().unwrap_or_default());
    let is_python = program.is_some_and(|name| name.to_string_lossy().starts_with("python"));
    let remedy = if is_python {
        "`env = { set = { PYTHONUNBUFFERED = \"1\" } }` makes it write at once".to_owned()
    } else {
        let words = ["stdbuf", "-oL"].into_iter().chain(evidence.command.iter().map(String::as_str));
        let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
        format!("`command = [{}]` makes it write each line at once", words.join(", "))
    };
    Some(Cause::of("it has written nothing; its output is a pipe, and it may keep it in a buffer", remedy))
}

/// A line is awaited, and only others were written.
fn other_lines(evidence: &Evidence) -> Option<Cause> {
    let Ready::Log(awaited) = &evidence.ready else { return None };
    let last = evidence.last_words.as_ref()?.last()?;
    let matches = regex_lite::Regex::new(awaited).is_ok_and(|pattern| pattern.is_match(last));
    let last = quoted(last);
    if matches {
        return Some(Cause::of(
            format!("its last line is {last:?}, and does not end"),
            "have it write a newline: a line counts once it has ended",
        ));
    }
    let pattern = format!("^{}", regex_lite::escape(last));
    Some(Cause::of(
        format!("its last line is {last:?}"),
        format!(
            "write a pattern into `ready` that matches one of its lines; for that one: `ready = {{ log = {pattern:?} }}`"
        ),
    ))
}

/// A message of the program is awaited that it may not know how to send.
fn told_nothing(evidence: &Evidence) -> Option<Cause> {
    let how = match &evidence.ready {
        Ready::Notify => "`ready = \"notify\"` is for programs that call sd_notify(3)",
        Ready::Fd => {
            "`ready = \"fd\"` is for programs that write a line to the descriptor in TENURE_READY_FD"
        }
        Ready::Exec(_) if evidence.answer == Some(AnswerKind::Missing) => {
            return Some(Cause::remedy(
                "write a command into `ready` that is there, with its whole path if need be",
            ));
        }
        Ready::Exec(words) => {
            let cwd = shell_word(&evidence.cwd);
            return Some(Cause::remedy(format!("run it by hand: `cd {cwd} && {}`", shell::line(words))));
        }
        Ready::Up | Ready::Http(_) | Ready::Tcp(_) | Ready::Log(_) | _ => return None,
    };
    let instead = match evidence.listeners.first().map(|first| first.mode) {
        Some(ListenMode::Inherit) => "`ready = { http = \"/\" }`",
        Some(_) => "`ready = \"tcp\"`",
        None => "`ready = \"up\"`",
    };
    Some(Cause::remedy(format!("{how}; for another one write {instead}")))
}

#[cfg(test)]
mod tests;

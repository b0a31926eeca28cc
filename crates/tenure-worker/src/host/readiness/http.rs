//! `http`: one GET over a fresh connection to a listener, of which only the status matters.

use std::io::{self, Write};
use std::sync::OnceLock;

use tenure_core::deadline::Deadline;
use tenure_core::spec::{Address, HttpCheck};
use tenure_sys::wake::Waker;

use super::check::{Answer, AnswerKind, CheckResult, CheckTarget, ProgramCheck};
use super::conversation::{Bounded, Conversation, closed};
use super::kind::{CheckedProgram, ReadinessKind};
use super::{tcp, tls, tls_client};

/// Most bytes of an answer that are read to find its status: it stands in the first line of the last head.
const LONGEST_HEAD: usize = 8 * 1024;

/// The name of the host behind a path, which is none itself.
const LOCAL: &str = "localhost";

/// What to ask for.
pub(super) struct Http(pub(super) HttpCheck);

impl ReadinessKind for Http {
    fn check(&self, program: &CheckedProgram<'_>) -> Option<Box<dyn ProgramCheck>> {
        Some(Box::new(HttpExchange::new(program.target.clone()?, self.0.clone())))
    }
}

/// A GET that is answered as wanted.
pub(super) struct HttpExchange {
    target: CheckTarget,
    check: HttpCheck,
    /// Whether TLS is spoken where a plain request failed. It is asked once.
    speaks_tls: OnceLock<bool>,
}

impl HttpExchange {
    pub(super) fn new(target: CheckTarget, check: HttpCheck) -> Self {
        Self { target, check, speaks_tls: OnceLock::new() }
    }

    fn exchange(&self, limit: &Deadline, off: &Waker) -> CheckResult {
        let status = match get(&self.target.reachable(), &self.check, (limit, off)) {
            Ok(status) => status,
            Err(answer) => return CheckResult::Failed(self.explained(answer, limit)),
        };
        let Final { code, location } = status;
        let words = format!("was answered with {code}");
        if self.check.is_degraded(code) {
            CheckResult::Degraded(Answer::new(AnswerKind::Status(code), words))
        } else if self.check.passes(code) {
            CheckResult::Passed
        } else {
            let words = location.map(|to| format!("{words}, to {to}")).unwrap_or(words);
            CheckResult::Failed(self.explained(Answer::new(AnswerKind::Status(code), words), limit))
        }
    }

    /// The same answer, or that TLS is spoken there: servers that speak TLS answer a plain request with 400, or close the
    /// connection.
    fn explained(&self, answer: Answer, limit: &Deadline) -> Answer {
        let suspect = matches!(answer.kind, AnswerKind::Status(400) | AnswerKind::Other) && !self.check.tls;
        let speaks =
            suspect && *self.speaks_tls.get_or_init(|| tls::is_spoken(&self.target.reachable(), limit));
        if speaks {
            Answer::new(AnswerKind::Tls, "was not answered, because TLS is spoken there")
        } else {
            answer
        }
    }
}

impl ProgramCheck for HttpExchange {
    fn target(&self) -> String {
        let scheme = if self.check.tls { "https" } else { "http" };
        format!("GET {scheme}://{}{}", self.target.address, self.check.path)
    }

    fn ask(&self, limit: &Deadline, off: &Waker) -> CheckResult {
        self.target.believe(|| self.exchange(limit, off))
    }
}

/// A final status, and where it leads, if it says so.
struct Final {
    code: u16,
    location: Option<String>,
}

/// Asks `address` and returns the final status of the answer.
fn get(address: &Address, check: &HttpCheck, until: (&Deadline, &Waker)) -> Result<Final, Answer> {
    let stream = tcp::connect(address, until.0)?;
    let failed = |error: io::Error| Answer::other(format!("failed: {error}"));
    stream.set_nonblocking(true).map_err(failed)?;
    let mut stream = Bounded::new(stream, until);
    let request = request(address, check);
    if check.tls {
        let mut stream = tls_client::connect(stream, &server_name(address, check))?;
        stream.write_all(request.as_bytes()).map_err(|error| stream.answer(error))?;
        return read_answer(&mut stream);
    }
    // A request of this size always finds room in the buffer of a fresh connection.
    stream.write_all(request.as_bytes()).map_err(failed)?;
    read_answer(&mut stream)
}

/// The name that a server of several names is asked by: that of a Host header, if one is given.
fn server_name(address: &Address, check: &HttpCheck) -> String {
    let host = check.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let name = host.and_then(|(_, value)| value.split(':').next()).filter(|name| !name.is_empty());
    name.map_or_else(
        || address.tcp().map_or_else(|| LOCAL.to_owned(), |tcp| tcp.ip().to_string()),
        str::to_owned,
    )
}

fn request(address: &Address, check: &HttpCheck) -> String {
    let own = [
        ("Host", address.tcp().map_or_else(|| LOCAL.to_owned(), |tcp| tcp.to_string())),
        ("User-Agent", "tenure".to_owned()),
        ("Accept", "*/*".to_owned()),
        ("Connection", "close".to_owned()),
    ];
    let is_given = |name: &str| check.headers.keys().any(|given| given.eq_ignore_ascii_case(name));
    let own = own.into_iter().filter(|(name, _)| !is_given(name));
    let given = check.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let mut request = format!("GET {} HTTP/1.1\r\n", check.path);
    for (name, value) in own.chain(given) {
        request.extend([name, ": ", value.as_str(), "\r\n"]);
    }
    request + "\r\n"
}

/// Reads until a status is there that is final: answers of 1xx announce another one.
fn read_answer(stream: &mut dyn Conversation) -> Result<Final, Answer> {
    let mut head = Vec::new();
    loop {
        match status(&head) {
            StatusLine::Final(found) => return Ok(found),
            StatusLine::NotHttp => return Err(not_http(&head)),
            StatusLine::NotYet if head.len() >= LONGEST_HEAD => return Err(not_http(&head)),
            StatusLine::NotYet => {}
        }
        let mut chunk = [0_u8; 512];
        match stream.read(&mut chunk) {
            Ok(0) if head.is_empty() => return Err(closed()),
            Ok(0) => return Err(not_http(&head)),
            Ok(count) => head.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) => return Err(stream.answer(error)),
        }
    }
}

fn not_http(head: &[u8]) -> Answer {
    if tls::is_record(head) {
        return Answer::new(AnswerKind::Tls, "was answered in TLS");
    }
    let shown: String = String::from_utf8_lossy(head).chars().take(40).collect();
    Answer::other(format!("was not answered in HTTP, but with {shown:?}"))
}

/// How far the head of an answer leads to its final status.
enum StatusLine {
    Final(Final),
    NotYet,
    NotHttp,
}

/// The final status, as soon as its line is there; the rest of its head need not even be valid.
fn status(mut head: &[u8]) -> StatusLine {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        match (response.parse(head), response.code) {
            (Ok(httparse::Status::Complete(end)), Some(100 | 102..=199)) => {
                head = head.get(end..).unwrap_or_default();
            }
            (Ok(httparse::Status::Partial), Some(100 | 102..=199) | None) => return StatusLine::NotYet,
            (_, Some(code)) => {
                let location = response.headers.iter().find(|one| one.name.eq_ignore_ascii_case("location"));
                let location = location.map(|found| String::from_utf8_lossy(found.value).into_owned());
                return StatusLine::Final(Final { code, location });
            }
            (Ok(_) | Err(_), None) => return StatusLine::NotHttp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(head: &[u8]) -> Option<u16> {
        match status(head) {
            StatusLine::Final(found) => Some(found.code),
            StatusLine::NotYet | StatusLine::NotHttp => None,
        }
    }

    #[test]
    fn the_status_is_known_from_the_first_line_on() {
        assert_eq!(code(b"HTTP/1.1 503 Service Unavailable\r\nX: "), Some(503));
        assert_eq!(code(b"HTTP/1.0 200 OK\r\n\r\nbody"), Some(200));
        assert!(matches!(status(b"HTTP/1."), StatusLine::NotYet));
        assert!(matches!(status(b"SSH-2.0-OpenSSH"), StatusLine::NotHttp));
    }

    #[test]
    fn answers_that_only_announce_another_are_not_final() {
        assert!(matches!(status(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), StatusLine::NotYet));
        assert!(matches!(status(b"HTTP/1.1 100 Continue\r\n"), StatusLine::NotYet));
        let two = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 404 Not Found\r\n";
        assert_eq!(code(two), Some(404));
        assert_eq!(code(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Some(101));
    }

    #[test]
    fn given_headers_replace_those_that_are_sent_anyway() {
        let mut check = HttpCheck::from("/live");
        check.headers = [("host".to_owned(), "shop.test".to_owned())].into();
        let sent = request(&Address::Tcp("127.0.0.1:80".parse().expect("an address")), &check);
        assert!(sent.starts_with("GET /live HTTP/1.1\r\nUser-Agent: tenure\r\n"), "{sent}");
        assert!(sent.ends_with("host: shop.test\r\n\r\n") && !sent.contains("Host:"), "{sent}");
    }
}

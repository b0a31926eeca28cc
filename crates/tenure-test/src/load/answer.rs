//! One exchange on a connection, of HTTP/1.1 or of given bytes, and exactly where it ended when it did not end well.
//!
//! Reads as much of the protocol as a client of a load needs: a status, a length or chunks, and whether the connection
//! goes on. Takes nothing on trust: a body of another length than announced is no answer.

use std::io::{self, BufRead, BufReader, Read, Write};

use tenure_cli::load::is_timeout;
use tenure_sys::socket::Connection;

use super::clients::Words;

/// Longest body that is taken.
const LONGEST: u64 = 16 << 20;

/// Longest answer in which given bytes are awaited.
const LONGEST_OF_WORDS: usize = 64 << 10;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: Vec<u8>,
    /// In how many chunks it came; 0 for a body of announced length.
    pub(super) chunks: u64,
    /// Whether the server ends the connection after it.
    pub(super) closes: bool,
}

/// How an exchange failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection ended before the first byte of an answer.
    Unanswered(String),
    /// The connection ended in the middle of an answer.
    Cut(String),
    /// Nothing came for as long as the client is patient.
    TimedOut,
    /// What came is no HTTP, or another answer than the one that is awaited.
    Malformed(String),
}

/// An answer whose head has come.
#[derive(Debug)]
pub(super) struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

/// Writes a request and reads the head of its answer.
pub(super) fn ask(
    connection: &mut BufReader<Connection>,
    path: &str,
    goes_on: bool,
) -> Result<Head, Failure> {
    let close = if goes_on { "" } else { "Connection: close\r\n" };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n");
    connection.get_mut().write_all(request.as_bytes()).map_err(|error| early(&error))?;
    head(connection)
}

/// Reads the rest of an answer.
pub(super) fn rest(connection: &mut BufReader<Connection>, head: &Head) -> Result<Answer, Failure> {
    let (mut body, mut chunks) = (Vec::new(), 0);
    if head.chunked {
        while chunk(connection, &mut body)? {
            chunks += 1;
        }
    } else if let Some(length) = head.length {
        exactly(connection, length, &mut body)?;
    } else {
        connection.take(LONGEST).read_to_end(&mut body).map_err(|error| late(&error))?;
    }
    let closes = head.closes || (!head.chunked && head.length.is_none());
    Ok(Answer { status: head.status, body, chunks, closes })
}

/// Writes given bytes, and reads until the answer has the bytes that are awaited.
pub(super) fn say(connection: &mut BufReader<Connection>, words: &Words) -> Result<(), Failure> {
    connection.get_mut().write_all(&words.say).map_err(|error| early(&error))?;
    let mut heard = Vec::new();
    while !has(&heard, &words.until) {
        let come = connection
            .fill_buf()
            .map_err(|error| if heard.is_empty() { early(&error) } else { late(&error) })?;
        let length = come.len();
        heard.extend_from_slice(come);
        connection.consume(length);
        match length {
            0 if heard.is_empty() => return Err(Failure::Unanswered("the end".to_owned())),
            0 => return Err(Failure::Cut(format!("the end after {:?}", String::from_utf8_lossy(&heard)))),
            _ if heard.len() > LONGEST_OF_WORDS => {
                return Err(Failure::Malformed(String::from_utf8_lossy(&heard).into_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn has(heard: &[u8], until: &[u8]) -> bool {
    heard.windows(until.len()).any(|part| part == until)
}

fn head(connection: &mut BufReader<Connection>) -> Result<Head, Failure> {
    connection.fill_buf().map_err(|error| early(&error)).and_then(|bytes| {
        if bytes.is_empty() { Err(Failure::Unanswered("the end".to_owned())) } else { Ok(()) }
    })?;
    let first = line(connection)?;
    let mut words = first.split_ascii_whitespace();
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse().ok());
    let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
        return Err(Failure::Malformed(first));
    };
    let mut head = Head { status, length: None, chunked: false, closes: version == "HTTP/1.0" };
    loop {
        let field = line(connection)?.to_ascii_lowercase();
        let Some((name, value)) = field.split_once(':') else { return Ok(head) };
        match (name, value.trim()) {
            ("content-length", length) => head.length = length.parse().ok(),
            ("transfer-encoding", "chunked") => head.chunked = true,
            ("connection", "close") => head.closes = true,
            _ => {}
        }
    }
}

/// One line without its end.
fn line(connection: &mut BufReader<Connection>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    connection.take(8192).read_until(b'\n', &mut bytes).map_err(|error| late(&error))?;
    if bytes.last() != Some(&b'\n') {
        return Err(Failure::Cut("the end within a line".to_owned()));
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// One chunk; false for the last, empty one.
fn chunk(connection: &mut BufReader<Connection>, body: &mut Vec<u8>) -> Result<bool, Failure> {
    let size = line(connection)?;
    let Ok(length) = u64::from_str_radix(&size, 16) else { return Err(Failure::Malformed(size)) };
    exactly(connection, length, body)?;
    line(connection)?;
    Ok(length > 0)
}

fn exactly(connection: &mut BufReader<Connection>, length: u64, body: &mut Vec<u8>) -> Result<(), Failure> {
    let read = connection.take(length.min(LONGEST)).read_to_end(body).map_err(|error| late(&error))?;
    if u64::try_from(read) == Ok(length) {
        return Ok(());
    }
    Err(Failure::Cut(format!("{read} of {length} bytes")))
}

fn early(error: &io::Error) -> Failure {
    if is_timeout(error) { Failure::TimedOut } else { Failure::Unanswered(error.to_string()) }
}

fn late(error: &io::Error) -> Failure {
    if is_timeout(error) { Failure::TimedOut } else { Failure::Cut(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// What a client makes of a server that writes this and closes.
    fn heard(text: &'static str) -> Result<Answer, Failure> {
        with_server(text, |connection| ask(connection, "/", true).and_then(|head| rest(connection, &head)))
    }

    fn with_server<T>(text: &'static str, work: impl FnOnce(&mut BufReader<Connection>) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client comes");
            let read = stream.read(&mut [0_u8; 512]).expect("it asks");
            assert!(read > 0);
            stream.write_all(text.as_bytes()).expect("it listens");
        });
        let stream = TcpStream::connect(address).expect("it listens");
        let answer = work(&mut BufReader::new(Connection::Tcp(stream)));
        server.join().expect("a server ends");
        answer
    }

    #[test]
    fn a_body_has_a_length_or_chunks_or_the_end_of_the_connection() {
        let length = heard("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("whole");
        assert_eq!((length.status, length.body.as_slice(), length.closes), (200, b"ok".as_slice(), false));
        let chunks = heard(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nA\r\n0123456789\r\n0\r\n\r\n",
        );
        assert_eq!(chunks.map(|answer| (answer.chunks, answer.body.len())).expect("whole"), (2, 12));
        let until_end = heard("HTTP/1.0 503 Busy\r\n\r\nno").expect("whole");
        assert_eq!((until_end.status, until_end.closes), (503, true));
    }

    #[test]
    fn where_an_answer_ended_is_told_apart() {
        assert!(matches!(heard(""), Err(Failure::Unanswered(_))));
        assert!(matches!(heard("HTTP/1.1 200"), Err(Failure::Cut(_))));
        assert!(matches!(heard("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"), Err(Failure::Cut(_))));
        let chunks = heard("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        assert!(matches!(chunks, Err(Failure::Cut(_))));
        assert!(matches!(heard("220 mail\r\n\r\n"), Err(Failure::Malformed(_))));
    }

    #[test]
    fn an_answer_to_given_bytes_has_the_awaited_ones_somewhere() {
        let said = |text| {
            with_server(text, |connection| {
                let words = Words { say: b"PING\r\n".to_vec(), until: b"PONG".to_vec() };
                say(connection, &words)
            })
        };
        assert!(said("INFO {}\r\n+PONG\r\n").is_ok());
        assert!(matches!(said(""), Err(Failure::Unanswered(_))));
        assert!(matches!(said("+PO"), Err(Failure::Cut(_))));
    }
}

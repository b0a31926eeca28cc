//! The programs of `examples/programs`, one row each: what brings them, and how a client asks them.

use crate::load::{Clients, Shape, Words};

/// A program that an example is about.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its directory in `examples/programs`.
    pub name: &'static str,
    /// The worker that its `tenure.toml` describes.
    pub worker: &'static str,
    /// What brings it.
    pub comes_with: Packages,
    /// What a client asks.
    pub asks: Question,
}

/// What brings a program.
#[derive(Debug, Clone, Copy)]
pub enum Packages {
    /// Packages of Debian.
    Debian(&'static [&'static str]),
    /// The packages of npm that the example's `package.json` names, and Node.
    Npm,
}

/// What a client asks on a connection of its own.
#[derive(Debug, Clone, Copy)]
pub enum Question {
    /// A GET of this path, which is answered with 2xx.
    Get(&'static str),
    /// These bytes, and bytes that the answer has in it.
    Say(&'static [u8], &'static [u8]),
}

use Packages::{Debian, Npm};
use Question::{Get, Say};

/// Every program, in the order of the table.
pub const PROGRAMS: &[Program] = &[
    Program::new("redis", "cache", Debian(&["redis-server"]), Say(b"PING\r\n", b"+PONG\r\n")),
    Program::new("nats", "nats", Debian(&["nats-server"]), Say(b"CONNECT {}\r\nPING\r\n", b"PONG\r\n")),
    Program::new("etcd", "etcd", Debian(&["etcd-server"]), Get("/health")),
    Program::new("memcached", "cache", Debian(&["memcached"]), Say(b"version\r\n", b"VERSION ")),
    Program::new("nginx", "web", Debian(&["nginx"]), Get("/healthz")),
    Program::new("postgresql", "db", Debian(&["postgresql"]), Say(POSTGRESQL, b"SELECT 1\0")),
    Program::new("uvicorn", "api", Debian(&["uvicorn"]), Get("/")),
    Program::new("gunicorn", "site", Debian(&["gunicorn"]), Get("/")),
    Program::new("flask", "site", Debian(&["python3-flask"]), Get("/")),
    Program::new("django", "site", Debian(&["python3-django"]), Get("/")),
    Program::new("express", "web", Npm, Get("/")),
    Program::new("fastify", "web", Npm, Get("/")),
    Program::new("node-cluster", "web", Debian(&["nodejs"]), Get("/")),
    Program::new("deno", "web", Npm, Get("/")),
    Program::new("bun", "web", Npm, Get("/")),
    Program::new("vite", "dev", Npm, Get("/")),
    Program::new("sccache", "sccache", Debian(&["sccache"]), Say(SCCACHE, b"\0")),
    Program::new("watchman", "watchman", Debian(&["watchman"]), Say(b"[\"version\"]\n", b"\"version\"")),
    Program::new("jupyter", "jupyter", Debian(&["jupyter-server"]), Get("/api")),
    Program::new("mcp", "mcp", Npm, Say(MCP, b"serverInfo")),
    Program::new("claude-mem", "memory", Npm, Get("/api/health")),
    Program::new("caddy", "web", Debian(&["caddy"]), Get("/healthz")),
    Program::new("haproxy", "lb", Debian(&["haproxy"]), Get("/healthz")),
    Program::new("ssh-agent", "ssh-agent", Debian(&["openssh-client"]), Say(b"\0\0\0\x01\x0b", b"\x0c")),
    Program::new("gpg-agent", "gpg-agent", Debian(&["gpg-agent"]), Say(b"GETINFO version\nBYE\n", b"D ")),
    Program::new("java", "app", Debian(&["default-jdk-headless"]), Get("/")),
    Program::new("php", "site", Debian(&["php-cli"]), Get("/")),
    Program::new("php-fpm", "php", Debian(&["php-fpm"]), Say(FASTCGI, b"pong")),
    Program::new("ruby", "app", Debian(&["ruby"]), Get("/")),
    Program::new("puma", "site", Debian(&["puma"]), Get("/")),
];

/// Version 3.0, user and database `postgres`; then a query, and the end.
const POSTGRESQL: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0\
    Q\0\0\0\x0eSELECT 1;\0X\0\0\0\x04";

/// `GetStats`, the second of the requests, after its length.
const SCCACHE: &[u8] = b"\0\0\0\x04\x01\0\0\0";

/// The first request of a session.
const MCP: &[u8] = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
    Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: 149\r\n\r\n\
    {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\
    \"params\":{\"protocolVersion\":\"2025-03-26\",\"capabilities\":{},\"clientInfo\":{\"name\":\"load\",\"version\":\"1\"}}}";

/// A request of `/ping`: its begin, its three parameters, their end, and the end of its input.
const FASTCGI: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0\
    \x01\x04\0\x01\0\x3b\0\0\x0b\x05SCRIPT_NAME/ping\x0f\x05SCRIPT_FILENAME/ping\x0e\x03REQUEST_METHODGET\
    \x01\x04\0\x01\0\0\0\0\x01\x05\0\x01\0\0\0\0";

impl Program {
    const fn new(name: &'static str, worker: &'static str, comes_with: Packages, asks: Question) -> Self {
        Self { name, worker, comes_with, asks }
    }

    /// The program of this name.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn named(name: &str) -> &'static Self {
        PROGRAMS.iter().find(|program| program.name == name).expect("the catalog has it")
    }

    /// So many clients that ask it, each time on a new connection.
    #[must_use]
    pub fn clients(&self, count: usize) -> Clients {
        let clients = Clients { fresh: count, kept: 0, shape: Shape::Any, ..Clients::default() };
        match self.asks {
            Get(path) => Clients { path: path.to_owned(), ..clients },
            Say(say, until) => {
                let words = Words { say: say.to_vec(), until: until.to_vec() };
                Clients { words: Some(words), ..clients }
            }
        }
    }
}

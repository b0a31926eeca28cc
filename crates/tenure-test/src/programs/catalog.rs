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

use Packages::Debian;
use Question::{Get, Say};

/// Every program, in the order of the table.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "redis",
        worker: "cache",
        comes_with: Debian(&["redis-server"]),
        asks: Say(b"PING\r\n", b"+PONG\r\n"),
    },
    Program { name: "nginx", worker: "web", comes_with: Debian(&["nginx"]), asks: Get("/healthz") },
    Program {
        name: "postgresql",
        worker: "db",
        comes_with: Debian(&["postgresql"]),
        // Version 3.0, user and database `postgres`; then the query, and the end.
        asks: Say(
            b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0\
              Q\0\0\0\x0eSELECT 1;\0X\0\0\0\x04",
            b"SELECT 1\0",
        ),
    },
    Program { name: "uvicorn", worker: "api", comes_with: Debian(&["uvicorn"]), asks: Get("/") },
    Program { name: "node-cluster", worker: "web", comes_with: Debian(&["nodejs"]), asks: Get("/") },
];

impl Program {
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

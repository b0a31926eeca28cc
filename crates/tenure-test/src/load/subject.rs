//! A worker that is restarted and upgraded while clients use it.
//!
//! Makes the descriptions and does what a person would type; what the clients saw is counted elsewhere, and judged by the
//! test.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::fixtures::ask;
use crate::fixtures::call::{Call, Output};
use crate::fixtures::sandbox::Sandbox;

use super::{Clients, Generator, Load};

/// The version that a description names, wherever another is to stand.
const FIRST: &str = "1.0.0";

/// A described worker in a sandbox of its own.
#[derive(Debug)]
pub struct Subject {
    /// Where it happens.
    pub sandbox: Sandbox,
    name: String,
    file: PathBuf,
    text: String,
    trusts: bool,
}

impl Subject {
    /// The server of tests under a host, as the user's own worker `w`: these words, and these lines of its description.
    ///
    /// # Panics
    /// If the sandbox takes no file.
    #[must_use]
    pub fn server(tenure: &str, server: &str, words: &[&str], lines: &[&str]) -> Self {
        let sandbox = Sandbox::new(tenure);
        let oracle = sandbox.oracle().directory().display().to_string();
        let command: Vec<&str> = [server, &oracle, FIRST].into_iter().chain(words.iter().copied()).collect();
        let given = |key: &str| lines.iter().any(|line| line.starts_with(key));
        let mut text = format!("[worker.w]\nversion = \"{FIRST}\"\ncommand = {command:?}\n");
        text.push_str("start_timeout = \"30s\"\nstop = { grace = \"10s\" }\n");
        if !given("listen") {
            text.push_str("listen = [{ name = \"http\", tcp = \"127.0.0.1:0\" }]\n");
        }
        if !given("ready") {
            text.push_str("ready = \"fd\"\n");
        }
        if !given("bake") {
            text.push_str("bake = \"0s\"\n");
        }
        text.extend(lines.iter().map(|line| format!("{line}\n")));
        let file = sandbox.config().join("w.toml");
        let subject = Self { sandbox, name: "w".to_owned(), file, text, trusts: false };
        subject.offer(0);
        subject
    }

    /// The worker `name` of a project whose files have been copied into the sandbox's working directory; without the time
    /// in which a new version has to prove itself.
    ///
    /// # Panics
    /// If there is no `tenure.toml`.
    #[must_use]
    pub fn of_project(sandbox: Sandbox, name: &str) -> Self {
        let file = sandbox.work().join("tenure.toml");
        let text = fs::read_to_string(&file).expect("a project has a tenure.toml");
        let head = format!("[worker.{name}]\n");
        let text = text.replace(&head, &format!("{head}bake = \"0s\"\n"));
        let subject = Self { sandbox, name: name.to_owned(), file, text, trusts: true };
        subject.offer(0);
        subject
    }

    /// A sandbox with the files of a directory in its working directory.
    ///
    /// # Panics
    /// If they cannot be copied.
    #[must_use]
    pub fn copy(tenure: &str, directory: &Path) -> Sandbox {
        let sandbox = Sandbox::new(tenure);
        for entry in fs::read_dir(directory).expect("the directory is there") {
            let path = entry.expect("it can be listed").path();
            if let (true, Some(name)) = (path.is_file(), path.file_name()) {
                fs::copy(&path, sandbox.work().join(name)).expect("a sandbox takes files");
            }
        }
        sandbox
    }

    /// Describes it as version 1.0.`patch` from now on.
    ///
    /// # Panics
    /// If the sandbox takes no file.
    pub fn offer(&self, patch: u64) {
        fs::write(&self.file, self.text.replace(FIRST, &format!("1.0.{patch}")))
            .expect("a sandbox takes files");
        if self.trusts {
            self.sandbox.tenure(["trust"]).run().expect(0);
        }
    }

    /// `tenure COMMAND NAME --json`.
    #[must_use]
    pub fn call(&self, command: &str) -> Call<'_> {
        self.sandbox.tenure([command, &self.name, "--json", "--timeout", "60s"])
    }

    /// Has it started, and tells its address.
    #[must_use]
    pub fn ensured(&self) -> SocketAddr {
        ask::address(&self.call("ensure").run().expect(0))
    }

    /// Load while `work` is done.
    #[must_use]
    pub fn under_load(&self, clients: &Clients, work: impl FnOnce(&Generator)) -> Load {
        let load = clients.load(self.ensured());
        work(&load);
        load.stop()
    }

    /// Load while it is replaced this many times: by `restart`, and every other time by a newer version that a launcher
    /// offers.
    ///
    /// # Panics
    /// If one of them does not end well, or in another generation than the next.
    #[must_use]
    pub fn replaced_under_load(&self, clients: &Clients, replacements: u64) -> Load {
        self.under_load(clients, |load| {
            for count in 1..=replacements {
                let answer = self.replaced(count);
                let generation = answer.json()["generation"].as_u64();
                assert_eq!(generation, Some(count + 1), "{}\n{}", answer.stdout, self.sandbox.story());
                load.flows_on();
            }
        })
    }

    fn replaced(&self, count: u64) -> Output {
        if count % 2 == 1 {
            return self.call("restart").run().expect(0);
        }
        self.offer(count / 2);
        self.call("ensure").run().expect(0)
    }

    /// Load while it is stopped and started anew this many times: what a restart is without a takeover.
    #[must_use]
    pub fn closed_then_spawned(&self, clients: &Clients, times: u64) -> Load {
        self.under_load(clients, |load| {
            for _ in 0..times {
                self.call("stop").run().expect(0);
                self.call("ensure").run().expect(0);
                load.flows_on();
            }
        })
    }

    /// Stops it for good.
    pub fn stop(&self) {
        self.call("stop").run().expect(0);
    }
}

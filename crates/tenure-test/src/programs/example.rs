//! The files of one program in a sandbox: as they are in `examples/programs`, but for the ports, which are free ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use tenure_core::spec::Address;

use crate::fixtures::call::{Call, Output};
use crate::fixtures::sandbox::Sandbox;

use super::catalog::Program;

/// Where Debian has programs; not all of it is in every user's PATH.
const SYSTEM_PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// One program's example, copied and trusted.
#[derive(Debug)]
pub struct Example {
    /// Where it is.
    pub sandbox: Sandbox,
    program: &'static Program,
}

/// The directory of the examples in this checkout.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/programs")
}

impl Example {
    /// Copies it into a sandbox, moves its ports to free ones, and trusts it, as whoever copies it has to.
    ///
    /// # Panics
    /// If it cannot be copied, or `tenure trust` refuses it.
    #[must_use]
    pub fn new(sandbox: Sandbox, program: &'static Program) -> Self {
        copy(&directory().join(program.name), &sandbox.work());
        if tenure_sys::user::effective_uid() == 0 {
            // A program that gives up root still has to reach its files.
            open_to_all(sandbox.path(), 0o711);
            open_to_all(&sandbox.work(), 0o755);
        }
        move_ports(&sandbox.work());
        let example = Self { sandbox, program };
        example.tenure(&["trust"]).run().expect(0);
        example
    }

    /// The packages of npm that have been installed for it in `directory`.
    ///
    /// # Panics
    /// If the sandbox takes no link.
    pub fn with_modules(&self, directory: &Path) {
        let from = directory.join("node_modules");
        symlink(from, self.sandbox.work().join("node_modules")).expect("a sandbox takes links");
    }

    /// `tenure WORDS`, in its directory.
    #[must_use]
    pub fn tenure(&self, words: &[&str]) -> Call<'_> {
        let path = std::env::var("PATH").unwrap_or_default();
        self.sandbox.tenure(words.iter().copied()).env("PATH", &format!("{SYSTEM_PATH}:{path}"))
    }

    /// `tenure COMMAND NAME --json`.
    #[must_use]
    pub fn call(&self, command: &str) -> Output {
        self.tenure(&[command, self.program.worker, "--json", "--timeout", "3m"]).run()
    }

    /// Has it started; the answer.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn ensured(&self) -> Output {
        self.call("ensure").expect(0)
    }

    /// What `tenure config show` says of a key.
    #[must_use]
    pub fn shown(&self, key: &str) -> serde_json::Value {
        let shown = self.tenure(&["config", "show", self.program.worker, "--json"]).run().expect(0).json();
        let values = shown["workers"][0]["values"].as_array().cloned().unwrap_or_default();
        values
            .into_iter()
            .find(|value| value["key"] == key)
            .map(|value| value["value"].clone())
            .unwrap_or_default()
    }
}

impl Drop for Example {
    /// A trial that failed leaves its program running, and the sandbox does not find a program that blanks its
    /// environment (`nginx`, `postgres`).
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(panic::catch_unwind(AssertUnwindSafe(|| self.call("stop"))));
        }
    }
}

/// Where clients connect, in the answer of `ensure`.
///
/// # Panics
/// If it has no endpoint.
#[must_use]
pub fn endpoint(answer: &Output) -> Address {
    let first = answer.json()["endpoints"][0].clone();
    let tcp = first["tcp"].as_str().and_then(|text| text.parse().ok()).map(Address::Tcp);
    tcp.or_else(|| first["unix"].as_str().map(|path| Address::Unix(path.into()))).expect("an endpoint")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the example is there") {
        let path = entry.expect("it can be listed").path();
        let place = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() {
            fs::create_dir(&place).expect("a sandbox takes directories");
            copy(&path, &place);
        } else {
            fs::copy(&path, &place).expect("a sandbox takes files");
        }
    }
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// Replaces the ports of the description by free ones, wherever the files beside it name them: tests run beside each
/// other, and beside whatever the machine runs.
fn move_ports(directory: &Path) {
    let text = fs::read_to_string(directory.join("tenure.toml")).expect("an example has a description");
    let ports: Vec<&str> =
        text.split("127.0.0.1:").skip(1).map(leading_digits).filter(|port| port.len() > 1).collect();
    // All are bound at the same time, so that no two are the same.
    let free: Vec<TcpListener> =
        ports.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let mut moves: Vec<(&str, String)> = Vec::new();
    for (port, listener) in ports.iter().zip(&free) {
        let to = listener.local_addr().expect("a bound socket has an address").port().to_string();
        if moves.iter().all(|(from, _)| from != port) {
            moves.push((port, to));
        }
    }
    rewrite(directory, &moves);
}

fn rewrite(directory: &Path, moves: &[(&str, String)]) {
    for entry in fs::read_dir(directory).expect("a directory lists").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rewrite(&path, moves);
        } else if let Ok(text) = fs::read_to_string(&path) {
            fs::write(&path, moved(&text, moves)).expect("a sandbox takes files");
        }
    }
}

/// A text in which numbers are replaced, where they stand as whole numbers.
fn moved(text: &str, moves: &[(&str, String)]) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|one: char| one.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let number = leading_digits(from);
        let to = moves.iter().find(|(old, _)| *old == number).map_or(number, |(_, new)| new);
        result.extend([before, to]);
        rest = &from[number.len()..];
    }
    result + rest
}

fn leading_digits(text: &str) -> &str {
    &text[..text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_are_replaced() {
        let moves = [("8080", "41000".to_owned()), ("80", "1".to_owned())];
        assert_eq!(moved("listen 127.0.0.1:8080; 18080 80x 8", &moves), "listen 127.0.0.1:41000; 18080 1x 8");
        assert_eq!(moved("nothing", &moves), "nothing");
    }
}

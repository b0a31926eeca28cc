//! Installs, by package name, what the tests need beyond the Rust toolchain.
//!
//! It knows Debian and its derivatives, and only root can install; other users are told which command to run.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::command;
use crate::failure::Failure;

/// A program that the tests run, and the Debian package that brings it.
struct Need {
    program: &'static str,
    package: &'static str,
    /// A command that succeeds where the program is there.
    asks: &'static [&'static str],
}

const NEEDS: [Need; 7] = [
    Need { program: "nginx", package: "nginx", asks: &["/usr/sbin/nginx", "-v"] },
    Need { program: "node", package: "nodejs", asks: &["node", "--version"] },
    // Not in PATH: a directory for each release.
    Need {
        program: "postgres",
        package: "postgresql",
        asks: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres"],
    },
    Need { program: "python3", package: "python3", asks: &["python3", "--version"] },
    Need { program: "redis-server", package: "redis-server", asks: &["redis-server", "--version"] },
    Need { program: "strace", package: "strace", asks: &["strace", "--version"] },
    Need { program: "uvicorn", package: "uvicorn", asks: &["uvicorn", "--version"] },
];

/// What `cargo xtask fresh` runs besides.
const NEED_OF_FRESH: Need =
    Need { program: "debootstrap", package: "debootstrap", asks: &["debootstrap", "--version"] };

/// What the programs that install and remove services ask whether a service may be started (invoke-rc.d(8),
/// deb-systemd-invoke(1p)).
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// As container images have it: an installed service is not started.
pub(crate) const START_NO_SERVICE: &str = "#!/bin/sh\nexit 101\n";

/// Installs what the tests need and is missing; fails if something is still missing.
pub(crate) fn install_missing() -> Result<(), Failure> {
    install(&NEEDS)
}

/// The same for `cargo xtask fresh`, which only root can run: it mounts, and makes device files.
pub(crate) fn install_for_fresh() -> Result<(), Failure> {
    if !is_root() {
        let remedy = "run it as root: `sudo env PATH=\"$PATH\" cargo xtask fresh`".to_owned();
        return Err(Failure::Missing {
            what: "root, without which no system tree can be made".to_owned(),
            remedy,
        });
    }
    install(&[NEED_OF_FRESH])
}

fn install(needs: &[Need]) -> Result<(), Failure> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let packages = packages.join(" ");
    if !command::is_there("apt-get") {
        let remedy = format!("install what your system calls {packages}, then run this again");
        return Err(Failure::Missing { what: names(&missing), remedy });
    }
    if !is_root() {
        let remedy = format!("sudo apt-get install -y --no-install-recommends {packages}");
        return Err(Failure::Missing { what: names(&missing), remedy });
    }
    apt_update()?;
    apt_install(&packages)?;
    match self::missing(needs).as_slice() {
        [] => Ok(()),
        rest => Err(Failure::Missing {
            what: names(rest),
            remedy: format!("apt-get installed {packages}, yet this does not answer: look at PATH"),
        }),
    }
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !command::succeeds(need.asks)).collect()
}

fn names(needs: &[&Need]) -> String {
    needs.iter().map(|need| need.program).collect::<Vec<_>>().join(", ")
}

/// Whether this may install packages.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Reads Debian's lists of packages anew.
pub(crate) fn apt_update() -> Result<(), Failure> {
    apt_get("update")
}

/// Installs packages of Debian, none of whose services is started.
pub(crate) fn apt_install(packages: &str) -> Result<(), Failure> {
    let _policy = NoService::begin(SERVICE_POLICY.as_ref())?;
    apt_get(&format!("install -y --no-install-recommends {packages}"))
}

fn apt_get(words: &str) -> Result<(), Failure> {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let mut command = command::program("apt-get".as_ref(), &words);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command::run(command)
}

/// No service is started while this lives: a server that the package of a test's program started would go on after the
/// test, on that program's own port.
struct NoService {
    /// The policy that this task made; none where the machine has one, which stays, whatever it says.
    own: Option<PathBuf>,
}

impl NoService {
    fn begin(policy: &Path) -> Result<Self, Failure> {
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(policy);
        let written = match opened {
            Ok(mut file) => file.write_all(START_NO_SERVICE.as_bytes()).map(|()| Some(policy.to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        };
        let own = written.map_err(|source| Failure::Write { path: policy.to_owned(), source })?;
        Ok(Self { own })
    }
}

impl Drop for NoService {
    fn drop(&mut self) {
        if let Some(policy) = &self.own {
            // A policy that stays would keep the machine's own services from starting at their next upgrade.
            drop(fs::remove_file(policy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_the_machine_stays_and_our_own_is_removed() {
        let policy = std::env::temp_dir().join(format!("tenure-xtask-policy-{}", std::process::id()));
        let ours = NoService::begin(&policy).expect("a temporary directory takes files");
        let mode = fs::metadata(&policy).expect("it was written").mode();
        assert_eq!(mode & 0o111, 0o111);
        let none = NoService::begin(&policy).expect("one that is there is no error");
        drop(none);
        assert_eq!(fs::read_to_string(&policy).expect("it stays"), START_NO_SERVICE);
        drop(ours);
        assert!(!policy.exists());
    }
}

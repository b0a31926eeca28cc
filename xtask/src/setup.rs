//! Installs, by package name, what the tests need beyond the Rust toolchain.
//!
//! It knows Debian and its derivatives, and only root can install; other users are told which command to run.

use std::os::unix::fs::MetadataExt as _;

use crate::command;
use crate::failure::Failure;

/// A program that the tests run, and the Debian package that brings it.
struct Need {
    program: &'static str,
    package: &'static str,
}

const NEEDS: [Need; 4] = [
    Need { program: "node", package: "nodejs" },
    Need { program: "python3", package: "python3" },
    Need { program: "redis-server", package: "redis-server" },
    Need { program: "strace", package: "strace" },
];

/// What `cargo xtask fresh` runs besides.
const NEED_OF_FRESH: Need = Need { program: "debootstrap", package: "debootstrap" };

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
    apt_get("update")?;
    apt_get(&format!("install -y --no-install-recommends {packages}"))?;
    match self::missing(needs).as_slice() {
        [] => Ok(()),
        rest => Err(Failure::Missing {
            what: names(rest),
            remedy: format!("apt-get installed {packages}, yet this does not answer --version: look at PATH"),
        }),
    }
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !command::is_there(need.program)).collect()
}

fn names(needs: &[&Need]) -> String {
    needs.iter().map(|need| need.program).collect::<Vec<_>>().join(", ")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn apt_get(words: &str) -> Result<(), Failure> {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let mut command = command::program("apt-get".as_ref(), &words);
    // The package of a server asks for that server to be started; invoke-rc.d declines in run level 1, where the
    // system has a `runlevel` that it can ask. Elsewhere one may start, on its own port, which no test uses.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command::run(command)
}

//! Runs the README's two commands in a bare Debian tree, as a new user types them.
//!
//! The tree holds what the README asks for (Rust, gcc, the static C library), git, and the certificates with which
//! cargo fetches. The sources are a clone of what is committed, below a directory that only its owner can read. There
//! is no `/etc/machine-id`, as in a container. Mount and pid namespaces end what runs there with the last command. The
//! network is that of this machine.

use std::path::{Path, PathBuf};

use crate::command;
use crate::failure::Failure;
use crate::setup;
use crate::workspace::Workspace;

/// What is in the tree beyond Debian's minimum.
const PACKAGES: &str = "gcc,libc6-dev,git,ca-certificates";

/// Where `debootstrap` has a script for each suite. A suite that is newer than it has none, and is made as `sid` is.
const SUITES: &str = "/usr/share/debootstrap/scripts";

/// Files of this machine that using its network needs: name servers and trusted certificates.
const OF_THE_NETWORK: [&str; 2] = ["etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"];

/// Runs in the namespaces, with `$1` the tree and `$2` the toolchain ("" where the tree has its own), mounted
/// read-only. The shell stays process 1, so that orphans are reaped.
const ENTER: &str = r#"set -eu
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
if [ -n "$2" ]; then
    mount --bind "$2" "$1/opt/rust"
    mount -o remount,bind,ro "$1/opt/rust"
fi
env -i HOME=/root TERM=dumb PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" sh /root/typed
exit $?"#;

/// What is typed in the tree: the README's two commands; the first that fails ends the script.
const TYPED: &str = "set -eu
cd /root/private/tenure
rustc --version
set -x
cargo run --release -- demo
cargo xtask test
";

/// A mirror may be an old copy, which debootstrap accepts and apt would not.
const ANY_MIRROR: &str = "Acquire::Check-Valid-Until \"false\";\n";

/// Which system tree is made.
struct Machine {
    suite: String,
    /// Whether Rust is the one that the suite has, and not the toolchain that runs this task.
    own_rust: bool,
    keep: bool,
}

/// Makes a fresh machine and runs the README's two commands in it.
pub(crate) fn run(words: &[String]) -> Result<(), Failure> {
    let machine = Machine::of(words)?;
    setup::install_for_fresh()?;
    let root = Workspace::ask()?.root;
    let tree = root.join("target/fresh");
    make(&machine, &tree)?;
    furnish(&root, &tree)?;
    let toolchain = if machine.own_rust { String::new() } else { toolchain()? };
    // A tree in which something failed stays for inspection; the next run replaces it.
    enter(&tree, &toolchain)?;
    if machine.keep {
        command::announce(&format!("fresh: {} stays; `rm -r --one-file-system` removes it", tree.display()));
    } else {
        remove(&tree)?;
    }
    command::announce(&format!("fresh: both commands pass on a bare Debian {}", machine.suite));
    Ok(())
}

impl Machine {
    fn of(words: &[String]) -> Result<Self, Failure> {
        let mut machine = Self { suite: "stable".to_owned(), own_rust: false, keep: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (word.as_str(), words.as_slice().first()) {
                ("--own-rust", _) => machine.own_rust = true,
                ("--keep", _) => machine.keep = true,
                ("--suite", Some(suite))
                    if !suite.is_empty() && !suite.starts_with('-') && !suite.contains('/') =>
                {
                    machine.suite.clone_from(suite);
                    words.next();
                }
                _ => {
                    return Err(Failure::Usage(format!(
                        "fresh does not know `{word}`; it takes [--suite SUITE] [--own-rust] [--keep]"
                    )));
                }
            }
        }
        Ok(machine)
    }
}

/// Installs Debian's minimum and `PACKAGES` into an empty `tree`.
fn make(machine: &Machine, tree: &Path) -> Result<(), Failure> {
    remove(tree)?;
    let rust = if machine.own_rust { ",rustc,cargo,rustfmt,rust-clippy" } else { "" };
    let mut words = vec![
        "--variant=minbase".to_owned(),
        format!("--include={PACKAGES}{rust}"),
        machine.suite.clone(),
        tree.display().to_string(),
    ];
    let known = Path::new(SUITES);
    if !known.join(&machine.suite).exists() {
        words.extend(["http://deb.debian.org/debian".to_owned(), known.join("sid").display().to_string()]);
    }
    command::run(command::program("debootstrap".as_ref(), &words))
}

/// Adds what a new user has: the sources in a private directory and a network, and no machine id.
fn furnish(root: &Path, tree: &Path) -> Result<(), Failure> {
    let home = tree.join("root");
    create(&home.join("private"))?;
    create(&tree.join("opt/rust"))?;
    run_words("chmod", &["0700", &home.join("private").display().to_string()])?;
    for name in ["etc/machine-id", "var/lib/dbus/machine-id"] {
        drop(std::fs::remove_file(tree.join(name)));
    }
    write(&tree.join("root/typed"), TYPED)?;
    write(&tree.join("etc/apt/apt.conf.d/any-mirror"), ANY_MIRROR)?;
    let policy = tree.join("usr/sbin/policy-rc.d");
    write(&policy, setup::START_NO_SERVICE)?;
    run_words("chmod", &["0755", &policy.display().to_string()])?;
    for file in OF_THE_NETWORK {
        let copy = tree.join(file);
        let from = Path::new("/").join(file);
        if from.exists() {
            std::fs::copy(from, &copy).map_err(|source| Failure::Write { path: copy, source })?;
        }
    }
    let sources = home.join("private/tenure");
    // No hard links to this clone's objects: the tree must not share files with this machine.
    run_words(
        "git",
        &["clone", "-q", "--no-hardlinks", &root.display().to_string(), &sources.display().to_string()],
    )?;
    run_words("git", &["-C", &sources.display().to_string(), "log", "--oneline", "-1"])
}

/// Types the commands in the tree, in a mount and a pid namespace that end with this process.
fn enter(tree: &Path, toolchain: &str) -> Result<(), Failure> {
    let tree = tree.display().to_string();
    let words = ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "fresh", &tree, toolchain];
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    command::announce(&format!("fresh: cargo run --release -- demo; cargo xtask test (in {tree})"));
    command::run_as("the two commands".to_owned(), command::program("unshare".as_ref(), &words))
}

/// The directory of the toolchain that runs this task.
fn toolchain() -> Result<String, Failure> {
    let mut rustc = command::program("rustc".as_ref(), &[]);
    rustc.args(["--print", "sysroot"]);
    Ok(command::read(rustc)?.trim_end().to_owned())
}

/// Removes a tree, and nothing that is mounted in it; mounts ended with their namespace.
fn remove(tree: &Path) -> Result<(), Failure> {
    if tree.exists() {
        run_words("rm", &["-r", "--one-file-system", &tree.display().to_string()])
    } else {
        Ok(())
    }
}

fn run_words(program: &str, words: &[&str]) -> Result<(), Failure> {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    command::run(command::program(program.as_ref(), &words))
}

fn create(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|source| Failure::Write { path: PathBuf::from(path), source })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|source| Failure::Write { path: PathBuf::from(path), source })
}

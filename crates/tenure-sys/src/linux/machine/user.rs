//! Who the caller is and where its home is, without the name service of the C library.
//!
//! A static binary must not load NSS modules, so the home comes from `/etc/passwd`, and for users that are kept
//! elsewhere from `getent`, which is started as a program. No variable of the environment is read: two sessions of one
//! user must come to the same answer.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use thiserror::Error;

use crate::common::discard::best_effort;
use crate::linux::descriptor::pipe;
use crate::linux::descriptor::poll::{self, Interest, Readiness};
use crate::linux::file::dir::read_regular;
use crate::linux::machine::clock::WaitLimit;
use crate::linux::own_process::limits;
use crate::linux::spawn::{self, Launch, Stream};

/// Where `getent` is looked for; a search path of a session would be a way to have another program run.
const GETENT: [&str; 3] = ["/usr/bin/getent", "/bin/getent", "/run/current-system/sw/bin/getent"];

/// A directory server that is down must not hold up every launcher: after this time the look-up fails.
const GETENT_LIMIT: Duration = Duration::from_secs(5);

/// Longest list of users that is read: a hundred thousand users take less.
const LARGEST_LIST: u64 = 16 * 1024 * 1024;

/// Longest answer of `getent`: one line of that list is shorter.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Longest file of a machine id: an id and the end of its line are shorter.
const LONGEST_ID: u64 = 256;

/// Why a user has no known home.
#[derive(Debug, Error)]
pub enum HomeError {
    /// Neither source knows a home of this user.
    #[error("find the home of uid {uid}, which neither /etc/passwd nor getent lists with one")]
    NotListed {
        /// The user.
        uid: u32,
    },
    /// The list of users cannot be read.
    #[error("read the list of users")]
    Unreadable {
        /// What the kernel said.
        source: io::Error,
    },
}

/// The user whose rights the caller has.
#[must_use]
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Longest `/etc/login.defs` that is read: Debian's has 13 KB.
const LONGEST_DEFINITIONS: u64 = 1 << 20;

/// The umask that users of this system usually have: `UMASK` in `/etc/login.defs`, else 022.
#[must_use]
pub fn usual_umask() -> u32 {
    let text = read_regular(Path::new("/etc/login.defs"), LONGEST_DEFINITIONS).unwrap_or_default();
    let defined = umask_in(&String::from_utf8_lossy(&text));
    defined.unwrap_or(0o022)
}

/// As login.defs(5) has it: octal with a leading zero, which everybody leaves out. The last line counts.
fn umask_in(text: &str) -> Option<u32> {
    let value = |line: &str| {
        let mut words = line.split_whitespace();
        let named = words.next() == Some("UMASK");
        let value = words.next().filter(|_| named)?;
        u32::from_str_radix(value, 8).ok().filter(|umask| *umask <= 0o777)
    };
    text.lines().filter_map(value).next_back()
}

/// The first home that was found in this process: one short call asks for it several times. A failure is not kept.
static FOUND: OnceLock<(u32, PathBuf)> = OnceLock::new();

/// The home of a user: from `/etc/passwd`, then from `getent`.
pub fn home_of(uid: u32) -> Result<PathBuf, HomeError> {
    if let Some((known, home)) = FOUND.get()
        && *known == uid
    {
        return Ok(home.clone());
    }
    let home = find_home(uid)?;
    // A home that another thread stored first stays.
    best_effort(FOUND.set((uid, home.clone())));
    Ok(home)
}

fn find_home(uid: u32) -> Result<PathBuf, HomeError> {
    match read_regular(Path::new("/etc/passwd"), LARGEST_LIST) {
        Ok(text) => {
            if let Some(home) = home_in(&text, uid) {
                return Ok(home);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(HomeError::Unreadable { source }),
    }
    let answer = ask_getent(uid).map_err(|source| HomeError::Unreadable { source })?;
    home_in(&answer, uid).ok_or(HomeError::NotListed { uid })
}

/// Finds the home in lines of the form of passwd(5); one that is not absolute counts as none.
fn home_in(text: &[u8], uid: u32) -> Option<PathBuf> {
    let wanted = uid.to_string().into_bytes();
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let listed = fields.nth(2)?;
        let home = fields.nth(2).filter(|home| home.starts_with(b"/"))?;
        (listed == wanted).then(|| PathBuf::from(OsString::from_vec(home.to_vec())))
    })
}

/// Starts `getent passwd UID` and reads what it says; nothing if there is no `getent`, or if it does not know the user.
fn ask_getent(uid: u32) -> io::Result<Vec<u8>> {
    let Some(program) = GETENT.iter().map(Path::new).find(|path| path.exists()) else {
        return Ok(Vec::new());
    };
    let (read, write) = pipe::pipe()?;
    let args = ["passwd".into(), OsString::from(uid.to_string())];
    let launch =
        Launch { args: &args, stdout: Stream::Fd(write.as_fd()), ..Launch::new(program, Path::new("/")) };
    let child = spawn::child(&launch).map_err(io::Error::other)?;
    drop(write);
    let answer = read_within(File::from(read), GETENT_LIMIT);
    // It has answered, or its time is over.
    child.kill()?;
    child.wait()?;
    answer
}

fn read_within(mut from: File, limit: Duration) -> io::Result<Vec<u8>> {
    let until = WaitLimit::after(Some(limit));
    let mut answer = Vec::new();
    let mut part = [0_u8; 4096];
    loop {
        if poll::wait(&mut [Interest::new(from.as_fd(), Readiness::Read)], until.left())? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "getent did not answer"));
        }
        match from.read(&mut part)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
        if answer.len() > LONGEST_ANSWER {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "getent does not stop to answer"));
        }
    }
}

/// The lasting id of this installation of the system, if it has one. A failure that says nothing about the file, such
/// as a lack of descriptors, is an error: without the id the caller would look at another state.
pub fn machine_id() -> io::Result<Option<String>> {
    for path in ["/etc/machine-id", "/var/lib/dbus/machine-id"] {
        if let Some(id) = machine_id_in(Path::new(path))? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The machine id in a file, if it holds one.
pub fn machine_id_in(file: &Path) -> io::Result<Option<String>> {
    let bytes = match read_regular(file, LONGEST_ID) {
        Ok(bytes) => bytes,
        Err(error) if limits::ran_out(&error) || error.raw_os_error() == Some(libc::EIO) => {
            return Err(error);
        }
        Err(_) => return Ok(None),
    };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let id = text.trim();
    // An image that has not been started yet says "uninitialized" (machine-id(5)).
    Ok((id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_umask_is_read_as_login_does() {
        assert_eq!(umask_in("# UMASK 077\nUMASK\t\t027 # ours\nUMASKS 0\n"), Some(0o027));
        assert_eq!(umask_in("UMASK 022\nUMASK 0077\n"), Some(0o077));
        assert_eq!(umask_in("UMASK 9\nUMASK\n"), None);
    }

    #[test]
    fn a_home_is_found_by_number_and_only_if_it_is_one() {
        let text = b"root:x:0:0:root:/root:/bin/sh\nsvc:x:7:7::nowhere:/bin/false\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n";
        assert_eq!(home_in(text, 1000), Some(PathBuf::from("/home/ann")));
        assert_eq!(home_in(text, 7), None);
        assert_eq!(home_in(text, 100), None);
    }

    #[test]
    fn a_user_whom_nobody_knows_is_named() {
        let error = home_of(3_999_999_999).expect_err("no such user");
        assert!(matches!(error, HomeError::NotListed { uid: 3_999_999_999 }), "{error:?}");
    }

    #[test]
    fn getent_is_asked_and_answers_like_the_file() {
        if !GETENT.iter().any(|path| Path::new(path).exists()) {
            println!("skipped: no getent on this machine");
            return;
        }
        let answer = ask_getent(0).expect("an answer");
        assert!(answer.starts_with(b"root:"), "{}", String::from_utf8_lossy(&answer));
    }
}

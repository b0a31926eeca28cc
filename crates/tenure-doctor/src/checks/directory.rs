//! Checks of directories, the root of all state, that of the host and that of each worker: is it ours, private, and can
//! it be used.

use tenure_core::os_text::shell::word;

use crate::check::{Case, DoctorCheck, Look};
use crate::facts::{Access, DirectoryFacts, MachineFacts, Obstacle};
use crate::finding::{Fix, Symptom};

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "open-to-others", part: "state directory", look: Look::Directory(open) },
    DoctorCheck { id: "of-another-user", part: "state directory", look: Look::Directory(not_owned) },
    DoctorCheck { id: "no-directory", part: "state directory", look: Look::Directory(not_directory) },
    DoctorCheck { id: "root-is-a-link", part: "state directory", look: Look::Machine(root_link) },
    DoctorCheck { id: "in-the-way", part: "state directory", look: Look::Each(in_the_way) },
    DoctorCheck { id: "locked-out", part: "state directory", look: Look::Directory(locked_out) },
    DoctorCheck { id: "directory-denied", part: "state directory", look: Look::Directory(denied) },
    DoctorCheck { id: "directory-unusable", part: "state directory", look: Look::Directory(unusable) },
    DoctorCheck { id: "read-only", part: "state directory", look: Look::Directory(read_only) },
    DoctorCheck { id: "long-path", part: "state directory", look: Look::Directory(long_path) },
];

/// The rights without which a directory cannot be used by its owner.
const OWNER: u32 = 0o700;

/// Longest path of a socket, its end mark included (`sockaddr_un`, unix(7)).
const LONGEST: usize = 108;

fn open(directory: &DirectoryFacts, _user: u32) -> Option<Symptom> {
    let Access::TooOpen { mode } = directory.access else { return None };
    let path = &directory.path;
    // A directory that is closed by hand keeps what others have changed.
    let could_write = mode & 0o022 != 0;
    Some(
        Symptom::error("the directory is open to others, so nothing in it can be trusted")
            .saw(format!("{} has mode {mode:04o} instead of 0700", path.display()))
            .saw_all(could_write.then(|| "others could write there: its records count no more".to_owned()))
            .remedy(if could_write {
                "`tenure doctor --fix`".to_owned()
            } else {
                format!("`chmod 700 {}`", word(path))
            })
            .fix(Fix::MakePrivate { path: directory.real().to_owned() }),
    )
}

fn not_owned(directory: &DirectoryFacts, user: u32) -> Option<Symptom> {
    let Access::NotOwned { owner } = directory.access else { return None };
    let path = directory.path.display();
    Some(
        Symptom::error("the directory belongs to another user")
            .saw(format!("{path} belongs to uid {owner}, this runs as uid {user}"))
            .remedy(format!("`chown -R {user} {}`, or run as uid {owner}", word(directory.real()))),
    )
}

fn not_directory(directory: &DirectoryFacts, _user: u32) -> Option<Symptom> {
    let Access::NotDirectory(blocker) = &directory.access else { return None };
    let path = word(&blocker.path);
    let remedy = match &blocker.leads {
        // The directory itself, where the link is.
        Some(target) if blocker.hides => format!("`rm {path} && mv {} {path}`", word(target)),
        Some(target) => format!("`rm {path}`, or make or mount {}", word(target)),
        None => format!("name another directory in TENURE_STATE_DIR, or `mv {path} {path}.old`"),
    };
    Some(
        Symptom::error("there is something else where the directory should be")
            .saw(blocker.to_string())
            .remedy(remedy),
    )
}

/// Only the root may be a link: nobody else can change where it leads, or the root is refused.
fn root_link(machine: &MachineFacts) -> Option<Symptom> {
    let linked =
        |root: &&DirectoryFacts| matches!(root.access, Access::Private { .. }) && root.leads.is_some();
    let root = machine.roots.iter().find(linked)?;
    Some(
        Symptom::note("the state directory is a link, which is followed: it works")
            .saw(format!("{} leads to {}", root.path.display(), root.real().display()))
            .remedy("nothing, as long as it leads there"),
    )
}

/// An obstacle is moved by a person, and never by tenure.
fn in_the_way(case: &Case<'_>) -> Vec<Symptom> {
    let told = |Obstacle { name, kind, wanted, stops }: &Obstacle| {
        let path = case.worker.directory.path.join(name);
        let symptom = if *stops {
            Symptom::error("something stands in the way of a file of tenure: nothing can be started")
        } else {
            Symptom::warning("something stands in the way of a file of tenure, which is not written")
        };
        symptom
            .saw(format!("{} is {kind}, where {wanted} should be", path.display()))
            .remedy(format!("`mv {0} {0}.aside`", word(&path)))
    };
    case.state.obstacles.iter().map(told).collect()
}

/// The owner may always mend the mode of a directory, even of one that it cannot read.
fn locked_out(directory: &DirectoryFacts, user: u32) -> Option<Symptom> {
    let Access::Denied { seen: Some((mode, owner)), why } = &directory.access else { return None };
    (*owner == user && mode & OWNER != OWNER).then(|| {
        Symptom::error("the directory is closed to its own owner")
            .saw(format!("{} has mode {mode:04o} instead of 0700", directory.path.display()))
            .saw(why.clone())
            .remedy(format!("`chmod 700 {}`", word(&directory.path)))
            .fix(Fix::MakePrivate { path: directory.path.clone() })
    })
}

fn denied(directory: &DirectoryFacts, user: u32) -> Option<Symptom> {
    let Access::Denied { seen, why } = &directory.access else { return None };
    let is_locked_out = seen.is_some_and(|(mode, owner)| owner == user && mode & OWNER != OWNER);
    (!is_locked_out).then(|| {
        let seen = seen.map(|(mode, owner)| format!("it has mode {mode:04o} and belongs to uid {owner}"));
        Symptom::error("the system does not permit to look into the directory")
            .saw(format!("{}: {why}", directory.path.display()))
            .saw_all(seen)
            .remedy(format!("allow {} to be read, written and connected to", directory.path.display()))
    })
}

fn unusable(directory: &DirectoryFacts, _user: u32) -> Option<Symptom> {
    let Access::Unusable { why } = &directory.access else { return None };
    Some(
        Symptom::error("the directory cannot be used")
            .saw(format!("{}: {why}", directory.path.display()))
            .remedy("repair the disk or the mount, or name another directory in TENURE_STATE_DIR"),
    )
}

fn read_only(directory: &DirectoryFacts, _user: u32) -> Option<Symptom> {
    let is_read_only = directory.file_system.as_ref().is_ok_and(|disk| disk.is_read_only);
    let writable = match directory.access {
        Access::Private { writable } => writable,
        Access::Absent => !is_read_only,
        Access::TooOpen { .. }
        | Access::NotOwned { .. }
        | Access::NotDirectory(_)
        | Access::Denied { .. }
        | Access::Unusable { .. } => return None,
    };
    let path = directory.path.display();
    (!writable).then(|| {
        let (why, remedy) = if is_read_only {
            (format!("{path} is on a file system that is mounted read-only"), "make it writable".to_owned())
        } else {
            (format!("no file can be made in {path}"), format!("`chmod 700 {}`", word(&directory.path)))
        };
        Symptom::error("the directory cannot be written: nothing can be started or recorded there")
            .saw(why)
            .remedy(remedy)
    })
}

fn long_path(directory: &DirectoryFacts, _user: u32) -> Option<Symptom> {
    let length = directory.path.join(tenure_core::store::paths::file::CONTROL).as_os_str().len();
    (length >= LONGEST && matches!(directory.access, Access::Private { .. })).then(|| {
        Symptom::note("the path is longer than that of a socket may be; sockets are reached through /proc")
            .saw(format!("{} bytes, of {} that fit", length, LONGEST - 1))
            .remedy("nothing, unless other programs are to connect by path")
    })
}

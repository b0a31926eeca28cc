//! Checks of the machine: root of all state, disk, kernel, limits, variables, configuration.

use tenure_core::launch::request::{FIRST_ANSWER_VARIABLE, NO_SPAWN_VARIABLE, WEDGED_AFTER_VARIABLE};
use tenure_core::spec::scope::COOKIE_VARIABLE;
use tenure_core::store::paths::ROOT_VARIABLE;

use crate::check::{DoctorCheck, Look, bytes};
use crate::facts::{Access, MachineFacts};
use crate::finding::Symptom;

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "state-root", part: "state directory", look: Look::Machine(root) },
    DoctorCheck { id: "workers-not-listed", part: "state directory", look: Look::Machine(not_listed) },
    DoctorCheck { id: "disk-full", part: "disk", look: Look::Machine(disk_full) },
    DoctorCheck { id: "network-file-system", part: "disk", look: Look::Machine(network) },
    DoctorCheck { id: "configuration", part: "configuration", look: Look::Machine(configuration) },
    DoctorCheck { id: "no-machine-id", part: "clock and boot id", look: Look::Machine(machine_id) },
    DoctorCheck { id: "no-identity", part: "clock and boot id", look: Look::Machine(identity) },
    DoctorCheck { id: "no-process-handles", part: "kernel", look: Look::Machine(handles) },
    DoctorCheck { id: "weak-identity", part: "kernel", look: Look::Machine(weak_identity) },
    DoctorCheck { id: "unknown-peers", part: "kernel", look: Look::Machine(peers) },
    DoctorCheck { id: "slow-spawn", part: "kernel", look: Look::Machine(close_range) },
    DoctorCheck { id: "no-watches", part: "limits", look: Look::Machine(watches) },
    DoctorCheck { id: "few-descriptors", part: "limits", look: Look::Machine(descriptors) },
    DoctorCheck { id: "starting-forbidden", part: "variables", look: Look::Machine(forbidden) },
    DoctorCheck { id: "host-variable", part: "variables", look: Look::Machine(host_variable) },
    DoctorCheck { id: "bad-duration", part: "variables", look: Look::Machine(bad_duration) },
    DoctorCheck { id: "inside-a-worker", part: "variables", look: Look::Machine(inside) },
    DoctorCheck { id: "other-root", part: "variables", look: Look::Machine(other_root) },
];

/// Free bytes below which logs at their usual bound do not fit, and those below which the records of a start may not.
const ALMOST_FULL: u64 = 50_000_000;
const FULL: u64 = 64_000;

/// Free names below which there may soon be none, and those below which a start, which makes about ten files, may fail.
const FEW_FILES: u64 = 1_000;
const NO_FILES: u64 = 32;

/// A host with a few listeners and checks has about thirty descriptors open; a worker with clients has many more.
const FEW_DESCRIPTORS: u64 = 256;

/// Bounds on watches below which an editor or two leave none for a build of a thousand files.
const FEW_WATCHES: u64 = 8_192;
const FEW_INSTANCES: u64 = 32;

fn root(machine: &MachineFacts) -> Option<Symptom> {
    let why = machine.host.as_ref().err()?;
    Some(
        Symptom::error("there is no place for the state of workers")
            .saw(format!("could not {why}"))
            .remedy(format!("`export {ROOT_VARIABLE}=/a/directory/of/your/own`")),
    )
}

/// Only where the host directory can be used: otherwise the checks of directories tell why not.
fn not_listed(machine: &MachineFacts) -> Option<Symptom> {
    let host = machine.host.as_ref().ok()?;
    let why = machine.listed.as_ref().err()?;
    matches!(host.access, Access::Private { .. }).then(|| {
        Symptom::error("the workers that ran here cannot be listed")
            .saw(format!("could not {why}"))
            .remedy(format!("look at {}", host.path.display()))
    })
}

fn disk_full(machine: &MachineFacts) -> Option<Symptom> {
    let host = machine.host.as_ref().ok()?;
    let disk = host.file_system.as_ref().ok()?;
    let files = disk.free_files.unwrap_or(u64::MAX);
    if disk.free_bytes >= ALMOST_FULL && files >= FEW_FILES {
        return None;
    }
    let is_full = disk.free_bytes < FULL || files < NO_FILES;
    let symptom = if is_full {
        Symptom::error("the disk is full: nothing can be started or recorded")
    } else {
        Symptom::warning("the disk is almost full")
    };
    let names = disk.free_files.map(|files| format!(" and {files} files")).unwrap_or_default();
    let room = format!("room for {}{names} below {}", bytes(disk.free_bytes), host.path.display());
    Some(symptom.saw(room).remedy(format!("make room there, or name another directory in {ROOT_VARIABLE}")))
}

fn network(machine: &MachineFacts) -> Option<Symptom> {
    let host = machine.host.as_ref().ok()?;
    let disk = host.file_system.as_ref().ok().filter(|disk| disk.is_network)?;
    Some(
        Symptom::warning("the state of workers is on a file system that another machine or program keeps")
            .saw(format!("{} is on {}", host.path.display(), disk.kind))
            .saw("its locks are as good as that machine or program makes them, and its sockets may not work")
            .remedy(format!("`export {ROOT_VARIABLE}=/a/local/directory/of/your/own`")),
    )
}

fn configuration(machine: &MachineFacts) -> Option<Symptom> {
    if machine.configuration.is_empty() {
        return None;
    }
    Some(
        Symptom::error("the configuration cannot be used: its workers cannot be started by name")
            .saw_all(machine.configuration.iter().cloned())
            .remedy("`tenure config check`"),
    )
}

fn machine_id(machine: &MachineFacts) -> Option<Symptom> {
    (!machine.machine_id).then(|| {
        Symptom::warning("this installation has no machine id")
            .saw("neither /etc/machine-id nor /var/lib/dbus/machine-id has one")
            .saw("two machines that share this home would share the directory `nohost` as well")
            // As root; it needs no program that a container lacks.
            .remedy("`tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id`")
    })
}

fn identity(machine: &MachineFacts) -> Option<Symptom> {
    let why = machine.identity.as_ref().err()?;
    Some(
        Symptom::error("no process can be told from another: boot and namespace are not known")
            .saw(format!("could not {why}"))
            .remedy("mount /proc where this runs"),
    )
}

fn handles(machine: &MachineFacts) -> Option<Symptom> {
    (!machine.features.pidfd).then(|| {
        Symptom::error("this kernel gives no handles of processes: nothing can be ended safely")
            .saw(format!("pidfd_open(2) is not there; the kernel is {}", machine.kernel))
            .remedy("use Linux 5.3 or newer, or allow pidfd_open in the sandbox")
    })
}

fn weak_identity(machine: &MachineFacts) -> Option<Symptom> {
    (machine.features.pidfd && !machine.features.pidfd_inode).then(|| {
        Symptom::note("processes are told apart by pid and start time only")
            .saw(format!(
                "handles have no inode of their own before Linux 6.9; the kernel is {}",
                machine.kernel
            ))
            .saw("two processes with one pid, started within 10 ms, would be taken for the same")
            .remedy("use Linux 6.9 or newer, where that matters")
    })
}

fn peers(machine: &MachineFacts) -> Option<Symptom> {
    (!machine.features.peer_pidfd).then(|| {
        Symptom::note("who listens on a control socket is known by its answer only")
            .saw(format!("SO_PEERPIDFD needs Linux 6.5; the kernel is {}", machine.kernel))
            .remedy("nothing: records and answers are verified by identity")
    })
}

fn close_range(machine: &MachineFacts) -> Option<Symptom> {
    (!machine.features.close_range).then(|| {
        Symptom::note("starting a process closes descriptors one by one")
            .saw(format!("close_range(2) needs Linux 5.9; the kernel is {}", machine.kernel))
            .remedy("nothing: with a very high limit of open files a start takes longer")
    })
}

fn watches(machine: &MachineFacts) -> Option<Symptom> {
    let limits = machine.watch_limits.as_ref().ok();
    let shown = limits.map(|limits| {
        format!("max_user_watches is {}, max_user_instances is {}", limits.watches, limits.instances)
    });
    let raise = "`sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512`";
    if let Err(why) = &machine.watch {
        let symptom =
            Symptom::warning("files cannot be watched: changed builds are not seen, logs cannot be followed");
        return Some(symptom.saw(format!("could not {why}")).saw_all(shown).remedy(raise));
    }
    let few = limits.filter(|limits| limits.watches < FEW_WATCHES || limits.instances < FEW_INSTANCES)?;
    let symptom = Symptom::note("few files may be watched: a large `build` may not be followed");
    Some(symptom.saw_all(shown.filter(|_| few.watches > 0 || few.instances > 0)).remedy(raise))
}

fn descriptors(machine: &MachineFacts) -> Option<Symptom> {
    let (soft, hard) = machine.descriptors;
    (soft < FEW_DESCRIPTORS).then(|| {
        Symptom::warning("few files may be open at once in what is started from here")
            .saw(format!("the soft limit is {soft}, the hard limit {hard}"))
            .remedy("`ulimit -n 1024`")
    })
}

fn variable<'machine>(machine: &'machine MachineFacts, name: &str) -> Option<&'machine str> {
    let found = machine.variables.iter().find(|(known, value)| known == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

fn forbidden(machine: &MachineFacts) -> Option<Symptom> {
    let value = variable(machine, NO_SPAWN_VARIABLE).filter(|value| *value != "0")?;
    Some(
        Symptom::warning("a variable forbids starting a worker from here")
            .saw(format!("{NO_SPAWN_VARIABLE}={value}"))
            .remedy(format!("`unset {NO_SPAWN_VARIABLE}`")),
    )
}

fn host_variable(machine: &MachineFacts) -> Option<Symptom> {
    let why = machine.named_host.as_ref()?.as_ref().err()?;
    Some(
        Symptom::error("the executable that is to host programs is not there")
            .saw(format!("could not {why}"))
            .remedy(format!("`unset {}`", tenure_core::spec::program::HOST_VARIABLE)),
    )
}

fn bad_duration(machine: &MachineFacts) -> Option<Symptom> {
    let bad = |name: &&str| {
        let span = variable(machine, name).map(str::parse::<tenure_core::spec::amount::Span>);
        span.is_some_and(|span| !span.is_ok_and(|span| !span.duration().is_zero()))
    };
    let bad: Vec<&str> = [FIRST_ANSWER_VARIABLE, WEDGED_AFTER_VARIABLE].into_iter().filter(bad).collect();
    (!bad.is_empty()).then(|| {
        let shown = bad.iter().map(|name| format!("{name}={}", variable(machine, name).unwrap_or_default()));
        Symptom::error("a variable is no duration: no worker can be started from here")
            .saw_all(shown)
            .remedy(format!("`unset {}`", bad.join(" ")))
    })
}

fn inside(machine: &MachineFacts) -> Option<Symptom> {
    let cookie = variable(machine, COOKIE_VARIABLE)?;
    Some(
        Symptom::note("this runs inside the process tree of a worker, which cannot be asked for from here")
            .saw(format!("{COOKIE_VARIABLE}={cookie}"))
            .remedy("ask for that worker from a shell of its own"),
    )
}

fn other_root(machine: &MachineFacts) -> Option<Symptom> {
    let root = variable(machine, ROOT_VARIABLE)?;
    Some(
        Symptom::note(
            "this looks at a state directory of its own: callers without the variable see other workers",
        )
        .saw(format!("{ROOT_VARIABLE}={root}"))
        .remedy(format!("`unset {ROOT_VARIABLE}`, where that is not meant")),
    )
}

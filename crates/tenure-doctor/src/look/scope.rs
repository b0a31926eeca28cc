//! What stands in one scope: locks, answer, records, processes. Read only: no file is made, no lock is kept.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tenure_core::Version;
use tenure_core::deadline::{Deadline, Moment, monotonic};
use tenure_core::launch::ask::probe::{self, FIRST_ANSWER};
use tenure_core::launch::end::orphans;
use tenure_core::launch::start::listen;
use tenure_core::ops::described::{self, Offered};
use tenure_core::ops::offers;
use tenure_core::os_text;
use tenure_core::policy::decide::Observation;
use tenure_core::protocol::wire::{AppState, Hello};
use tenure_core::record::desired::{Desired, Target};
use tenure_core::record::ledger::Ledger;
use tenure_core::spec::origin::ReadStated;
use tenure_core::spec::{Logs, Spec, program};
use tenure_core::store::gate;
use tenure_core::store::paths::{StateDir, file};
use tenure_core::store::records::{self, RecordError};
use tenure_sys::census::{Questions, SeenProcess};
use tenure_sys::dir::fstat;
use tenure_sys::identity::Identity;
use tenure_sys::process::{self, ProcessHandle, Verified};
use tenure_sys::{socket, tree};

use crate::facts::{
    GateHolder, Gathered, HostCode, LogBytes, Member, Now, Port, RecordFacts, RecordFault, ScopeFacts,
    Unread, WantedFacts, answered,
};
use crate::look::{obstacles, ports, visibility};

/// Gathers the facts of one scope, and adds to `questions` what only a pass over all processes can answer.
pub(crate) fn state(
    state: &StateDir,
    now: &Moment,
    questions: &mut Questions,
    read: ReadStated,
) -> ScopeFacts {
    let gate = gate_holder(state);
    let (answer, answered_in, lease) = answer_and_lease(state);
    let ledger = record(state, file::LEDGER, records::read_ledger(state));
    let desired = record(state, file::DESIRED, records::counted(state));
    let desired = wanted(desired, state.scope().name(), read);
    let hello = answered(&answer);
    let recorded = ledger.good();
    let visibility = visibility::of(hello);
    let lineage = members(recorded.map_or(&[][..], |ledger| &ledger.lineage));
    let program = recorded.and_then(|ledger| ledger.program.as_ref());
    let programs = program.iter().flat_map(|program| program.shim.iter().chain(&program.identity));
    let programs: Vec<Identity> = programs.cloned().collect();
    let (orphans, orphans_of_others) = find_orphans(state, &lease, ledger.good());
    let found = ScopeFacts {
        id: state.by_path(),
        cookie_scopes: state.cookie_scopes(),
        origin: state.origin(),
        orphans,
        orphans_of_others,
        other_mounts: lineage.iter().any(sees_other_mounts),
        program_lock: is_a_program_locked(state),
        lease_file: file_of(state, file::LEASE).filter(|_| lease == Ok(true)),
        socket: is_socket(state, file::CONTROL),
        programs: members(&programs),
        host: host(state, visibility.worker.as_ref()),
        inherited: visibility.worker.as_ref().map(inherited).unwrap_or_default(),
        ports: ports((hello, &visibility.own), (state.path(), desired.good()), &lease, now),
        listens: hello.filter(|_| visibility.hidden.is_none()).and_then(booting_listens),
        own: visibility.own,
        out_of_sight: visibility.hidden,
        obstacles: obstacles::obstacles(state),
        temporaries: temporaries(state),
        logs: logs(state, desired.good(), now),
        moved_log: visibility.worker.as_ref().and_then(|worker| moved_log(state, worker)),
        written_s: written(state),
        gate,
        lease,
        answer,
        answered_in,
        ledger,
        desired,
        lineage,
    };
    ask_more(&found, questions);
    found
}

/// Where the program of a worker listens that boots and was verified here.
fn booting_listens(hello: &Hello) -> Option<Vec<SocketAddr>> {
    let boots = hello.app.state == AppState::Booting && !hello.draining;
    hello.program.as_ref().filter(|_| boots)?.identity.as_ref()?;
    let below = tree::descendants_of(hello.identity.pid);
    let mut addresses = socket::addresses_of(&below)?;
    addresses.sort_unstable();
    addresses.dedup();
    Some(addresses)
}

/// Asks what only a pass over all processes can tell, where a check needs it.
fn ask_more(found: &ScopeFacts, questions: &mut Questions) {
    if let Ok(Some(GateHolder::Unsigned { file })) = &found.gate {
        questions.locks.push(*file);
    }
    let unknown = found.hello().is_none() && !found.lineage.iter().any(Member::is_there);
    questions.locks.extend(found.lease_file.filter(|_| unknown));
    let strange = found.ports.iter().filter(|port| !port.is_ours && !port.sockets.is_empty());
    questions.sockets.extend(strange.flat_map(|port| ports::inodes(&port.sockets)));
    questions.cookies |= found.is_free() || !questions.sockets.is_empty();
}

/// Looks at answer and lease, and once more where they contradict each other: the worker may just have ended, or just
/// have been started.
fn answer_and_lease(state: &StateDir) -> (Observation, std::time::Duration, Gathered<bool>) {
    let look = || {
        let begun = monotonic();
        let observed = match Deadline::start(FIRST_ANSWER).stage("probe") {
            Ok(stage) => probe::look(state, stage),
            Err(_) => Observation::Silent,
        };
        (observed, monotonic().saturating_sub(begun), is_locked(state, file::LEASE))
    };
    let seen = look();
    let contradicts = match &seen.0 {
        Observation::Answered(_) => seen.2 == Ok(false),
        Observation::Nobody => seen.2 == Ok(true),
        Observation::Silent | Observation::Denied(_) | Observation::Foreign(_) => false,
    };
    if contradicts { look() } else { seen }
}

fn gate_holder(state: &StateDir) -> Gathered<Option<GateHolder>> {
    if !is_locked(state, file::GATE)? {
        return Ok(None);
    }
    let signed = gate::signature(state).and_then(|by| match process::verify(&by.identity) {
        Verified::Same(handle) => Some(GateHolder::Signed { run: process::state_of(handle.pid()), by }),
        Verified::Gone(_) | Verified::Unverifiable(_) => None,
    });
    let unsigned = || GateHolder::Unsigned { file: file_of(state, file::GATE).unwrap_or_default() };
    Ok(Some(signed.unwrap_or_else(unsigned)))
}

fn is_locked(state: &StateDir, name: &str) -> Gathered<bool> {
    state.is_locked(name).map_err(|error| Unread::of(&format!("look at the lock `{name}`"), &error))
}

/// The orphans that this user may end, and those that he may not. Only where the worker is gone: the program of a
/// living worker is no orphan.
fn find_orphans(
    state: &StateDir,
    lease: &Gathered<bool>,
    ledger: Option<&Ledger>,
) -> (Vec<SeenProcess>, Vec<(SeenProcess, u32)>) {
    let (mut ours, mut of_others) = (Vec::new(), Vec::new());
    if *lease != Ok(false) {
        return (ours, of_others);
    }
    for left in orphans::find(state, ledger.unwrap_or(&Ledger::default())).unwrap_or_default() {
        let seen = SeenProcess { pid: left.pid, command: left.command, above: Vec::new() };
        match left.owner {
            Some(owner) => of_others.push((seen, owner)),
            None => ours.push(seen),
        }
    }
    (ours, of_others)
}

fn is_a_program_locked(state: &StateDir) -> Gathered<bool> {
    for name in file::PROGRAMS {
        if is_locked(state, name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_socket(state: &StateDir, name: &str) -> Gathered<bool> {
    let found = state.dir().stat(name).map_err(|error| Unread::of(&format!("look for `{name}`"), &error))?;
    Ok(found.is_some_and(|found| found.is_socket))
}

fn file_of(state: &StateDir, name: &str) -> Option<(u64, u64)> {
    let file: File = state.dir().open_read(name).ok()?;
    let found = fstat(std::os::fd::AsFd::as_fd(&file)).ok()?;
    Some((found.dev, found.ino))
}

fn record<T>(state: &StateDir, name: &'static str, read: Result<T, RecordError>) -> RecordFacts<T> {
    let why =
        |error: &dyn std::error::Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let fault = match read {
        Ok(record) if state.dir().exists(name).unwrap_or(false) => return RecordFacts::Good(record),
        Ok(_) => return RecordFacts::Absent,
        Err(error @ RecordError::Damaged { .. }) => {
            RecordFault::Damaged { why: why(&error), holds: shows_a_hold(state, name) }
        }
        // Others may have written it, so a pin or a stop that it shows does not count.
        Err(error @ RecordError::Exposed { .. }) => RecordFault::Damaged { why: why(&error), holds: false },
        Err(RecordError::TooNew { found, known, .. }) => RecordFault::TooNew { found, known },
        Err(RecordError::Exhausted { .. }) => RecordFault::Exhausted,
        Err(error @ (RecordError::Read { .. } | RecordError::Write { .. })) => {
            RecordFault::Unreadable { why: why(&error) }
        }
    };
    RecordFacts::Bad(fault)
}

/// Largest record read: 8 offers with long commands are far below it.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The text of a record, valid or not.
pub(crate) fn text_of(state: &StateDir, name: &str) -> String {
    let bytes = state.dir().read_unbelieved(name, LARGEST).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a damaged record still shows that a person pinned or stopped something. Only a person moves such a record
/// aside.
pub(crate) fn shows_a_hold(state: &StateDir, name: &str) -> bool {
    let text = text_of(state, name);
    ["\"hold\"", "\"down\""].iter().any(|key| {
        let values =
            text.match_indices(key).map(|(at, _)| text[at + key.len()..].trim_start_matches([' ', ':']));
        values.into_iter().any(|value| !value.starts_with("null"))
    })
}

/// Version and file of an offer. An offer of a call has no file; its program is looked for anyway.
fn with_file(offer: &Offered) -> Option<(Version, PathBuf)> {
    Some((offer.version.clone(), offer.file.clone()?))
}

fn wanted(record: RecordFacts<Desired>, name: &str, read: ReadStated) -> RecordFacts<WantedFacts> {
    let record = match record {
        RecordFacts::Good(record) => record,
        RecordFacts::Absent => return RecordFacts::Absent,
        RecordFacts::Bad(fault) => return RecordFacts::Bad(fault),
    };
    let gone = record.offers.iter();
    let gone = gone.filter_map(|offer| Some((offer.spec.version.clone(), missing(&offer.spec)?))).collect();
    let offered = described::offered(&record, name, read);
    let untrusted = offered.iter().filter(|offer| !offer.trusted).filter_map(with_file).collect();
    let doubtful = described::doubtful(&offered, record.pin.as_ref());
    let undescribed = doubtful.filter(|offer| !offer.described).filter_map(with_file).collect();
    let (_, overwritten) = offers::startable(&record, None);
    RecordFacts::Good(WantedFacts { record, gone, untrusted, undescribed, overwritten })
}

/// What of a spec is not on disk, by the PATH that it would get from this caller.
fn missing(spec: &Spec) -> Option<String> {
    if !spec.cwd.is_dir() {
        return Some(format!("there is no directory {}", spec.cwd.display()));
    }
    let path = spec.env.path_here();
    let command = spec.command.first().map_or("", String::as_str);
    program::resolve(command, &spec.cwd, path.as_deref()).err().map(|error| format!("could not {error}"))
}

fn members(identities: &[Identity]) -> Vec<Member> {
    let now = |identity: &Identity| match process::verify(identity) {
        Verified::Same(handle) => Now::There {
            run: process::state_of(handle.pid()),
            tracer: process::tracer_of(handle.pid()),
            command: process::command_line(handle.pid()).unwrap_or_default(),
        },
        Verified::Gone(why) => Now::Gone(why),
        Verified::Unverifiable(why) => Now::Unverifiable(why),
    };
    identities.iter().map(|identity| Member { identity: identity.clone(), now: now(identity) }).collect()
}

fn sees_other_mounts(member: &Member) -> bool {
    // A pid that was not verified may belong to another process.
    let pids = [member.identity.pid, std::process::id()];
    member.is_there() && matches!(pids.map(process::mounts_of), [Some(theirs), Some(ours)] if theirs != ours)
}

/// The record of the host is where every format has it, so that a ledger that is too new still tells it.
fn host(state: &StateDir, worker: Option<&ProcessHandle>) -> Option<HostCode> {
    let record = records::recorded_host(state).filter(|record| !record.exe.is_empty())?;
    let there = Path::new(&*os_text::os(&record.exe)).is_file();
    let runs = worker.and_then(|worker| process::executable_of(worker.pid()));
    Some(HostCode { record, there, runs })
}

fn inherited(worker: &ProcessHandle) -> Vec<String> {
    let of = (process::inherited_by(worker.pid()), process::inherited_by(std::process::id()));
    if let (Some(worker), Some(own)) = of { worker.differences(&own) } else { Vec::new() }
}

fn ports(
    (hello, own): (Option<&Hello>, &[u32]),
    (directory, wanted): (&Path, Option<&WantedFacts>),
    lease: &Gathered<bool>,
    now: &Moment,
) -> Vec<Port> {
    match (hello, wanted) {
        (Some(hello), _) => ports::of_worker(hello, own),
        (None, Some(wanted)) if *lease == Ok(false) => {
            let of_target = ports::of_target(directory, &wanted.target(now));
            if of_target.is_empty() { ports::of_highest(directory, wanted) } else { of_target }
        }
        (None, _) => Vec::new(),
    }
}

fn temporaries(state: &StateDir) -> Vec<String> {
    let names = state.dir().names().unwrap_or_default();
    let mut found: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    found.retain(|name| listen::is_temporary(name) && !tenure_sys::dir::reserve::is_reserve(name));
    found.sort();
    found
}

fn logs(state: &StateDir, wanted: Option<&WantedFacts>, now: &Moment) -> Gathered<Option<LogBytes>> {
    let dir = match state.dir().open_child(file::LOGS) {
        Ok(dir) => dir,
        Err(tenure_sys::dir::DirError::Absent { .. }) => return Ok(None),
        Err(error) => return Err(Unread(error.to_string())),
    };
    let failed = |error: io::Error| Unread::of("look at the logs", &error);
    let mut all = 0;
    for name in dir.names().map_err(failed)? {
        all += dir.stat(&name).map_err(failed)?.map_or(0, |found| found.len);
    }
    let settings = wanted.and_then(|wanted| match wanted.target(now) {
        Target::Offer { spec, .. } => Some(spec.logs),
        Target::Suppressed { .. } | Target::Missing { .. } => None,
    });
    let Logs { size, keep, .. } = settings.unwrap_or_default();
    Ok(Some(LogBytes { all, bound: size.get().saturating_mul(u64::from(keep) + 1) }))
}

/// Where a worker writes its own log, if that file was moved or removed since it was opened. A worker that has pointed
/// its output elsewhere is passed over.
fn moved_log(state: &StateDir, worker: &ProcessHandle) -> Option<PathBuf> {
    let logs = state.dir().open_child(file::LOGS).ok()?;
    let (path, id) = process::output_of(worker.pid())?;
    let is_log = path.file_name()?.as_encoded_bytes().starts_with(file::BOOT_LOG.as_bytes());
    let there = logs.stat(file::BOOT_LOG).ok()?;
    (is_log && there.is_none_or(|there| (there.dev, there.ino) != id)).then_some(path)
}

fn written(state: &StateDir) -> u64 {
    let of = |name| state.dir().stat(name).ok().flatten().map_or(0, |found| found.modified_s);
    of(file::LEDGER).max(of(file::DESIRED))
}

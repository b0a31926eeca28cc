//! Checks of the two records: can they be read, and do they agree with what stands.

use tenure_core::os_text::shell::word;
use tenure_core::record::directory_id::DirectoryOrigin;
use tenure_core::store::paths::file;
use tenure_sys::process::{Doubt, GoneReason};

use crate::check::{Case, DoctorCheck, Look};
use crate::facts::{Member, Now, RecordFault};
use crate::finding::{Fix, Symptom};

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "record-damaged", part: "records", look: Look::Each(damaged) },
    DoctorCheck { id: "record-too-new", part: "records", look: Look::Each(too_new) },
    DoctorCheck { id: "record-unreadable", part: "records", look: Look::Each(unreadable) },
    DoctorCheck { id: "generation-exhausted", part: "records", look: Look::Worker(exhausted) },
    DoctorCheck { id: "record-disagrees", part: "records", look: Look::Worker(disagrees) },
    DoctorCheck { id: "record-of-another-boot", part: "clock and boot id", look: Look::Worker(other_boot) },
    DoctorCheck { id: "foreign-namespace", part: "clock and boot id", look: Look::Worker(foreign) },
    DoctorCheck { id: "other-mounts", part: "clock and boot id", look: Look::Worker(other_mounts) },
    DoctorCheck { id: "copied-directory", part: "records", look: Look::Worker(copied) },
    DoctorCheck { id: "directory-from-before", part: "records", look: Look::Worker(from_before) },
    DoctorCheck { id: "other-host-name", part: "records", look: Look::Worker(other_host) },
    DoctorCheck { id: "clock-behind", part: "clock and boot id", look: Look::Worker(clock_behind) },
];

/// The wall clock may differ by this from that of the file system, or be corrected by this, without a word.
const CLOCK_SLACK_S: u64 = 120;

/// Looks at both records, where they cannot be used.
fn both(case: &Case<'_>, look: fn(&Case<'_>, &'static str, &RecordFault) -> Option<Symptom>) -> Vec<Symptom> {
    let ledger = (file::LEDGER, case.state.ledger.fault());
    let desired = (file::DESIRED, case.state.desired.fault());
    [ledger, desired].into_iter().filter_map(|(name, fault)| look(case, name, fault?)).collect()
}

fn path(case: &Case<'_>, name: &str) -> String {
    case.worker.directory.path.join(name).display().to_string()
}

fn typed(case: &Case<'_>, name: &str) -> String {
    word(&case.worker.directory.path.join(name))
}

fn damaged(case: &Case<'_>) -> Vec<Symptom> {
    both(case, |case, name, fault| {
        let RecordFault::Damaged { why, holds } = fault else { return None };
        let symptom = Symptom::error(format!("{name} is damaged: nothing can be started"))
            .saw(path(case, name))
            .saw(why.clone());
        Some(if *holds {
            symptom
                .saw("it shows that a person pinned or stopped something, which would be forgotten")
                .remedy(format!("`mv {0} {0}.damaged`, then pin or stop again", typed(case, name)))
        } else if case.state.is_free() {
            let scope = case.worker.scope.clone();
            symptom.remedy(case.type_in("doctor --fix")).fix(Fix::MoveAside { scope, record: name })
        } else {
            symptom.remedy(format!("{}, then {}", case.type_in("stop"), case.type_in("doctor --fix")))
        })
    })
}

fn too_new(case: &Case<'_>) -> Vec<Symptom> {
    both(case, |case, name, fault| {
        let RecordFault::TooNew { found, known } = fault else { return None };
        let host = case
            .state
            .host
            .as_ref()
            .map(|host| format!("it was kept by {} (tenure {})", host.record.exe, host.record.version));
        Some(
            Symptom::error(format!("{name} was written by a newer tenure, and is left alone"))
                .saw(format!("it has format {found}; this tenure knows up to {known}"))
                .saw_all(host)
                .remedy("use the newer tenure, or update this one"),
        )
    })
}

fn unreadable(case: &Case<'_>) -> Vec<Symptom> {
    both(case, |case, name, fault| {
        let RecordFault::Unreadable { why } = fault else { return None };
        if case.state.is_blocked(name) {
            return None;
        }
        Some(
            Symptom::error(format!("{name} cannot be read"))
                .saw(format!("{}: {why}", path(case, name)))
                .remedy(format!("`ls -l {}`", typed(case, name))),
        )
    })
}

fn exhausted(case: &Case<'_>) -> Option<Symptom> {
    (case.state.ledger.fault() == Some(&RecordFault::Exhausted)).then(|| {
        Symptom::error("the generation is the highest there is: none can follow")
            .saw(path(case, file::LEDGER))
            .remedy(format!("`mv {0} {0}.old`, once nothing runs", typed(case, file::LEDGER)))
    })
}

fn disagrees(case: &Case<'_>) -> Option<Symptom> {
    let (hello, ledger) = (case.state.hello()?, case.state.ledger.good()?);
    let is_named = ledger.lineage.iter().any(|identity| identity.same_process(&hello.identity));
    let agrees = ledger.generation == hello.generation && is_named;
    (!agrees && !case.state.is_in_motion()).then(|| {
        let named: Vec<String> = ledger.lineage.iter().map(ToString::to_string).collect();
        Symptom::warning("the record names another worker than the one that answers")
            .saw(format!("{} answers as generation {}", hello.identity, hello.generation))
            .saw(format!("the record names {} as generation {}", named.join(", "), ledger.generation))
            .remedy(case.type_in("stop"))
    })
}

fn other_boot(case: &Case<'_>) -> Option<Symptom> {
    let is_old = |member: &Member| member.now == Now::Gone(GoneReason::OtherBoot);
    let all = || case.state.lineage.iter().chain(&case.state.programs);
    (case.state.is_free() && all().any(is_old)).then(|| {
        Symptom::note("the record is of another boot, and void")
            .saw_all(all().filter(|member| is_old(member)).map(Member::line))
            .remedy("nothing: the next start begins anew")
    })
}

fn foreign(case: &Case<'_>) -> Option<Symptom> {
    let is_foreign = |member: &&Member| member.now == Now::Unverifiable(Doubt::ForeignPidNamespace);
    let member = case.state.lineage.iter().chain(&case.state.programs).find(is_foreign)?;
    if case.state.is_free() && case.state.program_lock == Ok(false) {
        return Some(
            Symptom::note("the last worker was started in another pid namespace, and its locks are free")
                .saw(member.line())
                .remedy("nothing: the next start begins anew"),
        );
    }
    Some(
        Symptom::warning(
            "the worker was started in another pid namespace: it can be asked to end, and not forced",
        )
        .saw(member.line())
        .remedy(if case.state.hello().is_some() {
            format!("{}, which asks it to end, from here too", case.type_in("stop"))
        } else {
            format!("{} where the worker was started, or the end of that container", case.type_in("stop"))
        }),
    )
}

fn other_mounts(case: &Case<'_>) -> Option<Symptom> {
    case.state.other_mounts.then(|| {
        Symptom::note("the worker sees other mounts than this process: a path may lead it to another file")
            .saw_all(case.state.lineage.iter().filter(|member| member.is_there()).map(Member::line))
            .remedy("nothing, if that is meant; otherwise run tenure where the worker was started")
    })
}

fn copied(case: &Case<'_>) -> Option<Symptom> {
    case.state.origin.is_copied().then(|| {
        Symptom::note(
            "the directory is a copy: whom its record names belongs to the directory that was copied",
        )
        .saw(path(case, file::IDENTITY))
        .remedy("nothing: the next start gives it an id of its own, and touches nobody of the other")
    })
}

fn from_before(case: &Case<'_>) -> Option<Symptom> {
    let is_unnamed = matches!(case.state.origin, DirectoryOrigin::Unnamed { used: true });
    is_unnamed.then(|| {
        Symptom::note("the directory has no id of its own: an older tenure was here last")
            .saw(format!("its workers carry cookies by its path, as {:?}", case.state.id))
            .remedy("nothing: the next start gives it an id")
    })
}

fn other_host(case: &Case<'_>) -> Option<Symptom> {
    let today = &case.machine.host.as_ref().ok()?.path;
    let host = case.worker.directory.path.parent()?;
    if host == today || host.parent() != today.parent() {
        return None;
    }
    Some(
        Symptom::note("the worker lives under another name of this machine: its machine id was changed")
            .saw(format!(
                "its directory is below {}, and new ones are made below {}",
                host.display(),
                today.display()
            ))
            .remedy(format!(
                "nothing while it runs; after {} the next start is below the new name",
                case.type_in("stop")
            )),
    )
}

fn clock_behind(case: &Case<'_>) -> Option<Symptom> {
    let ahead = case.state.written_s.saturating_sub(case.machine.wall_s);
    (ahead > CLOCK_SLACK_S).then(|| {
        let ahead = crate::check::span(std::time::Duration::from_secs(ahead));
        Symptom::note("the clock of this machine was set back: times of events are out of order")
            .saw(format!("a record was written {ahead} from now"))
            .remedy("nothing: no decision depends on that clock")
    })
}

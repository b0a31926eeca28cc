//! Checks of what is wanted against what runs: holds, quarantines, programs that are gone, versions that disagree.

use std::path::PathBuf;
use std::time::Duration;

use tenure_core::Version;
use tenure_core::os_text::shell::word;
use tenure_core::protocol::wire::Hello;
use tenure_core::record::desired::{FailureTally, Target};
use tenure_core::spec::Summary;
use tenure_core::spec::app::Difference;

use crate::check::{Case, DoctorCheck, Look, span};
use crate::facts::WantedFacts;
use crate::finding::Symptom;

pub(crate) const CHECKS: &[DoctorCheck] = &[
    DoctorCheck { id: "held-down", part: "versions", look: Look::Worker(held_down) },
    DoctorCheck { id: "pinned", part: "versions", look: Look::Worker(pinned) },
    DoctorCheck { id: "pinned-gone", part: "versions", look: Look::Worker(pinned_gone) },
    DoctorCheck { id: "quarantined", part: "versions", look: Look::Each(quarantined) },
    DoctorCheck { id: "nothing-to-start", part: "versions", look: Look::Worker(nothing) },
    DoctorCheck { id: "program-gone", part: "versions", look: Look::Each(program_gone) },
    DoctorCheck { id: "offer-untrusted", part: "versions", look: Look::Each(untrusted) },
    DoctorCheck { id: "offer-undescribed", part: "versions", look: Look::Each(undescribed) },
    DoctorCheck { id: "on-probation", part: "versions", look: Look::Worker(on_probation) },
    DoctorCheck { id: "other-version", part: "versions", look: Look::Worker(other_version) },
    DoctorCheck { id: "other-app", part: "versions", look: Look::Worker(other_app) },
    DoctorCheck { id: "other-description", part: "versions", look: Look::Worker(other_description) },
    DoctorCheck { id: "other-place", part: "versions", look: Look::Worker(other_place) },
    DoctorCheck { id: "version-disagrees", part: "versions", look: Look::Worker(disagrees) },
    DoctorCheck { id: "dependency-down", part: "versions", look: Look::Each(dependency_down) },
    DoctorCheck { id: "source-changed", part: "versions", look: Look::Worker(source_changed) },
];

fn wanted<'case>(case: &Case<'case>) -> Option<&'case WantedFacts> {
    case.state.desired.good()
}

fn held_down(case: &Case<'_>) -> Option<Symptom> {
    let down = wanted(case)?.record.down.as_ref()?;
    let now = &case.machine.now;
    let ago = if down.at.boot == now.boot {
        format!("{} ago", span(std::time::Duration::from_millis(now.ms.saturating_sub(down.at.ms))))
    } else {
        "before the last boot".to_owned()
    };
    Some(
        Symptom::note("a person stopped it: nothing is started until a person starts it")
            .saw(format!("by pid {} ({}), {ago}", down.by.pid, down.by.command))
            .remedy(case.type_in("start")),
    )
}

fn versions(wanted: &WantedFacts) -> String {
    let all: Vec<String> = wanted.record.offers.iter().map(|offer| offer.spec.version.to_string()).collect();
    all.join(", ")
}

fn pinned(case: &Case<'_>) -> Option<Symptom> {
    let wanted = wanted(case)?;
    let pinned = wanted.record.pin.as_ref()?;
    Some(
        Symptom::note(format!("version {pinned} is pinned: nothing else is started"))
            .saw(format!("offered are {}", versions(wanted)))
            .remedy(case.type_in("unpin")),
    )
}

fn pinned_gone(case: &Case<'_>) -> Option<Symptom> {
    let wanted = wanted(case)?;
    let pinned = wanted.record.pin.as_ref()?;
    let why = match wanted.gone.iter().find(|(version, _)| version == pinned) {
        Some((_, why)) => why.clone(),
        None if wanted.record.offered(pinned).is_none() => "nobody offers it any more".to_owned(),
        None => return None,
    };
    Some(
        Symptom::error(format!("version {pinned} is pinned and cannot be started"))
            .saw(why)
            .saw(format!("offered are {}", versions(wanted)))
            .remedy(case.type_in("unpin")),
    )
}

fn counted(failure: &FailureTally) -> String {
    let times = if failure.count == 1 { "once".to_owned() } else { format!("{} times", failure.count) };
    format!("it failed {times}; the last time: {}", failure.error)
}

/// What the worker said is to be changed, or where to read why it failed.
fn mends(failure: &FailureTally, case: &Case<'_>) -> String {
    let remedy = failure.not_ready.as_ref().and_then(|told| told.remedy.clone());
    remedy.unwrap_or_else(|| case.type_in("logs"))
}

/// Failures of a spec that was changed since do not count.
fn quarantined(case: &Case<'_>) -> Vec<Symptom> {
    let (Some(wanted), now) = (wanted(case), &case.machine.now) else { return Vec::new() };
    let failures = wanted.record.offers.iter().filter_map(|offer| wanted.record.failure(&offer.spec));
    let symptom = |failure: &FailureTally| {
        let left = failure.quarantined_for(now);
        Symptom::warning(format!("version {} failed to start and is not tried for a while", failure.version))
            .saw(counted(failure))
            .saw(format!("it is tried again in {}", span(left)))
            .remedy(format!("{} once it is mended: a restart tries at once", case.type_in("restart")))
    };
    failures.filter(|failure| failure.quarantined(now)).map(symptom).collect()
}

fn nothing(case: &Case<'_>) -> Option<Symptom> {
    let wanted = wanted(case).filter(|wanted| !wanted.record.offers.is_empty())?;
    if case.state.hello().is_some() || case.state.lease != Ok(false) || wanted.record.down.is_some() {
        return None;
    }
    match wanted.target(&case.machine.now) {
        Target::Offer { .. } => None,
        Target::Suppressed { failure, wait } => Some(
            Symptom::error("nothing can be started now: every version failed a moment ago")
                .saw(format!("version {}: {}", failure.version, counted(&failure)))
                .saw_all(failure.last_words.iter().cloned())
                .saw_all(wanted.overwritten.iter().map(|(version, file)| {
                    let file = file.display();
                    format!(
                        "version {version} is not started instead: {file} has changed since it was offered"
                    )
                }))
                .saw(format!("the next try is allowed in {}", span(wait)))
                .remedy(format!("{}, then {}", mends(&failure, case), case.type_in("restart"))),
        ),
        Target::Missing { .. } if is_refused(wanted) => Some(nothing_trusted(case, wanted)),
        Target::Missing { .. } => Some(
            Symptom::error("nothing can be started: what was offered is not on disk any more")
                .saw_all(wanted.gone.iter().map(|(version, why)| format!("version {version}: {why}")))
                .remedy("install it again, or offer another version"),
        ),
    }
}

/// Whether all that may be started at all is refused because nobody trusts it.
fn is_refused(wanted: &WantedFacts) -> bool {
    let refused = |version: &Version| wanted.untrusted.iter().any(|(untrusted, _)| untrusted == version);
    match &wanted.record.pin {
        Some(pinned) => refused(pinned),
        None => wanted.record.offers.iter().all(|offer| refused(&offer.spec.version)),
    }
}

fn nothing_trusted(case: &Case<'_>, wanted: &WantedFacts) -> Symptom {
    let pinned = wanted.record.pin.as_ref();
    let counts = |(version, _): &&(Version, PathBuf)| pinned.is_none_or(|pinned| pinned == version);
    let refused = wanted.untrusted.iter().filter(counts);
    let refused: Vec<&(Version, PathBuf)> = refused.collect();
    let directory = refused.last().and_then(|(_, path)| path.parent()).map(word);
    let saw =
        refused.iter().map(|(version, path)| format!("version {version} was offered by {}", path.display()));
    let remedy = match directory.filter(|_| pinned.is_none()) {
        Some(directory) => format!("read the file; `tenure trust {directory}` allows what it says now"),
        None => case.type_in("unpin"),
    };
    Symptom::error("nothing can be started: what was offered is not trusted any more")
        .saw_all(saw)
        .remedy(remedy)
}

/// Offers whose files are gone while another version can run. They are told so that nobody waits for them.
fn program_gone(case: &Case<'_>) -> Vec<Symptom> {
    let Some(wanted) = wanted(case) else { return Vec::new() };
    let target = matches!(wanted.target(&case.machine.now), Target::Offer { .. });
    let runs = case.state.hello().is_some();
    let symptom = |(version, why): &(Version, String)| {
        let running = case.state.hello().is_some_and(|hello| hello.version == *version);
        let what = format!("version {version} was offered and is not on disk any more");
        let symptom =
            if running { Symptom::warning(format!("{what}, while it runs")) } else { Symptom::note(what) };
        symptom.saw(why.clone()).remedy("install it again; until then the highest that can run is started")
    };
    if target || runs { wanted.gone.iter().map(symptom).collect() } else { Vec::new() }
}

/// Offers of a project's file that are not started because nobody trusts it. They are told so that nobody waits for
/// them.
fn untrusted(case: &Case<'_>) -> Vec<Symptom> {
    let Some(wanted) = wanted(case) else { return Vec::new() };
    let symptom = |(version, path): &(Version, PathBuf)| {
        Symptom::note(format!("version {version} is not started: its content is not trusted any more"))
            .saw(format!("it was offered by {}", path.display()))
            .remedy(taken_back(case, wanted, version))
    };
    wanted.untrusted.iter().map(symptom).collect()
}

/// Versions that are started, or would be, though no file states them any more: otherwise a mistyped version would win
/// for ever.
fn undescribed(case: &Case<'_>) -> Vec<Symptom> {
    let Some(wanted) = wanted(case) else { return Vec::new() };
    let symptom = |(version, path): &(Version, PathBuf)| {
        Symptom::note(format!("version {version} is on offer, and nobody describes it any more"))
            .saw(format!("it was offered by {}, which does not state it now", path.display()))
            .remedy(taken_back(case, wanted, version))
    };
    wanted.undescribed.iter().map(symptom).collect()
}

/// Nothing starts a dependency again for a worker that runs: only the next start ensures it.
fn dependency_down(case: &Case<'_>) -> Vec<Symptom> {
    if case.state.hello().is_none() {
        return Vec::new();
    }
    let worker = case.worker.scope.name();
    let down = case.worker.dependencies.iter().filter(|(_, runs)| !runs);
    let symptom = |(name, _): &(String, bool)| {
        Symptom::warning(format!("{name}, which {worker} depends on, is not running"))
            .saw(format!("{worker} runs, and its dependencies are ensured only before a start"))
            .remedy(format!("tenure ensure {name}"))
    };
    down.map(symptom).collect()
}

/// How an offer is taken back. A pinned version has to be released first, and the version before a probation stays
/// until that is over.
fn taken_back(case: &Case<'_>, wanted: &WantedFacts, version: &Version) -> String {
    let probation = case.state.hello().and_then(|hello| hello.probation.as_ref());
    if probation.is_some_and(|probation| probation.before == *version) {
        "wait: it serves again if the version that is on probation fails".to_owned()
    } else if wanted.record.pin.as_ref() == Some(version) {
        case.type_in("unpin")
    } else {
        case.type_in_with("forget", &version.to_string())
    }
}

fn on_probation(case: &Case<'_>) -> Option<Symptom> {
    let hello = case.state.hello()?;
    let probation = hello.probation.as_ref()?;
    let before = &probation.before;
    let left = span(Duration::from_millis(probation.left_ms));
    let begun = probation.for_ms.map(|ms| format!("it began {} ago", span(Duration::from_millis(ms))));
    Some(
        Symptom::note(format!("version {} serves on probation, for {left} more", hello.version))
            .saw_all(begun)
            .saw(format!("if it fails before that is over, version {before} serves again"))
            .remedy(if may_be_pinned(case, before) {
                format!("wait; {} goes back at once", case.type_in_with("pin", &before.to_string()))
            } else {
                "wait until it is over".to_owned()
            }),
    )
}

/// Whether a pin of that version is accepted: it is on offer, trusted and on disk.
fn may_be_pinned(case: &Case<'_>, version: &Version) -> bool {
    wanted(case).is_some_and(|wanted| {
        wanted.record.offered(version).is_some()
            && wanted.untrusted.iter().all(|(untrusted, _)| untrusted != version)
            && wanted.gone.iter().all(|(gone, _)| gone != version)
    })
}

fn other_version(case: &Case<'_>) -> Option<Symptom> {
    let (hello, wanted) = (case.state.hello()?, wanted(case)?);
    let Target::Offer { spec, .. } = wanted.target(&case.machine.now) else { return None };
    let target = spec.version;
    let runs = format!("{} runs version {}", hello.identity, hello.version);
    if let Some(pinned) = wanted.record.pin.as_ref().filter(|pinned| **pinned != hello.version) {
        return Some(
            Symptom::warning(format!("version {pinned} is pinned, and another one runs"))
                .saw(runs)
                .remedy(case.type_in("restart")),
        );
    }
    (hello.version < target && wanted.record.pin.is_none()).then(|| {
        Symptom::warning(format!("version {target} was offered, and an older one runs"))
            .saw(runs)
            .remedy(case.type_in("ensure"))
    })
}

/// The name was given up or taken over, and nobody of the app that has it now has called since.
fn other_app(case: &Case<'_>) -> Option<Symptom> {
    let (hello, wanted) = (case.state.hello()?, wanted(case)?);
    let (runs, owner) = (hello.whose.as_ref()?, wanted.record.owner()?);
    owner.is_stranger(runs, false).then(|| {
        Symptom::warning(format!("the name is kept for {owner}, and a worker of another app runs"))
            .saw(format!("{} is the worker of {}", hello.identity, runs.with_place()))
            .remedy(format!("{}, or let the other app call: its `ensure` replaces it", case.type_in("stop")))
    })
}

/// How what runs differs from what is on offer as the same version.
fn difference<'case>(case: &Case<'case>) -> Option<(Difference, &'case Hello, Summary)> {
    let hello = case.state.hello()?;
    let offered = wanted(case)?.record.offered(&hello.version)?.summary();
    let difference = match Difference::between(&hello.spec, &offered) {
        Difference::Nothing if hello.spec.settings != offered.settings => Difference::Matters("settings"),
        found @ (Difference::Nothing | Difference::Place | Difference::Matters(_)) => found,
    };
    Some((difference, hello, offered))
}

fn other_description(case: &Case<'_>) -> Option<Symptom> {
    let (Difference::Matters(part), hello, offered) = difference(case)? else { return None };
    let told = |summary: &Summary| format!("`{}` in {}", summary.command.join(" "), summary.cwd.display());
    Some(
        Symptom::warning(format!("version {} runs with other {part} than were offered last", hello.version))
            .saw(format!("runs: {}", told(&hello.spec)))
            .saw(format!("offered: {}", told(&offered)))
            .remedy(case.type_in("restart")),
    )
}

fn other_place(case: &Case<'_>) -> Option<Symptom> {
    let (Difference::Place, hello, offered) = difference(case)? else { return None };
    Some(
        Symptom::note("it runs from another installation of the app than the one that was offered last")
            .saw(format!("runs in {}", hello.spec.cwd.display()))
            .saw(format!("offered last in {}", offered.cwd.display()))
            .remedy("nothing has to be done: both are the same version of one app"),
    )
}

fn disagrees(case: &Case<'_>) -> Option<Symptom> {
    let hello = case.state.hello()?;
    let says = hello.app.version.as_ref().filter(|says| **says != hello.version)?;
    let tried = wanted(case).is_some_and(|wanted| {
        wanted
            .record
            .offered(&hello.version)
            .is_some_and(|spec| wanted.record.observed_for(spec).contains(says))
    });
    let tried =
        tried.then(|| "it was started once more and said the same; it is not replaced again".to_owned());
    Some(
        Symptom::warning("the worker says that it is another version than the one it was started as")
            .saw(format!("started as {}, it says {says}", hello.version))
            .saw_all(tried)
            .remedy("make `version` in the description and what is installed agree"),
    )
}

fn source_changed(case: &Case<'_>) -> Option<Symptom> {
    let hello = case.state.hello().filter(|hello| hello.source_changed)?;
    Some(
        Symptom::note("the files of its build have changed, or may have, since it was started")
            .saw(format!("build = {:?} in {}", hello.spec.build, hello.spec.cwd.display()))
            .remedy(case.type_in("ensure")),
    )
}

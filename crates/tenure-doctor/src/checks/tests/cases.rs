//! A case for each check: facts in which one thing is wrong, and the name of the check that is to say so.

use std::time::Duration;

use tenure_core::policy::decide::Observation;
use tenure_core::protocol::ends::{UnaskedEnd, UnaskedEndKind};
use tenure_core::protocol::wire::{AppState, Asker, Check, Probation};
use tenure_core::record::desired::Down;
use tenure_core::record::directory_id::DirectoryOrigin;
use tenure_core::record::ledger::Ledger;
use tenure_sys::dir::Blocker;
use tenure_sys::kernel::WatchLimits;
use tenure_sys::process::{Doubt, GoneReason, RunState};

use crate::facts::{
    Access, Facts, GateHolder, LogBytes, Member, Now, Obstacle, RecordFacts, RecordFault, Unread,
};

use super::made::{
    LATER, app_of, directory_id, disk, down, gone, healthy, held, now, port, running, says, seen, set,
    silent, spec, state, there, version, wants, who,
};

pub(super) fn cases() -> Vec<Case> {
    [of_machine(), of_directories(), of_locks(), of_answers(), of_records(), of_versions(), of_the_rest()]
        .concat()
}

/// Facts from which one thing is wrong, and the check that is to say so.
pub(super) type Case = (&'static str, fn() -> Facts, fn(&mut Facts));

fn of_machine() -> Vec<Case> {
    vec![
        ("state-root", healthy, |facts| facts.machine.host = Err(Unread("find a home".into()))),
        ("workers-not-listed", healthy, |facts| facts.machine.listed = Err(Unread("list".into()))),
        ("disk-full", healthy, |facts| disk(facts).free_bytes = 4096),
        ("disk-full", healthy, |facts| disk(facts).free_files = Some(2)),
        ("network-file-system", healthy, |facts| disk(facts).is_network = true),
        ("configuration", healthy, |facts| facts.machine.configuration.push("a.toml:3: no".into())),
        ("no-machine-id", healthy, |facts| facts.machine.machine_id = false),
        ("no-identity", healthy, |facts| facts.machine.identity = Err(Unread("read /proc".into()))),
        ("no-process-handles", healthy, |facts| facts.machine.features.pidfd = false),
        ("weak-identity", healthy, |facts| facts.machine.features.pidfd_inode = false),
        ("unknown-peers", healthy, |facts| facts.machine.features.peer_pidfd = false),
        ("slow-spawn", healthy, |facts| facts.machine.features.close_range = false),
        ("no-watches", healthy, |facts| facts.machine.watch = Err(Unread("watch files".into()))),
        ("no-watches", healthy, |facts| {
            facts.machine.watch_limits = Ok(WatchLimits { watches: 100, instances: 128 });
        }),
        ("few-descriptors", healthy, |facts| facts.machine.descriptors = (64, 4096)),
        ("starting-forbidden", healthy, |facts| set(facts, "TENURE_NO_SPAWN", "1")),
        ("host-variable", healthy, |facts| facts.machine.named_host = Some(Err(Unread("find it".into())))),
        ("bad-duration", healthy, |facts| set(facts, "TENURE_WEDGED_AFTER", "soon")),
        ("inside-a-worker", healthy, |facts| set(facts, "TENURE_COOKIE", "web:id/3/-/program")),
        ("other-root", healthy, |facts| set(facts, "TENURE_STATE_DIR", "/state")),
    ]
}

fn access(facts: &mut Facts, access: Access) {
    facts.workers[0].directory.access = access;
    facts.workers[0].state = None;
}

fn obstacle(name: &str, kind: &'static str, stops: bool) -> Obstacle {
    Obstacle { name: name.into(), kind, wanted: "a regular file", stops }
}

fn not_directory(leads: Option<&str>, hides: bool) -> Access {
    let kind = if leads.is_some() { "a link" } else { "a regular file" };
    Access::NotDirectory(Blocker {
        path: "/state/host/web".into(),
        kind,
        leads: leads.map(Into::into),
        hides,
    })
}

fn of_directories() -> Vec<Case> {
    vec![
        ("open-to-others", healthy, |facts| access(facts, Access::TooOpen { mode: 0o755 })),
        ("open-to-others", healthy, |facts| {
            facts.machine.roots[0].access = Access::TooOpen { mode: 0o777 };
        }),
        ("open-to-others", healthy, |facts| {
            facts.machine.roots[1].access = Access::TooOpen { mode: 0o777 };
        }),
        ("of-another-user", healthy, |facts| {
            facts.machine.roots[0].access = Access::NotOwned { owner: 7 };
        }),
        ("locked-out", healthy, |facts| {
            let hidden = || Access::Denied { seen: None, why: "no".into() };
            facts.machine.roots[0].access = Access::Denied { seen: Some((0o000, 1000)), why: "no".into() };
            facts.machine.roots[1].access = hidden();
            facts.machine.host.as_mut().expect("there is one").access = hidden();
            access(facts, hidden());
        }),
        ("of-another-user", healthy, |facts| access(facts, Access::NotOwned { owner: 0 })),
        ("no-directory", healthy, |facts| access(facts, not_directory(None, false))),
        ("no-directory", healthy, |facts| access(facts, not_directory(Some("/d"), true))),
        ("no-directory", healthy, |facts| access(facts, not_directory(Some("/none"), false))),
        ("root-is-a-link", healthy, |facts| facts.machine.roots[0].leads = Some("/disk/state".into())),
        ("in-the-way", healthy, |facts| {
            state(facts).obstacles = vec![obstacle("events.jsonl", "a link", false)];
        }),
        ("in-the-way", healthy, |facts| {
            state(facts).obstacles = vec![obstacle("gate", "a named pipe", true)];
            state(facts).gate = Err(Unread("look at the lock `gate`: it is a named pipe".into()));
        }),
        ("locked-out", healthy, |facts| {
            access(facts, Access::Denied { seen: Some((0o000, 1000)), why: "no".into() });
        }),
        ("directory-denied", healthy, |facts| {
            access(facts, Access::Denied { seen: Some((0o700, 1000)), why: "no".into() });
        }),
        ("directory-denied", healthy, |facts| access(facts, Access::Denied { seen: None, why: "no".into() })),
        ("directory-unusable", healthy, |facts| access(facts, Access::Unusable { why: "EIO".into() })),
        ("read-only", healthy, |facts| {
            facts.workers[0].directory.access = Access::Private { writable: false };
        }),
        ("long-path", healthy, |facts| {
            facts.workers[0].directory.path = format!("/{}", "x".repeat(120)).into();
        }),
    ]
}

fn of_locks() -> Vec<Case> {
    vec![
        ("gate-holder-stopped", healthy, |facts| {
            state(facts).gate = Ok(Some(held(RunState::Stopped, 0)));
        }),
        ("gate-held", healthy, |facts| state(facts).gate = Ok(Some(held(RunState::Sleeping, LATER)))),
        ("gate-unsigned", healthy, |facts| {
            state(facts).gate = Ok(Some(GateHolder::Unsigned { file: (1, 9) }));
            facts.census.locks.push(((1, 9), seen(8)));
        }),
        ("worker-stopped", silent, |facts| state(facts).lineage = vec![there(42, RunState::Stopped)]),
        ("worker-traced", healthy, |facts| {
            let command = "tenure host web".into();
            let now = Now::There { run: Some(RunState::Sleeping), tracer: Some(9), command };
            state(facts).lineage = vec![Member { identity: who(42), now }];
        }),
        ("wedged", silent, |_| {}),
        ("booting-silently", silent, |facts| {
            let until = Some(now().plus(Duration::from_secs(9)));
            state(facts).ledger = RecordFacts::Good(Ledger { booting_until: until, ..Ledger::default() });
        }),
        ("unreachable", silent, |facts| {
            state(facts).answer = Observation::Nobody;
            state(facts).socket = Ok(false);
        }),
        ("unknown-holder", silent, |facts| {
            state(facts).lineage = vec![gone(42, GoneReason::PidReused)];
            facts.census.locks.push(((1, 2), seen(8)));
        }),
        ("lease-lost", healthy, |facts| state(facts).lease = Ok(false)),
    ]
}

fn of_answers() -> Vec<Case> {
    vec![
        ("control-denied", down, |facts| state(facts).answer = Observation::Denied("EPERM".into())),
        ("not-ours", down, |facts| state(facts).answer = Observation::Foreign("another scope".into())),
        ("slow-answer", healthy, |facts| state(facts).answered_in = Duration::from_millis(400)),
        ("app-failed", healthy, |facts| says(facts).app.state = AppState::Failed),
        ("app-failed", healthy, |facts| says(facts).app.state = AppState::BackOff),
        ("app-degraded", healthy, |facts| {
            says(facts).app.state = AppState::Degraded;
            let mut check = Check::new("db", false, "refused");
            check.failing_for_ms = Some(90_000);
            says(facts).app.checks = vec![check];
        }),
        ("app-degraded", healthy, |facts| {
            says(facts).app.state = AppState::Degraded;
            says(facts).app.checks = vec![Check::new("ledger", false, "full")];
        }),
        ("app-stalled", healthy, |facts| says(facts).app.stalled_for_ms = Some(9_000)),
        ("app-booting", healthy, |facts| says(facts).app.state = AppState::Booting),
        ("app-booting", healthy, |facts| {
            says(facts).app.state = AppState::Booting;
            state(facts).listens = Some(vec!["127.0.0.1:3001".parse().expect("an address")]);
        }),
        ("draining", healthy, |facts| says(facts).draining = true),
        ("stale-socket", down, |facts| state(facts).socket = Ok(true)),
        ("stale-temporaries", down, |facts| state(facts).temporaries = vec!["control.3.ab".into()]),
    ]
}

fn of_records() -> Vec<Case> {
    vec![
        ("record-damaged", down, |facts| {
            state(facts).ledger = RecordFacts::Bad(RecordFault::Damaged { why: "EOF".into(), holds: false });
        }),
        ("record-damaged", down, |facts| {
            state(facts).desired = RecordFacts::Bad(RecordFault::Damaged { why: "EOF".into(), holds: true });
        }),
        ("record-too-new", down, |facts| {
            state(facts).ledger = RecordFacts::Bad(RecordFault::TooNew { found: 9, known: 1 });
        }),
        ("record-unreadable", down, |facts| {
            state(facts).desired = RecordFacts::Bad(RecordFault::Unreadable { why: "EACCES".into() });
        }),
        ("generation-exhausted", down, |facts| {
            state(facts).ledger = RecordFacts::Bad(RecordFault::Exhausted);
        }),
        ("record-disagrees", healthy, |facts| says(facts).generation = 4),
        ("record-of-another-boot", down, |facts| {
            state(facts).lineage = vec![gone(42, GoneReason::OtherBoot)];
        }),
        ("foreign-namespace", healthy, |facts| {
            let now = Now::Unverifiable(Doubt::ForeignPidNamespace);
            state(facts).programs = vec![Member { identity: who(9), now }];
        }),
        ("other-mounts", healthy, |facts| state(facts).other_mounts = true),
        ("copied-directory", down, |facts| state(facts).origin = DirectoryOrigin::Copied(directory_id())),
        ("directory-from-before", down, |facts| {
            state(facts).origin = DirectoryOrigin::Unnamed { used: true }
        }),
        ("other-host-name", healthy, |facts| {
            facts.workers[0].directory.path = "/state/nohost/web".into();
        }),
        ("clock-behind", down, |facts| state(facts).written_s = 3_000_000_000),
    ]
}

fn of_versions() -> Vec<Case> {
    vec![
        ("held-down", down, |facts| {
            wants(facts).record.down = Some(Down { by: Asker::default(), at: now() });
        }),
        ("pinned", healthy, |facts| wants(facts).record.pin = Some(version(1))),
        ("quarantined", healthy, |facts| {
            wants(facts).record.offer(&spec(2), &now());
            wants(facts).record.failed(&spec(2), "exit status 3", &now());
        }),
        ("program-gone", healthy, |facts| wants(facts).gone.push((version(1), "no program".into()))),
        ("offer-untrusted", healthy, |facts| {
            wants(facts).record.offer(&spec(2), &now());
            wants(facts).untrusted.push((version(2), "/srv/shop/tenure.toml".into()));
        }),
        ("offer-undescribed", healthy, |facts| {
            wants(facts).undescribed.push((version(1), "/srv/shop/tenure.toml".into()));
        }),
        ("on-probation", healthy, |facts| {
            says(facts).probation = Some(Probation::of(version(0), 7_000, Some(3_000)));
            wants(facts).record.offer(&spec(0), &now());
        }),
        ("nothing-to-start", down, |facts| wants(facts).gone.push((version(1), "no program".into()))),
        ("other-version", healthy, |facts| wants(facts).record.offer(&spec(2), &now())),
        ("other-app", healthy, |facts| says(facts).whose = Some(app_of("/opt/other/tenure.toml"))),
        ("other-description", healthy, |facts| says(facts).spec = running(&["/bin/web", "--old"])),
        ("other-place", healthy, |facts| says(facts).spec = running(&["/opt/bin/web"])),
        ("version-disagrees", healthy, |facts| says(facts).app.version = Some(version(9))),
        ("dependency-down", healthy, |facts| facts.workers[0].dependencies[0].1 = false),
        ("source-changed", healthy, |facts| says(facts).source_changed = true),
    ]
}

fn of_the_rest() -> Vec<Case> {
    vec![
        ("port-taken", down, |facts| {
            state(facts).ports = vec![port(false)];
            facts.census.sockets.push((77, seen(8)));
        }),
        ("port-of-another", healthy, |facts| {
            state(facts).ports = vec![port(false)];
            facts.census.sockets.push((77, seen(8)));
        }),
        ("port-unseen", healthy, |facts| state(facts).ports = vec![port(false)]),
        ("port-silent", healthy, |facts| state(facts).ports[0].sockets.clear()),
        ("leftovers", down, |facts| facts.census.cookies.push(("web:id/3/-/program".into(), seen(8)))),
        ("leftovers-of-another-user", down, |facts| {
            state(facts).orphans_of_others = vec![(seen(8), 0)];
            state(facts).program_lock = Ok(true);
        }),
        ("program-lock-held", down, |facts| state(facts).program_lock = Ok(true)),
        ("logs-too-large", healthy, |facts| {
            state(facts).logs = Ok(Some(LogBytes { all: 900_000_000, bound: 1_000_000 }));
        }),
        ("log-moved", healthy, |facts| {
            state(facts).moved_log = Some("/state/host/web/logs/worker.log (deleted)".into());
        }),
        ("ended-by-itself", down, |facts| {
            *ends(facts) = vec![end(3, UnaskedEndKind::GaveUp)];
        }),
        ("ends-again-and-again", healthy, |facts| {
            *ends(facts) = vec![end(3, UnaskedEndKind::StartsAgain); 3];
        }),
        ("host-gone", healthy, |facts| state(facts).host.as_mut().expect("recorded").there = false),
        ("host-replaced", healthy, |facts| {
            let deleted = Some("/usr/bin/tenure (deleted)".into());
            state(facts).host.as_mut().expect("recorded").runs = deleted;
        }),
        ("host-newer", healthy, |facts| {
            state(facts).host.as_mut().expect("recorded").record.version = "999.0.0".into();
        }),
        ("inherited", healthy, |facts| state(facts).inherited = vec!["nice is 7; here it is 0".into()]),
        ("not-looked-at", down, |facts| state(facts).logs = Err(Unread("look at the logs".into()))),
    ]
}

fn ends(facts: &mut Facts) -> &mut Vec<UnaskedEnd> {
    match &mut state(facts).ledger {
        RecordFacts::Good(ledger) => &mut ledger.ends,
        RecordFacts::Absent | RecordFacts::Bad(_) => panic!("it was read"),
    }
}

fn end(generation: u64, how: UnaskedEndKind) -> UnaskedEnd {
    let mut end = UnaskedEnd::now(generation, &spec(1), how, "program ended with exit status 1".into());
    end.at = now();
    (end.at_ms, end.version, end.spec) = (0, None, None);
    end.served_ms = Some(1000);
    end.last_words = vec!["no such table".into()];
    end
}

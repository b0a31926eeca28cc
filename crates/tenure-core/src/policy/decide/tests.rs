//! The table of `decide`, row by row.

use tenure_sys::identity::Identity;

use crate::policy::attempt::{Attempt, How, NextStep};
use crate::protocol::wire::{App, Asker, Role};

use super::*;

fn spec(version: u64) -> Spec {
    let mut spec = Spec::of_command(vec!["/bin/server".into()], "/".into());
    spec.version = Version::new(version, 0, 0);
    spec
}

fn hello(version: u64, state: AppState) -> Hello {
    Hello {
        scope: "memory:0".into(),
        directory: None,
        generation: 1,
        role: if state == AppState::Booting { Role::Booting } else { Role::Active },
        version: Version::new(version, 0, 0),
        build: "0.1.0".into(),
        protocol: PROTOCOL,
        identity: Identity { boot: "b".into(), pidns: 1, pid: 2, start: 3, inode: None },
        instance: "i".into(),
        worker_path: "/bin/tenure".into(),
        uptime_ms: 1,
        started_by: Asker::default(),
        endpoints: Vec::new(),
        app: App { state, ..App::default() },
        draining: false,
        spec: spec(version).summary(),
        program: None,
        whose: None,
        content: None,
        source_changed: false,
        hands_over: false,
        probation: None,
    }
}

fn seen(hello: Hello) -> Observation {
    Observation::Answered(Box::new(hello))
}

fn decision(criteria: u64, target: Option<&KnownTarget>, hello: Hello) -> Decision {
    decide(&Criteria::of(&spec(criteria), &Origin::Call), target, &seen(hello))
}

fn warnings(decision: Decision) -> Vec<Warning> {
    let Decision::Use(usable) = decision else { panic!("usable expected, not {decision:?}") };
    usable.warnings
}

#[test]
fn a_healthy_worker_of_the_same_or_a_newer_version_is_used() {
    assert_eq!(warnings(decision(1, None, hello(1, AppState::Ready))), []);
    assert_eq!(warnings(decision(1, None, hello(2, AppState::Ready))), []);
}

#[test]
fn a_degraded_worker_is_used_with_a_warning() {
    let found = warnings(decision(1, None, hello(1, AppState::Degraded)));
    assert!(matches!(found[..], [Warning::Degraded { .. }]));
}

#[test]
fn an_older_worker_is_replaced_only_if_it_is_below_the_target() {
    let older = || hello(1, AppState::Ready);
    assert!(matches!(
        decision(2, Some(&known(2)), older()),
        Decision::Replace(_, ReplaceReason::Older { .. })
    ));
    let kept = warnings(decision(2, Some(&known(1)), older()));
    assert!(matches!(kept[..], [Warning::OfferNotRunning { .. }]), "the offer is in quarantine");
    let kept = warnings(decision(2, Some(&KnownTarget::of(Err("its program is gone".into()))), older()));
    assert!(matches!(kept[..], [Warning::OfferNotRunning { .. }]));
}

#[test]
fn an_older_launcher_never_downgrades() {
    for target in [None, Some(known(1)), Some(known(2)), Some(KnownTarget::of(Err(String::new())))] {
        assert_eq!(warnings(decision(1, target.as_ref(), hello(2, AppState::Ready))), []);
    }
}

#[test]
fn a_booting_worker_is_waited_for_whatever_its_version() {
    for (criteria, state) in [(1, AppState::Booting), (2, AppState::Booting), (1, AppState::BackOff)] {
        assert!(matches!(decision(criteria, Some(&known(2)), hello(1, state)), Decision::Await(_)));
    }
}

#[test]
fn a_failed_or_stalled_app_makes_room() {
    assert!(matches!(
        decision(1, Some(&known(1)), hello(1, AppState::Failed)),
        Decision::Replace(_, ReplaceReason::Failed { .. })
    ));
    let mut stuck = hello(1, AppState::Ready);
    stuck.app.stalled_for_ms = Some(29_000);
    assert!(matches!(decision(1, Some(&known(1)), stuck.clone()), Decision::Use(_)));
    stuck.app.stalled_for_ms = Some(31_000);
    assert!(matches!(
        decision(1, Some(&known(1)), stuck),
        Decision::Replace(_, ReplaceReason::Stalled { for_ms: 31_000 })
    ));
}

#[test]
fn a_draining_worker_is_never_used_again() {
    let mut ending = hello(1, AppState::Ready);
    ending.draining = true;
    assert!(matches!(decision(1, Some(&known(1)), ending), Decision::AwaitEnd(_)));
}

#[test]
fn a_newer_worker_without_a_common_protocol_tells_the_client_what_it_needs() {
    let mut newer = hello(2, AppState::Ready);
    newer.protocol = ProtocolRange { min: 5, max: 6 };
    let Decision::Refuse(Refusal::ClientTooOld { needs, .. }) = decision(1, Some(&known(2)), newer.clone())
    else {
        panic!("refusal expected")
    };
    assert_eq!(needs, newer.protocol);
    newer.version = Version::new(0, 1, 0);
    assert!(
        matches!(decision(1, Some(&known(1)), newer), Decision::Replace(..)),
        "an older one may be replaced"
    );
}

#[test]
fn the_same_version_with_another_command_is_a_conflict_that_shows_both() {
    let mut other = hello(1, AppState::Ready);
    other.spec = Spec::of_command(vec!["/bin/other".into()], "/".into()).summary();
    let Decision::Refuse(Refusal::SpecConflict { running, wanted }) = decision(1, Some(&known(1)), other)
    else {
        panic!("conflict expected")
    };
    assert_eq!((&*running.command[0], &*wanted.command[0]), ("/bin/other", "/bin/server"));
}

#[test]
fn other_settings_are_drift_and_restart_nothing() {
    let mut criteria = spec(1);
    criteria.start_timeout = crate::spec::amount::Span::secs(77);
    let decision = decide(&Criteria::of(&criteria, &Origin::Call), None, &seen(hello(1, AppState::Ready)));
    assert_eq!(warnings(decision), [Warning::Drift]);
}

#[test]
fn what_cannot_be_looked_at_is_not_touched() {
    let judged = |seen| decide(&Criteria::of(&spec(1), &Origin::Call), None, &seen);
    assert!(matches!(judged(Observation::Denied("x".into())), Decision::Refuse(Refusal::Denied(_))));
    assert!(matches!(judged(Observation::Foreign("x".into())), Decision::Refuse(Refusal::Foreign(_))));
    assert_eq!(judged(Observation::Nobody), Decision::TryLease);
    assert_eq!(judged(Observation::Silent), Decision::Suspect);
}

#[test]
fn a_silent_holder_is_wedged_only_past_its_boot_and_with_the_lease() {
    let s = Duration::from_secs;
    assert_eq!(suspect(false, s(99), s(0), s(10)), Suspicion::NoWorker);
    assert_eq!(suspect(true, s(4), s(0), s(10)), Suspicion::Wait(s(6)));
    assert_eq!(suspect(true, s(11), s(20), s(10)), Suspicion::Wait(s(20)));
    assert_eq!(suspect(true, s(11), s(0), s(10)), Suspicion::Wedged);
}

fn known(target: u64) -> KnownTarget {
    KnownTarget::of(Ok(Version::new(target, 0, 0)))
}

fn saying(version: u64, says: u64) -> Hello {
    let mut hello = hello(version, AppState::Ready);
    hello.app.version = Some(Version::new(says, 0, 0));
    hello
}

#[test]
fn a_held_older_worker_is_used_and_the_pin_is_named() {
    let target = Some(KnownTarget { pinned: true, ..known(1) });
    let found = warnings(decision(2, target.as_ref(), hello(1, AppState::Ready)));
    let (offered, pinned) = (Version::new(2, 0, 0), Version::new(1, 0, 0));
    assert_eq!(found, [Warning::Pinned { offered, pinned }]);
}

#[test]
fn a_worker_below_the_held_version_is_replaced_by_it_and_one_above_is_never_downgraded() {
    let target = Some(KnownTarget { pinned: true, ..known(2) });
    let replaced = decision(3, target.as_ref(), hello(1, AppState::Ready));
    assert!(matches!(replaced, Decision::Replace(_, ReplaceReason::Older { target }) if target.major() == 2));
    assert!(matches!(decision(3, target.as_ref(), hello(3, AppState::Ready)), Decision::Use(_)));
    assert!(matches!(decision(4, target.as_ref(), hello(3, AppState::Ready)), Decision::Use(_)));
}

#[test]
fn a_worker_that_says_it_is_older_is_tried_once_more_and_then_left_in_peace() {
    let tried = |tried: &[u64]| {
        let tried = tried.iter().map(|version| Version::new(*version, 0, 0)).collect();
        Some(KnownTarget { tried, ..known(3) })
    };
    assert!(matches!(
        decision(3, tried(&[]).as_ref(), saying(3, 1)),
        Decision::Replace(_, ReplaceReason::Disagrees { .. })
    ));
    let refused = decision(3, tried(&[1]).as_ref(), saying(3, 1));
    assert!(matches!(refused, Decision::Refuse(Refusal::VersionDisagrees { .. })), "{refused:?}");
    let another = decision(3, tried(&[1]).as_ref(), saying(3, 2));
    assert!(
        matches!(another, Decision::Replace(_, ReplaceReason::Disagrees { .. })),
        "another answer is another pair"
    );
}

#[test]
fn a_launcher_of_what_the_worker_says_it_is_uses_it_and_is_told() {
    for criteria in [1, 2] {
        let found = warnings(decision(criteria, None, saying(3, 2)));
        assert!(matches!(found[..], [Warning::SaysOther { .. }]), "{found:?}");
    }
    assert!(matches!(decision(3, None, saying(3, 2)), Decision::Replace(_, ReplaceReason::Older { .. })));
    let found = warnings(decision(3, None, saying(2, 3)));
    assert!(matches!(found[..], [Warning::SaysOther { .. }]), "its own word counts upward too: {found:?}");
}

#[test]
fn changed_files_count_only_where_their_content_differs() {
    let mut running = hello(1, AppState::Ready);
    (running.content, running.source_changed) = (Some("old".into()), true);
    let with = |content: Option<Result<&str, &str>>| {
        let content = content.map(|told| told.map(str::to_owned).map_err(str::to_owned));
        decision(1, Some(&KnownTarget { content, ..known(1) }), running.clone())
    };
    assert!(matches!(decision(1, None, running.clone()), Decision::Replace(_, ReplaceReason::SourceChanged)));
    assert!(matches!(with(Some(Ok("new"))), Decision::Replace(_, ReplaceReason::SourceChanged)));
    assert_eq!(warnings(with(Some(Ok("old")))), []);
    assert!(matches!(warnings(with(Some(Err("gone"))))[..], [Warning::SourceUnread { .. }]));
    running.source_changed = false;
    assert!(matches!(decision(1, None, running), Decision::Use(_)));
}

#[test]
fn files_that_go_on_changing_are_the_next_calls() {
    let changed = || Decision::Replace(Box::new(hello(1, AppState::Ready)), ReplaceReason::SourceChanged);
    let mut attempt = Attempt::default();
    assert!(matches!(attempt.step(changed()), NextStep::Replace(..)));
    attempt.note_replaced();
    let NextStep::Answer(How::Replaced, usable) = attempt.step(changed()) else {
        panic!("an answer expected")
    };
    assert_eq!(usable.warnings, [Warning::SourceChangedAgain]);
}

#[test]
fn an_older_worker_that_is_to_stay_is_of_no_use_without_a_common_protocol() {
    let mut foreign = hello(1, AppState::Ready);
    foreign.protocol = ProtocolRange { min: 7, max: 9 };
    let pinned = Some(KnownTarget { pinned: true, ..known(1) });
    for target in [pinned, Some(KnownTarget::of(Err("gone".into()))), Some(known(1))] {
        let refused = decision(2, target.as_ref(), foreign.clone());
        assert!(matches!(refused, Decision::Refuse(Refusal::ClientTooOld { .. })), "{refused:?}");
    }
    assert!(
        matches!(decision(2, Some(&known(2)), foreign), Decision::Replace(..)),
        "one that is not is replaced"
    );
}

/// A spec of the app of this name, in a directory of its own.
fn of_app(app: &str, version: u64, cwd: &str) -> Spec {
    let mut spec = Spec::of_command(vec![format!("{cwd}/server")], cwd.into());
    (spec.app, spec.version) = (Some(app.to_owned()), Version::new(version, 0, 0));
    spec
}

fn running(spec: &Spec, state: AppState) -> Hello {
    let mut hello = hello(spec.version.major(), state);
    (hello.spec, hello.whose) = (spec.summary(), Some(AppId::of(spec, &Origin::Call)));
    hello
}

fn asked(spec: &Spec, target: Option<&KnownTarget>, hello: Hello) -> Decision {
    decide(&Criteria::of(spec, &Origin::Call), target, &seen(hello))
}

#[test]
fn another_installation_of_one_app_and_version_is_used_and_told() {
    let runs = running(&of_app("a.b", 1, "/a"), AppState::Ready);
    let found = warnings(asked(&of_app("a.b", 1, "/b"), None, runs.clone()));
    assert_eq!(found, [Warning::OtherPlace { cwd: "/a".into() }]);
    assert!(found[0].is_information());
    let mut other = of_app("a.b", 1, "/b");
    other.command.push("--port".into());
    let found = warnings(asked(&other, None, runs));
    assert!(matches!(found[..], [Warning::OtherDescription { part: "command", .. }]), "{found:?}");
    assert!(!found[0].is_information());
}

#[test]
fn a_higher_version_from_another_place_replaces_a_worker_of_the_same_app() {
    let runs = running(&of_app("a.b", 1, "/a"), AppState::Ready);
    let decision = asked(&of_app("a.b", 2, "/b"), Some(&known(2)), runs);
    assert!(matches!(decision, Decision::Replace(_, ReplaceReason::Older { .. })), "{decision:?}");
}

fn taken() -> KnownTarget {
    let app = AppStanding::Taken(AppId::of(&of_app("a.b", 1, "/a"), &Origin::Call));
    KnownTarget { app, ..known(1) }
}

#[test]
fn another_app_is_refused_whatever_the_versions_are_and_whatever_is_there() {
    for version in 1..=3 {
        let asks = of_app("a.c", version, "/c");
        let criteria = Criteria::of(&asks, &Origin::Call);
        for state in [AppState::Booting, AppState::Ready, AppState::Failed] {
            let there = seen(running(&of_app("a.b", 2, "/a"), state));
            let looks = decide_without_gate(&criteria, &there, || Some(taken()));
            assert!(
                matches!(looks, Decision::Refuse(Refusal::OtherApp { must_give_up: true, .. })),
                "{looks:?}"
            );
        }
        for there in [Observation::Nobody, Observation::Silent] {
            let acts = decide(&criteria, Some(&taken()), &there);
            assert!(matches!(acts, Decision::Refuse(Refusal::OtherApp { .. })), "{acts:?}");
        }
    }
}

#[test]
fn a_worker_of_an_app_that_has_given_the_name_up_makes_room_but_not_while_it_boots() {
    let asks = of_app("a.c", 1, "/c");
    let theirs = |state| running(&of_app("a.b", 9, "/a"), state);
    let ready = asked(&asks, Some(&known(1)), theirs(AppState::Ready));
    assert!(matches!(ready, Decision::Replace(_, ReplaceReason::OtherApp { .. })), "{ready:?}");
    assert!(matches!(asked(&asks, Some(&known(1)), theirs(AppState::Booting)), Decision::Await(_)));
}

#[test]
fn a_worker_that_does_not_say_whose_it_is_is_compared_as_before() {
    let mut old = running(&of_app("a.b", 2, "/a"), AppState::Ready);
    old.whose = None;
    assert_eq!(warnings(asked(&of_app("a.c", 1, "/c"), None, old.clone())), []);
    let same = asked(&of_app("a.c", 2, "/c"), None, old);
    assert!(matches!(same, Decision::Refuse(Refusal::SpecConflict { .. })), "{same:?}");
}

#[test]
fn a_worker_of_the_recorded_app_is_no_strangers() {
    let runs = running(&of_app("a.b", 1, "/a"), AppState::Ready);
    // Its author has left the name out in one installation, which the record knows by its place.
    let asks = Spec { app: None, ..of_app("a.b", 2, "/c") };
    let file = Origin::File { path: "/c/tenure.toml".into() };
    let owner = AppId::of(&of_app("a.b", 1, "/c"), &file);
    let aim = KnownTarget { app: AppStanding::Ours(owner), ..known(2) };
    let decision = decide(&Criteria::of(&asks, &file), Some(&aim), &seen(runs));
    assert!(matches!(decision, Decision::Replace(_, ReplaceReason::Older { .. })), "{decision:?}");
}

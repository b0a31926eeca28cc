//! The record and the target that it makes, case by case.

use crate::spec::app::AppStanding;

use super::*;

fn spec(version: u64) -> Spec {
    let mut spec = Spec::of_command(vec![format!("/bin/v{version}")], "/".into());
    spec.version = Version::new(version, 0, 0);
    spec.app = Some("test".into());
    spec
}

fn by_file(path: &str) -> Origin {
    Origin::File { path: path.into() }
}

/// A spec without a name for its app.
fn nameless(command: &str, version: u64) -> Spec {
    let mut spec = Spec::of_command(vec![command.into()], "/".into());
    spec.version = Version::new(version, 0, 0);
    spec
}

fn is_taken(desired: &Desired, spec: &Spec, origin: &Origin) -> bool {
    matches!(desired.standing(spec, origin), AppStanding::Taken(_))
}

fn now(ms: u64) -> Moment {
    Moment { boot: "b".into(), ms }
}

fn offered(versions: &[u64]) -> Desired {
    let mut desired = Desired::default();
    for &version in versions {
        desired.offer(&spec(version), &now(0));
    }
    desired
}

fn target(desired: &Desired, at: u64) -> Target {
    desired.target(&now(at), &|_| true)
}

fn version_of(target: &Target) -> Option<u64> {
    match target {
        Target::Offer { spec, .. } => Some(spec.version.major()),
        Target::Suppressed { .. } | Target::Missing { .. } => None,
    }
}

#[test]
fn the_target_is_the_highest_offer_whatever_the_order() {
    assert_eq!(version_of(&target(&offered(&[2, 3, 1]), 0)), Some(3));
}

#[test]
fn a_version_that_fails_to_boot_is_passed_over_and_named() {
    let mut desired = offered(&[1, 2]);
    desired.failed(&spec(2), "exit status 3", &now(0));
    let Target::Offer { spec: chosen, skipped, .. } = target(&desired, 1) else { panic!("offer expected") };
    assert_eq!(chosen.version.major(), 1);
    assert_eq!(skipped.expect("skipped").error, "exit status 3");
    assert_eq!(version_of(&target(&desired, 30_001)), Some(2), "quarantine ends");
}

#[test]
fn a_lone_failure_suppresses_for_thirty_seconds_at_most() {
    let mut desired = offered(&[1]);
    for count in 0..20 {
        desired.failed(&spec(1), "boom", &now(count));
    }
    let Target::Suppressed { failure, wait } = target(&desired, 19) else { panic!("suppressed expected") };
    assert_eq!((failure.count, wait), (20, Duration::from_secs(30)));
    assert_eq!(version_of(&target(&desired, 30_020)), Some(1));
}

#[test]
fn what_failed_a_moment_ago_is_only_tried_again_where_nobody_serves() {
    let mut desired = offered(&[1]);
    desired.failed(&spec(1), "boom", &now(0));
    let retried = |at| matches!(target(&desired, at), Target::Offer { retry: Some(_), .. });
    assert!(retried(2_001), "the short wait is over, the quarantine is not");
    assert!(!retried(30_001));
}

#[test]
fn a_changed_spec_clears_the_tally() {
    let mut desired = offered(&[1]);
    desired.failed(&spec(1), "boom", &now(0));
    let mut changed = spec(1);
    changed.command.push("--fixed".into());
    desired.offer(&changed, &now(1));
    assert_eq!(version_of(&target(&desired, 1)), Some(1));
}

#[test]
fn records_of_another_boot_suppress_nothing() {
    let mut desired = offered(&[1]);
    desired.failed(&spec(1), "boom", &Moment { boot: "old".into(), ms: u64::MAX });
    assert_eq!(version_of(&target(&desired, 1)), Some(1));
}

#[test]
fn an_offer_whose_program_is_gone_is_never_the_target() {
    let desired = offered(&[1, 2]);
    let only = |version| move |spec: &Spec| spec.version.major() == version;
    assert_eq!(desired.target_version(&now(0), &only(1)), Some(Version::new(1, 0, 0)));
    assert_eq!(desired.target(&now(0), &|_| false), Target::Missing { program: "/bin/v2".into() });
}

#[test]
fn a_held_version_is_the_target_whatever_is_offered_and_however_it_fails() {
    let mut desired = offered(&[1, 2, 3]);
    desired.pin = Some(Version::new(1, 0, 0));
    assert_eq!(version_of(&target(&desired, 0)), Some(1));
    desired.failed(&spec(1), "boom", &now(0));
    assert!(matches!(target(&desired, 1), Target::Suppressed { .. }), "nothing else is started in its place");
    assert_eq!(desired.target(&now(9), &|_| false), Target::Missing { program: "/bin/v1".into() });
    desired.pin = None;
    assert_eq!(version_of(&target(&desired, 1)), Some(3));
}

#[test]
fn a_held_version_makes_no_room_for_new_offers() {
    let mut desired = offered(&[1]);
    desired.pin = Some(Version::new(1, 0, 0));
    for version in 2..=12 {
        desired.offer(&spec(version), &now(0));
    }
    assert_eq!(desired.offers.len(), 8);
    assert!(desired.offered(&Version::new(1, 0, 0)).is_some());
    assert!(desired.offered(&Version::new(5, 0, 0)).is_none());
}

#[test]
fn a_disagreement_is_known_until_its_target_is_offered_anew() {
    let one = Version::new(1, 0, 0);
    let mut desired = offered(&[1, 2]);
    desired.disagreed(&spec(2), &one);
    desired.disagreed(&spec(2), &one);
    assert_eq!(desired.observed_for(&spec(2)), std::slice::from_ref(&one));
    let mut changed = spec(2);
    changed.command.push("--fixed".into());
    desired.offer(&changed, &now(1));
    assert!(desired.observed_for(&changed).is_empty(), "a changed spec is a new chance");
    desired.offer(&spec(2), &now(2));
    assert_eq!(desired.observed_for(&spec(2)), [one], "and the former one is none");
}

#[test]
fn two_installations_of_one_version_that_both_fail_do_not_clear_each_others_tally() {
    let mut desired = offered(&[1, 2]);
    let mut other = spec(2);
    other.command.push("--other".into());
    desired.failed(&spec(2), "boom", &now(0));
    desired.offer(&other, &now(1));
    assert_eq!(version_of(&target(&desired, 1)), Some(2), "another spec is tried");
    desired.failed(&other, "boom", &now(1));
    desired.offer(&spec(2), &now(2));
    assert_eq!(version_of(&target(&desired, 2)), Some(1), "and this one is not again");
}

#[test]
fn the_last_eight_offers_are_kept() {
    let desired = offered(&(1..=12).collect::<Vec<_>>());
    assert_eq!(desired.offers.len(), 8);
    assert_eq!(desired.offers[0].spec.version.major(), 5);
}

#[test]
fn what_nobody_trusts_any_more_is_not_the_target_and_stays_on_record() {
    let mut desired = offered(&[1]);
    let project = Origin::Project { path: "/p/tenure.toml".into(), sha256: "a".into() };
    desired.offer_from(&spec(9), &project, &now(0));
    assert_eq!(version_of(&target(&desired, 1)), Some(9));
    let allowed = desired.allowed(&|origin| *origin == Origin::Call);
    assert_eq!(version_of(&target(&allowed, 1)), Some(1));
    assert!(desired.offered(&Version::new(9, 0, 0)).is_some());
}

#[test]
fn an_offer_that_is_taken_back_takes_what_is_known_against_it_along() {
    let mut desired = offered(&[1, 9]);
    desired.failed(&spec(9), "boom", &now(0));
    assert!(desired.forget(&Version::new(9, 0, 0)));
    assert!(!desired.forget(&Version::new(9, 0, 0)), "it is gone");
    assert_eq!((desired.offers.len(), desired.failures.len()), (1, 0));
    desired.offer(&spec(9), &now(1));
    assert_eq!(version_of(&target(&desired, 1)), Some(9), "a live launcher may offer it again");
}

#[test]
fn a_name_is_kept_for_the_app_that_offered_first_even_while_nothing_is_on_offer() {
    let mut desired = offered(&[1]);
    let mut strange = spec(9);
    strange.app = Some("other".into());
    assert!(is_taken(&desired, &strange, &Origin::Call));
    let before = desired.clone();
    desired.offer(&strange, &now(1));
    assert_eq!(desired, before, "a stranger's offer changes nothing");
    assert!(desired.forget(&Version::new(1, 0, 0)));
    assert!(is_taken(&desired, &strange, &Origin::Call), "the app stays");
    assert_eq!(desired.take_over(&strange, &Origin::Call), None, "it has a name");
    assert_eq!(desired.give_up(), [], "all was forgotten");
    assert_eq!(desired.standing(&strange, &Origin::Call), AppStanding::Free);
}

#[test]
fn one_app_may_be_offered_from_several_places() {
    let mut desired = Desired::default();
    desired.offer_from(&spec(1), &by_file("/a"), &now(0));
    desired.offer_from(&spec(2), &by_file("/b"), &now(0));
    assert_eq!(version_of(&target(&desired, 0)), Some(2));
    let runs = desired.identity_of(&spec(2)).to_string();
    assert_eq!((runs.as_str(), desired.offers.len()), ("app test", 2));
}

#[test]
fn without_a_name_one_place_may_change_its_command_and_another_may_not() {
    let mut desired = Desired::default();
    desired.offer_from(&nameless("/bin/a", 1), &by_file("/a"), &now(0));
    desired.offer_from(&nameless("/bin/b", 2), &by_file("/a"), &now(0));
    assert_eq!(version_of(&target(&desired, 0)), Some(2));
    assert!(is_taken(&desired, &nameless("/bin/c", 3), &by_file("/b")));
    assert!(is_taken(&desired, &nameless("/bin/c", 3), &Origin::Call));
    assert!(!is_taken(&desired, &nameless("/bin/b", 3), &Origin::Call), "it is the same program");
}

#[test]
fn an_app_that_gets_a_name_keeps_its_worker_and_shares_it_from_then_on() {
    let mut desired = Desired::default();
    desired.offer_from(&nameless("/bin/a", 1), &by_file("/a"), &now(0));
    assert!(is_taken(&desired, &spec(2), &by_file("/b")));
    desired.offer_from(&spec(2), &by_file("/a"), &now(0));
    assert!(!is_taken(&desired, &spec(3), &by_file("/b")));
}

#[test]
fn a_person_gives_the_name_of_a_nameless_app_to_another_and_its_versions_are_forgotten() {
    let mut desired = Desired::default();
    desired.offer(&nameless("/bin/a", 1), &now(0));
    desired.offer(&nameless("/bin/a", 9), &now(0));
    let other = nameless("/bin/b", 1);
    assert_eq!(desired.take_over(&other, &Origin::Call), Some(vec![Version::new(9, 0, 0)]));
    desired.offer(&other, &now(1));
    assert_eq!((version_of(&target(&desired, 1)), desired.offers.len()), (Some(1), 1));
    desired.pin = Some(Version::new(1, 0, 0));
    assert_eq!(desired.take_over(&nameless("/bin/c", 1), &Origin::Call), None, "a version of it is pinned");
    assert_eq!(desired.give_up(), [Version::new(1, 0, 0)]);
    assert_eq!((desired.pin, desired.app), (None, None));
}

#[test]
fn a_nameless_app_of_which_nothing_can_run_keeps_no_name() {
    let mut desired = Desired::default();
    desired.offer(&nameless("/bin/nodde", 1), &now(0));
    let other = nameless("/bin/node", 1);
    desired.release_what_is_gone(&|_| true);
    assert!(is_taken(&desired, &other, &Origin::Call));
    desired.release_what_is_gone(&|_| false);
    assert_eq!(desired.standing(&other, &Origin::Call), AppStanding::Free);
    let mut named = offered(&[1]);
    named.release_what_is_gone(&|_| false);
    assert!(is_taken(&named, &other, &Origin::Call), "an app with a name keeps it");
}

#[test]
fn a_record_of_before_belongs_to_its_highest_offer() {
    let mut desired = Desired::default();
    desired.offer_from(&nameless("/bin/a", 1), &by_file("/a"), &now(0));
    desired.app = None;
    assert!(!is_taken(&desired, &nameless("/bin/b", 2), &by_file("/a")));
    assert!(is_taken(&desired, &spec(2), &by_file("/b")));
    assert_eq!(desired.take_over(&spec(2), &by_file("/b")), Some(vec![Version::new(1, 0, 0)]));
}

#[test]
fn the_app_is_written_and_read_back() {
    let golden = include_str!("../../../formats/desired-3-app.json");
    let desired: Desired = serde_json::from_str(golden).expect("golden reads");
    assert_eq!(desired.app.as_ref().map(ToString::to_string).as_deref(), Some("app acme.notes"));
    let again = serde_json::to_string_pretty(&desired).expect("writes");
    assert_eq!(again.trim(), golden.trim());
}

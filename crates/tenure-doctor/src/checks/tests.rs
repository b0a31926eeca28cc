//! Every check on facts made by hand: silent where all is well, and alone where its own fact is the one that is wrong.

use std::collections::BTreeSet;

use tenure_sys::census::SeenProcess;
use tenure_sys::process::RunState;

use crate::facts::{Facts, RecordFacts, RecordFault};
use crate::finding::{Finding, Fix, Severity};
use crate::{checks, diagnose};

mod cases;
mod made;

use cases::cases;
use made::{LATER, down, healthy, held, now, port, scope, seen, spec, state, version, wants};

fn found(facts: &Facts) -> Vec<Finding> {
    diagnose(facts).into_iter().flat_map(|one| one.findings).collect()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    for facts in [healthy(), down()] {
        assert_eq!(found(&facts), []);
    }
}

#[test]
fn every_finding_in_words() {
    let text = cases().into_iter().flat_map(|(_, before, wrong)| {
        let mut facts = before();
        wrong(&mut facts);
        found(&facts).into_iter().map(|finding| {
            let Finding { check, severity, what, evidence, remedy, fix } = finding;
            let evidence: String = evidence.into_iter().map(|line| line + "\n    ").collect();
            let fix = fix.map_or_else(String::new, |fix| format!("    --fix: {fix}\n"));
            format!("{check}: {}: {what}\n    {evidence}-> {remedy}\n{fix}", severity.word())
        })
    });
    insta::assert_snapshot!(text.collect::<String>());
}

#[test]
fn each_check_finds_what_it_is_for_and_nothing_else_speaks() {
    let mut covered = BTreeSet::from(["pinned-gone"]);
    for (id, before, wrong) in cases() {
        let mut facts = before();
        wrong(&mut facts);
        let findings = found(&facts);
        let names: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
        assert_eq!(names, [id], "{findings:#?}");
        let finding = &findings[0];
        assert!(!finding.what.is_empty() && !finding.remedy.is_empty(), "{finding:#?}");
        assert!(finding.evidence.iter().all(|line| !line.is_empty()), "{finding:#?}");
        covered.insert(id);
    }
    let ids: BTreeSet<&str> = checks::all().map(|check| check.id).collect();
    assert_eq!(ids, covered, "each check has a case");
    assert_eq!(ids.len(), checks::all().count(), "no name twice");
}

#[test]
fn a_pinned_version_that_is_gone_is_told_with_the_pin() {
    let mut facts = healthy();
    wants(&mut facts).record.pin = Some(version(7));
    let names: Vec<&str> = found(&facts).iter().map(|finding| finding.check).collect();
    assert_eq!(names, ["pinned-gone", "pinned"], "the worst first");
}

#[test]
fn a_name_is_one_word_in_kebab_case() {
    for check in checks::all() {
        assert!(check.id.chars().all(|one| one.is_ascii_lowercase() || one == '-'), "{}", check.id);
    }
}

#[test]
fn what_a_launcher_is_at_work_on_is_no_finding() {
    let mut facts = down();
    state(&mut facts).socket = Ok(true);
    state(&mut facts).temporaries = vec![".ledger.json.1.ab.tmp".into()];
    facts.census.cookies.push(("web:id/3/-/program".into(), seen(8)));
    state(&mut facts).gate = Ok(Some(held(RunState::Sleeping, LATER)));
    let findings = found(&facts);
    assert!(
        findings.iter().all(|finding| finding.check == "gate-held" && finding.fix.is_none()),
        "{findings:#?}"
    );
}

#[test]
fn a_long_hold_weighs_more_than_a_short_one() {
    let weight = |since| {
        let mut facts = healthy();
        state(&mut facts).gate = Ok(Some(held(RunState::Sleeping, since)));
        found(&facts)[0].severity
    };
    assert_eq!((weight(LATER - 1000), weight(LATER - 90_000)), (Severity::Note, Severity::Warning));
}

#[test]
fn a_damaged_record_is_moved_only_where_nobody_lives_and_no_person_holds_anything() {
    let fix = |before: fn() -> Facts, holds| {
        let mut facts = before();
        state(&mut facts).desired = RecordFacts::Bad(RecordFault::Damaged { why: "EOF".into(), holds });
        let findings = found(&facts);
        findings.into_iter().find(|finding| finding.check == "record-damaged").expect("found").fix
    };
    assert_eq!(fix(down, false), Some(Fix::MoveAside { scope: scope(), record: "desired.json" }));
    assert_eq!(fix(down, true), None);
    assert_eq!(fix(healthy, false), None);
}

#[test]
fn what_listens_below_the_worker_is_no_stranger_without_its_cookie() {
    let mut facts = healthy();
    state(&mut facts).ports = vec![port(false)];
    facts.census.sockets.push((77, SeenProcess { above: vec![41, 42, 1], ..seen(8) }));
    assert_eq!(found(&facts), []);
}

#[test]
fn a_worker_that_cannot_be_looked_at_is_never_called_a_stranger_on_its_own_port() {
    let mut facts = healthy();
    state(&mut facts).ports = vec![port(false)];
    let out_of_sight = |facts: &mut Facts| {
        state(facts).own.clear();
        state(facts).out_of_sight = Some("its pid belongs to another pid namespace".into());
    };
    let told = |facts: &Facts| -> Vec<_> {
        found(facts).iter().map(|finding| (finding.check, finding.severity)).collect()
    };
    assert_eq!(told(&facts), [("port-unseen", Severity::Warning)], "it should be seen, and is not");
    facts.census.sockets.push((77, seen(8)));
    assert_eq!(told(&facts), [("port-of-another", Severity::Error)], "a stranger that is seen");
    out_of_sight(&mut facts);
    assert_eq!(told(&facts), [("port-unseen", Severity::Note)], "its number here is not known");
    facts.census.sockets.clear();
    assert_eq!(told(&facts), [("port-unseen", Severity::Note)]);
    state(&mut facts).ports[0].sockets.clear();
    assert_eq!(told(&facts), [], "it may serve in another network");
}

#[test]
fn what_listens_in_the_name_of_the_worker_is_no_stranger() {
    let mut facts = healthy();
    state(&mut facts).ports = vec![port(false)];
    facts.census.sockets.push((77, seen(8)));
    facts.census.cookies.push(("web:id/3/-/program".into(), seen(8)));
    assert_eq!(found(&facts), []);
}

#[test]
fn an_older_version_whose_files_were_overwritten_is_no_way_out_and_the_file_is_named() {
    let mut facts = down();
    wants(&mut facts).record.offer(&spec(2), &now());
    wants(&mut facts).record.failed(&spec(2), "exit status 3", &now());
    let nothing = |facts: &Facts| found(facts).into_iter().find(|one| one.check == "nothing-to-start");
    assert_eq!(nothing(&facts), None, "the older one can run");

    wants(&mut facts).overwritten.push((version(1), "/srv/app/server.mjs".into()));

    let evidence = nothing(&facts).expect("nothing can").evidence.join("\n");
    assert!(evidence.contains("exit status 3") && evidence.contains("/srv/app/server.mjs"), "{evidence}");
}

#[test]
fn what_a_dead_worker_left_on_its_port_is_no_stranger_though_it_blanked_its_cookie() {
    let mut facts = down();
    state(&mut facts).ports = vec![port(false)];
    facts.census.sockets.push((77, seen(8)));
    assert!(found(&facts).iter().any(|finding| finding.check == "port-taken"));

    state(&mut facts).orphans = vec![seen(8)];

    let checks: Vec<&str> = found(&facts).iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["leftovers"], "nobody is told to end our own by hand");
}

//! What nobody trusts any more starts nothing and stops nothing that runs, and whoever asks is told what would help.

use tenure_core::fault::Point;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::sandbox::Sandbox;

use super::{call, project, started, told, two_projects};
use crate::BINARIES;

#[test]
fn what_was_trusted_once_is_not_started_when_its_trust_is_taken_back() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = project(&sandbox, "p", "9.9.9");
    call(&sandbox, &home, &["trust"]).expect(0);
    call(&sandbox, &home, &["ensure", "w"]).expect(0);
    sandbox.stop("w");
    call(&sandbox, &home, &["trust", "--revoke"]).expect(0);
    project(&sandbox, "p", "1.0.0");
    call(&sandbox, &home, &["trust"]).expect(0);

    let ensured = call(&sandbox, &home, &["ensure", "w"]).expect(0);

    assert_eq!((ensured.state(), ensured.json()["version"].as_str()), ("started".into(), Some("1.0.0")));
    assert_eq!(started(&sandbox), ["9.9.9", "1.0.0"]);
    let findings = call(&sandbox, &home, &["doctor", "w"]).stdout;
    assert!(findings.contains("version 9.9.9 is not started"), "the offer is told: {findings}");
    sandbox.stop("w");
}

#[test]
fn what_loses_its_trust_while_the_worker_before_it_ends_is_not_started() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = project(&sandbox, "p", "9.9.9");
    call(&sandbox, &home, &["trust"]).expect(0);
    call(&sandbox, &home, &["ensure", "w"]).expect(0);
    let meeting = sandbox.meeting("gone");
    let restart = sandbox.tenure(["restart", "w", "--force", "--json"]).cwd(&home);
    let restart = restart.fault(&meeting.armed(Point::RetireProved)).start();
    let gone = meeting.meet();
    call(&sandbox, &home, &["trust", "--revoke"]).expect(0);
    gone.release();

    let refused = restart.wait().expect(6);

    assert_eq!(refused.state(), "untrusted");
    assert!(complaint(&refused).contains("no worker runs now"), "{}", refused.stdout);
    assert_eq!(started(&sandbox), ["9.9.9"], "the one that was trusted then");
}

#[test]
fn another_project_starts_nothing_that_nobody_trusts_any_more() {
    let (sandbox, [first, second]) = two_projects();
    call(&sandbox, &first, &["ensure", "w"]).expect(0);
    sandbox.stop("w");
    call(&sandbox, &first, &["trust", "--revoke"]).expect(0);

    let ensured = call(&sandbox, &second, &["ensure", "w"]).expect(0);

    assert_eq!(ensured.json()["version"], "1.0.0");
    sandbox.stop("w");
}

#[test]
fn a_version_that_nobody_trusts_any_more_is_not_pinned() {
    let (sandbox, [first, second]) = two_projects();
    call(&sandbox, &first, &["ensure", "w"]).expect(0);
    sandbox.stop("w");
    call(&sandbox, &first, &["trust", "--revoke"]).expect(0);
    call(&sandbox, &second, &["ensure", "w"]).expect(0);

    let refused = call(&sandbox, &second, &["pin", "w", "9.9.9"]).expect(6);

    assert_eq!(refused.state(), "untrusted");
    assert!(complaint(&refused).contains("first/tenure.toml"), "{}", refused.stdout);
    let trust = format!("`tenure trust {}`", first.display());
    assert!(complaint(&refused).contains(&trust), "it may be typed anywhere: {}", refused.stdout);
    assert_eq!(call(&sandbox, &second, &["status", "w"]).json()["version"], "1.0.0", "nothing was stopped");
    call(&sandbox, &first, &["trust"]).expect(0);
    let pinned = call(&sandbox, &second, &["pin", "w", "9.9.9"]).expect(0);
    assert_eq!(pinned.json()["version"], "9.9.9", "the remedy works");
    sandbox.stop("w");
}

#[test]
fn a_pinned_version_that_nobody_trusts_any_more_is_named_with_its_file_and_both_remedies() {
    let (sandbox, [first, second]) = two_projects();
    call(&sandbox, &first, &["ensure", "w"]).expect(0);
    call(&sandbox, &second, &["pin", "w", "9.9.9"]).expect(0);
    sandbox.stop("w");
    call(&sandbox, &first, &["trust", "--revoke"]).expect(0);

    for words in [["ensure", "w"], ["restart", "w"]] {
        let refused = call(&sandbox, &second, &words).expect(6);

        assert_eq!(refused.state(), "untrusted");
        let told = complaint(&refused);
        assert!(told.contains("version 9.9.9 is pinned") && told.contains("first/tenure.toml"), "{told}");
        let trust = format!("`tenure trust {}`", first.display());
        assert!(told.contains(&trust) && told.contains("`tenure unpin w`"), "{told}");
    }
    let findings = call(&sandbox, &second, &["doctor", "w"]).stdout;
    assert!(findings.contains("what was offered is not trusted any more"), "{findings}");
    assert!(findings.contains("tenure unpin w") && !findings.contains("tenure forget w"), "{findings}");
    call(&sandbox, &second, &["unpin", "w"]).expect(0);
    assert_eq!(call(&sandbox, &second, &["ensure", "w"]).expect(0).json()["version"], "1.0.0");
    sandbox.stop("w");
}

#[test]
fn trust_that_is_taken_back_stops_nothing_that_runs() {
    let (sandbox, [first, second]) = two_projects();
    let pid = call(&sandbox, &first, &["ensure", "w"]).expect(0).json()["pid"].clone();
    call(&sandbox, &first, &["trust", "--revoke"]).expect(0);

    let ensured = call(&sandbox, &second, &["ensure", "w"]).expect(0);

    assert_eq!((ensured.state(), &ensured.json()["pid"]), ("up".into(), &pid));
    sandbox.stop("w");
}

#[test]
fn status_and_list_tell_an_offer_that_nobody_trusts_any_more_and_the_remedy_works() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let (home, second) = (project(&sandbox, "p", "9.9.9"), project(&sandbox, "second", "1.0.0"));
    for directory in [&home, &second] {
        call(&sandbox, directory, &["trust"]).expect(0);
    }
    call(&sandbox, &home, &["ensure", "w"]).expect(0);
    sandbox.stop("w");
    call(&sandbox, &home, &["trust", "--revoke"]).expect(0);
    call(&sandbox, &second, &["ensure", "w"]).expect(0);

    for offers in told(&sandbox) {
        let of = |offer: &serde_json::Value| (offer["version"].clone(), offer["trusted"].clone());
        let offers: Vec<_> = offers.as_array().expect("a list").iter().map(of).collect();
        assert_eq!(offers, [("1.0.0".into(), true.into()), ("9.9.9".into(), false.into())]);
    }
    let status = sandbox.tenure(["status", "w"]).cwd(&sandbox.work()).run().stdout;
    assert!(status.contains("9.9.9 is not started") && status.contains("p/tenure.toml"), "{status}");
    assert!(status.contains(&format!("`tenure trust {}`", home.display())), "{status}");
    let list = sandbox.tenure(["list"]).run().stdout;
    assert!(list.contains("9.9.9 not trusted"), "{list}");
    assert!(status.contains("`tenure forget w 9.9.9`"), "{status}");
    call(&sandbox, &sandbox.work(), &["forget", "w", "9.9.9"]).expect(0);
    let status = sandbox.tenure(["status", "w"]).cwd(&sandbox.work()).run().stdout;
    assert!(!status.contains("9.9.9"), "{status}");
    sandbox.stop("w");
}

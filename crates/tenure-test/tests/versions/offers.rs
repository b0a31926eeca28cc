//! Where an offer comes from decides whether it is started: what nobody trusts any more starts nothing, what nobody describes
//! any more makes room for what is described, and what was offered by mistake can be taken back.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_core::fault::Point;
use tenure_test::fixtures::answer::complaint;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

/// A description of `w` in this version, whose program tells the oracle which it is.
fn text(sandbox: &Sandbox, version: &str, lines: &str) -> String {
    let oracle = sandbox.oracle().directory().display().to_string();
    let command = [BINARIES.program, oracle.as_str(), version];
    format!(
        "[worker.w]\nversion = {version:?}\ncommand = {command:?}\nstart_timeout = \"5s\"\nbake = \"0s\"\n\
         stop = {{ grace = \"1s\" }}\n{lines}"
    )
}

/// A project that describes `w` for the whole user.
fn project(sandbox: &Sandbox, name: &str, version: &str) -> PathBuf {
    let directory = sandbox.work().join(name);
    fs::create_dir_all(&directory).expect("a sandbox takes directories");
    fs::write(directory.join("tenure.toml"), text(sandbox, version, "scope = \"user\"\n"))
        .expect("and files");
    directory
}

fn user(sandbox: &Sandbox, version: &str) {
    fs::write(sandbox.config().join("w.toml"), text(sandbox, version, "")).expect("a sandbox takes files");
}

fn call(sandbox: &Sandbox, directory: &Path, words: &[&str]) -> Output {
    let words = words.iter().copied().chain(["--json"]);
    sandbox.tenure(words).cwd(directory).run()
}

/// The versions of all programs that were started.
fn started(sandbox: &Sandbox) -> Vec<String> {
    let lines = sandbox.oracle().lines();
    let starts = lines.iter().filter(|line| line.what == "start");
    starts.filter_map(|line| line.detail.split(' ').next().map(str::to_owned)).collect()
}

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
    let sandbox = Sandbox::new(BINARIES.tenure);
    let (first, second) = (project(&sandbox, "first", "9.9.9"), project(&sandbox, "second", "1.0.0"));
    call(&sandbox, &first, &["trust"]).expect(0);
    call(&sandbox, &second, &["trust"]).expect(0);
    call(&sandbox, &first, &["ensure", "w"]).expect(0);
    sandbox.stop("w");
    call(&sandbox, &first, &["trust", "--revoke"]).expect(0);

    let ensured = call(&sandbox, &second, &["ensure", "w"]).expect(0);

    assert_eq!(ensured.json()["version"], "1.0.0");
    sandbox.stop("w");
}

#[test]
fn a_version_that_nobody_trusts_any_more_is_not_pinned() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let (first, second) = (project(&sandbox, "first", "9.9.9"), project(&sandbox, "second", "1.0.0"));
    call(&sandbox, &first, &["trust"]).expect(0);
    call(&sandbox, &second, &["trust"]).expect(0);
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
    let sandbox = Sandbox::new(BINARIES.tenure);
    let (first, second) = (project(&sandbox, "first", "9.9.9"), project(&sandbox, "second", "1.0.0"));
    call(&sandbox, &first, &["trust"]).expect(0);
    call(&sandbox, &second, &["trust"]).expect(0);
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
    let sandbox = Sandbox::new(BINARIES.tenure);
    let (first, second) = (project(&sandbox, "first", "9.9.9"), project(&sandbox, "second", "1.0.0"));
    call(&sandbox, &first, &["trust"]).expect(0);
    call(&sandbox, &second, &["trust"]).expect(0);
    let pid = call(&sandbox, &first, &["ensure", "w"]).expect(0).json()["pid"].clone();
    call(&sandbox, &first, &["trust", "--revoke"]).expect(0);

    let ensured = call(&sandbox, &second, &["ensure", "w"]).expect(0);

    assert_eq!((ensured.state(), &ensured.json()["pid"]), ("up".into(), &pid));
    sandbox.stop("w");
}

#[test]
fn a_restart_forgets_a_higher_version_that_its_file_does_not_state_any_more() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "11.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);
    user(&sandbox, "1.1.0");

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(restarted["version"], "1.1.0");
    assert_eq!(restarted["forgotten"], serde_json::json!(["11.0.0"]));
    assert_eq!(
        call(&sandbox, &work, &["ensure", "w"]).expect(0).json()["version"],
        "1.1.0",
        "and it stays so"
    );
    sandbox.stop("w");
}

#[test]
fn a_restart_forgets_a_higher_version_that_failed_and_is_not_stated_any_more() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    let broken = "[worker.w]\nversion = \"11.0.0\"\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n";
    fs::write(sandbox.config().join("w.toml"), broken).expect("a sandbox takes files");
    assert!(!call(&sandbox, &work, &["ensure", "w"]).status.success(), "it exits at once");
    user(&sandbox, "1.1.0");

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(restarted["version"], "1.1.0");
    assert_eq!(restarted["forgotten"], serde_json::json!(["11.0.0"]));
    let forgotten = call(&sandbox, &work, &["forget", "w", "11.0.0"]).expect(5);
    assert!(complaint(&forgotten).contains("known: 1.1.0"), "{}", forgotten.stdout);
    sandbox.stop("w");
}

#[test]
fn a_restart_from_an_older_copy_starts_what_is_described_elsewhere_and_says_so() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "2.0.0");
    fs::write(work.join("old.toml"), text(&sandbox, "1.0.0", "")).expect("a sandbox takes files");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);

    let restarted = call(&sandbox, &work, &["restart", "w", "--config", "old.toml"]).expect(0).json();

    assert_eq!((&restarted["version"], &restarted["passed_over"]), (&"2.0.0".into(), &"1.0.0".into()));
    let told = sandbox.tenure(["restart", "w", "--config", "old.toml"]).cwd(&work).run().expect(0);
    let said = told.stdout + &told.stderr;
    assert!(said.contains("2.0.0 was started and not 1.0.0"), "{said}");
    sandbox.stop("w");
}

#[test]
fn a_file_that_is_gone_describes_nothing() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    fs::write(work.join("new.toml"), text(&sandbox, "2.0.0", "")).expect("a sandbox takes files");
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w", "--config", "new.toml"]).expect(0);
    fs::remove_file(work.join("new.toml")).expect("it is ours");

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(
        (&restarted["version"], &restarted["forgotten"]),
        (&"1.0.0".into(), &serde_json::json!(["2.0.0"]))
    );
    sandbox.stop("w");
}

/// A call that names what to start, as this version.
fn typed(sandbox: &Sandbox, program: &Path, version: &str) -> Output {
    let (program, oracle) =
        (program.display().to_string(), sandbox.oracle().directory().display().to_string());
    let words = ["ensure", "w", "--json", "--version", version, "--", &program, &oracle, version];
    sandbox.tenure(words).cwd(&sandbox.work()).run()
}

#[test]
fn what_a_call_offered_without_a_file_is_described_as_long_as_its_program_exists() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    let program = work.join("server");
    fs::copy(BINARIES.program, &program).expect("a sandbox takes files");
    user(&sandbox, "1.0.0");
    typed(&sandbox, &program, "9.0.0").expect(0);

    let there = call(&sandbox, &work, &["restart", "w"]).expect(0).json();
    fs::remove_file(&program).expect("it is ours");
    let gone = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!((&there["version"], &there["passed_over"]), (&"9.0.0".into(), &"1.0.0".into()));
    assert_eq!((&gone["version"], &gone["forgotten"]), (&"1.0.0".into(), &serde_json::json!(["9.0.0"])));
    fs::copy(BINARIES.program, &program).expect("a sandbox takes files");
    let after = call(&sandbox, &work, &["ensure", "w"]).expect(0).json();
    assert_eq!(after["version"], "1.0.0", "it does not come back with its program");
    sandbox.stop("w");
}

#[test]
fn a_version_that_only_a_call_gives_to_a_described_worker_is_not_described() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w", "--version", "11.0.0"]).expect(0);

    let restarted = call(&sandbox, &work, &["restart", "w"]).expect(0).json();

    assert_eq!(
        (&restarted["version"], &restarted["forgotten"]),
        (&"1.0.0".into(), &serde_json::json!(["11.0.0"]))
    );
    sandbox.stop("w");
}

#[test]
fn an_offer_is_taken_back_without_stopping_what_runs_and_may_be_offered_again() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);
    let new = ["ensure", "w", "--version", "11.0.0"];
    let pid = call(&sandbox, &work, &new).expect(0).json()["pid"].clone();

    let forgotten = call(&sandbox, &work, &["forget", "w", "11.0.0"]).expect(0).json();

    assert_eq!((&forgotten["state"], &forgotten["target"]), (&"forgotten".into(), &"1.0.0".into()));
    assert_eq!((&forgotten["pid"], &forgotten["version"]), (&pid, &"11.0.0".into()), "it goes on");
    assert_eq!(call(&sandbox, &work, &["restart", "w"]).expect(0).json()["version"], "1.0.0");
    assert_eq!(
        call(&sandbox, &work, &new).expect(0).json()["version"],
        "11.0.0",
        "a live launcher offers it again"
    );
    sandbox.stop("w");
}

#[test]
fn a_version_that_is_pinned_or_was_never_offered_is_not_forgotten() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);
    call(&sandbox, &work, &["pin", "w", "1.0.0"]).expect(0);

    let pinned = call(&sandbox, &work, &["forget", "w", "1.0.0"]).expect(5);
    let unknown = call(&sandbox, &work, &["forget", "w", "3.0.0"]).expect(5);

    assert_eq!((pinned.state(), unknown.state()), ("version-pinned".into(), "unknown-version".into()));
    assert!(complaint(&pinned).contains("tenure unpin w"), "{}", pinned.stdout);
    assert!(complaint(&unknown).contains("known: 1.0.0"), "{}", unknown.stdout);
    call(&sandbox, &work, &["unpin", "w"]).expect(0);
    call(&sandbox, &work, &["forget", "w", "1.0.0"]).expect(0);
    sandbox.stop("w");
}

/// What `status` and `list` tell of the offers of `w`.
fn told(sandbox: &Sandbox) -> [serde_json::Value; 2] {
    let work = sandbox.work();
    let status = call(sandbox, &work, &["status", "w"]).json();
    let listed = call(sandbox, &work, &["list"]).json();
    [status["offers"].clone(), listed["workers"][0]["offers"].clone()]
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

#[test]
fn status_list_and_doctor_tell_an_offer_that_nobody_describes_any_more_and_the_remedy_works() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "11.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);
    user(&sandbox, "1.1.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);

    for offers in told(&sandbox) {
        let of = |offer: &serde_json::Value| (offer["version"].clone(), offer["described"].clone());
        let offers: Vec<_> = offers.as_array().expect("a list").iter().map(of).collect();
        assert_eq!(offers, [("11.0.0".into(), false.into())], "the call found it up and offered nothing");
    }
    let list = sandbox.tenure(["list"]).run().stdout;
    assert!(list.contains("11.0.0 described nowhere"), "{list}");
    let findings = call(&sandbox, &work, &["doctor", "w"]).json();
    let found = findings["findings"].as_array().expect("a list");
    let of_it = found.iter().find(|finding| finding["check"] == "offer-undescribed").expect("told");
    let status = sandbox.tenure(["status", "w"]).cwd(&work).run().stdout;
    assert!(status.contains("11.0.0 is described nowhere any more"), "{status}");
    assert!(status.contains("`tenure forget w 11.0.0`"), "{status}");
    assert_eq!(of_it["remedy"], "tenure forget w 11.0.0");
    call(&sandbox, &work, &["forget", "w", "11.0.0"]).expect(0);
    let status = sandbox.tenure(["status", "w"]).cwd(&work).run().stdout;
    assert!(!status.contains("described nowhere"), "{status}");
    sandbox.stop("w");
}

#[test]
fn what_an_upgrade_has_left_behind_is_no_news() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let work = sandbox.work();
    user(&sandbox, "1.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);
    user(&sandbox, "2.0.0");
    call(&sandbox, &work, &["ensure", "w"]).expect(0);

    let [offers, _] = told(&sandbox);
    assert_eq!(offers[0]["described"], false);
    let status = sandbox.tenure(["status", "w"]).cwd(&work).run().stdout;
    assert!(!status.contains("1.0.0"), "{status}");
    sandbox.stop("w");
}

/// The README's flow: version 1.0.0 is trusted and serves, the file is edited to 2.0.0, trusted again, and serves.
fn upgraded(sandbox: &Sandbox, lines: &str) -> PathBuf {
    let home = sandbox.work().join("p");
    fs::create_dir_all(&home).expect("a sandbox takes directories");
    for version in ["1.0.0", "2.0.0"] {
        let text = text(sandbox, version, "").replace("bake = \"0s\"\n", lines);
        fs::write(home.join("tenure.toml"), text).expect("and files");
        call(sandbox, &home, &["trust"]).expect(0);
        let ensured = call(sandbox, &home, &["ensure", "w"]).expect(0);
        assert_eq!(ensured.json()["version"], version);
    }
    home
}

#[test]
fn a_pin_goes_back_to_what_the_projects_file_said_before_it_was_edited_and_trusted_again() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = upgraded(&sandbox, "bake = \"0s\"\n");

    let pinned = call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(0);

    assert_eq!(pinned.json()["version"], "1.0.0");
    assert_eq!(call(&sandbox, &home, &["ensure", "w"]).expect(0).json()["version"], "1.0.0");
    call(&sandbox, &home, &["unpin", "w"]).expect(0);
    call(&sandbox, &home, &["stop", "w"]).expect(0);
}

#[test]
fn within_the_probation_of_a_projects_new_version_the_remedy_of_doctor_goes_back_at_once() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = upgraded(&sandbox, "bake = \"9m\"\n");
    let found = call(&sandbox, &home, &["doctor", "w"]).json();
    let found = found["findings"].as_array().expect("a list");
    let remedies: Vec<&str> = found.iter().filter_map(|finding| finding["remedy"].as_str()).collect();
    assert!(remedies.contains(&"wait; `tenure pin w 1.0.0` goes back at once"), "{remedies:?}");
    assert!(!remedies.iter().any(|remedy| remedy.contains("forget")), "{remedies:?}");

    let pinned = call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(0);

    assert_eq!(pinned.json()["version"], "1.0.0");
    call(&sandbox, &home, &["stop", "w"]).expect(0);
}

#[test]
fn within_a_probation_nobody_is_told_to_forget_or_pin_what_may_not_be_pinned() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = upgraded(&sandbox, "bake = \"9m\"\n");
    call(&sandbox, &home, &["trust", "--revoke"]).expect(0);

    let told = [["doctor", "w"], ["status", "w"]].map(|words| sandbox.tenure(words).cwd(&home).run().stdout);

    for told in &told {
        assert!(told.contains("1.0.0"), "{told}");
        assert!(!told.contains("forget w 1.0.0") && !told.contains("pin w 1.0.0"), "{told}");
    }
    call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(6);
    call(&sandbox, &home, &["stop", "w"]).expect(0);
}

#[test]
fn an_edit_that_nobody_trusts_starts_nothing_of_its_own_and_revoking_takes_every_content() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = upgraded(&sandbox, "bake = \"0s\"\n");
    let file = home.join("tenure.toml");
    fs::write(&file, text(&sandbox, "3.0.0", "")).expect("ours");
    assert_eq!(call(&sandbox, &home, &["ensure", "w"]).expect(6).state(), "untrusted");
    let back = call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(0);
    assert_eq!(back.json()["version"], "1.0.0", "what a person said of it stands");
    call(&sandbox, &home, &["unpin", "w"]).expect(0);
    assert!(!started(&sandbox).contains(&"3.0.0".to_owned()));
    call(&sandbox, &home, &["stop", "w"]).expect(0);

    call(&sandbox, &home, &["trust", "--revoke"]).expect(0);
    call(&sandbox, &home, &["trust"]).expect(0);

    let ensured = call(&sandbox, &home, &["ensure", "w"]).expect(0);
    assert_eq!(ensured.json()["version"], "3.0.0");
    for version in ["1.0.0", "2.0.0"] {
        let refused = call(&sandbox, &home, &["pin", "w", version]).expect(6);
        let hint = refused.json()["error"]["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint.contains("the file says something else now"), "trust alone would not do: {hint}");
    }
    fs::write(&file, text(&sandbox, "1.0.0", "")).expect("ours");
    call(&sandbox, &home, &["trust"]).expect(0);
    let pinned = call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(0);
    assert_eq!(pinned.json()["version"], "1.0.0", "the remedy works");
    call(&sandbox, &home, &["stop", "w"]).expect(0);
}

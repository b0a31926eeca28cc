//! A project's file that was edited and trusted again: the version before it can be gone back to.

use std::fs;
use std::path::PathBuf;

use tenure_test::fixtures::sandbox::Sandbox;

use super::{call, started, text};
use crate::BINARIES;

/// The README's flow: version 1.0.0 is trusted and serves, the project's file is edited to 2.0.0, trusted again, and serves.
fn upgraded(bake: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let home = sandbox.work().join("p");
    fs::create_dir_all(&home).expect("a sandbox takes directories");
    for version in ["1.0.0", "2.0.0"] {
        let text = text(&sandbox, version, "").replace("bake = \"0s\"", &format!("bake = {bake:?}"));
        fs::write(home.join("tenure.toml"), text).expect("and files");
        call(&sandbox, &home, &["trust"]).expect(0);
        let ensured = call(&sandbox, &home, &["ensure", "w"]).expect(0);
        assert_eq!(ensured.json()["version"], version);
    }
    (sandbox, home)
}

#[test]
fn a_pin_goes_back_to_what_the_projects_file_said_before_it_was_edited_and_trusted_again() {
    let (sandbox, home) = upgraded("0s");

    let pinned = call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(0);

    assert_eq!(pinned.json()["version"], "1.0.0");
    assert_eq!(call(&sandbox, &home, &["ensure", "w"]).expect(0).json()["version"], "1.0.0");
    call(&sandbox, &home, &["unpin", "w"]).expect(0);
    call(&sandbox, &home, &["stop", "w"]).expect(0);
}

#[test]
fn within_the_probation_of_a_projects_new_version_the_remedy_of_doctor_goes_back_at_once() {
    let (sandbox, home) = upgraded("9m");
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
    let (sandbox, home) = upgraded("9m");
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
    let (sandbox, home) = upgraded("0s");
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
        assert!(hint.contains("the content of the file has changed"), "trust alone would not do: {hint}");
    }
    fs::write(&file, text(&sandbox, "1.0.0", "")).expect("ours");
    call(&sandbox, &home, &["trust"]).expect(0);
    let pinned = call(&sandbox, &home, &["pin", "w", "1.0.0"]).expect(0);
    assert_eq!(pinned.json()["version"], "1.0.0", "the remedy works");
    call(&sandbox, &home, &["stop", "w"]).expect(0);
}

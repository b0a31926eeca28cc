//! The threads: who answers, and who reads.

use std::fs;

use crate::status::tests::status;

use super::*;

struct Fixture {
    _place: tempfile::TempDir,
    file: std::path::PathBuf,
    build_watcher: BuildWatcher,
    status: Status,
}

fn fixture() -> Fixture {
    let place = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(place.path().join("app/dist")).expect("room");
    let file = place.path().join("app/dist/a.js");
    fs::write(&file, "1").expect("room");
    let (build_watcher, status) = (BuildWatcher::new().expect("an eventfd"), status());
    let mut spec = Spec::of_command(vec!["server".into()], place.path().join("app"));
    build_watcher.begin(&spec, &status).expect("nothing to begin");
    assert_eq!(build_watcher.hello_with_build(&status).content, None, "a spec without a build has none");
    spec.build = vec!["dist/**".into()];
    build_watcher.begin(&spec, &status).expect("a thread");
    Fixture { _place: place, file, build_watcher, status }
}

impl Fixture {
    /// Asks once the files were read again, by the thread or, where it has not come to it, here.
    fn settled(&self) -> bool {
        self.build_watcher.look_again(&self.status);
        self.build_watcher.has_changed()
    }
}

#[test]
fn the_first_question_after_a_change_says_so_and_a_later_one_knows() {
    let fixture = fixture();
    let hello = fixture.build_watcher.hello_with_build(&fixture.status);
    assert!(hello.content.is_some() && !hello.source_changed);
    fs::write(&fixture.file, "1").expect("room");
    assert!(fixture.build_watcher.has_changed(), "it may have");
    assert!(!fixture.settled(), "and it has not");
    fs::write(&fixture.file, "2").expect("room");
    assert!(fixture.build_watcher.hello_with_build(&fixture.status).source_changed);
    assert!(fixture.settled());
    assert_eq!(
        fixture.build_watcher.hello_with_build(&fixture.status).content,
        hello.content,
        "what runs is still the first"
    );
    fixture.build_watcher.begin_again(&fixture.status);
    let again = fixture.build_watcher.hello_with_build(&fixture.status);
    assert!(again.content != hello.content && !again.source_changed);
}

#[test]
fn while_the_files_are_read_the_answer_is_not_waited_for() {
    let fixture = fixture();
    let reading = fixture.build_watcher.watcher();
    assert!(fixture.build_watcher.has_changed());
    drop(reading);
    assert!(!fixture.build_watcher.has_changed());
}

#[test]
fn trouble_is_a_failed_check_until_it_is_over() {
    let status = status();
    let check = || status.hello().app.checks.into_iter().find(|check| check.name == CHECK);
    show(&status, None);
    assert_eq!(check(), None);
    show(&status, Some("raise a limit"));
    show(&status, Some("raise a limit"));
    assert_eq!(check().map(|check| (check.ok, check.detail)), Some((false, "raise a limit".to_owned())));
    show(&status, None);
    assert_eq!(check(), None);
}

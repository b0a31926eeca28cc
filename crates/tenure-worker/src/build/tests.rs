//! The threads: who answers, and who reads.

use std::fs;

use crate::status::tests::status;

use super::*;

struct Fixture {
    _place: tempfile::TempDir,
    file: std::path::PathBuf,
    source: BuildWatcher,
    status: Status,
}

fn fixture() -> Fixture {
    let place = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(place.path().join("app/dist")).expect("room");
    let file = place.path().join("app/dist/a.js");
    fs::write(&file, "1").expect("room");
    let (source, status) = (BuildWatcher::new().expect("an eventfd"), status());
    let mut spec = Spec::of_command(vec!["server".into()], place.path().join("app"));
    source.begin(&spec, &status).expect("nothing to begin");
    assert_eq!(source.hello(&status).content, None, "a spec without a build has none");
    spec.build = vec!["dist/**".into()];
    source.begin(&spec, &status).expect("a thread");
    Fixture { _place: place, file, source, status }
}

impl Fixture {
    /// Asks once the files were read again, by the thread or, where it has not come to it, here.
    fn settled(&self) -> bool {
        self.source.look_again(&self.status);
        self.source.has_changed()
    }
}

#[test]
fn the_first_question_after_a_change_says_so_and_a_later_one_knows() {
    let fixture = fixture();
    let hello = fixture.source.hello(&fixture.status);
    assert!(hello.content.is_some() && !hello.source_changed);
    fs::write(&fixture.file, "1").expect("room");
    assert!(fixture.source.has_changed(), "it may have");
    assert!(!fixture.settled(), "and it has not");
    fs::write(&fixture.file, "2").expect("room");
    assert!(fixture.source.hello(&fixture.status).source_changed);
    assert!(fixture.settled());
    assert_eq!(fixture.source.hello(&fixture.status).content, hello.content, "what runs is still the first");
    fixture.source.begin_again(&fixture.status);
    let again = fixture.source.hello(&fixture.status);
    assert!(again.content != hello.content && !again.source_changed);
}

#[test]
fn while_the_files_are_read_the_answer_is_not_waited_for() {
    let fixture = fixture();
    let reading = fixture.source.watcher();
    assert!(fixture.source.has_changed());
    drop(reading);
    assert!(!fixture.source.has_changed());
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

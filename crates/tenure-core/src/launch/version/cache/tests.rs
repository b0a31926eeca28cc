//! When an answer holds, and what becomes of a file that is not one of ours.

use super::*;

fn variables(path: &str) -> Variables {
    Variables::from([("PATH".to_owned(), path.to_owned())])
}

fn question(cwd: &Path, inputs: &[&str]) -> Question {
    let asked = VersionCommand {
        command: vec!["sh".into(), "-c".into(), "echo 1.0.0".into()],
        inputs: inputs.iter().map(PathBuf::from).collect(),
        ..VersionCommand::default()
    };
    Question::of(&asked, cwd, &variables("/usr/bin:/bin")).expect("there is a shell")
}

fn evidence(question: &Question) -> Evidence {
    Evidence::of(question).expect("everything can be looked at")
}

fn one() -> Version {
    Version::new(1, 0, 0)
}

#[test]
fn an_answer_holds_until_an_input_the_program_or_the_question_changes() {
    let (_root, state) = StateDir::temporary();
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("manifest"), "1").expect("room");
    let asked = question(place.path(), &["manifest", "absent"]);
    keep(&state, &asked, evidence(&asked), &one());
    assert_eq!(find(&state, &asked), Some(one()));

    let mut other = asked.clone();
    other.command.push("more".into());
    assert_eq!(find(&state, &other), None, "another command");
    other = Question { cwd: "/".into(), ..asked.clone() };
    assert_eq!(find(&state, &other), None, "another directory");
    other = Question { environment: Some("other".into()), ..asked.clone() };
    assert_eq!(find(&state, &other), None, "other variables");

    fs::write(place.path().join("absent"), "").expect("room");
    assert_eq!(find(&state, &asked), None, "what was missing is there");
    fs::remove_file(place.path().join("absent")).expect("there");
    assert_eq!(find(&state, &asked), Some(one()));
    fs::write(place.path().join("manifest"), "longer").expect("room");
    assert_eq!(find(&state, &asked), None, "an input was written");
}

#[test]
fn a_program_that_is_replaced_is_asked_again() {
    let (_root, state) = StateDir::temporary();
    let place = tempfile::tempdir().expect("a directory");
    let copy = |name: &str| fs::copy("/bin/sh", place.path().join(name)).expect("room");
    copy("tool");
    let asked = VersionCommand { command: vec!["./tool".into()], ..VersionCommand::default() };
    let asked = Question::of(&asked, place.path(), &variables("/bin")).expect("it is there");
    keep(&state, &asked, evidence(&asked), &one());
    assert_eq!(find(&state, &asked), Some(one()));
    copy("next");
    fs::rename(place.path().join("next"), place.path().join("tool")).expect("there");
    assert_eq!(find(&state, &asked), None);
}

#[test]
fn each_question_has_its_answer_and_the_oldest_make_room() {
    let (_root, state) = StateDir::temporary();
    let questions: Vec<Question> = (0..=KEPT)
        .map(|number| {
            let mut question = question(Path::new("/"), &[]);
            question.command.push(number.to_string());
            question
        })
        .collect();
    for question in &questions {
        keep(&state, question, evidence(question), &one());
    }
    assert_eq!(find(&state, &questions[0]), None);
    assert!(questions[1..].iter().all(|question| find(&state, question).is_some()));
    keep(&state, &questions[1], evidence(&questions[1]), &Version::new(2, 0, 0));
    assert_eq!(find(&state, &questions[1]), Some(Version::new(2, 0, 0)), "a new answer replaces the old one");
}

#[test]
fn a_damaged_file_is_replaced_and_a_newer_one_is_left_alone() {
    let (_root, state) = StateDir::temporary();
    let asked = question(Path::new("/"), &[]);
    for damaged in [&b""[..], b"{", b"[]", b"\xff", br#"{"schema_version":1,"answers":[{}]}"#] {
        state.dir().replace(file::VERSION, damaged).expect("room");
        assert_eq!(find(&state, &asked), None);
        keep(&state, &asked, evidence(&asked), &one());
        assert_eq!(find(&state, &asked), Some(one()));
    }
    let newer = br#"{"schema_version":2,"shape":"unknown"}"#;
    state.dir().replace(file::VERSION, newer).expect("room");
    keep(&state, &asked, evidence(&asked), &one());
    assert_eq!(find(&state, &asked), None);
    assert_eq!(state.dir().read(file::VERSION, 100).expect("readable").expect("there"), newer);
}

#[test]
fn format_1_is_read_by_every_later_build() {
    let (_root, state) = StateDir::temporary();
    let asked = question(Path::new("/"), &["absent"]);
    let variables = asked.environment.clone().expect("it has a digest");
    let found = fs::metadata(&asked.program).expect("a shell");
    let stamp = format!(
        r#"{{"dev":{},"ino":{},"size":{},"modified":[{},{}],"changed":[{},{}]}}"#,
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    );
    // Answers from before the variables were part of the question are read, and not believed.
    for (digest, found) in [(String::new(), None), (format!(r#","environment":"{variables}""#), Some(one()))]
    {
        let golden = format!(
            r#"{{"schema_version":1,"answers":[{{"question":{{"command":["sh","-c","echo 1.0.0"],"cwd":"/","program":"{}","inputs":["absent"]{digest}}},"evidence":{{"program":{stamp},"inputs":[null]}},"version":"1.0.0"}}]}}"#,
            asked.program.display()
        );
        state.dir().replace(file::VERSION, golden.as_bytes()).expect("room");
        assert_eq!(find(&state, &asked), found);
        let asked =
            if found.is_some() { asked.clone() } else { Question { environment: None, ..asked.clone() } };
        keep(&state, &asked, evidence(&asked), &one());
        assert_eq!(
            state.dir().read(file::VERSION, 9999).expect("readable").expect("there"),
            golden.as_bytes()
        );
    }
}

#[test]
fn a_file_as_young_as_the_tick_of_its_clock_is_no_evidence() {
    let at = |changed: (i64, i64)| {
        let stamp = ChangeStamp { dev: 1, ino: 1, size: 1, modified: (0, 0), changed };
        Evidence { program: Some(stamp.clone()), inputs: vec![None, Some(stamp)] }
    };
    let (begin, end) = (100_000, 100_050);
    let table = [
        ((99, 979_000_000), true),
        ((99, 981_000_000), false),
        ((100, 10_000_000), false),
        ((100, 69_000_000), false),
        // The clock was set back since: what is stamped now is less.
        ((100, 71_000_000), true),
        // A file system with whole seconds.
        ((97, 0), true),
        ((99, 0), false),
    ];
    for (changed, shows) in table {
        assert_eq!(at(changed).shows_changes(begin, end), shows, "{changed:?}");
    }
}

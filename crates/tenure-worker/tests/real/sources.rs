//! What a worker says of its build and of its app's version, and what a command says for all launchers.

use std::path::Path;
use std::{fs, thread};

use tenure_core::deadline::{Deadline, Stage};
use tenure_core::launch::version::{self, VersionCommand};
use tenure_core::protocol::wire::Hello;
use tenure_core::spec::amount::Span;
use tenure_core::spec::{Kind, Ready, Spec, build};
use tenure_core::store::paths::file;
use tenure_core::{Ensured, How, Request, Version};
use tenure_sys::process::{self, Verified};

use crate::kit::{Case, LONG, ask, cases, end, gone, scope, spec, state, stop};

cases!(
    a_build_of_a_thousand_files_is_known_to_be_the_same_until_a_byte_changes,
    an_embedded_worker_watches_its_build_too,
    a_program_that_is_started_again_stands_for_the_files_of_its_new_start,
    a_build_that_cannot_be_read_is_shown_and_does_not_keep_anybody_from_serving,
    what_an_app_says_of_its_version_is_told_before_it_is_ready,
    what_is_no_version_is_noted_in_the_log_and_nowhere_else,
    a_herd_asks_a_command_for_the_version_once,
);

fn stage() -> Stage {
    Deadline::start(LONG).stage("build").expect("it has just begun")
}

/// A project with this many files in it.
fn project(files: usize) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for number in 0..files {
        let directory = place.path().join(format!("dist/{}", number % 20));
        fs::create_dir_all(&directory).expect("room");
        fs::write(directory.join(format!("{number}.js")), number.to_string()).expect("room");
    }
    place
}

fn hosted(place: &Path) -> Spec {
    let words = ["sh", "-c", "exec sleep 1000"].map(str::to_owned);
    let mut spec = Spec::of_command(words.to_vec(), place.to_owned());
    spec.build = vec!["dist/**/*.js".into()];
    spec
}

fn ensure(spec: &Spec) -> Ensured {
    let host = std::env::current_exe().expect("a program has a path");
    // One app, whatever its program is.
    let mut spec = spec.clone();
    spec.app = Some("real.sources".into());
    let order = Request::new(scope(), spec).expect("a good spec").budget(LONG).host(host);
    tenure_core::ensure(&order).unwrap_or_else(|error| panic!("{error:?} {:?}", error.last_words()))
}

fn serving(spec: &Spec) -> Hello {
    ensure(spec).hello().expect("it serves").clone()
}

/// Asks until the worker has read its files again and found them the same.
fn ask_until_same() -> Hello {
    loop {
        let hello = ask();
        if !hello.source_changed {
            return hello;
        }
    }
}

fn a_build_of_a_thousand_files_is_known_to_be_the_same_until_a_byte_changes() {
    let place = project(1000);
    let spec = hosted(place.path());
    let first = serving(&spec);
    let digest = build::digest(place.path(), &spec.build, stage()).expect("readable");
    assert_eq!((first.content.as_ref(), first.source_changed), (Some(&digest), false));
    assert!(!ask().source_changed);

    for number in 0..20 {
        let path = place.path().join(format!("dist/{number}/{number}.js"));
        fs::write(path, number.to_string()).expect("room");
    }
    assert!(ask().source_changed, "what may have changed is told at once");
    ask_until_same();
    assert!(!ask().source_changed, "and forgotten once the files were read");

    fs::create_dir(place.path().join("dist/new")).expect("room");
    fs::write(place.path().join("dist/new/file.js"), "x").expect("room");
    assert!(ask().source_changed);
    fs::remove_dir_all(place.path().join("dist/new")).expect("there");
    ask_until_same();

    fs::write(place.path().join("dist/7/7.js"), "8").expect("room");
    let Ensured::Serving(How::Replaced, second) = ensure(&spec) else {
        panic!("another build is another worker")
    };
    assert_eq!(second.hello.generation, first.generation + 1);
    assert_ne!(second.hello.content, first.content);
    let Ensured::Serving(How::Up, third) = ensure(&spec) else { panic!("once") };
    assert_eq!(third.hello.generation, second.hello.generation);
    stop();
}

fn an_embedded_worker_watches_its_build_too() {
    let place = project(3);
    let mut spec = spec("serve");
    (spec.cwd, spec.build) = (place.path().to_owned(), vec!["dist/**".into()]);
    let first = serving(&spec);
    assert_eq!((spec.kind, first.content.is_some(), first.source_changed), (Kind::Embedded, true, false));
    fs::remove_file(place.path().join("dist/1/1.js")).expect("there");
    assert!(ask().source_changed);
    fs::write(place.path().join("dist/1/1.js"), "1").expect("room");
    assert_eq!(ask_until_same().content, first.content);
    stop();
}

fn a_program_that_is_started_again_stands_for_the_files_of_its_new_start() {
    let place = project(3);
    let mut spec = hosted(place.path());
    spec.restart.backoff = tenure_core::spec::Backoff::new(Span::millis(1), Span::secs(30));
    let first = serving(&spec);
    fs::write(place.path().join("dist/1/1.js"), "2").expect("room");
    let program = first.program.clone().and_then(|program| program.identity).expect("it runs");
    let Verified::Same(program) = process::verify(&program) else { panic!("it runs") };
    end(&program);
    let again = loop {
        let hello = ask_until_same();
        if hello.content != first.content {
            break hello;
        }
    };
    assert_eq!(again.generation, first.generation);
    assert_eq!(again.content, build::digest(place.path(), &spec.build, stage()).ok());
    stop();
    gone(&program);
}

fn a_build_that_cannot_be_read_is_shown_and_does_not_keep_anybody_from_serving() {
    // What nobody can read, root neither.
    let mut spec = hosted(&Path::new("/proc").join(std::process::id().to_string()));
    spec.build = vec!["mem".into()];
    let hello = serving(&spec);
    let check = hello.app.checks.iter().find(|check| check.name == "source").expect("it is shown");
    assert!(!check.ok && check.detail.contains("/mem"), "{}", check.detail);
    assert_eq!((hello.content, hello.source_changed), (None, false));
    stop();
}

fn what_an_app_says_of_its_version_is_told_before_it_is_ready() {
    let own = std::env::current_exe().expect("a program has a path").display().to_string();
    let mut by_notify = hosted(Path::new("/"));
    by_notify.command = [&own, "program", "notify", "v13.6.0"].map(str::to_owned).to_vec();
    by_notify.ready = Some(Ready::Notify);
    let mut by_fd = hosted(Path::new("/"));
    by_fd.command[2] =
        "echo version=13.6.0 >&$TENURE_READY_FD; echo >&$TENURE_READY_FD; exec sleep 1000".into();
    by_fd.ready = Some(Ready::Fd);
    for mut spec in [by_notify, by_fd, spec("versioned")] {
        spec.version = Version::new(13, 6, 0);
        spec.build = Vec::new();
        let hello = serving(&spec);
        assert_eq!(hello.app.version, Some(Version::new(13, 6, 0)), "{:?}", spec.command);
        stop();
    }
}

fn what_is_no_version_is_noted_in_the_log_and_nowhere_else() {
    let mut spec = hosted(Path::new("/"));
    spec.build = Vec::new();
    spec.command[2] =
        "echo version=latest >&$TENURE_READY_FD; echo >&$TENURE_READY_FD; exec sleep 1000".into();
    spec.ready = Some(Ready::Fd);
    assert_eq!(serving(&spec).app.version, None);
    let log = state().path().join(file::LOGS).join(file::BOOT_LOG);
    let log = fs::read_to_string(log).expect("there");
    assert!(log.contains("\"latest\""), "{log}");
    stop();
}

fn a_herd_asks_a_command_for_the_version_once() {
    let place = tempfile::tempdir().expect("a directory");
    let command = ["sh", "-c", "echo x >> runs; echo 13.6.0"].map(str::to_owned).to_vec();
    let asked = VersionCommand { command, inputs: vec!["package.json".into()], ..VersionCommand::default() };
    let spec = Spec::of_command(vec!["true".to_owned()], place.path().to_owned());
    assert_eq!(version::cached(&asked, &spec, &scope()), None);
    thread::scope(|threads| {
        for _ in 0..32 {
            threads.spawn(|| {
                let stage = Deadline::start(LONG).stage("version").expect("fresh");
                let version = version::resolve(&asked, &spec, &scope(), stage);
                assert_eq!(version.expect("an answer"), Version::new(13, 6, 0));
            });
        }
    });
    assert_eq!(fs::read_to_string(place.path().join("runs")).expect("it ran"), "x\n");
    assert_eq!(version::cached(&asked, &spec, &scope()), Some(Version::new(13, 6, 0)));
}

//! The watcher over real directories, and what a change does to them before and after it is read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    // A directory of its own: its parent is watched as well.
    fs::create_dir_all(place.path().join("app/dist/sub")).expect("room");
    for name in ["dist/a.js", "dist/sub/b.js", "server.log"] {
        fs::write(place.path().join("app").join(name), name).expect("room");
    }
    place
}

fn watcher(place: &tempfile::TempDir, patterns: &[&str]) -> FileWatcher {
    let mut spec = Spec::of_command(vec!["server".into()], place.path().join("app"));
    spec.build = patterns.iter().map(|&glob| glob.to_owned()).collect();
    FileWatcher::open(&spec).expect("patterns")
}

/// What a change leads to: the answer before the files are read again, and after.
fn seen(watcher: &mut FileWatcher) -> (bool, bool) {
    let before = watcher.may_have_changed();
    watcher.look_again();
    (before, watcher.may_have_changed())
}

/// A change by name, what makes it, and what is seen of it.
type Case<'a> = (&'a str, &'a dyn Fn(), (bool, bool));

const UNSEEN: (bool, bool) = (false, false);
const TOUCHED: (bool, bool) = (true, false);
const CHANGED: (bool, bool) = (true, true);

#[test]
fn each_kind_of_change_is_seen_and_only_content_stays() {
    let place = place();
    let app = place.path().join("app");
    let mut watcher = watcher(&place, &["dist/**/*.js"]);
    assert_eq!(seen(&mut watcher), UNSEEN);
    let cases: &[Case<'_>] = &[
        ("a log that grows", &|| fs::write(app.join("server.log"), "more").expect("room"), UNSEEN),
        ("another kind of file", &|| fs::write(app.join("dist/a.map"), "x").expect("room"), UNSEEN),
        ("the same content", &|| fs::write(app.join("dist/a.js"), "dist/a.js").expect("room"), TOUCHED),
        ("a byte", &|| fs::write(app.join("dist/a.js"), "dist/a.jS").expect("room"), CHANGED),
        ("and back", &|| fs::write(app.join("dist/a.js"), "dist/a.js").expect("room"), TOUCHED),
        ("a new file", &|| fs::write(app.join("dist/sub/new.js"), "").expect("room"), CHANGED),
        ("gone again", &|| fs::remove_file(app.join("dist/sub/new.js")).expect("there"), TOUCHED),
        ("an empty directory", &|| fs::create_dir(app.join("dist/more")).expect("room"), TOUCHED),
        ("a file in it", &|| fs::write(app.join("dist/more/c.js"), "").expect("room"), CHANGED),
        ("it moves away", &|| fs::rename(app.join("dist/more"), app.join("away")).expect("there"), TOUCHED),
        ("what moved away changes", &|| fs::write(app.join("away/c.js"), "2").expect("room"), UNSEEN),
        (
            "permissions",
            &|| fs::set_permissions(app.join("dist/a.js"), PermissionsExt::from_mode(0o755)).expect("ours"),
            CHANGED,
        ),
    ];
    for (what, change, expected) in cases {
        change();
        assert_eq!(seen(&mut watcher), *expected, "{what}");
    }
    assert_eq!(watcher.trouble(), None);
}

#[test]
fn a_build_that_is_removed_and_made_anew_is_followed() {
    let place = place();
    let app = place.path().join("app");
    let mut watcher = watcher(&place, &["dist/**"]);
    fs::remove_dir_all(app.join("dist")).expect("there");
    assert_eq!(seen(&mut watcher), CHANGED);
    fs::create_dir_all(app.join("dist/sub")).expect("room");
    fs::write(app.join("dist/a.js"), "dist/a.js").expect("room");
    fs::write(app.join("dist/sub/b.js"), "dist/sub/b.js").expect("room");
    assert_eq!(seen(&mut watcher), TOUCHED, "the same files are the same build");
    fs::rename(&app, place.path().join("old")).expect("there");
    assert_eq!(seen(&mut watcher), CHANGED, "the whole directory");
    fs::rename(place.path().join("old"), &app).expect("there");
    assert_eq!(seen(&mut watcher), TOUCHED);
    fs::write(app.join("dist/sub/b.js"), "2").expect("room");
    assert_eq!(seen(&mut watcher), CHANGED, "and it is still watched");
}

#[test]
fn a_beginning_that_is_made_later_or_is_a_link_is_followed() {
    let place = place();
    let app = place.path().join("app");
    let mut later = watcher(&place, &["out/js/*.js"]);
    fs::create_dir(app.join("out")).expect("room");
    assert_eq!(seen(&mut later), TOUCHED);
    fs::create_dir(app.join("out/js")).expect("room");
    fs::write(app.join("out/js/a.js"), "").expect("room");
    assert_eq!(seen(&mut later), CHANGED);

    symlink("dist", app.join("current")).expect("room");
    let mut linked = watcher(&place, &["current/*.js"]);
    fs::write(app.join("dist/a.js"), "2").expect("room");
    assert_eq!(seen(&mut linked), CHANGED, "through the link");
    fs::write(app.join("dist/a.js"), "dist/a.js").expect("room");
    assert_eq!(seen(&mut linked), TOUCHED);
    symlink("away", app.join("next")).expect("room");
    fs::rename(app.join("next"), app.join("current")).expect("there");
    assert_eq!(seen(&mut linked), CHANGED, "the link itself");
}

#[test]
fn what_changes_while_the_files_are_read_is_seen_afterwards() {
    let place = place();
    let mut watcher = watcher(&place, &["dist/**"]);
    fs::write(place.path().join("app/dist/a.js"), "2").expect("room");
    assert!(watcher.may_have_changed());
    fs::write(place.path().join("app/dist/a.js"), "3").expect("room");
    watcher.look_again();
    // As if it had come behind the last read.
    fs::write(place.path().join("app/dist/a.js"), "dist/a.js").expect("room");
    assert_eq!(seen(&mut watcher), TOUCHED);
}

#[test]
fn lost_events_lead_to_a_reading_and_to_nothing_else() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("linux");
    let limit: u32 = limit.trim().parse().expect("a number");
    if limit > 100_000 {
        println!("skipped: {limit} events are too many to make");
        return;
    }
    let place = place();
    let dist = place.path().join("app/dist");
    let mut watcher = watcher(&place, &["dist/**"]);
    for _ in 0..=limit.div_ceil(4) {
        fs::rename(dist.join("a.js"), dist.join("z.js")).expect("there");
        fs::rename(dist.join("z.js"), dist.join("a.js")).expect("there");
    }
    assert_eq!(seen(&mut watcher), TOUCHED);
    fs::write(dist.join("a.js"), "2").expect("room");
    assert_eq!(seen(&mut watcher), CHANGED);
}

#[test]
fn a_crowd_of_changes_that_do_not_matter_costs_one_reading() {
    let place = place();
    let noise = place.path().join("app/dist/noise.map");
    let mut watcher = watcher(&place, &["dist/**/*.js"]);
    for _ in 0..=MOST_PASSED {
        fs::write(&noise, "x").expect("room");
    }
    assert_eq!(seen(&mut watcher), TOUCHED);
    assert_eq!(seen(&mut watcher), UNSEEN);
}

#[test]
fn a_program_that_starts_anew_stands_for_the_files_as_they_are_then() {
    let place = place();
    let file = place.path().join("app/dist/a.js");
    let mut watcher = watcher(&place, &["dist/**"]);
    let first = watcher.content().expect("known");
    watcher.begin_again();
    assert_eq!(watcher.content(), Some(first.clone()));
    fs::write(&file, "2").expect("room");
    watcher.begin_again();
    assert!(watcher.content().is_some_and(|second| second != first));
    assert_eq!(seen(&mut watcher), UNSEEN);
    fs::write(&file, "dist/a.js").expect("room");
    assert_eq!(seen(&mut watcher), CHANGED, "what ran before is another one now");
}

#[test]
fn a_build_that_cannot_be_watched_is_never_known_to_be_the_same() {
    let place = place();
    let mut watcher = watcher(&place, &["dist/**"]);
    watcher.watches = None;
    watcher.trouble = Some("no more watches".to_owned());
    watcher.begin(&Ok(Content { digest: "d".into(), files: 2 }));
    assert_eq!(watcher.content().as_deref(), Some("d"));
    assert_eq!(seen(&mut watcher), CHANGED);
    assert!(!watcher.is_stale(), "nobody reads again and again what cannot be watched");
    let (watched, unwatched) = (Watches::new(), WatchError::TooManyWatches { limit: Some(8192) });
    drop(watched);
    let told = trouble(Some(&unwatched), None).expect("trouble");
    assert!(told.contains("raise fs.inotify.max_user_watches (now 8192)"), "{told}");
}

#[test]
fn a_build_that_could_not_be_read_is_trouble_and_no_change() {
    let place = place();
    let mut watcher = watcher(&place, &["dist/**"]);
    let failed = || BuildError::TooLarge { directory: "/srv".into(), limit: 3 };
    watcher.begin(&Err(failed()));
    assert_eq!((watcher.content(), watcher.may_have_changed()), (None, false));
    assert!(trouble(None, Some(&failed())).expect("trouble").contains("more than 3 files"));
    // The first one that can be read stands for it.
    fs::write(place.path().join("app/dist/a.js"), "2").expect("room");
    assert_eq!(seen(&mut watcher), UNSEEN);
    assert!(watcher.content().is_some());
    fs::write(place.path().join("app/dist/a.js"), "3").expect("room");
    assert_eq!(seen(&mut watcher), CHANGED);
}

#[test]
fn a_build_that_changed_while_it_was_started_is_no_other() {
    let place = place();
    let mut watcher = watcher(&place, &["dist/**"]);
    watcher.begin(&Err(BuildError::Unstable { path: "/x".into(), tries: 3 }));
    assert_eq!(watcher.content(), None);
    assert_eq!(seen(&mut watcher), CHANGED);
    watcher.begin_again();
    assert_eq!((watcher.content().is_some(), watcher.may_have_changed()), (true, false));
}

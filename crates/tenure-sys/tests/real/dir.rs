//! Private directories, and those that are not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tenure_sys::dir::{Dir, DirError};

use crate::kit::{can, is_root, role_under, sandbox, skipped};

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    for mode in [0o777, 0o1777, 0o750, 0o701] {
        fs::set_permissions(place.path(), Permissions::from_mode(mode)).expect("it is ours");
        match Dir::open_private(place.path()) {
            Err(DirError::TooOpen { mode: told, .. }) => assert_eq!(told, mode),
            other => panic!("{other:?}"),
        }
    }
    fs::set_permissions(place.path(), Permissions::from_mode(0o700)).expect("it is ours");
    Dir::open_private(place.path()).expect("it is private");
}

#[test]
fn a_directory_of_another_user_is_refused() {
    if !is_root() {
        return skipped("a directory of another user needs root");
    }
    let (place, dir) = sandbox();
    let theirs = dir.path().join("theirs");
    fs::create_dir(&theirs).expect("room");
    std::os::unix::fs::chown(&theirs, Some(65_534), None).expect("root may");
    for refused in [Dir::open_private(&theirs), Dir::create_private(&theirs), dir.child_private("theirs")] {
        match refused {
            Err(DirError::NotOwned { owner: 65_534, expected: 0, path }) => assert_eq!(path, theirs),
            other => panic!("{other:?}"),
        }
    }
    drop(place);
}

#[test]
fn a_link_or_a_file_in_its_place_is_refused() {
    let (place, dir) = sandbox();
    symlink(dir.path(), place.path().join("link")).expect("room");
    symlink(place.path(), dir.path().join("link")).expect("room");
    fs::write(dir.path().join("file"), "").expect("room");
    for refused in [
        Dir::open_private(&place.path().join("link")),
        Dir::create_private(&place.path().join("link")),
        dir.open_child("link"),
        dir.child_private("link"),
        dir.open_child("file"),
        dir.child_private("file"),
    ] {
        assert!(matches!(refused, Err(DirError::NotDirectory(_))), "{refused:?}");
    }
    assert!(dir.open_read("link").is_err(), "a link is not followed to a file either");
}

#[test]
fn missing_parts_are_made_private_and_what_exists_is_kept() {
    let place = tempfile::tempdir().expect("a directory");
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let path = place.path().join("a/b/c");
    assert!(matches!(Dir::open_private(&path), Err(DirError::Absent { .. })));
    let dir = Dir::create_private(&path).expect("it is made");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    for made in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&place.path().join(made)), 0o700, "{made}");
    }
    assert_eq!(mode(place.path()), 0o755);
    assert_eq!(dir.path(), path);
    Dir::create_private(&path).expect("a second time is the same");
    assert!(matches!(dir.open_child("d"), Err(DirError::Absent { .. })));
    dir.child_private("d").expect("it is made");
    dir.open_child("d").expect("it is there");
}

#[test]
fn a_name_does_not_lead_out_of_the_directory() {
    let (_place, dir) = sandbox();
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", "a/"] {
        assert!(dir.open_append(name).is_err(), "{name:?}");
        assert!(dir.write_atomic(name, b"").is_err(), "{name:?}");
        assert!(dir.child_private(name).is_err(), "{name:?}");
        assert!(dir.read(name, 1).is_err(), "{name:?}");
    }
    assert!(dir.names().expect("a list").is_empty());
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let (_place, dir) = sandbox();
    assert_eq!(dir.read("record", 8).expect("a look"), None);
    dir.write_atomic("record", b"first").expect("room");
    let before = dir.stat("record").expect("a look").expect("it is there");
    assert_eq!((before.mode, before.len), (0o600, 5));
    dir.write_atomic("record", b"second").expect("room");
    assert_eq!(dir.read("record", 6).expect("readable"), Some(b"second".to_vec()));
    assert_ne!(dir.stat("record").expect("a look").map(|stat| stat.ino), Some(before.ino));
    assert_eq!(dir.read("record", 5).expect_err("too large").kind(), std::io::ErrorKind::FileTooLarge);
    dir.rename("record", "other").expect("it is there");
    assert_eq!(dir.names().expect("a list"), ["other"]);
    assert!(dir.exists("other").expect("a look"));
    assert!(dir.remove("other").expect("it is there"));
    assert!(!dir.remove("other").expect("it is not there"));
}

#[test]
fn a_failed_write_leaves_the_old_content_and_nothing_beside_it() {
    if !can(&["unshare", "--mount"]) {
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    let at = place.path().to_str().expect("a plain path").to_owned();
    // In a mount namespace of its own, so that nothing stays mounted whatever happens.
    let script = "mount -t tmpfs -o size=64k,mode=0700 tmpfs \"$TENURE_SYS_ROLE\" && exec \"$@\"";
    let wrap = ["unshare", "--mount", "sh", "-c", script, "sh"];
    let mut started = role_under(&wrap, "fills_a_disk", &at, &[]);
    assert_eq!(started.line_with("filled "), "and sealed");
}

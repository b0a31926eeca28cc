//! What a digest sees and what it does not, over real directories.

use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

/// A directory with these files, made in this order.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        write(place.path(), name, text);
    }
    place
}

fn write(place: &Path, name: &str, text: &str) {
    let path = place.join(name);
    fs::create_dir_all(path.parent().expect("below the place")).expect("room");
    fs::write(path, text).expect("room");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

fn content(place: &Path, patterns: &[&str]) -> Result<Content, BuildError> {
    let patterns: Vec<String> = patterns.iter().map(|&glob| glob.to_owned()).collect();
    read(place, &Globs::new(&patterns).expect("patterns"), &mut |_| {})
}

fn digest_of(place: &Path, patterns: &[&str]) -> String {
    content(place, patterns).expect("readable").digest
}

#[test]
fn a_change_of_one_byte_one_name_one_bit_or_one_link_is_another_build() {
    let place = tree(&[("dist/a", "one"), ("dist/sub/b", "two"), ("other", "x")]);
    let at = place.path();
    symlink("a", at.join("dist/link")).expect("room");
    let mut seen = vec![digest_of(at, &["dist/**"])];
    let mut differs = |what: &str| {
        let now = digest_of(at, &["dist/**"]);
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    write(at, "dist/a", "onE");
    differs("a byte");
    fs::rename(at.join("dist/a"), at.join("dist/c")).expect("there");
    differs("a name");
    set_mode(&at.join("dist/c"), 0o755);
    differs("the executable bit");
    fs::remove_file(at.join("dist/link")).expect("there");
    symlink("b", at.join("dist/link")).expect("room");
    differs("a link's target");
    write(at, "dist/empty", "");
    differs("an empty file");
    fs::remove_dir_all(at.join("dist")).expect("there");
    differs("everything gone");
}

#[test]
fn time_owner_only_bits_empty_directories_and_other_files_do_not_count() {
    let place = tree(&[("dist/a", "one"), ("other", "x")]);
    let at = place.path();
    let before = digest_of(at, &["dist/**"]);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    File::options()
        .write(true)
        .open(at.join("dist/a"))
        .and_then(|file| file.set_modified(old))
        .expect("ours");
    set_mode(&at.join("dist/a"), 0o600);
    fs::create_dir(at.join("dist/empty")).expect("room");
    write(at, "other", "y");
    assert_eq!(digest_of(at, &["dist/**"]), before);
    assert_eq!(before.len(), 64);
}

#[test]
fn the_digest_of_a_tree_is_the_same_in_every_build_of_tenure() {
    let place = tree(&[("dist/a", "one"), ("dist/sub/b", "two")]);
    let mut expected = Sha256::new();
    for (name, text) in [("dist/a", "one"), ("dist/sub/b", "two")] {
        expected.update([b'f']);
        expected.update((name.len() as u64).to_be_bytes());
        expected.update(name);
        expected.update(3_u64.to_be_bytes());
        expected.update(Sha256::digest(text));
    }
    assert_eq!(digest_of(place.path(), &["dist/**"]), hex(&expected.finalize()));
}

#[test]
fn a_build_without_files_has_a_digest_and_says_so() {
    let place = tree(&[("plain", "x")]);
    let empty = content(place.path(), &["dist/**"]).expect("nothing to read");
    assert_eq!((empty.files, empty.digest.as_str()), (0, hex(&Sha256::digest("")).as_str()));
    assert_eq!(content(place.path(), &["plain/**"]).expect("a file has nothing below it"), empty);
    assert_eq!(content(&place.path().join("gone"), &["*"]).expect("nothing"), empty);
}

#[test]
fn links_are_followed_on_the_way_to_a_beginning_and_nowhere_else() {
    let place = tree(&[("out-1/a", "one"), ("elsewhere/b", "two")]);
    let at = place.path();
    symlink("out-1", at.join("dist")).expect("room");
    symlink("../elsewhere", at.join("out-1/link")).expect("room");
    symlink(".", at.join("out-1/circle")).expect("room");
    let before = content(at, &["dist/**"]).expect("readable");
    assert_eq!(before.files, 3, "a, and two links");
    write(at, "elsewhere/b", "changed");
    assert_eq!(digest_of(at, &["dist/**"]), before.digest);
}

#[test]
fn what_is_neither_file_nor_link_has_no_content_and_is_never_opened() {
    let place = tree(&[("dist/a", "one")]);
    let before = digest_of(place.path(), &["dist/**"]);
    let _socket = std::os::unix::net::UnixListener::bind(place.path().join("dist/socket")).expect("binds");
    assert_eq!(digest_of(place.path(), &["dist/**"]), before);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    if tenure_sys::user::effective_uid() == 0 {
        println!("skipped: root can read every file");
        return;
    }
    let place = tree(&[("dist/a", "one")]);
    set_mode(&place.path().join("dist/a"), 0);
    let error = content(place.path(), &["dist/**"]).expect_err("unreadable");
    assert!(matches!(&error, BuildError::Unreadable { path, .. } if path.ends_with("dist/a")), "{error}");
}

#[test]
fn each_directory_is_told_before_it_is_listed() {
    let place = tree(&[("dist/a/b/c", "one"), ("src/x/y/z", "two")]);
    let globs = Globs::new(&["dist/**".to_owned(), "src/*/y".to_owned()]).expect("patterns");
    let mut told = Vec::new();
    read(place.path(), &globs, &mut |listing| {
        told.push((listing.directory.display().to_string(), listing.depth));
        if listing.directory == Path::new("dist/a") {
            // Made between the look and the listing: it belongs to both.
            write(place.path(), "dist/a/new/file", "x");
        }
    })
    .expect("readable");
    told.sort();
    let told: Vec<(&str, Option<usize>)> = told.iter().map(|(name, depth)| (name.as_str(), *depth)).collect();
    let free = ["dist", "dist/a", "dist/a/b", "dist/a/new"].map(|name| (name, None));
    assert_eq!(told, [&free[..], &[("src", Some(2)), ("src/x", Some(1))]].concat());
}

#[test]
fn a_tree_that_changes_while_it_is_read_is_read_again_and_not_for_ever() {
    let place = tree(&[("dist/a/file", "x"), ("dist/b/file", "y")]);
    let globs = Globs::new(&["dist/**".to_owned()]).expect("patterns");
    let mut losses = 1;
    let content = read(place.path(), &globs, &mut |listing| {
        if listing.directory != Path::new("dist") && losses > 0 {
            losses -= 1;
            fs::remove_dir_all(place.path().join(listing.directory)).expect("there");
        }
    });
    assert_eq!(content.expect("the second time").files, 1);
    let error = read(place.path(), &globs, &mut |listing| match listing.directory.to_str() {
        Some("dist") => write(place.path(), "dist/b/file", "back"),
        _ => drop(fs::remove_dir_all(place.path().join(listing.directory))),
    });
    assert!(matches!(error, Err(BuildError::Unstable { tries: TRIES, .. })), "{error:?}");
}

#[test]
fn more_entries_than_a_worker_can_read_are_refused_with_the_number() {
    let place = tree(&[("dist/a", "x")]);
    let globs = Globs::new(&["**".to_owned()]).expect("patterns");
    let stage = Deadline::start(LONGEST_READING).stage("build").expect("begun");
    let (found, entries) = (BTreeMap::new(), MOST_ENTRIES - 1);
    let mut survey = Survey { cwd: place.path(), globs: &globs, found, entries, stage };
    let root = &globs.roots()[0];
    let Err(NoDigest::Final(error)) = survey.walk(root, &mut |_| {}) else { panic!("too many") };
    assert!(error.to_string().contains("100000"), "{error}");
}

fn names() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "[a-c]{1,2}(/[a-c]{1,2}){0,2}";
    proptest::collection::btree_map(name, "[xy]{0,3}", 0..6).prop_map(|files| {
        let names: Vec<String> = files.keys().cloned().collect();
        // A name that is another one's directory cannot be a file.
        let free = |name: &String| names.iter().all(|other| !other.starts_with(&format!("{name}/")));
        files.into_iter().filter(|(name, _)| free(name)).collect()
    })
}

fn made(files: &[(String, String)]) -> tempfile::TempDir {
    tree(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Equal trees have equal digests in whatever order they were made, and different ones have different digests.
    #[test]
    fn the_digest_is_the_trees_and_nothing_elses(one in names(), other in names(), seed in any::<prop::sample::Index>()) {
        let mut shuffled = one.clone();
        if !shuffled.is_empty() {
            let turn = seed.index(shuffled.len());
            shuffled.rotate_left(turn);
            shuffled.reverse();
        }
        let before = digest_of(made(&one).path(), &["**"]);
        prop_assert_eq!(&before, &digest_of(made(&shuffled).path(), &["**"]));
        prop_assert_eq!(one == other, before == digest_of(made(&other).path(), &["**"]));
    }
}

#[test]
fn what_is_too_large_or_takes_too_long_is_told_before_it_is_read() {
    let place = tempfile::tempdir().expect("a directory");
    let file = File::create(place.path().join("big")).expect("a file");
    file.set_len(MOST_BYTES + 1).expect("a sparse file");
    let stage = |time| Deadline::start(time).stage("build");
    let globs = ["big".to_owned()];
    let digest = |stage: Stage| digest(place.path(), &globs, stage).expect_err("it cannot be told");
    let large = digest(stage(Duration::from_mins(1)).expect("begun"));
    assert!(matches!(large, BuildError::TooMuch { limit: MOST_BYTES, .. }), "{large}");
    let short = stage(Duration::from_nanos(1));
    if let Ok(spent) = short {
        assert!(matches!(digest(spent), BuildError::TooSlow(_)));
    }
}

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path().join("store");
    (place, root)
}

#[expect(clippy::unnecessary_wraps, reason = "a filling may fail")]
fn nothing(_: Option<&Path>, _: &Path) -> io::Result<()> {
    Ok(())
}

fn claim(root: &Path, generation: u64) -> DirectoryFence {
    DirectoryFence::claim(root, generation, nothing).expect("nobody newer has claimed")
}

fn is_newer<T>(result: &Result<T, FenceError>, expected: (u64, u64)) -> bool {
    matches!(result, Err(FenceError::Newer { ours, theirs }) if (*ours, *theirs) == expected)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("readable")
}

#[test]
fn each_generation_has_a_private_directory_of_its_own() {
    let (_place, root) = place();
    let first = claim(&root, 1);
    assert_eq!(first.current(), root.join("gen-1"));
    let mode = fs::metadata(first.current()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    first.write("a", b"one").expect("it is the newest");
    assert_eq!(text(&root.join("gen-1/a")), "one");
    assert_eq!(first.previous().expect("readable"), None);
}

#[test]
fn an_older_generation_is_refused_from_the_claim_on() {
    let (_place, root) = place();
    let first = claim(&root, 1);
    let second = claim(&root, 2);
    assert!(is_newer(&first.write("a", b"late"), (1, 2)));
    assert!(is_newer(&first.check(), (1, 2)));
    assert!(is_newer(&first.sweep(), (1, 2)));
    assert!(is_newer(&DirectoryFence::claim(&root, 1, nothing), (1, 2)));
    second.write("a", b"two").expect("it is the newest");
    assert!(!root.join("gen-1/a").exists(), "not even in its own directory");
    assert_eq!(second.previous().expect("readable"), Some(root.join("gen-1")));
}

#[test]
fn the_same_generation_finds_its_directory_again() {
    let (_place, root) = place();
    claim(&root, 3).write("a", b"three").expect("it is the newest");
    let again = DirectoryFence::claim(&root, 3, |_, _| Err(io::Error::other("not to be called")));
    assert_eq!(text(&again.expect("it is the same").current().join("a")), "three");
}

#[test]
fn what_is_carried_over_changes_in_the_new_directory_only() {
    let (_place, root) = place();
    let first = claim(&root, 1);
    for name in ["a", "b"] {
        first.write(name, b"one").expect("it is the newest");
    }
    fs::write(first.current().join(".a.1.tmp"), "cut short").expect("a crash leaves such a file");
    let second = DirectoryFence::claim(&root, 2, carry).expect("it is newer");
    second.write("a", b"two").expect("it is the newest");
    assert_eq!(text(&root.join("gen-1/a")), "one");
    assert_eq!((text(&root.join("gen-2/a")), text(&root.join("gen-2/b"))), ("two".into(), "one".into()));
    assert!(!root.join("gen-2/.a.1.tmp").exists());
}

#[test]
fn a_claim_whose_filling_failed_has_not_happened() {
    let (_place, root) = place();
    let first = claim(&root, 1);
    let failed = DirectoryFence::claim(&root, 2, |_, fresh| {
        fs::write(fresh.join("half"), "")?;
        Err(io::Error::other("a migration failed"))
    });
    assert!(matches!(failed, Err(FenceError::File { doing: "fill", .. })));
    first.write("a", b"one").expect("it is the newest still");
    let third = DirectoryFence::claim(&root, 3, |previous, fresh| {
        assert_eq!(previous, Some(root.join("gen-1").as_path()));
        assert_eq!(fs::read_dir(fresh)?.count(), 0);
        Ok(())
    });
    third.expect("it is newer");
    assert!(!root.join(".new-2").exists(), "what was left half is removed");
}

#[test]
fn a_sweep_removes_the_older_and_nothing_else() {
    let (_place, root) = place();
    claim(&root, 1);
    claim(&root, 4);
    let newest = claim(&root, 7);
    newest.write("a", b"seven").expect("it is the newest");
    fs::create_dir(root.join("notes")).expect("a foreign name");
    assert_eq!(newest.sweep().expect("it is the newest"), [1, 4]);
    let mut left: Vec<_> =
        fs::read_dir(&root).expect("there").map(|one| one.expect("listed").file_name()).collect();
    left.sort();
    assert_eq!(left, [".fence", "gen-7", "notes"]);
    assert_eq!(newest.previous().expect("readable"), None);
    assert!(is_newer(&DirectoryFence::claim(&root, 6, nothing), (6, 7)));
}

#[test]
fn a_name_that_only_reads_like_a_generation_is_refused() {
    for name in ["gen-07", "gen-+7", "gen-", "gen-99999999999999999999", "gen-7.old"] {
        let (_place, root) = place();
        claim(&root, 1);
        fs::create_dir(root.join(name)).expect("a foreign hand");
        let refused = DirectoryFence::claim(&root, 9, nothing).expect_err(name);
        assert!(matches!(refused, FenceError::Foreign { .. }), "{name}: {refused:?}");
    }
}

#[test]
fn a_file_in_the_place_of_a_directory_still_fences() {
    let (_place, root) = place();
    let first = claim(&root, 1);
    fs::write(root.join("gen-2"), "").expect("a foreign hand");
    assert!(is_newer(&first.write("a", b""), (1, 2)));
    let refused = DirectoryFence::claim(&root, 2, nothing).expect_err("that is no directory");
    assert!(matches!(refused, FenceError::Directory(_)), "{refused:?}");
}

#[test]
fn a_root_that_is_open_to_others_and_a_name_that_leads_out_are_refused() {
    let (_place, root) = place();
    let fence = claim(&root, 1);
    for name in ["../a", "a/b", "", "/a", ".."] {
        assert!(matches!(fence.write(name, b""), Err(FenceError::File { doing: "write", .. })), "{name}");
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("ours");
    let refused = DirectoryFence::claim(&root, 2, nothing);
    assert!(matches!(refused, Err(FenceError::Directory(_))));
}

#[test]
fn a_directory_that_was_removed_is_not_made_again_by_a_write() {
    let (_place, root) = place();
    claim(&root, 1);
    let second = claim(&root, 2);
    fs::remove_dir(root.join("gen-2")).expect("a foreign hand");
    assert!(matches!(second.write("a", b""), Err(FenceError::WentBack { ours: 2, theirs: 1 })));
}

#[test]
fn a_lock_file_that_was_replaced_is_not_relied_upon() {
    let (_place, root) = place();
    let first = claim(&root, 1);
    let old = File::open(root.join(".fence")).expect("the lock file");
    old.lock().expect("nobody has it");
    fs::remove_file(root.join(".fence")).expect("a foreign hand");
    first.write("a", b"one").expect("the new file at the path is the lock");
    claim(&root, 2);
    assert!(is_newer(&first.write("a", b"late"), (1, 2)));
}

/// Threads with fences of their own: after a claim has returned, no older generation's write returns well.
#[test]
fn writers_at_once_never_write_after_a_newer_claim() {
    let (_place, root) = place();
    let claimed = AtomicU64::new(0);
    let generations: Vec<DirectoryFence> = (1..=2).map(|generation| claim(&root, generation)).collect();
    drop(generations);
    std::thread::scope(|scope| {
        for generation in 3..=8 {
            let (root, claimed) = (&root, &claimed);
            scope.spawn(move || {
                let Ok(fence) = DirectoryFence::claim(root, generation, carry) else { return };
                claimed.fetch_max(generation, Ordering::SeqCst);
                loop {
                    let newest_before = claimed.load(Ordering::SeqCst);
                    match fence.write("writer", generation.to_string().as_bytes()) {
                        Ok(()) => assert!(newest_before <= generation, "{generation} after {newest_before}"),
                        Err(refused) => return assert!(refused.is_replaced(), "{refused:?}"),
                    }
                    if generation == 8 {
                        return;
                    }
                }
            });
        }
    });
    assert_eq!(text(&root.join("gen-8/writer")), "8");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_accepts_an_older_generation_after_a_newer_claim(
        acts in prop::collection::vec((1..=4_u64, 0..4_u8), 1..30)
    ) {
        let (_place, root) = place();
        let mut fences: [Option<DirectoryFence>; 5] = [const { None }; 5];
        let (mut highest, mut last) = (0, None);
        for (generation, act) in acts {
            let slot = &mut fences[usize::try_from(generation).expect("small")];
            match (act, slot.as_ref()) {
                (0, _) => {
                    let claimed = DirectoryFence::claim(&root, generation, carry);
                    prop_assert_eq!(claimed.is_ok(), generation >= highest);
                    highest = highest.max(generation);
                    *slot = claimed.ok().or(slot.take());
                }
                (1, Some(fence)) => {
                    prop_assert_eq!(fence.sweep().is_ok(), generation == highest);
                }
                (_, Some(fence)) => {
                    let written = fence.write("writer", generation.to_string().as_bytes()).is_ok();
                    prop_assert_eq!(written, generation == highest);
                    last = written.then_some(generation).or(last);
                }
                (_, None) => {}
            }
            let newest = root.join(format!("gen-{highest}/writer"));
            prop_assert_eq!(fs::read_to_string(newest).ok(), last.map(|one| one.to_string()));
        }
    }
}

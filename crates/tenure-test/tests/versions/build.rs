//! A build is content: the worker of a project is replaced when the files of its build are others, once, and for nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tenure_core::store::event::What;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::Output;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

/// A project with a build of two files.
struct Project(Fixture);

impl Project {
    fn with(words: &[&str]) -> Self {
        let project = Self(Fixture::in_project(BINARIES));
        project.write("dist/server.js", "one");
        project.write("dist/lib/a.js", "a");
        project.write("src/server.ts", "no part of the build");
        project.0.offer("1.0.0").words(words).line("build = [\"dist/**\"]").write();
        project
    }

    fn started() -> (Self, u32) {
        let project = Self::with(&[]);
        let first = project.ensure();
        assert_eq!(first.state(), "started");
        let pid = answer::pid(&first);
        (project, pid)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.sandbox.work().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has a name")).expect("a sandbox takes directories");
        fs::write(path, text).expect("a sandbox takes files");
    }

    fn ensure(&self) -> Output {
        self.0.ensure().run().expect(0)
    }

    fn status(&self) -> serde_json::Value {
        self.0.launcher("status", "1.0.0").run().expect(0).json()
    }

    /// The next launcher replaces the worker, and twenty others use what stands then.
    fn replaces_once(&self, old: u32, what: &str) -> u32 {
        let before = self.0.count(What::Replacing);
        let new = self.ensure();
        assert_eq!(new.state(), "replaced", "{what}: {}", new.stdout);
        let pid = answer::pid(&new);
        assert_ne!(pid, old, "{what}");
        for up in
            answer::answers(self.0.crowd(["1.0.0"; 10])).into_iter().chain((0..10).map(|_| self.ensure()))
        {
            let up = up.expect(0);
            assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", pid), "{what}: {}", up.stdout);
        }
        assert_eq!(self.0.count(What::Replacing), before + 1, "{what}");
        pid
    }

    /// Twenty launchers use the worker as it is, and nobody warns.
    fn stays(&self, old: u32, what: &str) {
        for up in
            answer::answers(self.0.crowd(["1.0.0"; 10])).into_iter().chain((0..10).map(|_| self.ensure()))
        {
            let up = up.expect(0);
            assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", old), "{what}: {}", up.stdout);
            assert!(answer::warnings(&up).is_empty(), "{what}: {}", up.stdout);
        }
    }

    fn end(self) {
        assert_eq!(self.0.sandbox.oracle().count("double"), 0);
        self.0.launcher("stop", "1.0.0").run().expect(0);
    }
}

#[test]
fn a_change_of_the_build_replaces_the_worker_once() {
    let (project, mut pid) = Project::started();
    let mut contents = vec![project.status()["content"].as_str().expect("a build has a digest").to_owned()];
    project.write("dist/server.js", "two");
    pid = project.replaces_once(pid, "a byte");
    contents.push(project.status()["content"].as_str().expect("a build has a digest").to_owned());
    project.write("dist/new.js", "");
    pid = project.replaces_once(pid, "a new file");
    project.write("dist/deep/er/b.js", "b");
    pid = project.replaces_once(pid, "a new file in a new directory");
    fs::rename(project.path("dist/lib/a.js"), project.path("dist/lib/c.js")).expect("ours");
    pid = project.replaces_once(pid, "another name");
    fs::remove_dir_all(project.path("dist/deep")).expect("ours");
    fs::remove_file(project.path("dist/new.js")).expect("ours");
    project.replaces_once(pid, "files that are gone");
    contents.dedup();
    assert_eq!(contents.len(), 2, "status tells which build runs");
    let replacing = project.0.events().into_iter().filter(|event| event.what == What::Replacing);
    assert!(replacing.map(|event| event.why).all(|why| why.contains("files of its build have changed")));
    project.end();
}

#[test]
fn what_is_not_content_replaces_nothing() {
    let (project, pid) = Project::started();
    let file = fs::File::options().append(true).open(project.path("dist/server.js")).expect("ours");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("ours");
    project.stays(pid, "another time");
    project.write("dist/server.js", "one");
    project.stays(pid, "written again with the same bytes");
    project.write("src/server.ts", "changed");
    project.write("README", "new");
    project.stays(pid, "files beside the build");
    project.write("dist/server.js", "two");
    project.write("dist/server.js", "one");
    fs::rename(project.path("dist"), project.path("away")).expect("ours");
    fs::rename(project.path("away"), project.path("dist")).expect("ours");
    project.stays(pid, "a change that was taken back");
    // It is still watched.
    project.write("dist/server.js", "two");
    project.replaces_once(pid, "a byte");
    project.end();
}

#[test]
fn a_launcher_that_comes_while_the_worker_reads_its_build_reads_it_too() {
    let project = Project::with(&[]);
    // So large that the worker has not read it again when it is asked under the gate.
    project.write("dist/large.js", &"x".repeat(8 << 20));
    let pid = answer::pid(&project.ensure());
    for _ in 0..3 {
        let file = fs::File::options().append(true).open(project.path("dist/large.js")).expect("ours");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("ours");
        project.stays(pid, "another time");
    }
    assert_eq!(project.0.count(What::Spawned), 1);
    project.write("dist/server.js", "two");
    project.replaces_once(pid, "a byte");
    project.end();
}

#[test]
fn a_build_directory_that_is_replaced_as_a_whole_is_watched_on() {
    let (project, pid) = Project::started();
    project.write("next/server.js", "one");
    project.write("next/lib/a.js", "a");
    fs::remove_dir_all(project.path("dist")).expect("ours");
    fs::rename(project.path("next"), project.path("dist")).expect("ours");
    project.stays(pid, "the same build in a new directory");
    project.write("dist/lib/a.js", "b");
    project.replaces_once(pid, "a byte in the new directory");
    project.end();
}

#[test]
fn launchers_at_once_after_a_change_make_one_replacement() {
    let (project, pid) = Project::started();
    for round in 0..5 {
        project.write("dist/server.js", &format!("round {round}"));
        let answers = answer::answers(project.0.crowd(["1.0.0"; 4]));
        let pids: Vec<u32> = answers.iter().map(|answer| answer::pid(&answer.clone().expect(0))).collect();
        assert!(pids.iter().all(|one| *one == pids[0] && *one != pid), "all have the new one: {pids:?}");
        assert_eq!(project.0.count(What::Replacing), round + 1);
    }
    assert_eq!(project.0.count(What::Spawned), 6);
    project.end();
}

#[test]
fn a_change_while_the_worker_boots_is_not_lost() {
    let project = Project::with(&[]);
    let meeting = project.0.sandbox.meeting("boot");
    let meets = meeting.word();
    project.0.offer("1.0.0").words(&[&meets]).line("build = [\"dist/**\"]").write();
    let starter = project.0.ensure().start();
    let booting = meeting.meet();
    project.write("dist/server.js", "two");
    drop(meeting);
    booting.release();
    let first = answer::pid(&starter.wait().expect(0));
    assert_eq!(project.status()["source_changed"], true);
    project.replaces_once(first, "a byte while it booted");
    project.end();
}

#[test]
fn a_build_that_cannot_be_read_is_told_and_the_worker_stays() {
    let (project, pid) = Project::started();
    fs::rename(project.path("dist"), project.path("away")).expect("ours");
    // Nobody can read that, not even root.
    symlink("dist", project.path("dist")).expect("ours");
    for _ in 0..3 {
        let up = project.ensure();
        assert_eq!((up.state().as_str(), answer::pid(&up)), ("up", pid), "{}", up.stdout);
        let warned = &up.json()["warnings"][0];
        assert_eq!(warned["kind"], "source-unread", "{}", up.stdout);
        assert!(
            warned["message"]
                .as_str()
                .is_some_and(|why| why.contains("dist") && why.contains("symbolic links"))
        );
    }
    let config = project.0.file("1.0.0").display().to_string();
    let strict =
        project.0.sandbox.tenure(["ensure", "w", "--json", "--strict", "--config", &config]).run().expect(5);
    assert_eq!(strict.json()["error"]["kind"], "source-unread");
    fs::remove_file(project.path("dist")).expect("ours");
    fs::rename(project.path("away"), project.path("dist")).expect("ours");
    project.stays(pid, "readable again, and the same");
    project.end();
}

#[test]
fn a_broken_build_is_told_and_a_repaired_one_is_started() {
    let project = Project::with(&[]);
    let broken = project.path("dist/broken");
    project
        .0
        .offer("1.0.0")
        .words(&[&format!("once={}:3", broken.display())])
        .line("build = [\"dist/**\"]")
        .write();
    project.ensure();
    project.write("dist/broken", "");
    let failed = project.0.ensure().run().expect(1);
    assert!(failed.json()["error"].to_string().contains("exit status 3"), "{}", failed.stdout);
    assert_eq!(project.0.ensure().run().expect(1).state(), "spawn-suppressed");
    fs::remove_file(&broken).expect("ours");
    let restarted = project.0.restart().run().expect(0);
    project.stays(answer::pid(&restarted), "after its repair");
    project.end();
}

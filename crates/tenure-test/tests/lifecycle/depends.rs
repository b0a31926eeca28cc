//! `depends`: the workers that are ensured before another one is started.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tenure_core::fault::Point;
use tenure_sys::process::Signal;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Call, Output};
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

/// In a user's file the directory of the sandbox; in a project's file the directory of the file.
const CWD: &str = "# cwd";

/// One worker of a description.
struct Described<'a> {
    name: &'a str,
    depends: &'a [&'a str],
    /// What its shell does before it says that it is up.
    script: &'a str,
    lines: &'a str,
}

impl Default for Described<'_> {
    fn default() -> Self {
        Self { name: "w", depends: &[], script: "true", lines: "" }
    }
}

/// A worker whose shell writes its name into `order` when it begins and when it is up.
fn worker(name: &str, depends: &[&str]) -> String {
    described(&Described { name, depends, ..Described::default() })
}

fn described(Described { name, depends, script, lines }: &Described<'_>) -> String {
    let script = format!(
        "echo begins {name} >> order; {script} || exit 3; echo serves {name} >> order; echo up; exec sleep 1000"
    );
    let command = ["sh", "-c", &script];
    format!(
        "[worker.{name}]\ncommand = {command:?}\nready = {{ log = \"^up$\" }}\nstop = {{ grace = \"1s\" }}\n\
        depends = {depends:?}\n{CWD}\n{lines}\n"
    )
}

/// A sandbox whose user's file says this, with its working directory as that of the workers.
fn sandbox(text: &str) -> Sandbox {
    let sandbox = Sandbox::new(BINARIES.tenure);
    write(&sandbox, text);
    sandbox
}

fn write(sandbox: &Sandbox, text: &str) {
    let cwd = format!("cwd = \"{}\"", sandbox.work().display());
    fs::write(sandbox.config().join("all.toml"), text.replace(CWD, &cwd)).expect("a sandbox takes files");
}

fn ensure<'a>(sandbox: &'a Sandbox, name: &str) -> Call<'a> {
    sandbox.tenure(["ensure", name, "--json", "--timeout", "60s"])
}

fn order(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.work().join("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn causes(failed: &Output) -> String {
    let causes = failed.json()["error"]["causes"].clone();
    let texts = causes.as_array().into_iter().flatten().filter_map(|cause| cause.as_str());
    texts.collect::<Vec<_>>().join(": ")
}

fn hint(failed: &Output) -> String {
    failed.json()["error"]["hint"].as_str().expect("a remedy").to_owned()
}

/// The workers of that name on record, as NAME or NAME@KEY.
fn listed(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let list = sandbox.tenure(["list", "--json"]).run().expect(0).json()["workers"].clone();
    let named = list.as_array().into_iter().flatten().filter(|worker| worker["name"] == name);
    let whole = |worker: &Value| match worker["key"].as_str() {
        Some(key) => format!("{name}@{key}"),
        None => name.to_owned(),
    };
    named.map(whole).collect()
}

fn stop_all(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        sandbox.stop(name).expect(0);
    }
}

#[test]
fn a_dependency_serves_before_its_dependent_begins() {
    let sandbox = sandbox(&(worker("app", &["api"]) + &worker("api", &["db"]) + &worker("db", &[])));
    assert_eq!(ensure(&sandbox, "app").run().expect(0).state(), "started");
    let expected = ["begins db", "serves db", "begins api", "serves api", "begins app", "serves app"];
    assert_eq!(order(&sandbox), expected);
    sandbox.stop("app").expect(0);
    let standing = sandbox.tenure(["status", "db", "--json"]).run();
    assert_eq!(standing.expect(0).state(), "up", "others may use it");
    stop_all(&sandbox, &["api", "db"]);
}

/// Opening a named pipe waits for whoever opens its other end: each of both waits until the other one has begun.
#[test]
fn dependencies_without_an_order_between_them_boot_at_the_same_time() {
    let one = Described { name: "one", script: "echo met > pipe", ..Described::default() };
    let two = Described { name: "two", script: "read -r met < pipe", ..Described::default() };
    let sandbox = sandbox(&(worker("app", &["one", "two"]) + &described(&one) + &described(&two)));
    let made = sandbox.command(Path::new("/usr/bin/mkfifo"), [sandbox.work().join("pipe")]).run();
    assert_eq!(made.code(), 0, "{}", made.stderr);
    assert_eq!(ensure(&sandbox, "app").run().expect(0).state(), "started");
    assert_eq!(order(&sandbox).last().map(String::as_str), Some("serves app"));
    stop_all(&sandbox, &["app", "one", "two"]);
}

#[test]
fn what_two_dependencies_depend_on_is_started_once_and_fails_once() {
    let both = worker("app", &["left", "right"]) + &worker("left", &["db"]) + &worker("right", &["db"]);
    let failing = Described { name: "db", script: "test -e disk", ..Described::default() };
    let sandbox = sandbox(&(both + &described(&failing)));
    let failed = ensure(&sandbox, "app").run();
    assert_eq!((failed.code(), failed.state()), (1, "dependency-failed".to_owned()), "{}", failed.stdout);
    assert_eq!(order(&sandbox), ["begins db"], "one try, and nothing of the others");
    fs::write(sandbox.work().join("disk"), "").expect("a sandbox takes files");
    sandbox.tenure(["restart", "db", "--timeout", "60s"]).run().expect(0);
    ensure(&sandbox, "app").run().expect(0);
    let begun = |name: &str| order(&sandbox).iter().filter(|line| **line == format!("begins {name}")).count();
    assert_eq!(["db", "left", "right", "app"].map(begun), [2, 1, 1, 1]);
    stop_all(&sandbox, &["app", "left", "right", "db"]);
}

#[test]
fn a_dependency_that_fails_is_named_with_its_reason_and_a_remedy_that_works() {
    let failing = Described { name: "db", script: "echo the disk is full; false", ..Described::default() };
    let sandbox = sandbox(&(worker("app", &["api"]) + &worker("api", &["db"]) + &described(&failing)));
    let failed = ensure(&sandbox, "app").run();
    assert_eq!(answer::message(&failed), "ensure api, which app depends on");
    let causes = causes(&failed);
    assert!(causes.contains("ensure db, which api depends on"), "{causes}");
    assert!(causes.contains("exit status 3"), "{causes}");
    assert!(failed.stdout.contains("the disk is full"), "{}", failed.stdout);
    assert!(hint(&failed).contains("`tenure logs db`"), "{}", failed.stdout);
    let logs = sandbox.tenure(["logs", "db"]).run().expect(0);
    assert!(logs.stdout.contains("the disk is full"), "{}", logs.stdout);
    let standing = sandbox.tenure(["status", "app", "--json"]).run();
    assert_eq!(standing.state(), "down");
}

#[test]
fn one_that_a_person_holds_down_is_not_started_and_the_remedy_names_it() {
    let sandbox = sandbox(&(worker("app", &["db"]) + &worker("db", &[])));
    ensure(&sandbox, "db").run().expect(0);
    sandbox.tenure(["stop", "db", "--hold", "--timeout", "30s"]).run().expect(0);
    let refused = sandbox.tenure(["start", "app", "--json", "--timeout", "60s"]).run();
    assert_eq!(refused.state(), "dependency-failed", "{}", refused.stdout);
    assert_eq!(hint(&refused), "`tenure start db` starts it again");
    sandbox.tenure(["start", "db", "--timeout", "60s"]).run().expect(0);
    ensure(&sandbox, "app").run().expect(0);
    stop_all(&sandbox, &["app", "db"]);
}

#[test]
fn a_cycle_and_a_name_that_leads_nowhere_are_refused_before_anything_starts() {
    let text = worker("app", &["other", "db"])
        + &worker("db", &["app"])
        + &worker("other", &[])
        + &worker("lost", &["other", "dbb"]);
    let sandbox = sandbox(&text);
    let refused = ensure(&sandbox, "app").run();
    assert_eq!((refused.code(), refused.state()), (6, "bad-config".to_owned()), "{}", refused.stdout);
    let told = causes(&refused);
    assert!(told.contains("app -> db -> app (") && told.contains("all.toml:5, "), "{told}");
    let lost = ensure(&sandbox, "lost").run();
    assert_eq!(lost.state(), "bad-config", "{}", lost.stdout);
    let told = causes(&lost);
    assert!(told.contains(r#"worker "lost" depends on "dbb""#) && told.contains("all.toml:"), "{told}");
    assert!(told.contains("did you mean `db`"), "{told}");
    assert_eq!(order(&sandbox), Vec::<String>::new());
    let checked = sandbox.tenure(["config", "check", "--json"]).run();
    assert!(
        checked.stdout.contains("app -> db -> app") && checked.stdout.contains("dbb"),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_worker_that_is_up_is_the_answer_whatever_became_of_its_dependencies() {
    let sandbox = sandbox(&(worker("app", &["db"]) + &worker("db", &[])));
    ensure(&sandbox, "app").run().expect(0);
    sandbox.stop("db").expect(0);
    assert_eq!(ensure(&sandbox, "app").run().expect(0).state(), "up");
    let doctor = sandbox.tenure(["doctor", "app", "--json"]).run().expect(0);
    let findings = doctor.json()["findings"].clone();
    let found = findings.as_array().into_iter().flatten().find(|one| one["check"] == "dependency-down");
    let found = found.unwrap_or_else(|| panic!("it is told: {findings}"));
    assert_eq!(found["what"], "db, which app depends on, is not running");
    assert_eq!(found["remedy"], "tenure ensure db");
    let restarted = sandbox.tenure(["restart", "app", "--json", "--timeout", "60s"]).run().expect(0);
    assert_eq!(restarted.state(), "replaced");
    let last: Vec<String> = order(&sandbox).split_off(4);
    assert_eq!(last, ["begins db", "serves db", "begins app", "serves app"]);
    stop_all(&sandbox, &["app", "db"]);
}

/// The incumbent still serves when the dependency of its successor fails.
#[test]
fn a_successor_whose_dependency_fails_leaves_the_incumbent_alone() {
    let version = |version, depends| {
        let lines = format!("version = \"{version}\"");
        let app = Described { name: "app", depends, lines: &lines, ..Described::default() };
        described(&app)
            + &described(&Described { name: "db", script: "test -e disk", ..Described::default() })
    };
    let sandbox = sandbox(&version("1.0.0", &[]));
    let pid = ensure(&sandbox, "app").run().expect(0).json()["pid"].clone();
    write(&sandbox, &version("2.0.0", &["db"]));
    let failed = ensure(&sandbox, "app").run();
    assert_eq!(failed.state(), "dependency-failed", "{}", failed.stdout);
    let restart = || sandbox.tenure(["restart", "app", "--json", "--timeout", "60s"]).run();
    let refused = restart();
    assert!(answer::message(&refused).ends_with("nothing was stopped"), "{}", refused.stdout);
    assert_eq!(sandbox.tenure(["status", "app", "--json"]).run().expect(0).json()["pid"], pid);
    fs::write(sandbox.work().join("disk"), "").expect("a sandbox takes files");
    sandbox.tenure(["restart", "db", "--timeout", "60s"]).run().expect(0);
    let upgraded = ensure(&sandbox, "app").run().expect(0);
    assert_eq!((upgraded.state(), &upgraded.json()["version"]), ("replaced".to_owned(), &"2.0.0".into()));
    stop_all(&sandbox, &["app", "db"]);
}

#[test]
fn names_are_those_of_the_place_that_describes_the_dependent() {
    let sandbox = sandbox(&(worker("app", &["db"]) + &worker("db", &[])));
    let project = |name: &str, text: &str| {
        let directory = sandbox.path().join(name);
        fs::create_dir(&directory).expect("a sandbox takes directories");
        fs::write(directory.join("tenure.toml"), text).expect("and files");
        directory
    };
    // A project's file is not asked for what a user's worker depends on, and needs no trust for that.
    let other = project("other", "[worker.cache]\ncommand = [\"false\"]\n");
    ensure(&sandbox, "app").cwd(&other).run().expect(0);

    // A project's worker depends on one of its own, under its own key, and on the user's.
    let shop = project("shop", &(worker("web", &["cache@main", "db"]) + &worker("cache", &[])));
    let untrusted = ensure(&sandbox, "web").cwd(&shop).run();
    assert_eq!(untrusted.state(), "untrusted", "{}", untrusted.stdout);
    sandbox.tenure(["trust"]).cwd(&shop).run().expect(0);
    ensure(&sandbox, "web").cwd(&shop).run().expect(0);
    assert_eq!(listed(&sandbox, "cache"), ["cache@main"]);
    assert_eq!(listed(&sandbox, "db"), ["db"]);

    // From elsewhere, by the record: the names are still those of the project's file.
    sandbox.stop("cache@main").expect(0);
    let web = listed(&sandbox, "web").remove(0);
    sandbox.stop(&web).expect(0);
    ensure(&sandbox, &web).run().expect(0);
    assert_eq!(sandbox.tenure(["status", "cache@main", "--json"]).run().expect(0).state(), "up");
    stop_all(&sandbox, &[&web, "app", "db", "cache@main"]);
}

#[test]
fn a_dependency_in_a_project_that_lost_its_trust_is_refused_as_its_own_ensure_would() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let shop = sandbox.path().join("shop");
    fs::create_dir(&shop).expect("a sandbox takes directories");
    let text = worker("web", &["cache"]) + &worker("cache", &[]);
    fs::write(shop.join("tenure.toml"), &text).expect("and files");
    sandbox.tenure(["trust"]).cwd(&shop).run().expect(0);
    ensure(&sandbox, "web").cwd(&shop).run().expect(0);
    let [web, cache] = ["web", "cache"].map(|name| listed(&sandbox, name).remove(0));
    stop_all(&sandbox, &[&web, &cache]);
    // The offer of `web` is trusted as it was read; what `cache` is now, nobody has allowed.
    fs::write(shop.join("tenure.toml"), format!("{text}# changed\n")).expect("a sandbox takes files");
    let refused = ensure(&sandbox, &web).run();
    assert_eq!((refused.code(), refused.state()), (6, "untrusted".to_owned()), "{}", refused.stdout);
    let own = ensure(&sandbox, "cache").cwd(&shop).run();
    assert!(causes(&refused).contains("changed since it was trusted"), "{}", refused.stdout);
    assert_eq!(hint(&refused), hint(&own));
}

#[test]
fn a_spec_on_stdin_depends_on_what_ensure_finds_from_there() {
    let sandbox = sandbox(&worker("db", &[]));
    let spec = sandbox.path().join("spec.json");
    fs::write(&spec, r#"{ "command": ["sleep", "1000"], "depends": ["db"] }"#)
        .expect("a sandbox takes files");
    let stdin = fs::File::open(&spec).expect("it is there");
    sandbox.tenure(["ensure", "app", "--spec", "-", "--timeout", "60s"]).stdin(stdin).run().expect(0);
    assert_eq!(order(&sandbox), ["begins db", "serves db"]);
    stop_all(&sandbox, &["app", "db"]);
}

#[test]
fn a_storm_of_launchers_makes_one_of_each() {
    let sandbox = sandbox(&(worker("app", &["db"]) + &worker("db", &[])));
    let launchers: Vec<_> = (0..20).map(|_| ensure(&sandbox, "app").start()).collect();
    let pids: Vec<_> = launchers.into_iter().map(|one| one.wait().expect(0).json()["pid"].clone()).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_eq!(order(&sandbox), ["begins db", "serves db", "begins app", "serves app"]);
    stop_all(&sandbox, &["app", "db"]);
}

/// The launcher dies inside the gate of the dependency, whose worker is there and not yet let go.
#[test]
fn a_launcher_that_is_killed_while_it_starts_a_dependency_leaves_nothing_half_done() {
    let sandbox = sandbox(&(worker("app", &["db"]) + &worker("db", &[])));
    let meeting = sandbox.meeting("spawned");
    let launcher = ensure(&sandbox, "app").fault(&meeting.armed(Point::WorkerSpawned)).start();
    let met = meeting.meet();
    launcher.signal(Signal::Kill);
    drop(met);
    assert_eq!(launcher.wait().code(), -1);
    ensure(&sandbox, "app").run().expect(0);
    let served: Vec<String> = order(&sandbox).into_iter().filter(|line| line.starts_with("serves")).collect();
    assert_eq!(served, ["serves db", "serves app"]);
    stop_all(&sandbox, &["app", "db"]);
}

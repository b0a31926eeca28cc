//! Every fault point × kill -9 and SIGSTOP: after each, nothing serves twice, the scope heals, and a stop leaves nothing.
//!
//! The matrix runs over `Point::ALL`, so a new point is met here or the test fails because nobody came to it.

use tenure_core::fault::{Point, PointRole};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::call::{Call, Output, Running};
use tenure_test::fixtures::limits::PATIENCE;
use tenure_test::fixtures::meeting::Met;
use tenure_test::fixtures::sandbox::Sandbox;

use crate::BINARIES;

/// What brings a process to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Road {
    /// `ensure` where nothing runs.
    Ensure,
    /// `restart` of a running worker.
    Restart,
    /// `stop` of a running worker.
    Stop,
    /// `pin` of an older version than the one that runs.
    Pin,
    /// `ensure` of a version that says it is an older one.
    Disagree,
    /// `restart` of a worker that makes room, met in the one that takes its place.
    TakeOver,
    /// The same, met in the one that makes room.
    MakeRoom,
    /// `restart` of a worker that makes room for one that fails.
    RollBack,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a new point is on the first road until somebody says otherwise"
)]
fn road(point: Point) -> Road {
    match point {
        Point::RetireAsked | Point::RetireProved => Road::Restart,
        Point::SuccessorSpawned
        | Point::StandingBy
        | Point::SuccessorPrepared
        | Point::SuccessorGranted
        | Point::SuccessorRecorded
        | Point::SuccessorActive => Road::TakeOver,
        Point::IncumbentPrepared
        | Point::IncumbentCommitted
        | Point::IncumbentGranted
        | Point::IncumbentRelieved
        | Point::IncumbentLeaving => Road::MakeRoom,
        Point::IncumbentReclaiming => Road::RollBack,
        Point::PinProved => Road::Pin,
        Point::DisagreementRecorded => Road::Disagree,
        Point::DrainAnnounced | Point::ProgramEnded | Point::ShimEnding => Road::Stop,
        _ => Road::Ensure,
    }
}

fn sandbox(point: Point) -> Sandbox {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let oracle = sandbox.oracle().directory().display().to_string();
    // Fails once where a failure is on the road.
    let once = format!("once={}:3", sandbox.work().join("broken").display());
    let (version, words, ready) = match road(point) {
        Road::Disagree => ("2.0.0", ["notify", "claims=1.0.0"], "{ notify = true }"),
        Road::Ensure
        | Road::Restart
        | Road::Stop
        | Road::Pin
        | Road::TakeOver
        | Road::MakeRoom
        | Road::RollBack => ("1.0.0", ["escapee", once.as_str()], "{ http = \"/\" }"),
    };
    let command: Vec<&str> = [BINARIES.program, &oracle, version].into_iter().chain(words).collect();
    let bake = if point == Point::IncumbentRelieved { "bake = \"1s\"\n" } else { "" };
    let text = format!(
        "[worker.w]\nscope = \"user\"\nversion = \"{version}\"\ncommand = {command:?}\n\
         listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\nready = {ready}\n\
         start_timeout = \"2s\"\nstop = {{ grace = \"1s\" }}\n{bake}"
    );
    std::fs::write(sandbox.work().join("tenure.toml"), text).expect("a sandbox takes files");
    sandbox
}

fn call<'sandbox>(sandbox: &'sandbox Sandbox, words: &[&str]) -> Call<'sandbox> {
    let words = words.iter().chain(&["--json", "--config", "tenure.toml"]);
    sandbox.tenure(words).env("TENURE_WEDGED_AFTER", "500ms").env("TENURE_TIMEOUT", "30s")
}

fn ensure(sandbox: &Sandbox) -> Call<'_> {
    call(sandbox, &["ensure", "w"])
}

fn restart(sandbox: &Sandbox) -> Call<'_> {
    call(sandbox, &["restart", "w"])
}

/// Takes the road to `point` until a process of its role waits there.
fn travel(sandbox: &Sandbox, point: Point) -> (Running, Met) {
    let meeting = sandbox.meeting("point");
    let armed = meeting.armed(point);
    let traveller = match road(point) {
        Road::Ensure | Road::Disagree => ensure(sandbox).fault(&armed).start(),
        Road::Restart => {
            ensure(sandbox).run().expect(0);
            // Taking over is another road.
            call(sandbox, &["restart", "w", "--force"]).fault(&armed).start()
        }
        Road::TakeOver => {
            ensure(sandbox).run().expect(0);
            restart(sandbox).fault(&armed).start()
        }
        Road::MakeRoom => {
            ensure(sandbox).fault(&armed).run().expect(0);
            restart(sandbox).start()
        }
        Road::RollBack => {
            ensure(sandbox).fault(&armed).run().expect(0);
            std::fs::write(sandbox.work().join("broken"), "").expect("a sandbox takes files");
            restart(sandbox).start()
        }
        Road::Stop => {
            ensure(sandbox).fault(&armed).run().expect(0);
            call(sandbox, &["stop", "w"]).start()
        }
        Road::Pin => {
            ensure(sandbox).run().expect(0);
            call(sandbox, &["ensure", "w", "--version", "2.0.0"]).run().expect(0);
            call(sandbox, &["pin", "w", "1.0.0"]).fault(&armed).start()
        }
    };
    let met = meeting.meet();
    assert_eq!(met.point, point.name());
    drop(std::fs::remove_file(sandbox.work().join("broken")));
    (traveller, met)
}

fn of_role(role: PointRole) -> impl Iterator<Item = Point> {
    Point::ALL.iter().copied().filter(move |point| point.role() == role)
}

fn handle(met: &Met) -> ProcessHandle {
    ProcessHandle::open(met.pid).expect("a process that waits at a point lives")
}

fn kill(met: Met) {
    let handle = handle(&met);
    handle.signal(Signal::Kill).expect("our own process can be killed");
    assert!(handle.wait_ended(Some(PATIENCE)).expect("it can be waited for"), "a killed process ends");
    drop(met);
}

/// The verdict of every cell: the next `ensure` serves (or names the failure that it will not repeat at once, and then
/// `restart` serves), there were never two programs, and a stop leaves nothing. A worker that says it is another version
/// serves too, whatever its own launchers are told, and was not tried once more.
fn heals(sandbox: &Sandbox, point: Point) {
    let tried = sandbox.oracle().count("start");
    if road(point) == Road::TakeOver {
        // A takeover goes on without its launcher, and has the gate until it is over.
        call(sandbox, &["unpin", "w"]).run().expect(0);
    }
    let next = ensure(sandbox).run();
    if road(point) == Road::Disagree {
        assert_eq!(next.state(), "version-disagrees", "{point:?}: {}{}", next.stdout, next.stderr);
        assert_eq!(sandbox.oracle().count("start"), tried, "{point:?}: not tried again");
        call(sandbox, &["ensure", "w", "--version", "1.0.0"]).run().expect(0);
    } else if next.state() == "spawn-suppressed" {
        restart(sandbox).run().expect(0);
    } else {
        assert_eq!(next.code(), 0, "{point:?}: {}{}", next.stdout, next.stderr);
    }
    if road(point) == Road::Pin {
        let record =
            std::fs::read_to_string(sandbox.scope("w").join("desired.json")).expect("it was written");
        let newer = call(sandbox, &["ensure", "w", "--version", "2.0.0"]).run().expect(0);
        let expected = if record.contains("\"hold\"") { "1.0.0" } else { "2.0.0" };
        assert_eq!(newer.json()["version"], expected, "{point:?}: held or not, and nothing between");
    }
    assert!(sandbox.oracle().is_held("program"), "{point:?}: somebody serves");
    assert_eq!(sandbox.oracle().count("double"), 0, "{point:?}: never two at once");
    sandbox.stop("w").expect(0);
    let left: Vec<_> = sandbox.processes().iter().map(|left| left.command.clone()).collect();
    assert!(left.is_empty(), "{point:?}: left behind: {left:?}\n{}", sandbox.story());
}

/// The traveller's end, which is always an answer or a signal that the test sent: never a hang (the sandbox bounds the
/// wait) and never a panic.
fn ended(traveller: Running, point: Point) -> Output {
    let output = traveller.wait();
    assert_ne!(output.code(), 101, "{point:?}: no panic: {}", output.stderr);
    output
}

/// A caller whose worker's shim was struck gets its worker, a stop that is proved, or a failed start that is told.
fn tells(output: &Output, point: Point) {
    let told = match road(point) {
        Road::Stop => output.code() == 0,
        Road::Ensure
        | Road::Restart
        | Road::Pin
        | Road::Disagree
        | Road::TakeOver
        | Road::MakeRoom
        | Road::RollBack => ["started", "spawn-failed"].contains(&output.state().as_str()),
    };
    assert!(told, "{point:?}: {}{}", output.stdout, output.stderr);
}

#[test]
fn a_launcher_killed_at_any_point_leaves_a_scope_that_heals() {
    for point in of_role(PointRole::Launcher) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        kill(met);
        let output = ended(traveller, point);
        assert_eq!(output.status.signal, Some(9), "{point:?}");
        heals(&sandbox, point);
    }
}

#[test]
fn a_launcher_stopped_at_any_point_is_named_and_goes_on_when_it_is_continued() {
    for point in of_role(PointRole::Launcher) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        let stopped = handle(&met);
        stopped.signal(Signal::Stop).expect("our own process can be stopped");
        let other = ensure(&sandbox).env("TENURE_TIMEOUT", "1s").run();
        match other.state().as_str() {
            // It holds the gate: named, not killed.
            "gate-held" => {
                assert_eq!(other.code(), 8, "{point:?}");
                let message = other.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
                assert!(message.contains(&format!("pid {}", met.pid)), "{point:?}: {message}");
                assert!(message.contains("stopped"), "{point:?}: {message}");
            }
            // Its worker serves already, or says that it waits for its go.
            "up" | "started" | "warming" => {}
            "version-disagrees" if road(point) == Road::Disagree => {}
            state => panic!("{point:?}: {state}: {}{}", other.stdout, other.stderr),
        }
        met.release();
        stopped.signal(Signal::Cont).expect("our own process can be continued");
        let output = ended(traveller, point);
        let expected = if road(point) == Road::Disagree { 5 } else { 0 };
        assert_eq!(output.code(), expected, "{point:?}: {}{}", output.stdout, output.stderr);
        heals(&sandbox, point);
    }
}

#[test]
fn a_worker_killed_at_any_point_leaves_a_scope_that_heals() {
    for point in of_role(PointRole::Worker) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        kill(met);
        let output = ended(traveller, point);
        match road(point) {
            Road::Stop => assert_eq!(output.code(), 0, "{point:?}: {}{}", output.stdout, output.stderr),
            Road::Ensure
            | Road::Restart
            | Road::Pin
            | Road::Disagree
            | Road::TakeOver
            | Road::MakeRoom
            | Road::RollBack => {
                assert_eq!(output.state(), "spawn-failed", "{point:?}: {}{}", output.stdout, output.stderr);
            }
        }
        heals(&sandbox, point);
    }
}

#[test]
fn a_worker_stopped_at_any_point_is_ended_when_its_time_is_over() {
    for point in of_role(PointRole::Worker) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        let stopped = handle(&met);
        stopped.signal(Signal::Stop).expect("our own process can be stopped");
        met.release();
        let output = ended(traveller, point);
        let expected = i32::from(road(point) != Road::Stop);
        assert_eq!(output.code(), expected, "{point:?}: {}{}", output.stdout, output.stderr);
        heals(&sandbox, point);
        assert!(stopped.has_ended(), "{point:?}: it was ended");
    }
}

#[test]
fn a_shim_killed_at_any_point_leaves_a_scope_that_heals() {
    for point in of_role(PointRole::Shim) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        kill(met);
        tells(&ended(traveller, point), point);
        heals(&sandbox, point);
    }
}

#[test]
fn a_shim_stopped_at_any_point_is_ended_when_its_time_is_over() {
    for point in of_role(PointRole::Shim) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        let stopped = handle(&met);
        stopped.signal(Signal::Stop).expect("our own process can be stopped");
        met.release();
        tells(&ended(traveller, point), point);
        heals(&sandbox, point);
        assert!(stopped.has_ended(), "{point:?}: it was ended");
    }
}

/// What a restart tells whose successor or incumbent was struck: proved, or that it is not.
fn restart_tells(output: &Output, point: Point) {
    let told = ["replaced", "started", "restart-unproved"].contains(&output.state().as_str());
    assert!(told, "{point:?}: {}{}", output.stdout, output.stderr);
}

/// Nothing of a fenced generation wrote: the starts of programs are in the order of their generations.
fn generations_rise(sandbox: &Sandbox, point: Point) {
    let ledger = std::fs::read_to_string(sandbox.scope("w").join("ledger.json")).expect("it was written");
    let ledger: serde_json::Value = serde_json::from_str(&ledger).expect("a whole record");
    let events = std::fs::read_to_string(sandbox.scope("w").join("events.jsonl")).expect("it was written");
    let ready = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let served: Vec<u64> = ready
        .filter(|event| event["what"] == "ready" || event["what"] == "rolled-back")
        .filter_map(|event| event["generation"].as_u64())
        .collect();
    assert!(served.is_sorted_by(|before, after| before < after), "{point:?}: {served:?}");
    assert!(ledger["generation"].as_u64() >= served.last().copied(), "{point:?}: {served:?}");
}

#[test]
fn a_worker_killed_at_any_point_of_a_takeover_leaves_one_that_serves() {
    for point in of_role(PointRole::Incumbent).chain(of_role(PointRole::Successor)) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        kill(met);
        restart_tells(&ended(traveller, point), point);
        generations_rise(&sandbox, point);
        heals(&sandbox, point);
    }
}

#[test]
fn a_worker_stopped_at_any_point_of_a_takeover_is_ended_or_goes_on() {
    for point in of_role(PointRole::Incumbent).chain(of_role(PointRole::Successor)) {
        let sandbox = sandbox(point);
        let (traveller, met) = travel(&sandbox, point);
        let stopped = handle(&met);
        stopped.signal(Signal::Stop).expect("our own process can be stopped");
        met.release();
        restart_tells(&ended(traveller, point), point);
        heals(&sandbox, point);
        assert!(stopped.has_ended(), "{point:?}: it was ended");
    }
}

/// Takes a restart to `point` in a process of the successor's program.
fn travel_below(sandbox: &Sandbox, point: Point) -> (Running, Met) {
    ensure(sandbox).run().expect(0);
    let meeting = sandbox.meeting("below");
    let traveller = restart(sandbox).fault(&meeting.armed(point)).start();
    (traveller, meeting.meet())
}

#[test]
fn a_shim_of_a_successor_killed_at_any_point_leaves_one_that_serves() {
    for point in [Point::ShimStarted, Point::ShimReleased, Point::ShimProgramStarted] {
        let sandbox = sandbox(Point::SuccessorActive);
        let (traveller, met) = travel_below(&sandbox, point);
        kill(met);
        restart_tells(&ended(traveller, point), point);
        generations_rise(&sandbox, point);
        heals(&sandbox, Point::SuccessorActive);
    }
}

#[test]
fn a_program_of_a_successor_killed_before_it_is_ready_leaves_the_one_before() {
    let (point, sandbox) = (Point::ProgramRunning, sandbox(Point::SuccessorActive));
    let (traveller, met) = travel_below(&sandbox, point);
    let programs = sandbox.oracle().lines();
    let program = programs.iter().rfind(|line| line.what == "start").expect("it was started").pid;
    let program = ProcessHandle::open(program).expect("it waits to be asked whether it is ready");
    program.signal(Signal::Kill).expect("our own program can be killed");
    met.release();
    assert_eq!(ended(traveller, point).state(), "restart-unproved");
    generations_rise(&sandbox, point);
    heals(&sandbox, Point::SuccessorActive);
}

//! Every fault point × kill -9 and SIGSTOP: after each, nothing serves twice, the scope heals, and a stop leaves nothing.
//!
//! The matrix runs over `Point::ALL`, so a new point is met here or the test fails because nobody came to it. Limits are
//! short only where a process is stopped: a kill is seen at once, however busy the machine is.

use tenure_core::fault::{Point, PointRole};
use tenure_sys::process::{ProcessHandle, Signal};
use tenure_test::fixtures::answer;
use tenure_test::fixtures::call::{Call, Output, Running};
use tenure_test::fixtures::limits::Limits;
use tenure_test::fixtures::meeting::{Meeting, Met};
use tenure_test::fixtures::processes;
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
    /// Nothing, for as long as a worker waits for a use.
    Idle,
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
        Point::IdleAsked | Point::IdleRuled => Road::Idle,
        Point::DrainAnnounced | Point::ProgramEnded | Point::ShimEnding => Road::Stop,
        _ => Road::Ensure,
    }
}

/// Whether the call on the road to the point is a `stop`.
fn is_stopped(point: Point) -> bool {
    matches!(road(point), Road::Stop | Road::Idle)
}

/// The line of a worker that ends without use.
const IDLE: &str = "idle_timeout = \"1s\"\n";

/// One cell of the matrix: a sandbox in which a road leads to the point.
struct Cell {
    point: Point,
    sandbox: Sandbox,
    limits: Limits,
}

/// A process that waits at the point, and the call that brought it there.
struct Scene {
    cell: Cell,
    traveller: Running,
    met: Met,
}

impl Cell {
    fn new(point: Point, limits: Limits) -> Self {
        let sandbox = Sandbox::new(BINARIES.tenure);
        let oracle = sandbox.oracle().directory().display().to_string();
        // Fails once where a failure is on the road.
        let once = format!("once={}:3", sandbox.work().join("broken").display());
        let (version, words, ready) = match road(point) {
            Road::Disagree => ("2.0.0", ["notify", "claims=1.0.0"], "{ notify = true }"),
            Road::Ensure
            | Road::Restart
            | Road::Stop
            | Road::Idle
            | Road::Pin
            | Road::TakeOver
            | Road::MakeRoom
            | Road::RollBack => ("1.0.0", ["escapee", once.as_str()], "{ http = \"/\" }"),
        };
        let command: Vec<&str> = [BINARIES.program, &oracle, version].into_iter().chain(words).collect();
        let line = match road(point) {
            Road::MakeRoom if point == Point::IncumbentRelieved => "bake = \"1s\"\n",
            Road::Idle => IDLE,
            Road::Ensure
            | Road::Restart
            | Road::Stop
            | Road::Pin
            | Road::Disagree
            | Road::TakeOver
            | Road::MakeRoom
            | Road::RollBack => "",
        };
        let text = format!(
            "[worker.w]\nscope = \"user\"\nversion = \"{version}\"\ncommand = {command:?}\n\
             listen = [{{ name = \"http\", tcp = \"127.0.0.1:0\" }}]\nready = {ready}\n\
             start_timeout = {:?}\nstop = {{ grace = \"1s\" }}\n{line}",
            limits.boot
        );
        std::fs::write(sandbox.work().join("tenure.toml"), text).expect("a sandbox takes files");
        Self { point, sandbox, limits }
    }

    fn call(&self, words: &[&str]) -> Call<'_> {
        let words = words.iter().chain(&["--json", "--config", "tenure.toml"]);
        self.sandbox
            .tenure(words)
            .env("TENURE_WEDGED_AFTER", self.limits.silence)
            .env("TENURE_TIMEOUT", "30s")
    }

    fn ensure(&self) -> Call<'_> {
        self.call(&["ensure", "w"])
    }

    fn restart(&self) -> Call<'_> {
        self.call(&["restart", "w"])
    }

    /// Takes the road to the point until a process of its role waits there.
    fn travel(self) -> Scene {
        let meeting = self.sandbox.meeting("point");
        let armed = meeting.armed(self.point);
        let traveller = match road(self.point) {
            Road::Ensure | Road::Disagree => self.ensure().fault(&armed).start(),
            Road::Restart => {
                self.ensure().run().expect(0);
                // Taking over is another road.
                self.call(&["restart", "w", "--force"]).fault(&armed).start()
            }
            Road::TakeOver => {
                self.ensure().run().expect(0);
                self.restart().fault(&armed).start()
            }
            Road::MakeRoom => {
                self.ensure().fault(&armed).run().expect(0);
                self.restart().start()
            }
            Road::RollBack => {
                self.ensure().fault(&armed).run().expect(0);
                std::fs::write(self.sandbox.work().join("broken"), "").expect("a sandbox takes files");
                self.restart().start()
            }
            Road::Stop => {
                self.ensure().fault(&armed).run().expect(0);
                self.call(&["stop", "w"]).start()
            }
            Road::Idle => {
                self.ensure().fault(&armed).run().expect(0);
                return self.unused(&meeting);
            }
            Road::Pin => {
                self.ensure().run().expect(0);
                self.call(&["ensure", "w", "--version", "2.0.0"]).run().expect(0);
                self.call(&["pin", "w", "1.0.0"]).fault(&armed).start()
            }
        };
        let met = meeting.meet();
        assert_eq!(met.point, self.point.name());
        drop(std::fs::remove_file(self.sandbox.work().join("broken")));
        Scene { cell: self, traveller, met }
    }

    /// Waits until a worker is about to end because nobody uses it, and has it stopped. The next one stays, however
    /// long the verdict takes.
    fn unused(self, meeting: &Meeting) -> Scene {
        let met = meeting.meet();
        let file = self.sandbox.work().join("tenure.toml");
        let text = std::fs::read_to_string(&file).expect("it was written");
        std::fs::write(&file, text.replace(IDLE, "")).expect("a sandbox takes files");
        let traveller = self.call(&["stop", "w"]).start();
        Scene { cell: self, traveller, met }
    }

    /// Takes a restart to `below`, a point in a process of the successor's program.
    fn travel_below(self, below: Point) -> Scene {
        self.ensure().run().expect(0);
        let meeting = self.sandbox.meeting("below");
        let traveller = self.restart().fault(&meeting.armed(below)).start();
        Scene { met: meeting.meet(), cell: self, traveller }
    }

    /// The verdict of every cell: the next `ensure` serves (or names the failure that it will not repeat at once, and then
    /// `restart` serves), there were never two programs, and a stop leaves nothing. A worker that says it is another version
    /// serves too, whatever its own launchers are told, and was not tried once more.
    fn heals(&self) {
        let (sandbox, point) = (&self.sandbox, self.point);
        let tried = sandbox.oracle().count("start");
        if road(point) == Road::TakeOver {
            // A takeover goes on without its launcher, and has the gate until it is over.
            self.call(&["unpin", "w"]).run().expect(0);
        }
        let next = self.ensure().run();
        if road(point) == Road::Disagree {
            assert_eq!(next.state(), "version-disagrees", "{point:?}: {}{}", next.stdout, next.stderr);
            assert_eq!(sandbox.oracle().count("start"), tried, "{point:?}: not tried again");
            self.call(&["ensure", "w", "--version", "1.0.0"]).run().expect(0);
        } else if next.state() == "spawn-suppressed" {
            self.restart().run().expect(0);
        } else {
            assert_eq!(next.code(), 0, "{point:?}: {}{}", next.stdout, next.stderr);
        }
        if road(point) == Road::Pin {
            let record =
                std::fs::read_to_string(sandbox.scope("w").join("desired.json")).expect("it was written");
            let newer = self.call(&["ensure", "w", "--version", "2.0.0"]).run().expect(0);
            let expected = if record.contains("\"hold\"") { "1.0.0" } else { "2.0.0" };
            assert_eq!(newer.json()["version"], expected, "{point:?}: held or not, and nothing between");
        }
        assert!(sandbox.oracle().is_held("program"), "{point:?}: somebody serves");
        assert_eq!(sandbox.oracle().count("double"), 0, "{point:?}: never two at once");
        sandbox.stop("w").expect(0);
        let left: Vec<_> = sandbox.processes().iter().map(|left| left.command.clone()).collect();
        assert!(left.is_empty(), "{point:?}: left behind: {left:?}\n{}", sandbox.story());
    }

    /// A caller whose worker's shim was struck gets its worker, a stop that is proved, or a failed start that is told.
    fn tells(&self, output: &Output) {
        let told = match road(self.point) {
            Road::Stop | Road::Idle => output.code() == 0,
            Road::Ensure
            | Road::Restart
            | Road::Pin
            | Road::Disagree
            | Road::TakeOver
            | Road::MakeRoom
            | Road::RollBack => ["started", "spawn-failed"].contains(&output.state().as_str()),
        };
        assert!(told, "{:?}: {}{}", self.point, output.stdout, output.stderr);
    }

    /// What a restart tells whose successor or incumbent was struck: proved, or that it is not.
    fn restart_tells(&self, output: &Output) {
        let told = ["replaced", "started", "restart-unproved"].contains(&output.state().as_str());
        assert!(told, "{:?}: {}{}", self.point, output.stdout, output.stderr);
    }

    /// Nothing of a fenced generation wrote: the starts of programs are in the order of their generations.
    fn generations_rise(&self) {
        let read =
            |name| std::fs::read_to_string(self.sandbox.scope("w").join(name)).expect("it was written");
        let ledger: serde_json::Value = serde_json::from_str(&read("ledger.json")).expect("a whole record");
        let events = read("events.jsonl");
        let ready = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let served: Vec<u64> = ready
            .filter(|event| event["what"] == "ready" || event["what"] == "rolled-back")
            .filter_map(|event| event["generation"].as_u64())
            .collect();
        let point = self.point;
        assert!(served.is_sorted_by(|before, after| before < after), "{point:?}: {served:?}");
        assert!(ledger["generation"].as_u64() >= served.last().copied(), "{point:?}: {served:?}");
    }
}

impl Scene {
    fn handle(&self) -> ProcessHandle {
        ProcessHandle::open(self.met.pid).expect("a process that waits at a point lives")
    }

    /// Kills the process at the point; what the traveller says.
    fn killed(self) -> (Cell, Output) {
        processes::kill(&self.handle());
        drop(self.met);
        let output = ended(self.traveller, self.cell.point);
        (self.cell, output)
    }

    /// Stops the process at the point, for good; what the traveller says, and who was stopped.
    fn stopped(self) -> (Cell, Output, ProcessHandle) {
        let stopped = self.handle();
        stopped.signal(Signal::Stop).expect("our own process can be stopped");
        self.met.release();
        let output = ended(self.traveller, self.cell.point);
        (self.cell, output, stopped)
    }
}

/// The traveller's end, which is always an answer or a signal that the test sent: never a hang (the sandbox bounds the
/// wait) and never a panic.
fn ended(traveller: Running, point: Point) -> Output {
    let output = traveller.wait();
    assert_ne!(output.code(), 101, "{point:?}: no panic: {}", output.stderr);
    output
}

/// Kills a process at each point of a role; the verdict on the cell and on what its traveller says.
fn kill_at_each(points: impl Iterator<Item = Point>, verdict: impl Fn(&Cell, &Output)) {
    for point in points {
        let (cell, output) = Cell::new(point, Limits::GENEROUS).travel().killed();
        verdict(&cell, &output);
        cell.heals();
    }
}

/// The same with processes that stand still: each of them is ended by somebody.
fn stop_at_each(points: impl Iterator<Item = Point>, verdict: impl Fn(&Cell, &Output)) {
    for point in points {
        let (cell, output, stopped) = Cell::new(point, Limits::SHORT).travel().stopped();
        verdict(&cell, &output);
        cell.heals();
        assert!(stopped.has_ended(), "{point:?}: it was ended");
    }
}

fn of_role(role: PointRole) -> impl Iterator<Item = Point> {
    Point::ALL.iter().copied().filter(move |point| point.role() == role)
}

fn of_a_takeover() -> impl Iterator<Item = Point> {
    of_role(PointRole::Incumbent).chain(of_role(PointRole::Successor))
}

#[test]
fn a_launcher_killed_at_any_point_leaves_a_scope_that_heals() {
    kill_at_each(of_role(PointRole::Launcher), |cell, output| {
        assert_eq!(output.status.signal, Some(9), "{:?}", cell.point);
    });
}

#[test]
fn a_launcher_stopped_at_any_point_is_named_and_goes_on_when_it_is_continued() {
    for point in of_role(PointRole::Launcher) {
        let scene = Cell::new(point, Limits::GENEROUS).travel();
        let (stopped, pid) = (scene.handle(), scene.met.pid);
        stopped.signal(Signal::Stop).expect("our own process can be stopped");
        let other = scene.cell.ensure().env("TENURE_TIMEOUT", "1s").run();
        match other.state().as_str() {
            // It holds the gate: named, not killed.
            "gate-held" => {
                assert_eq!(other.code(), 8, "{point:?}");
                let message = answer::message(&other);
                assert!(message.contains(&format!("pid {pid}")), "{point:?}: {message}");
                assert!(message.contains("stopped"), "{point:?}: {message}");
            }
            // Its worker serves already, or says that it waits for its go.
            "up" | "started" | "warming" => {}
            "version-disagrees" if road(point) == Road::Disagree => {}
            state => panic!("{point:?}: {state}: {}{}", other.stdout, other.stderr),
        }
        scene.met.release();
        stopped.signal(Signal::Cont).expect("our own process can be continued");
        let output = ended(scene.traveller, point);
        let expected = if road(point) == Road::Disagree { 5 } else { 0 };
        assert_eq!(output.code(), expected, "{point:?}: {}{}", output.stdout, output.stderr);
        scene.cell.heals();
    }
}

#[test]
fn a_worker_killed_at_any_point_leaves_a_scope_that_heals() {
    kill_at_each(of_role(PointRole::Worker), |cell, output| {
        let told = if is_stopped(cell.point) { output.code() == 0 } else { output.state() == "spawn-failed" };
        assert!(told, "{:?}: {}{}", cell.point, output.stdout, output.stderr);
    });
}

#[test]
fn a_worker_stopped_at_any_point_is_ended_when_its_time_is_over() {
    stop_at_each(of_role(PointRole::Worker), |cell, output| {
        let expected = i32::from(!is_stopped(cell.point));
        assert_eq!(output.code(), expected, "{:?}: {}{}", cell.point, output.stdout, output.stderr);
    });
}

#[test]
fn a_shim_killed_at_any_point_leaves_a_scope_that_heals() {
    kill_at_each(of_role(PointRole::Shim), Cell::tells);
}

#[test]
fn a_shim_stopped_at_any_point_is_ended_when_its_time_is_over() {
    stop_at_each(of_role(PointRole::Shim), Cell::tells);
}

#[test]
fn a_worker_killed_at_any_point_of_a_takeover_leaves_one_that_serves() {
    kill_at_each(of_a_takeover(), |cell, output| {
        cell.restart_tells(output);
        cell.generations_rise();
    });
}

#[test]
fn a_worker_stopped_at_any_point_of_a_takeover_is_ended_or_goes_on() {
    stop_at_each(of_a_takeover(), Cell::restart_tells);
}

#[test]
fn a_shim_of_a_successor_killed_at_any_point_leaves_one_that_serves() {
    for below in [Point::ShimStarted, Point::ShimReleased, Point::ShimProgramStarted] {
        let cell = Cell::new(Point::SuccessorActive, Limits::GENEROUS);
        let (cell, output) = cell.travel_below(below).killed();
        cell.restart_tells(&output);
        cell.generations_rise();
        cell.heals();
    }
}

#[test]
fn a_program_of_a_successor_killed_before_it_is_ready_leaves_the_one_before() {
    let cell = Cell::new(Point::SuccessorActive, Limits::GENEROUS);
    let Scene { cell, traveller, met } = cell.travel_below(Point::ProgramRunning);
    let programs = cell.sandbox.oracle().lines();
    let program = programs.iter().rfind(|line| line.what == "start").expect("it was started").pid;
    let program = ProcessHandle::open(program).expect("it waits to be asked whether it is ready");
    program.signal(Signal::Kill).expect("our own program can be killed");
    met.release();
    assert_eq!(ended(traveller, Point::ProgramRunning).state(), "restart-unproved");
    cell.generations_rise();
    cell.heals();
}

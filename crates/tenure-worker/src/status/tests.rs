//! The account as its three readers see it: launchers, the app, the watchdog.

use tenure_core::spec::Spec;

use tenure_core::protocol::wire::Asker;

use super::account::late_by;
use super::*;

pub(crate) fn status() -> Status {
    status_of("memory:0")
}

pub(crate) fn status_of(scope: &str) -> Status {
    let spec = Spec::of_command(vec!["server".into()], "/".into());
    let identity = tenure_sys::identity::Identity::current().expect("readable");
    let hello = Hello::booting(scope.into(), 3, &spec, identity);
    Status::new(hello, TimeLimits { boot: Duration::from_secs(30), stall: None }).expect("wakers")
}

/// What a life ordered, by name.
#[derive(Default)]
pub(crate) struct CarriedOut(Vec<&'static str>);

impl LifecycleExecutor for CarriedOut {
    fn report_ready(&mut self) {
        self.0.push("report_ready");
    }

    fn close_listener(&mut self) {
        self.0.push("close_listener");
    }

    fn drain(&mut self) {
        self.0.push("drain");
    }

    fn leave_scope(&mut self) {
        self.0.push("leave_scope");
    }

    fn report_failed(&mut self) {
        self.0.push("report_failed");
    }

    fn exit(&mut self, _code: i32) {
        self.0.push("exit");
    }
}

/// Somebody asks the worker to end within this time; `true` for the first.
fn announce(status: &Status, within: Duration) -> bool {
    let request = StopRequest { reason: "r".into(), by: Asker::default(), deadline: Deadline::start(within) };
    let mut carried_out = CarriedOut::default();
    let first = status.announce(LifecycleEvent::StopAsked, request, &mut carried_out);
    let right: &[&str] = if first { &["close_listener", "drain"] } else { &[] };
    assert_eq!(carried_out.0, right);
    first
}

#[test]
fn a_failed_check_degrades_a_ready_worker_until_it_passes() {
    let status = status();
    status.set(AppState::Ready, None);
    status.check("log", false, "disk full");
    let app = status.hello().app;
    assert_eq!((app.state, app.reason.as_deref()), (AppState::Degraded, Some("log: disk full")));
    status.check("log", true, "");
    assert_eq!(status.hello().app.state, AppState::Ready);
}

#[test]
fn a_wait_for_a_newer_generation_holds_for_a_newer_worker_only() {
    let status = status();
    assert!(!status.is_wait_over(Until::Settled, false));
    status.set(AppState::Ready, None);
    assert!(status.is_wait_over(Until::GenerationAbove(2), false));
    assert!(!status.is_wait_over(Until::GenerationAbove(3), false));
}

#[test]
fn an_announced_end_ends_every_wait_and_is_announced_once() {
    let status = status();
    assert!(announce(&status, Duration::from_secs(9)));
    assert!(!announce(&status, Duration::from_secs(5)));
    assert!(status.is_wait_over(Until::GenerationAbove(99), false));
    assert!(status.hello().draining);
}

#[test]
fn a_second_stop_can_only_bring_the_end_nearer() {
    let status = status();
    announce(&status, Duration::from_secs(9));
    announce(&status, Duration::from_mins(1));
    let ends = status.deadlines().end_ends.expect("announced");
    assert!(ends <= deadline::monotonic() + Duration::from_secs(9));
    announce(&status, Duration::from_secs(1));
    assert!(status.deadlines().end_ends.expect("announced") < ends);
}

#[test]
fn readiness_takes_the_boot_deadline_away() {
    let status = status();
    assert!(status.deadlines().boot_ends.is_some());
    let mut carried_out = CarriedOut::default();
    assert!(status.happen(LifecycleEvent::AppReady, &mut carried_out));
    assert_eq!(carried_out.0, ["report_ready"]);
    assert_eq!(status.deadlines().boot_ends, None);
    assert!(!status.happen(LifecycleEvent::BootDeadline, &mut carried_out));
}

#[test]
fn only_a_runtime_that_is_late_is_shown_as_stalled() {
    let status = status();
    assert_eq!(status.hello().app.stalled_for_ms, None);
    status.beat();
    assert_eq!(status.hello().app.stalled_for_ms, None);
    let beat = Duration::from_secs(100);
    assert_eq!(late_by(beat, beat + BEAT * 3), None);
    assert_eq!(late_by(beat, beat + BEAT * 4), Some(BEAT * 4));
}

#[test]
fn what_the_app_notes_is_a_use_beside_those_that_were_added() {
    let status = status();
    let told = |status: &Status| status.uses().iter().map(|source| source()).collect::<Vec<Use>>();
    assert_eq!(told(&status), [Use::None]);
    let before = Duration::from_millis(millis(deadline::monotonic()));
    status.note_use();
    status.add_use(Arc::new(|| Use::Now));
    let [Use::Until(noted), Use::Now] = told(&status)[..] else { unreachable!("{:?}", told(&status)) };
    assert!(noted >= before && noted <= deadline::monotonic());
}

#[test]
fn only_an_end_for_lack_of_use_is_told_as_one() {
    let status = status();
    let mut carried_out = CarriedOut::default();
    assert!(!status.happen(LifecycleEvent::Idle, &mut carried_out), "it boots");
    assert!(status.happen(LifecycleEvent::AppReady, &mut carried_out));
    assert!(!status.ends_unused());
    assert!(status.happen(LifecycleEvent::Idle, &mut carried_out));
    assert_eq!(carried_out.0, ["report_ready", "close_listener", "drain"]);
    assert!(status.ends_unused());

    let asked = self::status();
    assert!(asked.happen(LifecycleEvent::StopAsked, &mut CarriedOut::default()));
    asked.happen(LifecycleEvent::Idle, &mut CarriedOut::default());
    assert!(!asked.ends_unused(), "somebody asked before");
}

//! Who is admitted while a takeover goes on.

use tenure_core::policy::lifecycle::LifecycleEvent;

use super::*;
use crate::ownership::tests::{Fixture, fixture};
use crate::status::tests::{CarriedOut, status};
use crate::takeover::hooks::Back;

struct Hooks;

impl TakeoverHooks for Hooks {
    fn quiesce(&mut self, _until: tenure_core::deadline::Deadline) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn resume(&mut self, _back: Back) -> Result<(), String> {
        Ok(())
    }
}

/// A worker that serves and hands over, and a connection to ask it on.
fn serving() -> (Fixture, TakeoverContext, UnixStream) {
    let mut fixture = fixture();
    let status = status();
    status.happen(LifecycleEvent::AppReady, &mut CarriedOut::default());
    let context = TakeoverContext::new(Arc::clone(&fixture.ownership), status);
    let control = OwnedFd::from(fixture.listener.take().expect("a new fixture"));
    context.keep(KeptDescriptors { control, listeners: Vec::new() }, Vec::new());
    context.set_hooks(Box::new(Hooks));
    (fixture, context, UnixStream::pair().expect("a pair").0)
}

fn turn(context: &TakeoverContext, stream: &UnixStream) -> Result<Turn, Answer> {
    context.admit(stream).map(|(_, turn)| turn)
}

#[test]
fn one_successor_waits_for_the_takeover_before_and_a_third_is_refused() {
    let (_fixture, context, stream) = serving();
    assert_eq!(turn(&context, &stream), Ok(Turn::Now));
    assert_eq!(turn(&context, &stream), Ok(Turn::Next));
    assert_eq!(turn(&context, &stream), Err(Answer::goes_on(BUSY)));
    context.takeover_over();
    assert_eq!(context.await_turn(Duration::ZERO), Ok(()));
    assert_eq!(turn(&context, &stream), Ok(Turn::Next), "its takeover goes on");
}

#[test]
fn a_successor_that_waits_in_vain_leaves_its_place_to_another() {
    let (_fixture, context, stream) = serving();
    assert_eq!(turn(&context, &stream), Ok(Turn::Now));
    assert_eq!(turn(&context, &stream), Ok(Turn::Next));
    assert_eq!(context.await_turn(Duration::ZERO), Err(Answer::goes_on(BUSY)));
    assert_eq!(turn(&context, &stream), Ok(Turn::Next));
}

#[test]
fn a_successor_that_waited_is_refused_by_a_worker_that_ends() {
    let (_fixture, context, stream) = serving();
    assert_eq!(turn(&context, &stream), Ok(Turn::Now));
    assert_eq!(turn(&context, &stream), Ok(Turn::Next));
    context.status.happen(LifecycleEvent::StopAsked, &mut CarriedOut::default());
    context.takeover_over();
    assert_eq!(context.await_turn(Duration::ZERO), Err(Answer::refused("it does not serve")));
}

//! A zombie is dead: where nobody waits for a worker that was killed, the next start does not wait for it either.
//!
//! In a file of its own, because this test makes its whole process the parent of orphans.

use tenure_sys::process::{self, RunState};
use tenure_sys::tree;
use tenure_test::fixtures::answer;
use tenure_test::fixtures::processes;
use tenure_test::fixtures::versions::Fixture;

use crate::BINARIES;

#[test]
fn a_zombie_is_dead() {
    tree::set_subreaper().expect("a process may adopt its orphans");
    let fixture = Fixture::new(BINARIES);
    // Who waits for the end of what is dead waits for longer than the call may take.
    fixture.offer("1.0.0").line("drain_timeout = \"10m\"").line("stop = { grace = \"10m\" }").write();
    let host = processes::host(&fixture.ensure().run().expect(0));
    assert_eq!(
        process::parent_of(host.pid()),
        Some(std::process::id()),
        "this process is the one that never waits"
    );
    processes::kill(&host);
    assert_eq!(process::state_of(host.pid()), Some(RunState::Zombie));
    assert_eq!(fixture.status().expect(3).state(), "down");
    let next = fixture.ensure().run().expect(0);
    assert_eq!(next.state(), "started");
    fixture.stop().run().expect(0);
    assert_eq!(
        process::state_of(answer::pid(&next)),
        Some(RunState::Zombie),
        "a stop does not wait for it either"
    );
}

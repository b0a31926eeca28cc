//! A zombie is dead: where nobody waits for a worker that was killed, the next start does not wait for it either.
//!
//! In a file of its own, because this test makes its whole process the parent of orphans.

use tenure_sys::process::{self, RunState};
use tenure_sys::tree;
use tenure_test::kept::{self, Kept};

const TENURE: &str = env!("CARGO_BIN_EXE_tenure-faulted");
const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture-program");

#[test]
fn a_zombie_is_dead() {
    tree::set_subreaper().expect("a process may adopt its orphans");
    let kept = Kept::new(TENURE, PROGRAM);
    // Who waits for the end of what is dead waits for longer than the call may take.
    kept.offer("1.0.0").line("drain_timeout = \"10m\"").line("stop = { grace = \"10m\" }").write();
    let host = kept::host(&kept.ensure().run().expect(0));
    assert_eq!(
        process::parent_of(host.pid()),
        Some(std::process::id()),
        "this process is the one that never waits"
    );
    kept::kill(&host);
    assert_eq!(process::state_of(host.pid()), Some(RunState::Zombie));
    assert_eq!(kept.status().expect(3).state(), "down");
    let next = kept.ensure().run().expect(0);
    assert_eq!(next.state(), "started");
    kept.stop().run().expect(0);
    assert_eq!(
        process::state_of(kept::pid(&next)),
        Some(RunState::Zombie),
        "a stop does not wait for it either"
    );
}

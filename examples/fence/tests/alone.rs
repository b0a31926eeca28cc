//! Started by hand, the example says how it is meant to be started. (The whole life is in the workspace's own tests.)

use std::process::Command;

#[test]
#[expect(clippy::disallowed_methods, reason = "an example's test uses nothing of ours to start it")]
fn a_worker_that_no_launcher_started_says_how_to_start_it() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_example-fence")).env_clear().output().expect("the example runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said, "this program is a worker: start it with `tenure ensure counter`\n");
}

//! An older `tenure` that finds the records of a newer one passes the call on to the newer one.
//!
//! Several installations may share one worker. The records have the newest format among them, and the ledger names the
//! executable that keeps the worker. A call is passed on once, with the same arguments, streams and directory.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::output::failure::Failure;

/// Set for the newer `tenure`, so that it never passes the call on again.
const PASSED_ON: &str = "TENURE_PASSED_ON";

/// Executes the newer `tenure` that the failure names. Returns only if there is none or it cannot be run; the failure
/// then has the reason. A description that was read from stdin is gone, and such a call stays here.
pub(crate) fn become_newer(failure: &mut Failure, args: &[OsString]) {
    let Some(newer) = &failure.newer else { return };
    let mut own = args.iter().skip(1).take_while(|arg| *arg != "--");
    if std::env::var_os(PASSED_ON).is_some() || own.any(|arg| arg == "--spec") {
        return;
    }
    let error = Command::new(newer).args(args.iter().skip(1)).env(PASSED_ON, "1").exec();
    failure.body.causes.push(format!("the newer tenure, {}, cannot be run: {error}", newer.display()));
}

//! The `tenure` command line with fault points in it: what the tests run.

use std::process::ExitCode;

fn main() -> ExitCode {
    tenure_cli::run(std::env::args_os())
}

//! The executable `tenure`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tenure_cli::run(std::env::args_os())
}

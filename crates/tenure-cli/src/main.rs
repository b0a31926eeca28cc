//! The executable `tenure`; everything is in the library.

use std::process::ExitCode;

/// The allocator of musl gives every few kilobytes back to the kernel at once and asks for them again; for a process
/// that lives a millisecond that is most of its time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    tenure_cli::run(std::env::args_os())
}

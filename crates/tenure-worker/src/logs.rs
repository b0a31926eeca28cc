//! Bounds the worker's own log while the worker writes it.
//!
//! What a worker says on stdout and stderr goes to `logs/worker.log`, opened by its launcher. Once that has grown too
//! large it is moved aside and both streams are pointed at a new file, in between two writes of the kernel; nothing is
//! copied and no line is lost. Refuses to touch streams that lead elsewhere.

use std::io;
use std::os::fd::AsFd;

use tenure_core::store::paths::{StateDir, file};
use tenure_sys::dir::{self, Dir};
use tenure_sys::discard::best_effort;
use tenure_sys::fdset;

/// Moves `NAME` to `NAME.1`, `NAME.1` to `NAME.2` and so on, up to the first number that is free; what would become older
/// than `keep` is removed. So the work is that for the files that there are, however many may be kept.
pub(crate) fn shift(logs: &Dir, name: &str, keep: u32) -> io::Result<()> {
    if keep == 0 {
        return logs.remove(name).map(drop);
    }
    let numbered = |number: u32| if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
    let mut free = 1;
    while free < keep && logs.stat(numbered(free))?.is_some() {
        free += 1;
    }
    for number in (0..free).rev() {
        match logs.rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Rotates the worker's log if stdout writes it and it is larger than `size`. A failure leaves the old file in use.
pub(crate) fn rotate_own(state: &StateDir, size: u64, keep: u32) {
    best_effort(try_rotate_own(state, size, keep));
}

fn try_rotate_own(state: &StateDir, size: u64, keep: u32) -> io::Result<()> {
    let stdout = dir::fstat(io::stdout().as_fd())?;
    if stdout.len <= size {
        return Ok(());
    }
    let logs = tenure_core::store::logs::directory(state)?;
    let standing = logs.stat(file::BOOT_LOG)?;
    if standing.is_some_and(|log| (log.dev, log.ino) == (stdout.dev, stdout.ino)) {
        shift(&logs, file::BOOT_LOG, keep)?;
        fdset::replace_output(logs.open_append(file::BOOT_LOG)?.as_fd())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::ownership::tests::fixture;

    fn write(logs: &Dir, text: &str) {
        logs.open_append("log").expect("opens").write_all(text.as_bytes()).expect("room");
    }

    fn read(logs: &Dir, name: &str) -> Option<String> {
        let bytes = logs.read(name, 100).expect("readable")?;
        Some(String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn old_files_move_up_and_the_oldest_goes() {
        let fixture = fixture();
        let logs = tenure_core::store::logs::directory(&fixture.ownership.state).expect("a directory");
        for text in ["a", "b", "c"] {
            write(&logs, text);
            shift(&logs, "log", 2).expect("shifts");
        }
        assert_eq!(read(&logs, "log"), None);
        assert_eq!(read(&logs, "log.1").as_deref(), Some("c"));
        assert_eq!(read(&logs, "log.2").as_deref(), Some("b"));
        assert_eq!(read(&logs, "log.3"), None);
    }

    #[test]
    fn any_number_of_files_may_be_kept() {
        let fixture = fixture();
        let logs = tenure_core::store::logs::directory(&fixture.ownership.state).expect("a directory");
        for text in ["a", "b", "c"] {
            write(&logs, text);
            shift(&logs, "log", u32::MAX).expect("shifts");
        }
        let kept = ["log.1", "log.2", "log.3"].map(|name| read(&logs, name).expect("kept"));
        assert_eq!(kept, ["c", "b", "a"]);
        // A gap is filled, and what is older stays where it is.
        logs.remove("log.2").expect("there");
        write(&logs, "d");
        shift(&logs, "log", u32::MAX).expect("shifts");
        let kept = ["log.1", "log.2", "log.3"].map(|name| read(&logs, name).expect("kept"));
        assert_eq!(kept, ["d", "c", "a"]);
    }

    #[test]
    fn nothing_old_is_kept_where_none_is_wanted() {
        let fixture = fixture();
        let logs = tenure_core::store::logs::directory(&fixture.ownership.state).expect("a directory");
        write(&logs, "a");
        shift(&logs, "log", 0).expect("removes");
        assert!(logs.names().expect("readable").is_empty());
    }

    #[test]
    fn streams_that_lead_elsewhere_are_left_alone() {
        let fixture = fixture();
        try_rotate_own(&fixture.ownership.state, 0, 3).expect("nothing to do");
    }
}

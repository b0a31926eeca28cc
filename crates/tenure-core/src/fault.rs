//! Named crash points: where a test may kill, stop or hold a process.
//!
//! Without the feature `fault-points` every call is empty and compiles to nothing. With it, `TENURE_FAULT` holds
//! `point=action` pairs separated by commas; actions are `kill` (SIGKILL to this process), `stop` (SIGSTOP to this
//! process) and `meet:PATH`: connect to the Unix socket PATH, write the point's name and a newline, and go on when the
//! other side answers a byte or closes. The list of points ([`Point`]) is closed.

pub use crate::policy::point::{Point, PointRole};

/// Passes `point`: nothing at all unless the feature is on and a test has armed it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "an unarmed build must not pay even a call")]
pub fn reach(point: Point) {
    #[cfg(feature = "fault-points")]
    armed::reach(point);
    #[cfg(not(feature = "fault-points"))]
    let _ = point;
}

/// The variable that arms points, where this build has them: spawned workers then inherit it.
#[must_use]
pub fn variable() -> Option<&'static str> {
    cfg!(feature = "fault-points").then_some("TENURE_FAULT")
}

#[cfg(feature = "fault-points")]
mod armed {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::Point;

    pub(super) fn reach(point: Point) {
        let Ok(armed) = std::env::var("TENURE_FAULT") else { return };
        for pair in armed.split(',') {
            if let Some((name, action)) = pair.split_once('=')
                && name == point.name()
            {
                act(point, action);
            }
        }
    }

    fn act(point: Point, action: &str) {
        match action.split_once(':') {
            None if action == "kill" => tenure_sys::exit::kill_self(),
            None if action == "stop" => tenure_sys::exit::stop_self(),
            Some(("meet", path)) => meet(point, path),
            None | Some(_) => {}
        }
    }

    /// Rendezvous: a test that has gone away lets the process go on.
    fn meet(point: Point, path: &str) {
        if let Ok(mut stream) = UnixStream::connect(path)
            && writeln!(stream, "{} {}", point.name(), std::process::id()).is_ok()
        {
            let mut byte = [0u8; 1];
            let _go = stream.read(&mut byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_begin_with_their_role() {
        let mut names: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Point::ALL.len());
        for point in Point::ALL {
            let role = format!("{:?}.", point.role()).to_lowercase();
            assert!(point.name().starts_with(&role), "{point:?}");
        }
    }
}

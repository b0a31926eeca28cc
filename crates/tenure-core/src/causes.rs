//! An error and what caused it: for all that print a chain of causes, or look for one cause in it.

use std::error::Error;
use std::iter;

/// The causes of an error, from the nearest to the innermost.
pub fn of<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// "start /x: permission denied": the error and its causes as one line of text.
#[must_use]
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    of(error).fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Whether the error says that this process or the machine is out of descriptors (`EMFILE`, `ENFILE`), memory or
/// processes (`ENOMEM`, `EAGAIN`). Such a failure tells nothing about what was to be started.
#[must_use]
pub fn is_exhaustion(error: &(dyn Error + 'static)) -> bool {
    let exhausted = |error: &(dyn Error + 'static)| {
        let code = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        matches!(code, Some(11 | 12 | 23 | 24))
    };
    exhausted(error) || of(error).any(exhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("start the worker")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_in_order() {
        let outer = Outer(std::io::Error::other("no room"));
        assert_eq!(in_one_line(&outer), "start the worker: no room");
        assert_eq!(of(&outer).count(), 1);
    }

    #[test]
    fn exhaustion_is_found_below_other_errors() {
        let outer = |code| Outer(std::io::Error::from_raw_os_error(code));
        assert!(is_exhaustion(&outer(24)) && is_exhaustion(&outer(12)));
        assert!(!is_exhaustion(&outer(2)) && !is_exhaustion(&Outer(std::io::Error::other("no room"))));
    }
}

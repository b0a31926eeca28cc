//! An error and its causes as one line of text, for records and messages that leave the process.

use std::error::Error;

/// "start /x: permission denied", from the outermost cause inwards.
pub(crate) fn of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

/// Whether something could not be had because this process, or the machine, has no more of it: descriptors (`EMFILE`,
/// `ENFILE`), memory or processes (`ENOMEM`, `EAGAIN`). That says nothing about what was to be started.
pub(crate) fn is_lack(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let code = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if matches!(code, Some(11 | 12 | 23 | 24)) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("start the worker")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_in_order() {
        assert_eq!(of(&Outer(std::io::Error::other("no room"))), "start the worker: no room");
    }

    #[test]
    fn a_lack_is_found_below_other_errors() {
        let outer = |code| Outer(std::io::Error::from_raw_os_error(code));
        assert!(is_lack(&outer(24)) && is_lack(&outer(12)));
        assert!(!is_lack(&outer(2)) && !is_lack(&Outer(std::io::Error::other("no room"))));
    }
}

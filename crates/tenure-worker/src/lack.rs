//! Whether an error says that this process, or the machine, lacks something.

use std::error::Error;

use tenure_core::causes;

/// Whether something could not be had because this process, or the machine, has no more of it: descriptors (`EMFILE`,
/// `ENFILE`), memory or processes (`ENOMEM`, `EAGAIN`). That says nothing about what was to be started.
pub(crate) fn is_lack(error: &(dyn Error + 'static)) -> bool {
    let lacks = |error: &(dyn Error + 'static)| {
        let code = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        matches!(code, Some(11 | 12 | 23 | 24))
    };
    lacks(error) || causes::of(error).any(lacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("start the worker")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_lack_is_found_below_other_errors() {
        let outer = |code| Outer(std::io::Error::from_raw_os_error(code));
        assert!(is_lack(&outer(24)) && is_lack(&outer(12)));
        assert!(!is_lack(&outer(2)) && !is_lack(&Outer(std::io::Error::other("no room"))));
    }
}

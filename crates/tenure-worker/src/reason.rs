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
}

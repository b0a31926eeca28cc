//! An error and what caused it, in words: one place for all that print a chain of causes.

use std::error::Error;
use std::iter;

/// The causes of an error, from the nearest to the innermost.
pub fn of<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// "start /x: permission denied": the error and its causes as one line of text.
#[must_use]
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    of(error).fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
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
}

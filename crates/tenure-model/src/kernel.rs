//! The kernel of both models: numbers for processes, lock descriptions and sockets, and what a look at a path shows.
//!
//! A number is used again as soon as nothing refers to it, so that equal situations are equal states.

/// The number that stands for no process, no description and no socket.
pub(crate) const NOBODY: u8 = u8::MAX;

/// What the path of the control socket leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sight {
    Nobody,
    Silent,
    /// The worker in this slot answers.
    Worker(u8),
}

/// The numbers below `length`.
pub(crate) fn numbers(length: usize) -> std::ops::Range<u8> {
    0..u8::try_from(length).expect("few processes")
}

/// A number for a new description or socket: the lowest that is not in use.
pub(crate) fn unused(is_used: impl Fn(u8) -> bool) -> u8 {
    (1..NOBODY).find(|id| !is_used(*id)).expect("few descriptions")
}

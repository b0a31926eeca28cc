//! What came of asking a program how it is.

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It passed.
    Passed,
    /// Not now, for this reason.
    Failed(String),
    /// Not now and not later, for this reason.
    Hopeless(String),
}

//! Discarding a result on purpose.

/// Does what can be done, and goes on where it fails: what was meant to come of it is seen elsewhere, or does not matter any
/// more. The reason stands beside the call where it is not plain.
pub fn best_effort<T, E>(result: Result<T, E>) {
    drop(result);
}

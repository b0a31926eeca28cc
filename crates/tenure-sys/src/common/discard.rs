//! Discarding a result on purpose.

/// Discards a result on purpose: its failure is noticed elsewhere or no longer matters. Where the reason is not plain,
/// it stands beside the call.
pub fn best_effort<T, E>(result: Result<T, E>) {
    drop(result);
}

//! The row that records an end.

use tenure_core::deadline::{Moment, wall_millis};
use tenure_core::protocol::ends::{End, EndKind};
use tenure_core::spec::Spec;

/// The row of an end that is noted now, without what only some know of it: who ended, how long it had served, what it
/// said last.
pub(crate) fn end_row(spec: &Spec, generation: u64, how: EndKind, why: String) -> End {
    End {
        at: Moment::now(),
        at_ms: wall_millis(),
        generation,
        version: Some(spec.version.clone()),
        spec: Some(spec.digest()),
        pid: None,
        how,
        why,
        served_ms: None,
        last_words: Vec::new(),
    }
}

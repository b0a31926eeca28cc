//! Whose worker it is, as documents and lines show it.
//!
//! Pure. A worker that answers tells where it was described; without one the record tells whose the name is.

use tenure_core::protocol::wire::Hello;
use tenure_core::record::desired::Desired;
use tenure_core::spec::app::AppId;

use crate::config::ScopeTarget;
use crate::output::render::printable;

/// Whose worker it is: by its own answer, else by the record.
pub(crate) fn of(hello: Option<&Hello>, record: Option<&Desired>) -> Option<AppId> {
    let own = hello.and_then(|hello| hello.whose.clone());
    own.or_else(|| record.and_then(Desired::owner))
}

/// Labelled lines: the app, and the one that the name is kept for if that is another one. An app without a name is told
/// with --verbose.
pub(crate) fn lines(
    (hello, record): (Option<&Hello>, Option<&Desired>),
    verbose: bool,
    target: &ScopeTarget,
) -> Vec<(&'static str, String)> {
    let whose = of(hello, record);
    let own = whose.as_ref().filter(|whose| verbose || whose.name.is_some()).map(|whose| {
        let from = printable(&whose.from.to_string());
        let name = whose.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
        ("app", format!("{name}described by {from}"))
    });
    let owner = record.and_then(Desired::owner);
    let kept = whose.zip(owner).filter(|(whose, owner)| owner.is_stranger(whose, false)).map(|(_, owner)| {
        let owner = printable(&owner.to_string());
        (
            "kept for",
            format!(
                "{owner}, whose next `ensure` replaces this worker; {} ends it",
                target.command("stop", "")
            ),
        )
    });
    own.into_iter().chain(kept).collect()
}

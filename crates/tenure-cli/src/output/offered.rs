//! Offers that are not trusted any more, or that no file describes, as documents, notes and lines show them.
//!
//! Pure. Documents have every offer; people see those that matter.

use serde::Serialize;
use tenure_core::Version;
use tenure_core::ops::described::{self, Offered};
use tenure_core::os_text::PathText;
use tenure_core::os_text::shell::word;

use crate::config::ScopeTarget;

/// An offer in a document.
#[derive(Debug, Serialize)]
pub(crate) struct OfferDocument<'a> {
    version: &'a Version,
    /// The file that it was read from; none where a call itself named it.
    file: Option<PathText<'a>>,
    trusted: bool,
    described: bool,
}

/// Every offer, lowest version first.
pub(crate) fn documents<'all>(offered: &'all [Offered]) -> Vec<OfferDocument<'all>> {
    let of = |offer: &'all Offered| OfferDocument {
        version: &offer.version,
        file: offer.file.as_deref().map(PathText),
        trusted: offer.trusted,
        described: offer.described,
    };
    offered.iter().map(of).collect()
}

/// A few words each, for a row among others.
pub(crate) fn notes(offered: &[Offered], pinned: Option<&Version>) -> Vec<String> {
    let note = |offer: &Offered| {
        let what = if offer.trusted { "described nowhere" } else { "not trusted" };
        format!("{} {what}", offer.version)
    };
    described::doubtful(offered, pinned).map(note).collect()
}

/// Labelled lines with what to type. `back` is the version that serves again if the one on probation fails.
pub(crate) fn lines(
    offered: &[Offered],
    (pinned, back): (Option<&Version>, Option<&Version>),
    target: &ScopeTarget,
) -> Vec<(&'static str, String)> {
    let line = |offer: &Offered| {
        let taken_back = if back == Some(&offer.version) {
            "it serves again if the version that is on probation fails".to_owned()
        } else if pinned == Some(&offer.version) {
            format!("{} releases it", target.command("unpin", ""))
        } else {
            format!("{} takes it back", target.command("forget", &offer.version.to_string()))
        };
        ("offer", format!("{}; {taken_back}", what(offer)))
    };
    described::doubtful(offered, pinned).map(line).collect()
}

fn what(offer: &Offered) -> String {
    let version = &offer.version;
    match &offer.file {
        Some(file) if !offer.trusted => {
            // Trust in another version's content would not bring this one back.
            let directory = word(file.parent().unwrap_or(file));
            let again = format!("; `tenure trust {directory}` allows its present content");
            let again = if offer.described { again } else { String::new() };
            let file = file.display();
            format!(
                "{version} is not started: the content of {file} that offered it is not trusted any more{again}"
            )
        }
        Some(file) => format!("{version} is described nowhere any more; {} offered it", file.display()),
        None => format!("{version} was offered by a call, and its program is gone"),
    }
}

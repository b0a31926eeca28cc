//! The parts of a version in the order in which they are compared. Data only.
//!
//! The order is the one that Rust derives: by the variants and the fields from top to bottom. So it is total and
//! transitive by construction, whatever texts it is made from. Pre-releases and build metadata are compared by the crate
//! `semver`, so that two semantic versions are ordered as that crate orders them.

use semver::{BuildMetadata, Prerelease};

/// What a text is compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Order {
    /// A build: it lies below every version, and no build is above another one.
    Build,
    /// A version. Boxed, so that errors and records that hold versions stay small.
    Version(Box<Parts>),
}

/// The parts of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Parts {
    /// The epoch of PEP 440; 0 for everything else.
    pub(super) epoch: u64,
    /// The first three numbers. Missing ones are 0.
    pub(super) first: [u64; 3],
    /// The numbers after them, without the zeros at the end: 1.2.3 and 1.2.3.0 are one version.
    pub(super) more: Vec<u64>,
    /// How far this release is.
    pub(super) stage: Stage,
    /// A release after the release; none is lowest.
    pub(super) post: Option<u64>,
    /// A version on the way to what the parts before say.
    pub(super) towards: Towards,
    /// Commits after the tag; none is lowest.
    pub(super) described: Option<Described>,
    /// Build metadata, or the local version of PEP 440; empty is lowest.
    pub(super) build: BuildMetadata,
}

/// How far a release is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    /// `1.0.dev3` of PEP 440: before every pre-release.
    Development,
    /// A pre-release.
    Pre(Prerelease),
    /// The release.
    Release,
}

/// Whether a version is reached, or on its way: `1.0a1.dev2` comes before `1.0a1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Towards {
    /// `.devN` of PEP 440.
    Development(u64),
    /// Reached.
    Reached,
}

/// What `git describe` says beyond the tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Described {
    /// Commits since the tag.
    pub(super) commits: u64,
    /// The commit, abbreviated. Two commits at the same distance have no order by nature; the text decides, because
    /// launchers of the two would take turns otherwise.
    pub(super) commit: String,
    /// Whether the tree has changes that are not committed.
    pub(super) dirty: bool,
}

impl Parts {
    /// A release of these numbers.
    pub(super) fn release(numbers: &[u64]) -> Self {
        let mut first = [0; 3];
        for (place, number) in first.iter_mut().zip(numbers) {
            *place = *number;
        }
        let more = numbers.get(3..).unwrap_or_default();
        let significant = more.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        Self {
            epoch: 0,
            first,
            more: more.get(..significant).unwrap_or_default().to_vec(),
            stage: Stage::Release,
            post: None,
            towards: Towards::Reached,
            described: None,
            build: BuildMetadata::EMPTY,
        }
    }

    /// The stage of a pre-release; an empty one is the release.
    pub(super) fn with_pre(self, pre: Prerelease) -> Self {
        let stage = if pre.is_empty() { Stage::Release } else { Stage::Pre(pre) };
        Self { stage, ..self }
    }
}

//! Versions as programs write them, in one order. Pure.
//!
//! [`Version`] keeps the text, for people and records, and the parts by which it is compared (room `order`). One
//! function makes these from the text (room `reading`); records, HELLO, configuration files, arguments and commands all
//! use it. Compares versions, and decides nothing from that.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod order;
mod reading;

use order::{Order, Parts};

/// Most of a text that is quoted because it is no version.
const LONGEST_QUOTE: usize = 100;

/// The version of a worker, as its program writes it.
///
/// Versions of all grammars are in one total order: semantic versions, those of PEP 440, dates, any count of numbers,
/// and what `git describe` writes. Texts of one version are equal: `1.0`, `v1.0.0` and `1.0.0.0`. A text that has no
/// order, such as a commit, names a *build*: builds lie below every version, none is above another one, and so all of
/// them are equal here; [`Version::as_str`] tells them apart.
///
/// ```
/// use tenure::Version;
///
/// let read = |text: &str| text.parse::<Version>();
/// assert!(read("1.2.3-rc.1")? < read("1.2.3")?);
/// assert!(read("1.2.3")? < read("v1.2.3-1-gabc1234")? && read("v1.2.3-1-gabc1234")? < read("1.2.4")?);
/// assert!(read("2024.01.03")? < read("2024.1.10")?);
/// assert!(read("4f2a9c1")?.is_build());
/// # Ok::<(), tenure::NoVersion>(())
/// ```
#[derive(Clone)]
pub struct Version {
    /// Without a leading `v`.
    text: String,
    order: Order,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as a version such as \"13.6.0\": {why}")]
#[non_exhaustive]
pub struct NoVersion {
    /// The text, shortened.
    pub text: String,
    /// What is wrong with it, and what to write.
    pub why: String,
}

impl Version {
    /// The version of three numbers.
    #[must_use]
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        let order = Order::Version(Box::new(Parts::release(&[major, minor, patch])));
        Self { text: format!("{major}.{minor}.{patch}"), order }
    }

    /// Reads a version that has an order, as a program reports it. The name of a build is refused: it could be compared
    /// with no version.
    pub fn with_order(text: &str) -> Result<Self, NoVersion> {
        let version: Self = text.parse()?;
        if version.is_build() {
            let why = "it is the name of a build, which has no order; write numbers with dots between them";
            return Err(NoVersion { text: version.text, why: why.to_owned() });
        }
        Ok(version)
    }

    /// The first number; 0 of a build.
    #[must_use]
    pub fn major(&self) -> u64 {
        match &self.order {
            Order::Version(parts) => parts.first[0],
            Order::Build => 0,
        }
    }

    /// The text as it was written, without a leading `v`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the text names a build, which has no order.
    #[must_use]
    pub fn is_build(&self) -> bool {
        self.order == Order::Build
    }

    /// Whether both are builds with different names: neither is above the other, and they are not the same.
    #[must_use]
    pub fn is_other_build(&self, other: &Self) -> bool {
        self.is_build() && other.is_build() && self.text != other.text
    }

    /// Whether each `tenure` reads the text and gives it the same place: those that know only semantic versions do
    /// not read other texts, and take the commits after a tag for a pre-release.
    #[must_use]
    pub(crate) fn is_semantic(&self) -> bool {
        let described = match &self.order {
            Order::Build => true,
            Order::Version(parts) => parts.described.is_some(),
        };
        !described && semver::Version::parse(&self.text).is_ok()
    }

    /// Whether both have the same numbers, whatever stands behind them.
    #[must_use]
    pub(crate) fn is_same_release(&self, other: &Self) -> bool {
        match (&self.order, &other.order) {
            (Order::Version(one), Order::Version(other)) => {
                (one.epoch, one.first, &one.more) == (other.epoch, other.first, &other.more)
            }
            _ => false,
        }
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    /// Reads one version, with space around it and one `v` before it, or without.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let trimmed = text.trim();
        let begins_with_digit = |rest: &&str| rest.starts_with(|first: char| first.is_ascii_digit());
        let bare = trimmed.strip_prefix(['v', 'V']).filter(begins_with_digit).unwrap_or(trimmed);
        match reading::read(bare) {
            Ok(order) => Ok(Self { text: bare.to_owned(), order }),
            Err(why) => Err(NoVersion { text: shortened(trimmed), why }),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.order.hash(state);
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextReader)
    }
}

/// Reads the text; an error says what to write.
struct TextReader;

impl serde::de::Visitor<'_> for TextReader {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version in quotes, such as \"13.6.0\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Version, E> {
        text.parse()
            .map_err(|NoVersion { text, why }| E::custom(format_args!("{text:?} is not a version: {why}")))
    }
}

#[cfg(test)]
mod tests;

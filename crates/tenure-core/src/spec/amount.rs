//! Durations and sizes as people write them: `"250ms"`, `"5s"`, `"1m"`, `"10MB"`.
//!
//! Pure: text to number and back, whatever the amounts are for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration of a spec: a whole number with the unit `ms`, `s`, `m` or `h`.
///
/// ```
/// assert_eq!("1m".parse::<tenure::Span>()?, tenure::Span::secs(60));
/// assert!("5 minutes".parse::<tenure::Span>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// A size of a spec: a whole number with the unit `B`, `kB`, `MB` or `GB` (powers of 1000).
///
/// ```
/// assert_eq!("10MB".parse::<tenure::Size>()?.get(), 10_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

/// Text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as {what}: write a whole number and a unit, such as {example}")]
pub struct BadAmount {
    text: String,
    what: &'static str,
    example: &'static str,
}

const SPANS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: &[(&str, u64)] = &[("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1)];

impl Span {
    /// `ms` milliseconds.
    #[must_use]
    pub const fn millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// `seconds` seconds.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The same as a [`Duration`].
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Size {
    /// `bytes` bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let &(_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(scale)
}

fn print(f: &mut fmt::Formatter<'_>, amount: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = units.iter().filter(|(_, scale)| amount != 0 && amount.is_multiple_of(*scale));
    let &(unit, scale) = fits.max_by_key(|(_, scale)| *scale).unwrap_or(&units[0]);
    write!(f, "{}{unit}", amount / scale)
}

impl FromStr for Span {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let bad = || BadAmount {
            text: text.to_owned(),
            what: "a duration",
            example: "\"250ms\", \"5s\" or \"1m\"",
        };
        parse(text, SPANS).map(Self::millis).ok_or_else(bad)
    }
}

impl FromStr for Size {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let bad = || BadAmount { text: text.to_owned(), what: "a size", example: "\"10MB\" or \"512kB\"" };
        parse(text, SIZES).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, crate::deadline::millis(self.0), SPANS)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, SIZES)
    }
}

macro_rules! text {
    ($($kind:ty),+) => {$(
        impl TryFrom<String> for $kind {
            type Error = BadAmount;

            fn try_from(text: String) -> Result<Self, BadAmount> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(amount: $kind) -> Self {
                amount.to_string()
            }
        }
    )+};
}

text!(Span, Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_back_what_they_print() {
        for text in ["250ms", "5s", "1m", "90s", "2h", "0ms"] {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), text);
        }
        for text in ["10MB", "512kB", "1GB", "7B"] {
            assert_eq!(text.parse::<Size>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        for text in ["5", "s", "", "-1s", "1.5s", "5 s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
        assert!("10mb".parse::<Size>().is_err());
    }
}

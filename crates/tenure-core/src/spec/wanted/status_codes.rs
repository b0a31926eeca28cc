//! Statuses of HTTP as a check names them: a number, a class, a range. Data only.

use std::fmt;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

/// One status of HTTP or a range of them: 200, `"2xx"` or `"200-204"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "StatusForm")]
pub struct StatusCodes(u16, u16);

/// Text or a number that is no status of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("understand {text:?} as a status: write 200, \"2xx\" or \"200-204\", from 200 to 599")]
pub struct BadStatus {
    /// As written.
    pub text: String,
}

impl StatusCodes {
    /// Whether it is among them.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.0..=self.1).contains(&status)
    }

    fn checked(self, text: impl fmt::Display) -> Result<Self, BadStatus> {
        // 1xx are not final.
        let valid = self.0 <= self.1 && (200..=599).contains(&self.0) && self.1 <= 599;
        if valid { Ok(self) } else { Err(BadStatus { text: text.to_string() }) }
    }
}

impl From<u16> for StatusCodes {
    fn from(status: u16) -> Self {
        Self(status, status)
    }
}

impl std::str::FromStr for StatusCodes {
    type Err = BadStatus;

    fn from_str(text: &str) -> Result<Self, BadStatus> {
        let bad = || BadStatus { text: text.to_owned() };
        // `parse` alone takes signs and leading zeros.
        let number = |text: &str, digits: usize| {
            let is_plain = text.len() == digits && text.bytes().all(|digit| digit.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| is_plain).ok_or_else(bad)
        };
        let codes = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class), _) => number(class, 1).map(|class| Self(class * 100, class * 100 + 99)),
            (None, Some((first, last))) => Ok(Self(number(first, 3)?, number(last, 3)?)),
            (None, None) => number(text, 3).map(Self::from),
        };
        codes?.checked(text)
    }
}

impl fmt::Display for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(first, last) if first == last => write!(f, "{first}"),
            Self(first, last) if first % 100 == 0 && last == first + 99 => write!(f, "{}xx", first / 100),
            Self(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StatusForm {
    One(u16),
    Text(String),
    Other(serde_json::Value),
}

impl From<StatusCodes> for StatusForm {
    fn from(codes: StatusCodes) -> Self {
        if codes.0 == codes.1 { Self::One(codes.0) } else { Self::Text(codes.to_string()) }
    }
}

impl TryFrom<StatusForm> for StatusCodes {
    type Error = BadStatus;

    fn try_from(form: StatusForm) -> Result<Self, BadStatus> {
        match form {
            StatusForm::One(status) => Self::from(status).checked(status),
            StatusForm::Text(text) => text.parse(),
            StatusForm::Other(other) => Err(BadStatus { text: other.to_string() }),
        }
    }
}

impl<'de> Deserialize<'de> for StatusCodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StatusForm::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_statuses_are_taken() {
        for (text, first, last) in [("200", 200, 200), ("2xx", 200, 299), ("200-204", 200, 204)] {
            assert_eq!(text.parse(), Ok(StatusCodes(first, last)), "{text}");
        }
        for text in [
            "0xx", "1xx", "6xx", "655xx", "656xx", "658xx", "65535xx", "xx", "-200", "+200", "+2xx", "02xx",
            "0200", "200-+204", "204-200", "199", "600",
        ] {
            assert_eq!(text.parse::<StatusCodes>(), Err(BadStatus { text: text.to_owned() }), "{text}");
        }
    }
}

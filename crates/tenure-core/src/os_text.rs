//! Bytes of the system as text, without loss: paths, arguments and variables in specs, records and documents.
//!
//! Pure. What is UTF-8 stands as it is. Any other byte `NN` stands as the character U+1000NN, of a private-use plane,
//! which JSON can write as `\udbc0\udcNN`. A path that has such a character itself is escaped byte by byte, so that
//! each text stands for one sequence of bytes and each sequence of bytes for one text.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use serde::{Serialize, Serializer};

pub mod shell;

/// The character of the byte 0.
const BASE: u32 = 0x10_0000;

/// Every character that stands for a byte begins with this one in UTF-8.
const LEAD: u8 = 0xF4;

/// The text that stands for `bytes`.
///
/// ```
/// use std::ffi::OsStr;
/// use std::os::unix::ffi::OsStrExt;
/// use tenure_core::os_text;
///
/// let name = OsStr::from_bytes(b"caf\xe9");
/// let text = os_text::text(name);
/// assert_eq!(text, "caf\u{1000e9}");
/// assert_eq!(os_text::os(&text), name);
/// assert_eq!(os_text::shown(&text), r"caf\xe9");
/// ```
#[must_use]
pub fn text(bytes: &OsStr) -> String {
    if let Some(plain) = bytes.to_str().filter(|plain| !has_escape(plain)) {
        return plain.to_owned();
    }
    let mut text = String::with_capacity(bytes.len());
    let escape =
        |text: &mut String, bytes: &[u8]| text.extend(bytes.iter().filter_map(|byte| of_byte(*byte)));
    for chunk in bytes.as_bytes().utf8_chunks() {
        for one in chunk.valid().chars() {
            match byte_of(one) {
                Some(_) => escape(&mut text, one.encode_utf8(&mut [0; 4]).as_bytes()),
                None => text.push(one),
            }
        }
        escape(&mut text, chunk.invalid());
    }
    text
}

/// The bytes that `text` stands for.
#[must_use]
pub fn os(text: &str) -> Cow<'_, OsStr> {
    if !has_escape(text) {
        return Cow::Borrowed(OsStr::new(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    for one in text.chars() {
        match byte_of(one) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(OsString::from_vec(bytes))
}

/// Variables as a process gets them.
pub fn variables<'a>(
    variables: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Vec<(OsString, OsString)> {
    let bytes = |text: &'a String| os(text).into_owned();
    variables.into_iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
}

/// The text for people: each escaped byte as `\xNN`.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !has_escape(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        match byte_of(one) {
            // Writing to a string does not fail.
            Some(byte) => write!(shown, r"\x{byte:02x}").unwrap_or_default(),
            None => shown.push(one),
        }
    }
    Cow::Owned(shown)
}

/// Whether a character changes how the text around it is shown, and shows nothing itself: control characters, and those
/// of Unicode that turn the direction of writing, join, or take no room.
#[must_use]
pub fn is_invisible(one: char) -> bool {
    let code = u32::from(one);
    let formats = [
        0x00AD..=0x00AD,
        0x061C..=0x061C,
        0x200B..=0x200F,
        0x2028..=0x202E,
        0x2060..=0x206F,
        0xFEFF..=0xFEFF,
    ];
    one.is_control() || formats.iter().any(|range| range.contains(&code))
}

/// The text as one word of a shell. Characters that show nothing, and bytes that are not UTF-8, are written as `$'…'` has
/// them.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |one: char| (one.is_alphanumeric() || "/._-+@:,=%".contains(one)) && byte_of(one).is_none();
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let special = |one: char| is_invisible(one) || byte_of(one).is_some();
    if !text.chars().any(special) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = String::from("$'");
    for one in text.chars() {
        match (one, byte_of(one)) {
            ('\n', _) => word.push_str(r"\n"),
            ('\'' | '\\', _) => word.extend(['\\', one]),
            (_, Some(byte)) => word.extend([format!(r"\x{byte:02x}")]),
            (_, None) if is_invisible(one) => {
                word.extend(one.to_string().bytes().map(|byte| format!(r"\x{byte:02x}")));
            }
            (_, None) => word.push(one),
        }
    }
    word.push('\'');
    word
}

/// The byte that a character stands for, if it stands for one.
#[must_use]
pub fn byte_of(one: char) -> Option<u8> {
    let byte = u32::from(one).checked_sub(BASE)?;
    u8::try_from(byte).ok().filter(|byte| !byte.is_ascii())
}

fn of_byte(byte: u8) -> Option<char> {
    char::from_u32(BASE + u32::from(byte))
}

fn has_escape(text: &str) -> bool {
    text.as_bytes().contains(&LEAD) && text.chars().any(|one| byte_of(one).is_some())
}

/// A path that is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathText<'a>(pub &'a Path);

impl Serialize for PathText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        path::serialize(self.0, serializer)
    }
}

/// A path in JSON and TOML, for `#[serde(with = "…")]`.
pub mod path {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the path as text.
    pub fn serialize<S: Serializer>(path: impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text(path.as_ref().as_os_str()))
    }

    /// Reads the path from its text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        String::deserialize(deserializer).map(|text| super::os(&text).into_owned().into())
    }
}

/// Several paths in JSON and TOML, for `#[serde(with = "…")]`.
pub mod paths {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes each path as text.
    pub fn serialize<S: Serializer, P: AsRef<Path>>(
        paths: impl AsRef<[P]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.as_ref().iter().map(|path| super::text(path.as_ref().as_os_str())))
    }

    /// Reads each path from its text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        Ok(texts.iter().map(|text| super::os(text).into_owned().into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_text_stands_as_it_is() {
        for plain in ["", "/srv/shop", "caf\u{e9}", "\u{10FFFD}", "\u{100000}", "\u{100041}"] {
            assert_eq!(text(OsStr::new(plain)), plain);
            assert_eq!(os(plain), OsStr::new(plain));
        }
    }

    #[test]
    fn json_writes_a_byte_with_its_number_at_the_end() {
        assert_eq!(serde_json::from_str::<String>(r#""\udbc0\udce9""#).expect("text"), "\u{1000e9}");
        assert_eq!(text(OsStr::from_bytes(b"\xe9")), "\u{1000e9}");
    }

    #[test]
    fn a_character_that_stands_for_a_byte_is_escaped_itself() {
        let name = OsStr::new("\u{1000e9}");
        assert_ne!(text(name), "\u{1000e9}");
        assert_eq!(os(&text(name)), name);
    }

    proptest! {
        #[test]
        fn every_sequence_of_bytes_comes_back(bytes: Vec<u8>) {
            let name = OsStr::from_bytes(&bytes);
            let text = text(name);
            prop_assert_eq!(&*os(&text), name);
        }
    }
}

//! Text as a shell takes it: what is printed to be typed.
//!
//! Pure.

use std::path::Path;

use crate::os_text;

/// A path as one word of a shell.
#[must_use]
pub fn word(path: &Path) -> String {
    os_text::shell_word(&os_text::text(path.as_os_str()))
}

/// A command as a shell takes it.
#[must_use]
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| os_text::shell_word(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_in_a_remedy_can_be_typed() {
        assert_eq!(word(Path::new("/home/a/p.q")), "/home/a/p.q");
        assert_eq!(word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
        assert_eq!(word(Path::new(OsStr::from_bytes(b"/caf\xe9/it's"))), r"$'/caf\xe9/it\'s'");
        assert_eq!(
            line(&["sh".into(), "-c".into(), "echo\na; \u{1b}[2J".into(), String::new()]),
            r"sh -c $'echo\na; \x1b[2J' ''"
        );
        assert_eq!(line(&["rm\u{202e}".into(), "\u{feff}".into()]), r"$'rm\xe2\x80\xae' $'\xef\xbb\xbf'");
    }
}

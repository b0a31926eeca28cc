//! Limits on each source file: its length, no `mod.rs`, and `unsafe` in the one crate that may hold it.
//!
//! Pure. Lines and arguments of a function are left to clippy.

use crate::source::unsafe_lines;
use crate::tree::Tree;

/// Lines of a file with its tests. A room that needs more is two rooms: the longest file in which a reader still
/// finds their way without a search is a few screens, and an event loop grows past any limit that is not enforced.
const LONGEST: usize = 500;

/// The crate that may hold `unsafe`.
const KERNEL: &str = "crates/tenure-sys/";

/// Every file past a limit.
pub(crate) fn findings(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.below("", ".rs") {
        let lines = text.lines().count();
        if lines > LONGEST {
            findings.push(format!("{path}: {lines} lines, {LONGEST} at most"));
        }
        if path.contains("/src/") && path.ends_with("/mod.rs") {
            findings.push(format!("{path}: a room `x` lives in `x.rs`, its sub-rooms in `x/`"));
        }
        if !path.starts_with(KERNEL) {
            match unsafe_lines(text) {
                Ok(lines) => findings
                    .extend(lines.iter().map(|line| format!("{path}:{line}: `unsafe` outside {KERNEL}"))),
                Err(error) => findings.push(format!("{path}: {error}")),
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_with_the_file() {
        let long = "//\n".repeat(LONGEST + 1);
        let fits = "//\n".repeat(LONGEST);
        let tree = Tree::of(&[
            ("crates/a/src/fits.rs", &fits),
            ("crates/a/src/long.rs", &long),
            ("crates/a/src/x/mod.rs", ""),
            ("crates/a/src/y.rs", "// unsafe\n#![forbid(unsafe_code)]\nunsafe fn f() {}"),
            ("crates/tenure-sys/src/z.rs", "unsafe fn f() {}"),
        ]);
        assert_eq!(
            findings(&tree),
            [
                "crates/a/src/long.rs: 501 lines, 500 at most",
                "crates/a/src/x/mod.rs: a room `x` lives in `x.rs`, its sub-rooms in `x/`",
                "crates/a/src/y.rs:3: `unsafe` outside crates/tenure-sys/",
            ]
        );
    }
}

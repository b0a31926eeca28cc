//! The patterns that name the files of a build: checked, matched, and where they begin.
//!
//! Patterns are relative to the worker's directory, and have `/` between their parts. `*` and `?` match within a part,
//! `**` matches any number of parts, and `[…]` and `{…,…}` mean what they mean in a shell. The parts before the first
//! of these characters are the fixed beginning: nothing outside of it is ever looked at. Pure.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet};

/// Most patterns of one build. Each is matched against each file, and a person has to read them.
pub const MOST_GLOBS: usize = 64;

/// Characters that make a part of a pattern more than a plain name.
const META: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Patterns that are not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// A pattern is not valid.
    #[error("read {glob:?} as a pattern of files: {why}")]
    Pattern {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        why: String,
    },
    /// There are too many.
    #[error("use {count} patterns for one build: the most are {MOST_GLOBS}")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

impl BadGlob {
    /// What is wrong, as text that follows the name of the list.
    #[must_use]
    pub fn fault(&self) -> String {
        match self {
            Self::Pattern { glob, why } => format!("has {glob:?}: {why}"),
            Self::TooMany { count } => format!("has {count} patterns: the most are {MOST_GLOBS}"),
        }
    }
}

/// Where files of a build can be: at most `depth` parts below a fixed beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Relative to the worker's directory; empty for that directory itself.
    pub directory: PathBuf,
    /// How many parts a name below it can have; `None` without a bound.
    pub depth: Option<usize>,
}

/// The patterns of one build, ready to match.
#[derive(Debug, Clone)]
pub struct Globs {
    set: GlobSet,
    roots: Vec<Root>,
}

/// Refuses patterns that are not valid, without the cost of preparing them to match.
pub fn check(globs: &[String]) -> Result<(), BadGlob> {
    if globs.len() > MOST_GLOBS {
        return Err(BadGlob::TooMany { count: globs.len() });
    }
    globs.iter().try_for_each(|glob| parse(glob).map(drop))
}

impl Globs {
    /// Reads the patterns.
    pub fn new(globs: &[String]) -> Result<Self, BadGlob> {
        check(globs)?;
        let mut set = GlobSet::builder();
        let mut roots: BTreeMap<PathBuf, Option<usize>> = BTreeMap::new();
        for glob in globs {
            set.add(parse(glob)?);
            let root = root(plain(glob));
            roots
                .entry(root.directory)
                .and_modify(|depth| *depth = depth.zip(root.depth).map(|(one, other)| one.max(other)))
                .or_insert(root.depth);
        }
        let set = set
            .build()
            .map_err(|error| BadGlob::Pattern { glob: globs.join(" "), why: error.to_string() })?;
        let roots = roots.into_iter().map(|(directory, depth)| Root { directory, depth }).collect();
        Ok(Self { set, roots })
    }

    /// Whether a file of this name belongs to the build; relative to the worker's directory.
    #[must_use]
    pub fn matches(&self, file: &Path) -> bool {
        self.set.is_match(file)
    }

    /// The directories in which to look, each once, in order.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }
}

/// The pattern without a leading `./`.
fn plain(glob: &str) -> &str {
    let mut plain = glob;
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest.trim_start_matches('/');
    }
    plain
}

fn parse(glob: &str) -> Result<Glob, BadGlob> {
    let bad = |why: &str| Err(BadGlob::Pattern { glob: glob.to_owned(), why: why.to_owned() });
    let text = plain(glob);
    if text.is_empty() || text == "." {
        return bad("it is empty");
    }
    if text.contains('\0') {
        return bad("it has a NUL byte in it");
    }
    if text.starts_with('/') {
        return bad("it is absolute; patterns are relative to the worker's directory");
    }
    if text.ends_with('/') {
        return bad("it names a directory; end it with /** for the files below that");
    }
    if text.contains("//") || text.split('/').any(|part| part == ".") {
        return bad("it has an empty part, or one that is \".\"");
    }
    // Also within braces: `{..,a}/b` leads out as well.
    if text.split(['/', '{', '}', ',']).any(|part| part == "..") {
        return bad("it leads out of the worker's directory with \"..\"");
    }
    let parsed = GlobBuilder::new(text).literal_separator(true).build();
    parsed.map_err(|error| BadGlob::Pattern { glob: glob.to_owned(), why: error.kind().to_string() })
}

/// The fixed beginning of a pattern. The last part names a file, fixed or not, so it never belongs to the beginning.
fn root(glob: &str) -> Root {
    let parts: Vec<&str> = glob.split('/').collect();
    let fixed = parts.iter().take(parts.len() - 1).take_while(|part| !part.contains(META)).count();
    let rest = &parts[fixed..];
    // Separators within braces all count: the depth is never less than what the pattern can match.
    let depth = (!rest.iter().any(|part| part.contains("**"))).then_some(rest.len());
    Root { directory: parts[..fixed].iter().collect(), depth }
}

/// The directories on the way to `directory`, from the worker's own down to its parent, each with the name of the next:
/// what has to be watched to notice that `directory` is made, replaced or removed.
#[must_use]
pub fn way_to(directory: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut at = PathBuf::new();
    let mut way = Vec::new();
    for part in directory.components() {
        if let Component::Normal(name) = part {
            way.push((at.clone(), PathBuf::from(name)));
            at.push(name);
        }
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Result<Globs, BadGlob> {
        Globs::new(&patterns.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>())
    }

    fn roots(patterns: &[&str]) -> Vec<(String, Option<usize>)> {
        let globs = globs(patterns).expect("patterns");
        globs.roots().iter().map(|root| (root.directory.display().to_string(), root.depth)).collect()
    }

    fn at(directory: &str, depth: impl Into<Option<usize>>) -> (String, Option<usize>) {
        (directory.to_owned(), depth.into())
    }

    #[test]
    fn a_star_stays_within_a_part_and_two_cross_them() {
        let table = [
            ("dist/**", "dist/a", true),
            ("dist/**", "dist/a/b.js", true),
            ("dist/**", "dist", false),
            ("dist/**", "other/a", false),
            ("src/*.rs", "src/main.rs", true),
            ("src/*.rs", "src/room/main.rs", false),
            ("src/**/*.rs", "src/main.rs", true),
            ("src/**/*.rs", "src/room/main.rs", true),
            ("./package.json", "package.json", true),
            ("package.json", "sub/package.json", false),
            ("{src,lib}/*.[ch]", "lib/a.h", true),
            ("{src,lib}/*.[ch]", "bin/a.h", false),
            ("a?c", "a/c", false),
            ("dist/**", "dist/.hidden", true),
        ];
        for (glob, file, expected) in table {
            assert_eq!(globs(&[glob]).expect(glob).matches(Path::new(file)), expected, "{glob} {file}");
        }
    }

    #[test]
    fn nothing_outside_of_the_fixed_beginning_is_looked_at() {
        assert_eq!(roots(&["dist/**"]), [at("dist", None)]);
        assert_eq!(roots(&["./package.json"]), [at("", 1)]);
        assert_eq!(roots(&["a/b/c.js"]), [at("a/b", 1)]);
        assert_eq!(roots(&["src/*/mod.rs"]), [at("src", 2)]);
        assert_eq!(roots(&["{src,lib}/**"]), [at("", None)]);
        assert_eq!(roots(&["src/*.rs", "src/**/*.toml", "src/*/x"]), [at("src", None)]);
        assert_eq!(roots(&["src/*.rs", "src/*/x", "b"]), [at("", 1), at("src", 2)]);
        assert_eq!(roots(&["src/{a/b,c}.rs"]), [at("src", 2)]);
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_pattern_is_refused_by_name() {
        let table = [
            ("", "empty"),
            ("./", "empty"),
            (".", "empty"),
            ("/etc/*", "absolute"),
            ("../x", "leads out"),
            ("a/../../x", "leads out"),
            ("{..,a}/b", "leads out"),
            ("dist/", "/**"),
            ("a//b", "empty part"),
            ("a/./b", "empty part"),
            ("a\0b", "NUL"),
            ("a[", "unclosed"),
            ("{a", "unclosed"),
        ];
        for (glob, why) in table {
            let error = globs(&[glob]).expect_err(glob).to_string();
            assert!(error.contains(why), "{glob:?}: {error}");
            assert_eq!(check(&[glob.to_owned()]).expect_err(glob).to_string(), error);
        }
        let many = vec!["a".to_owned(); MOST_GLOBS + 1];
        assert_eq!(check(&many), Err(BadGlob::TooMany { count: 65 }));
    }

    #[test]
    fn the_way_to_a_beginning_names_each_step() {
        let way: Vec<String> = way_to(Path::new("a/b"))
            .iter()
            .map(|(directory, next)| format!("{}>{}", directory.display(), next.display()))
            .collect();
        assert_eq!(way, [">a", "a>b"]);
        assert!(way_to(Path::new("")).is_empty());
    }
}

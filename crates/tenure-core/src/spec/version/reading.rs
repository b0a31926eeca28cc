//! From a text to its place in the one order: the only function that knows the grammars of versions. Pure.
//!
//! The first grammar that reads a text decides. `git describe` comes first, because semver would take the commits after
//! a tag for a pre-release before it; semver comes next, because it is the most common one and has the strictest form;
//! PEP 440 reads what is left. See `docs/design/versions.md` for the texts on which two grammars disagree.

use std::str::FromStr;

use semver::{BuildMetadata, Prerelease};

use super::order::{Described, Order, Parts, Stage, Towards};

/// Digits of an abbreviated commit, at least: `git describe` never writes fewer than 4, and says `-g` before them.
const SHORTEST_DESCRIBED: usize = 4;

/// Digits of a commit that stands alone: git abbreviates to 7 or more, and a SHA-256 has 64.
const COMMIT_DIGITS: std::ops::RangeInclusive<usize> = 7..=64;

/// Longest name of a build: it is shown in one line with other things.
const LONGEST_BUILD: usize = 100;

/// Reads a text without its leading `v`.
pub(super) fn read(text: &str) -> Result<Order, String> {
    let (clean, dirty) = without_dirty(text);
    let (base, commits) = without_commits(clean);
    if let Some(parts) = parts(base) {
        let (commits, commit) = commits.unwrap_or((0, ""));
        // `git describe --long` says 0 commits on the tag itself.
        let described =
            (commits > 0 || dirty).then(|| Described { commits, commit: commit.to_owned(), dirty });
        return Ok(Order::Version(Box::new(Parts { described, ..parts })));
    }
    match semantic(text) {
        Some(parts) => Ok(Order::Version(Box::new(parts))),
        None if is_build(text) => Ok(Order::Build),
        None => Err(why_not(text)),
    }
}

/// The text without what `git describe --dirty` or `--broken` adds, and whether there was such a thing.
fn without_dirty(text: &str) -> (&str, bool) {
    let clean = text.strip_suffix("-dirty").or_else(|| text.strip_suffix("-broken"));
    (clean.unwrap_or(text), clean.is_some())
}

/// The tag, and the commits after it with the last one's name: `1.2.3-5-gabc1234`.
fn without_commits(text: &str) -> (&str, Option<(u64, &str)>) {
    let described = || {
        let (rest, commit) = text.rsplit_once("-g")?;
        let (tag, commits) = rest.rsplit_once('-')?;
        let is_commit = commit.len() >= SHORTEST_DESCRIBED && commit.bytes().all(is_hex);
        Some((tag, (number(commits)?, commit))).filter(|_| is_commit)
    };
    described().map_or((text, None), |(tag, commits)| (tag, Some(commits)))
}

/// The parts by the first grammar that reads the text.
fn parts(text: &str) -> Option<Parts> {
    let others =
        |text| numbered(text).or_else(|| date(text)).or_else(|| patched(text)).or_else(|| python(text));
    semantic(text).or_else(|| if is_commit(text) { None } else { others(text) })
}

fn semantic(text: &str) -> Option<Parts> {
    let version = semver::Version::parse(text).ok()?;
    let release = Parts::release(&[version.major, version.minor, version.patch]).with_pre(version.pre);
    Some(Parts { build: version.build, ..release })
}

/// Any count of numbers, with or without leading zeros, and with a pre-release and build metadata as semver has them.
/// A pre-release begins with a letter here: `15.5-1` is a later one for many and an earlier one for semver.
fn numbered(text: &str) -> Option<Parts> {
    let (before, build) = text.split_once('+').map_or((text, None), |(before, build)| (before, Some(build)));
    let (numbers, pre) = before.split_once('-').map_or((before, None), |(numbers, pre)| (numbers, Some(pre)));
    let release = Parts::release(&self::numbers(numbers)?);
    let pre = match pre {
        Some(pre) if !pre.starts_with(|first: char| first.is_ascii_alphabetic()) => return None,
        Some(pre) => Prerelease::new(pre).ok()?,
        None => Prerelease::EMPTY,
    };
    let build = match build {
        Some("") => return None,
        Some(build) => BuildMetadata::new(build).ok()?,
        None => BuildMetadata::EMPTY,
    };
    Some(Parts { build, ..release.with_pre(pre) })
}

/// A date with hyphens: `2024-01-03`, or `2024-01`.
fn date(text: &str) -> Option<Parts> {
    let fields: Vec<&str> = text.split('-').collect();
    let widths: Vec<usize> = fields.iter().map(|field| field.len()).collect();
    let numbers = fields.iter().map(|field| number(field)).collect::<Option<Vec<u64>>>()?;
    let fits = matches!(widths.as_slice(), [4, 2] | [4, 2, 2]) && is_day(&numbers);
    fits.then(|| Parts::release(&numbers))
}

/// A patch level: `9.2p1` of OpenSSH and Ruby, `1.8.0_392` of Java.
fn patched(text: &str) -> Option<Parts> {
    let (release, level) = text.split_once(['p', '_'])?;
    Some(Parts { post: Some(number(level)?), ..Parts::release(&numbers(release)?) })
}

/// PEP 440, without the spellings that another grammar reads the other way round.
fn python(text: &str) -> Option<Parts> {
    if text.contains('-') || letter_without_number(text).is_some() {
        return None;
    }
    let version = pep440_rs::Version::from_str(text).ok()?;
    let pre = version.pre().map(|pre| {
        let kind = match pre.kind {
            pep440_rs::PrereleaseKind::Alpha => "alpha",
            pep440_rs::PrereleaseKind::Beta => "beta",
            pep440_rs::PrereleaseKind::Rc => "rc",
        };
        Prerelease::new(&format!("{kind}.{}", pre.number))
    });
    let (post, dev) = (version.post(), version.dev());
    let stage = match pre.transpose().ok()? {
        Some(pre) => Stage::Pre(pre),
        None if post.is_none() && dev.is_some() => Stage::Development,
        None => Stage::Release,
    };
    let local: Vec<String> = version.local().iter().map(ToString::to_string).collect();
    Some(Parts {
        epoch: version.epoch(),
        stage,
        post,
        towards: dev.map_or(Towards::Reached, Towards::Development),
        build: BuildMetadata::new(&local.join(".")).ok()?,
        ..Parts::release(version.release())
    })
}

/// Whether the text names a build: a commit, or a word.
fn is_build(text: &str) -> bool {
    let (clean, _) = without_dirty(text);
    let may_follow = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(may_follow);
    (is_commit(clean) || is_word) && text.len() <= LONGEST_BUILD
}

/// Whether the text is a commit. A long number may be one too, unless it is a date such as `20240103`: as a version it
/// would be the highest for ever.
fn is_commit(text: &str) -> bool {
    let is_long_hex = COMMIT_DIGITS.contains(&text.len()) && text.bytes().all(is_hex);
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(number);
    let day = [part(0..4), part(4..6), part(6..8)].into_iter().collect::<Option<Vec<u64>>>();
    let is_date = matches!(text.len(), 8 | 10 | 12 | 14)
        && number(text).is_some()
        && day.is_some_and(|day| is_day(&day));
    is_long_hex && !is_date
}

/// Whether numbers are year, month and day, or year and month.
fn is_day(numbers: &[u64]) -> bool {
    let in_range = |index: usize, range: std::ops::RangeInclusive<u64>| {
        numbers.get(index).is_none_or(|number| range.contains(number))
    };
    in_range(0, 1900..=2999) && in_range(1, 1..=12) && in_range(2, 1..=31)
}

/// The letter `a`, `b` or `c` after a number and before none: an alpha for Python, and a patch for `tmux 3.3a`.
fn letter_without_number(text: &str) -> Option<usize> {
    let release = text.split('+').next().unwrap_or_default().as_bytes();
    let at = |index: usize| release.get(index).copied();
    (1..release.len()).find(|&index| {
        matches!(at(index), Some(b'a'..=b'c' | b'A'..=b'C'))
            && !at(index - 1).is_some_and(|before| before.is_ascii_alphabetic())
            && !at(index + 1).is_some_and(|after| after.is_ascii_alphanumeric())
    })
}

/// Why a text is neither a version nor the name of a build, and what to write.
fn why_not(text: &str) -> String {
    if text.is_empty() {
        return "it is empty".to_owned();
    }
    if text.chars().any(char::is_whitespace) {
        return "it has more than one word; write the version alone".to_owned();
    }
    let too_large = |digits: &str| !digits.is_empty() && number(digits).is_none();
    if text.split(|each: char| !each.is_ascii_digit()).any(too_large) {
        return format!("a number in it is larger than {}", u64::MAX);
    }
    if let Some(at) = letter_without_number(text) {
        let (release, letter) = (text.get(..at).unwrap_or_default(), text.get(at..=at).unwrap_or_default());
        return format!(
            "its letter comes before the release for some and after it for others; write {release}{letter}0 for an \
             earlier version, or {release}.post1 for a later one"
        );
    }
    if let Some((release, level)) = text.split_once('-')
        && numbers(release).is_some()
        && level.starts_with(|first: char| first.is_ascii_digit())
    {
        let digits: String = level.chars().take_while(char::is_ascii_digit).collect();
        return format!(
            "its \"-{digits}\" comes before the release for some and after it for others; write {release}.post{digits} \
             for a later version, or {release}-rc.{digits} for an earlier one"
        );
    }
    if text.len() > LONGEST_BUILD {
        return format!("it is longer than {LONGEST_BUILD} characters");
    }
    "write numbers with dots between them, such as 13.6.0, 2024.01.03, 1.2.3-rc.1 or 1.2.3.post1; or a name that \
     begins with a letter, for a build without an order"
        .to_owned()
}

/// Numbers with dots between them.
fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(number).collect()
}

/// A number of digits only: `u64` alone would also take a plus sign.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

//! Finds the version in what a command printed. Pure.
//!
//! With a pattern, the pattern decides. Without one, an answer of one word is the version; in a longer answer the words
//! that read as versions are candidates, and one of them is chosen only if the answer says which one it is: it stands
//! behind the program's name, or all candidates have the same numbers, or one stands behind the word "version" on the
//! first line with candidates. Otherwise nothing is chosen, because a wrong version would decide which program runs; the
//! error then has the key that decides.

use std::path::Path;

use crate::spec::version::{NoVersion, Version};

use super::stated::{VersionCommand, VersionPattern};

/// Most of an answer that is quoted: a line or two tell which program it is.
const LONGEST_QUOTE: usize = 300;

/// Most candidates that are named in an error.
const MOST_NAMED: usize = 3;

/// Most characters before a candidate that become a part of a suggested pattern.
const LONGEST_CONTEXT: usize = 24;

/// An answer from which no version can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find the version in {answer:?}: {why}")]
pub struct Unclear {
    /// What the command printed, shortened.
    pub answer: String,
    /// What is wrong with it.
    pub why: String,
    /// What to write as `version`, where that can be told.
    pub write: Option<String>,
}

/// Finds the version in what `asked` wrote to its standard output, or to its standard error.
pub(super) fn version_in(asked: &VersionCommand, output: &str, errors: &str) -> Result<Version, Unclear> {
    let (output, errors) = (plain(output), plain(errors));
    let is_empty = output.trim().is_empty();
    let answer = if is_empty && asked.stderr { errors.trim() } else { output.trim() };
    let unclear = |why: String, write: Option<String>| Unclear { answer: shortened(answer), why, write };
    if answer.is_empty() {
        if errors.trim().is_empty() || asked.stderr {
            return Err(unclear("it is empty".to_owned(), None));
        }
        let why = "it wrote this to its standard error, and nothing to its standard output".to_owned();
        let with = VersionCommand { stderr: true, ..asked.clone() };
        return Err(Unclear { answer: shortened(errors.trim()), why, write: Some(written(&with)) });
    }
    if let Some(pattern) = &asked.pattern {
        let Some(found) = pattern.find(answer) else {
            return Err(unclear(format!("the pattern {:?} does not match", pattern.as_str()), None));
        };
        return found.parse().map_err(|no: NoVersion| unclear(format!("failed to {no}"), None));
    }
    unnamed(asked, answer).map_err(|(why, write)| unclear(why, write))
}

/// Finds the version without a pattern; else why not, and what to write.
fn unnamed(asked: &VersionCommand, answer: &str) -> Result<Version, (String, Option<String>)> {
    let is_one_word = !answer.contains(char::is_whitespace);
    let whole = answer.parse::<Version>();
    if is_one_word
        && let Ok(version) = &whole
        && !version.is_build()
    {
        return Ok(version.clone());
    }
    let all = candidates(answer);
    let dotted: Vec<&Candidate<'_>> = all.iter().filter(|one| one.is_dotted).collect();
    let everything: Vec<&Candidate<'_>> = all.iter().collect();
    let chosen = named(asked, &dotted)
        .or_else(|| named(asked, &everything))
        .or_else(|| alike(&dotted))
        .or_else(|| labelled(&dotted))
        .or_else(|| if dotted.is_empty() { labelled(&everything) } else { None });
    if let Some(chosen) = chosen {
        return Ok(chosen.version.clone());
    }
    if dotted.is_empty() {
        return match whole {
            Ok(build) if is_one_word => Ok(build),
            Err(no) if is_one_word => Err((no.why, None)),
            Ok(_) | Err(_) => {
                let with = |pattern: String| with_pattern(asked, pattern);
                Err((
                    "no word in it is a version".to_owned(),
                    Some(with(r"WORDS BEFORE IT (\S+)".to_owned())),
                ))
            }
        };
    }
    let names: Vec<&str> = dotted.iter().take(MOST_NAMED).map(|one| one.text).collect();
    let first = dotted.first().map(|one| one.pattern());
    let why = format!("it may be {}", names.join(", or "));
    Err((why, first.map(|pattern| with_pattern(asked, pattern))))
}

/// A word that reads as a version.
struct Candidate<'answer> {
    version: Version,
    text: &'answer str,
    /// What stands before it on its line.
    before: &'answer str,
    /// The character behind it.
    behind: Option<char>,
    line: usize,
    /// Whether it has two numbers with a dot between them. Lone numbers are also sizes, days and copyright years.
    is_dotted: bool,
}

fn candidates(answer: &str) -> Vec<Candidate<'_>> {
    let between = |each: char| each.is_whitespace() || "()[]{}<>\"'`,;:=/|@".contains(each);
    let mut found = Vec::new();
    for (line, text) in answer.lines().enumerate() {
        let mut start = 0;
        for word in text.split_inclusive(between) {
            let bare = word.trim_end_matches(between).trim_end_matches('.');
            let skipped = name_before(bare);
            let rest = bare.get(skipped..).unwrap_or_default();
            if let Ok(version) = rest.parse::<Version>()
                && !version.is_build()
            {
                let (at, end) = (start + skipped, start + bare.len());
                found.push(Candidate {
                    version,
                    text: rest,
                    before: text.get(..at).unwrap_or_default(),
                    behind: text.get(end..).and_then(|behind| behind.chars().next()),
                    line,
                    is_dotted: is_dotted(rest),
                });
            }
            start += word.len();
        }
    }
    found
}

/// The length of a name that is joined to the version behind it: `OpenSSH_9.2p1`, `go1.19.8`, `node-v20.9.0`.
fn name_before(word: &str) -> usize {
    let digits = word.find(|each: char| each.is_ascii_digit()).unwrap_or(0);
    let name = word.get(..digits).unwrap_or_default();
    let is_name = name.chars().all(|each| each.is_ascii_alphabetic() || "-_".contains(each));
    if is_name { digits } else { 0 }
}

fn is_dotted(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    numbers.next() == Some(true)
        && numbers.next() == Some(true)
        && version
            .split('.')
            .next()
            .is_some_and(|first| first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'!'))
}

/// The only version behind a name of the program.
fn named<'some, 'answer>(
    asked: &VersionCommand,
    candidates: &[&'some Candidate<'answer>],
) -> Option<&'some Candidate<'answer>> {
    names(&asked.command).iter().find_map(|name| {
        let behind: Vec<_> = candidates.iter().copied().filter(|one| one.is_behind(name)).collect();
        alike(&behind)
    })
}

/// The first of several with the same numbers.
fn alike<'some, 'answer>(candidates: &[&'some Candidate<'answer>]) -> Option<&'some Candidate<'answer>> {
    let first = candidates.first()?;
    candidates.iter().all(|one| one.version.is_same_release(&first.version)).then_some(first)
}

/// The one behind the word "version", on the first line that has candidates.
fn labelled<'some, 'answer>(candidates: &[&'some Candidate<'answer>]) -> Option<&'some Candidate<'answer>> {
    let line = candidates.first()?.line;
    let on_line = candidates.iter().copied().filter(|one| one.line == line && one.is_labelled());
    alike(&on_line.collect::<Vec<_>>())
}

impl Candidate<'_> {
    /// Whether nothing but marks, brackets and the word "version" stands between the name and the version.
    fn is_behind(&self, name: &str) -> bool {
        let before = without_label(self.before);
        let Some(rest) = before.strip_suffix(name) else { return false };
        // "OpenSSH" is behind `ssh`; but a name of a letter or two is also the end of other words.
        name.len() > 2 || !rest.ends_with(|last: char| last.is_ascii_alphanumeric())
    }

    fn is_labelled(&self) -> bool {
        without_marks(&self.before.to_ascii_lowercase()).ends_with("version")
    }

    /// A pattern that finds this candidate.
    fn pattern(&self) -> String {
        let line = self.before.chars().count();
        let context: String = self.before.chars().skip(line.saturating_sub(LONGEST_CONTEXT)).collect();
        // Half a word at the start says nothing.
        let cut = if line > LONGEST_CONTEXT { context.find(' ').map_or(0, |space| space + 1) } else { 0 };
        let words = context.get(cut..).unwrap_or_default();
        let words = words.trim_start();
        let start = if words.is_empty() { "^".to_owned() } else { regex_lite::escape(words) };
        let group = match self.behind.filter(|behind| !behind.is_whitespace()) {
            Some(behind) => format!(r"([^\s{}]+)", regex_lite::escape(&behind.to_string())),
            None => r"(\S+)".to_owned(),
        };
        format!("{start}{group}")
    }
}

/// The text in small letters without the marks at its end, and without "version" and brackets between them.
fn without_label(before: &str) -> String {
    let small = before.to_ascii_lowercase().replace(['-', '_'], " ");
    let mut rest = without_marks(&small);
    loop {
        let shorter = match rest.strip_suffix("version").or_else(|| rest.strip_suffix(" v")) {
            Some(shorter) => shorter,
            None if rest.ends_with(')') => rest.rfind('(').and_then(|open| rest.get(..open)).unwrap_or(rest),
            None => rest,
        };
        if shorter.len() == rest.len() {
            return rest.to_owned();
        }
        rest = without_marks(shorter);
    }
}

fn without_marks(text: &str) -> &str {
    text.trim_end_matches(|last: char| last.is_whitespace() || "/:=-_,\"'([".contains(last))
}

/// What the answer may call the program. The last words come first: `python -m flask` is Flask. An interpreter is its
/// own name only where it stands alone.
fn names(command: &[String]) -> Vec<String> {
    let words: Vec<String> = command.iter().flat_map(|word| word.split_whitespace()).map(name_of).collect();
    let is_name = |word: &&String| !word.is_empty() && *word != "version";
    let mut names: Vec<&String> = words.iter().skip(1).rev().filter(is_name).collect();
    if names.is_empty() {
        names.extend(words.first().filter(is_name));
    }
    let mut variants = Vec::new();
    for name in names {
        let without_digits = name.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.');
        let head = name.split(' ').next().unwrap_or_default();
        for variant in [name.as_str(), without_digits, head] {
            if !variant.is_empty() && !variants.iter().any(|known| known == variant) {
                variants.push(variant.to_owned());
            }
        }
    }
    variants
}

/// A word of the command as an answer writes it: the file's name without its ending, in small letters.
fn name_of(word: &str) -> String {
    if word.starts_with('-') {
        return String::new();
    }
    let file = Path::new(word).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let endings = [".js", ".mjs", ".cjs", ".ts", ".py", ".rb", ".jar", ".php", ".sh", ".exe"];
    let bare = endings.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    bare.to_ascii_lowercase().replace(['-', '_'], " ")
}

/// The answer without colours and carriage returns.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(each) = rest.next() {
        if each == '\u{1b}' && rest.peek() == Some(&'[') {
            // CSI: parameters, then one byte from `@` to `~` (ECMA-48, 5.4).
            rest.next();
            while rest.next().is_some_and(|inside| !('@'..='~').contains(&inside)) {}
        } else if each != '\r' {
            plain.push(each);
        }
    }
    plain
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn with_pattern(asked: &VersionCommand, pattern: String) -> String {
    let pattern = VersionPattern::try_from(pattern).ok();
    written(&VersionCommand { pattern, ..asked.clone() })
}

/// The key as it is written in a configuration file.
fn written(asked: &VersionCommand) -> String {
    // JSON's text is a basic string of TOML.
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let mut keys =
        vec![format!("command = {}", list(asked.command.iter().map(|word| quoted(word)).collect()))];
    if !asked.inputs.is_empty() {
        let inputs = asked.inputs.iter().map(|input| quoted(&input.to_string_lossy()));
        keys.push(format!("inputs = {}", list(inputs.collect())));
    }
    if let Some(pattern) = &asked.pattern {
        let text = pattern.as_str();
        let is_literal = !text.contains('\'') && !text.contains(char::is_control);
        keys.push(format!("pattern = {}", if is_literal { format!("'{text}'") } else { quoted(text) }));
    }
    if asked.stderr {
        keys.push("stderr = true".to_owned());
    }
    format!("version = {{ {} }}", keys.join(", "))
}

#[cfg(test)]
mod tests;

//! Rust source text as tokens, so far as the checks need them: identifiers, punctuation, string literals.
//!
//! Comments, numbers, characters and lifetimes are dropped. Code that only a test build has can be cut out. Pure; it
//! judges nothing, and takes text that does not compile as well as text that does.

/// One token and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword, without `r#`.
    Word(String),
    /// A string, byte string or C string literal as written, without its quotes.
    Text(String),
    /// One character of punctuation; `::` is `Path`.
    Mark(char),
    /// `::`
    Path,
}

impl Token {
    /// The identifier or keyword that this is.
    pub(crate) fn word(&self) -> Option<&str> {
        if let Kind::Word(word) = &self.kind { Some(word) } else { None }
    }

    /// Whether this is that identifier or keyword.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    /// Whether this is that punctuation.
    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    /// Whether this is `::`.
    pub(crate) fn is_path(&self) -> bool {
        self.kind == Kind::Path
    }
}

/// The tokens of a source text.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut reader = Reader { rest: text, line: 1, tokens: Vec::new() };
    while reader.step() {}
    reader.tokens
}

struct Reader<'text> {
    rest: &'text str,
    line: usize,
    tokens: Vec<Token>,
}

impl<'text> Reader<'text> {
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest));
        } else if self.rest.starts_with("::") {
            self.push(Kind::Path);
            self.take(2);
        } else if let Some((open, body, whole)) = string_literal(self.rest) {
            self.push(Kind::Text(self.rest[open..open + body].to_owned()));
            self.take(whole);
        } else if first == '\'' {
            self.take(character_or_lifetime(self.rest));
        } else if let Some(byte) = self.rest.strip_prefix('b').filter(|rest| rest.starts_with('\'')) {
            self.take(1 + character_or_lifetime(byte));
        } else if first.is_ascii_digit() {
            self.take(word_length(self.rest));
        } else if first == '_' || first.is_alphabetic() {
            if let Some(rest) = self.rest.strip_prefix("r#") {
                self.rest = rest;
            }
            let word = self.take(word_length(self.rest));
            self.push(Kind::Word(word.to_owned()));
        } else {
            if !first.is_whitespace() {
                self.push(Kind::Mark(first));
            }
            self.take(first.len_utf8());
        }
        true
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn take(&mut self, length: usize) -> &'text str {
        // At least one character is taken, also of text that ends in the middle of a token.
        let length = length.max(self.rest.chars().next().map_or(0, char::len_utf8));
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

fn word_length(text: &str) -> usize {
    text.find(|one: char| one != '_' && !one.is_alphanumeric()).unwrap_or(text.len())
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Where the body of the string literal at the head of `text` begins, how long it is and how long the whole is.
fn string_literal(text: &str) -> Option<(usize, usize, usize)> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).unwrap_or("");
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    })?;
    let after = &text[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let open = prefix.len() + hashes + 1;
    let body = &text[open..];
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).unwrap_or(body.len());
        return Some((open, length, (open + length + end.len()).min(text.len())));
    }
    let mut escaped = false;
    let length = body
        .find(|one: char| {
            let ends = one == '"' && !escaped;
            escaped = one == '\\' && !escaped;
            ends
        })
        .unwrap_or(body.len());
    Some((open, length, (open + length + 1).min(text.len())))
}

fn character_or_lifetime(text: &str) -> usize {
    let body = &text[1..];
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character itself may be a quote.
        let skipped = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skipped..].find('\'').map_or(text.len(), |at| 2 + skipped + at + 1);
    }
    let first = body.chars().next().map_or(0, char::len_utf8);
    if body[first..].starts_with('\'') { 1 + first + 1 } else { 1 + word_length(body) }
}

/// What is left when everything that only a test build has is cut out, and the names of the modules of which each
/// test build has a whole file (`#[cfg(test)] mod name;`).
#[derive(Debug, Default)]
pub(crate) struct Shipped {
    /// The tokens of the rest.
    pub(crate) tokens: Vec<Token>,
    /// The names of the modules.
    pub(crate) test_modules: Vec<String>,
}

/// Cuts out every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub(crate) fn shipped(tokens: &[Token]) -> Shipped {
    let mut shipped = Shipped::default();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            let item = skip_attributes(tokens, at);
            let end = end_of_item(tokens, item);
            shipped.test_modules.extend(declared_modules(&tokens[item..end]));
            at = end;
        } else if tokens[at].is_mark('#') && is_test_attribute_of_file(&tokens[at..]) {
            return Shipped::default();
        } else {
            shipped.tokens.push(tokens[at].clone());
            at += 1;
        }
    }
    shipped
}

/// The names of the modules that have a file of their own (`mod name;`).
pub(crate) fn declared_modules(tokens: &[Token]) -> Vec<String> {
    tokens
        .windows(3)
        .filter(|three| three[0].is_word("mod") && three[2].is_mark(';'))
        .filter_map(|three| three[1].word().map(str::to_owned))
        .collect()
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    matches!(tokens, [hash, open, rest @ ..]
        if hash.is_mark('#') && open.is_mark('[') && is_test_condition(rest))
}

fn is_test_attribute_of_file(tokens: &[Token]) -> bool {
    matches!(tokens, [_, bang, open, rest @ ..]
        if bang.is_mark('!') && open.is_mark('[') && is_test_condition(rest))
}

fn is_test_condition(tokens: &[Token]) -> bool {
    let words: Vec<&str> = tokens.iter().take(5).filter_map(Token::word).collect();
    matches!(words.as_slice(), ["cfg", "test", ..] | ["cfg", "all", "test", ..])
}

fn skip_attributes(tokens: &[Token], mut at: usize) -> usize {
    while at + 1 < tokens.len() && tokens[at].is_mark('#') && tokens[at + 1].is_mark('[') {
        at = end_of_group(tokens, at + 1);
    }
    at
}

/// The index after the group that opens at `at`.
pub(crate) fn end_of_group(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Kind::Mark(_) | Kind::Path | Kind::Word(_) | Kind::Text(_) => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Words that begin an item; anything else under an attribute is a field, an arm, an argument or a statement.
const ITEMS: [&str; 14] = [
    "pub",
    "mod",
    "fn",
    "use",
    "struct",
    "enum",
    "impl",
    "const",
    "static",
    "type",
    "trait",
    "async",
    "unsafe",
    "macro_rules",
];

fn end_of_item(tokens: &[Token], start: usize) -> usize {
    let is_item = tokens.get(start).and_then(Token::word).is_some_and(|word| ITEMS.contains(&word));
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark('{') => return end_of_group(tokens, at),
            Kind::Mark('(' | '[') => at = end_of_group(tokens, at),
            Kind::Mark(';') => return at + 1,
            Kind::Mark(',') if !is_item => return at + 1,
            Kind::Mark(')' | ']' | '}') => return at,
            Kind::Mark(_) | Kind::Path | Kind::Word(_) | Kind::Text(_) => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(tokens: &[Token]) -> String {
        tokens.iter().filter_map(Token::word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_hold_no_words() {
        let text = r##"a /* x /* y */ z */ b // c
            "d \" e" r#"f " g"# b'"' '\'' 'h' fn<'i>(r#type: &'i str) br"j" 1_000u64"##;
        assert_eq!(words(&tokens(text)), "a b fn type str");
    }

    #[test]
    fn a_string_is_kept_as_written() {
        let texts: Vec<Kind> =
            tokens(r##"env("A_B") c"D" r#"E"F"# "##).into_iter().map(|one| one.kind).collect();
        assert!(texts.contains(&Kind::Text("A_B".to_owned())));
        assert!(texts.contains(&Kind::Text("D".to_owned())));
        assert!(texts.contains(&Kind::Text("E\"F".to_owned())));
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let all = tokens("/* 1\n2 */ \"3\n4\" here");
        assert_eq!(all.last().map(|last| last.line), Some(3));
    }

    #[test]
    fn text_that_ends_in_the_middle_of_a_token_is_taken_to_its_end() {
        for text in ["\"open", "r#\"open", "/* open", "'", "'\\", "b'", "r#", "#"] {
            tokens(text);
        }
    }

    #[test]
    fn what_only_a_test_build_has_is_cut_out() {
        let text = "a; #[cfg(test)] #[x(y)] mod tests { b { c } } d; #[cfg(all(test, unix))] use e::{f}; g; \
                    #[cfg(not(test))] fn h() {} match i { #[cfg(test)] J => k, L => m } \
                    #[cfg(test)] pub fn n<O, P>() -> Q { r } s";
        assert_eq!(words(&shipped(&tokens(text)).tokens), "a d g cfg not test fn h match i L m s");
    }

    #[test]
    fn a_test_module_with_its_own_file_is_named() {
        let shipped = shipped(&tokens("mod room; #[cfg(test)] mod tests; #[cfg(test)] pub(crate) mod more;"));
        assert_eq!(shipped.test_modules, ["tests", "more"]);
        assert_eq!(declared_modules(&shipped.tokens), ["room"]);
    }

    #[test]
    fn a_file_that_only_a_test_build_has_ships_nothing() {
        assert!(shipped(&tokens("//! Head.\n#![cfg(test)]\nuse crate::x;")).tokens.is_empty());
    }
}

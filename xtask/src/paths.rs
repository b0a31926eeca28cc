//! Which modules of its own crate a source file names: `crate::`, `$crate::`, `self::`, `super::` and its declared
//! children, alone, in groups and in the middle of code.
//!
//! Pure. It resolves a path to whole segments below the crate's root and leaves it to the caller which module that is.

use crate::token::{Token, declared_modules};

/// One mention of a path of the own crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Where it stands.
    pub(crate) line: usize,
    /// Its segments below the crate's root; empty for all of the root.
    pub(crate) segments: Vec<String>,
    /// Whether it calls a macro, which may live at the root wherever it is written.
    pub(crate) calls_macro: bool,
}

/// All mentions in the tokens of the file of module `module` (`["takeover", "machine"]`).
pub(crate) fn mentions(tokens: &[Token], module: &[String]) -> Vec<Mention> {
    let mut walk = Walk {
        tokens,
        children: declared_modules(tokens),
        file_depth: module.len(),
        module: module.to_vec(),
        inline: Vec::new(),
        depth: 0,
        mentions: Vec::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        at = walk.step(at);
    }
    walk.mentions
}

struct Walk<'tokens> {
    tokens: &'tokens [Token],
    children: Vec<String>,
    file_depth: usize,
    /// The module at this place: that of the file and the inline ones within.
    module: Vec<String>,
    /// The brace depth at which each inline module began.
    inline: Vec<usize>,
    depth: usize,
    mentions: Vec<Mention>,
}

impl Walk<'_> {
    fn step(&mut self, at: usize) -> usize {
        let token = &self.tokens[at];
        if token.is_mark('{') {
            self.depth += 1;
        } else if token.is_mark('}') {
            self.depth = self.depth.saturating_sub(1);
            if self.inline.last() == Some(&self.depth) {
                self.inline.pop();
                self.module.pop();
            }
        } else if token.is_word("mod") && self.mark_at(at + 2, '{') {
            self.inline.push(self.depth);
            self.module.extend(self.tokens[at + 1].word().map(str::to_owned));
            self.depth += 1;
            return at + 3;
        } else if let Some((base, next)) = self.base(at) {
            return self.tree(base, next);
        }
        at + 1
    }

    /// The module that the path at `at` begins in and the index of what follows its `::`.
    fn base(&self, at: usize) -> Option<(Vec<String>, usize)> {
        let word = self.tokens[at].word()?;
        let follows_path = at > 0 && (self.tokens[at - 1].is_path() || self.tokens[at - 1].is_mark('.'));
        let is_visibility = at > 0 && self.tokens[at - 1].is_word("in");
        if follows_path || is_visibility || !self.path_at(at + 1) {
            return None;
        }
        match word {
            "crate" => Some((Vec::new(), at + 2)),
            "self" => Some((self.module.clone(), at + 2)),
            "super" => {
                let mut base = self.module.clone();
                let mut next = at;
                while self.tokens.get(next).is_some_and(|token| token.is_word("super"))
                    && self.path_at(next + 1)
                {
                    base.pop();
                    next += 2;
                }
                Some((base, next))
            }
            child if self.module.len() == self.file_depth && self.children.iter().any(|one| one == child) => {
                Some((self.module.clone(), at))
            }
            _ => None,
        }
    }

    /// Takes the use tree or path at `at`, below `prefix`; the index after it.
    fn tree(&mut self, mut prefix: Vec<String>, mut at: usize) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        if self.mark_at(at, '{') {
            at += 1;
            while at < self.tokens.len() && !self.mark_at(at, '}') {
                let start = at;
                at = self.tree(prefix.clone(), at);
                // `, ` and `as name` and whatever does not belong in a tree
                while at < self.tokens.len() && !self.mark_at(at, ',') && !self.mark_at(at, '}') {
                    at += 1;
                }
                at = if self.mark_at(at, ',') { at + 1 } else { at.max(start) };
            }
            return at + 1;
        }
        let word = self.tokens.get(at).and_then(Token::word).filter(|word| *word != "self");
        if let Some(word) = word {
            prefix.push(word.to_owned());
            if self.path_at(at + 1) {
                return self.tree(prefix, at + 2);
            }
        }
        let calls_macro = word.is_some() && self.mark_at(at + 1, '!') && !self.mark_at(at + 2, '=');
        self.mentions.push(Mention { line, segments: prefix, calls_macro });
        // Only what belongs to the path is taken: a turbofish or a brace of code is walked by the caller.
        if word.is_some()
            || self.tokens.get(at).is_some_and(|token| token.is_word("self") || token.is_mark('*'))
        {
            at + 1
        } else {
            at
        }
    }

    fn mark_at(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_mark(mark))
    }

    fn path_at(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(Token::is_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tokens;

    fn seen(text: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|one| (*one).to_owned()).collect();
        mentions(&tokens(text), &module).into_iter().map(|one| one.segments.join("/")).collect()
    }

    #[test]
    fn groups_are_taken_apart() {
        let text = "use crate::{a::{B, c::D as E}, f, self, g::*}; use crate::h;";
        assert_eq!(seen(text, &["m"]), ["a/B", "a/c/D", "f", "", "g", "h"]);
    }

    #[test]
    fn a_path_in_code_is_a_mention() {
        let text = "fn f(x: &crate::a::B) { if x == crate::c::D { y } crate::e::f::<G>() } pub(in crate::h) fn i() {}";
        assert_eq!(seen(text, &["m"]), ["a/B", "c/D", "e/f"]);
    }

    #[test]
    fn a_macro_names_its_crate_with_a_dollar() {
        assert_eq!(seen("macro_rules! m { () => { $crate::a::b() } }", &["m"]), ["a/b"]);
    }

    #[test]
    fn super_is_counted_from_the_module_it_stands_in() {
        assert_eq!(seen("use super::b::C; use super::super::d;", &["a", "m"]), ["a/b/C", "d"]);
        assert_eq!(
            seen("mod n { use super::X; mod o { use super::super::Y; } } use super::Z;", &["m"]),
            ["m/X", "m/Y", "Z"]
        );
    }

    #[test]
    fn a_declared_child_is_mentioned_by_its_bare_name() {
        let text = "mod part; pub use part::{A, B}; fn f() { x::part::no(); self::part::c(); part::d(); other::e() }";
        assert_eq!(seen(text, &["m"]), ["m/part/A", "m/part/B", "m/part/c", "m/part/d"]);
    }

    #[test]
    fn a_call_of_a_macro_is_told_apart() {
        let calls: Vec<bool> = mentions(&tokens("crate::a!(); crate::b() ; crate::C != d"), &[])
            .iter()
            .map(|one| one.calls_macro)
            .collect();
        assert_eq!(calls, [true, false, false]);
    }
}

//! What one Rust source names: paths, string literals, enums and modules, as far as the checks need them.
//!
//! Pure, by `syn`. Items that only a test build has are left out. A macro's input is read token by token, because only
//! the macro knows its grammar. Documentation counts as no string.

#![expect(clippy::wildcard_enum_match_arm, reason = "of the many kinds of items few are of interest here")]

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, ImplItem, Item, ItemMod, Lit, Macro, Member, Meta, Path, Token, UseTree,
};

use crate::tree::Tree;

/// One path that the source names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The line of its last name, counted from 1.
    pub(crate) line: usize,
    /// Its names. One into the own crate begins with `crate`, however it is written.
    pub(crate) names: Vec<String>,
    /// Whether it calls a macro, which may live at the root wherever it is written.
    pub(crate) calls_macro: bool,
}

/// What ships of a source file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Every path of more than one name, and every import.
    pub(crate) mentions: Vec<Mention>,
    /// The string, byte string and C string literals.
    pub(crate) texts: Vec<String>,
    /// For each string literal in a field `id` of a struct literal: the struct's name and the string.
    pub(crate) ids: Vec<(String, String)>,
    /// The variants of each enum, by its name.
    pub(crate) enums: Vec<(String, Vec<String>)>,
    /// The names of the modules of which a test build has a whole file (`#[cfg(test)] mod name;`).
    pub(crate) test_modules: Vec<String>,
    /// Whether only a test build has this file (`#![cfg(test)]`).
    pub(crate) is_test: bool,
}

/// Every source file below a directory of `crates/`, by its path; one that cannot be parsed is a finding.
pub(crate) fn below<'tree>(
    tree: &'tree Tree,
    directory: &str,
    findings: &mut Vec<String>,
) -> Vec<(&'tree str, Source)> {
    let mut sources = Vec::new();
    for (path, text) in tree.below(directory, ".rs") {
        let Some((_, file)) = path.split_once("/src/") else { continue };
        match read(text, &module_of(file)) {
            Ok(source) => sources.push((path, source)),
            Err(error) => findings.push(format!("{path}: {error}")),
        }
    }
    sources
}

/// The module of a file below `src/`: `["takeover", "machine"]`, empty for a root.
pub(crate) fn module_of(file: &str) -> Vec<String> {
    let room = file.trim_end_matches(".rs");
    let is_root = matches!(room, "lib" | "main") || room.starts_with("bin/");
    if is_root { Vec::new() } else { room.split('/').map(str::to_owned).collect() }
}

fn read(text: &str, module: &[String]) -> syn::Result<Source> {
    let file = syn::parse_file(text)?;
    if file.attrs.iter().any(is_test_only) {
        return Ok(Source { is_test: true, ..Source::default() });
    }
    let mut reader = Reader {
        children: file.items.iter().filter_map(declared_module).collect(),
        depth_of_file: module.len(),
        module: module.to_vec(),
        source: Source::default(),
    };
    reader.visit_file(&file);
    Ok(reader.source)
}

/// The lines on which the keyword `unsafe` stands, also in the input of macros and in tests.
pub(crate) fn unsafe_lines(text: &str) -> syn::Result<Vec<usize>> {
    fn walk(tokens: TokenStream, lines: &mut Vec<usize>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => walk(group.stream(), lines),
                TokenTree::Ident(word) if word == "unsafe" => lines.push(line(word.span())),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut lines = Vec::new();
    walk(text.parse()?, &mut lines);
    Ok(lines)
}

struct Reader {
    /// The modules that the file declares and that have files of their own.
    children: Vec<String>,
    depth_of_file: usize,
    /// The module at this place: that of the file and the inline ones within.
    module: Vec<String>,
    source: Source,
}

impl Visit<'_> for Reader {
    fn visit_item(&mut self, item: &Item) {
        if !attributes(item).iter().any(is_test_only) {
            visit::visit_item(self, item);
        } else if let Some(name) = declared_module(item) {
            self.source.test_modules.push(name);
        }
    }

    fn visit_impl_item(&mut self, item: &ImplItem) {
        if !matches!(item, ImplItem::Fn(function) if function.attrs.iter().any(is_test_only)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &ItemMod) {
        self.module.push(item.ident.unraw().to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_enum(&mut self, item: &syn::ItemEnum) {
        let variants = item.variants.iter().map(|variant| variant.ident.to_string()).collect();
        self.source.enums.push((item.ident.to_string(), variants));
        visit::visit_item_enum(self, item);
    }

    fn visit_attribute(&mut self, attribute: &Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.read_tokens(list.tokens.clone());
        } else if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }

    /// `pub(in path)` uses nothing.
    fn visit_vis_restricted(&mut self, _: &syn::VisRestricted) {}

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &Path) {
        self.path(&names_of(path), false);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &Macro) {
        self.path(&names_of(&call.path), true);
        self.read_tokens(call.tokens.clone());
    }

    fn visit_lit(&mut self, literal: &Lit) {
        self.source.texts.extend(text_of(literal));
    }

    fn visit_expr_struct(&mut self, value: &syn::ExprStruct) {
        let name = value.path.segments.last().map(|last| last.ident.to_string());
        for field in &value.fields {
            if let (Member::Named(member), Expr::Lit(ExprLit { lit: Lit::Str(id), .. })) =
                (&field.member, &field.expr)
                && member == "id"
            {
                self.source.ids.extend(name.clone().map(|name| (name, id.value())));
            }
        }
        visit::visit_expr_struct(self, value);
    }
}

impl Reader {
    fn import(&mut self, tree: &UseTree, before: &[Ident]) {
        let (last, rest) = match tree {
            UseTree::Path(path) => (Some(&path.ident), Some(&*path.tree)),
            UseTree::Group(group) => return group.items.iter().for_each(|one| self.import(one, before)),
            UseTree::Name(name) => (Some(&name.ident), None),
            UseTree::Rename(name) => (Some(&name.ident), None),
            UseTree::Glob(_) => (None, None),
        };
        let names: Vec<Ident> = before.iter().chain(last).cloned().collect();
        match rest {
            Some(rest) => self.import(rest, &names),
            None => self.mention(&names, false),
        }
    }

    /// A single name is no path: it is local, or was imported.
    fn path(&mut self, written: &[Ident], calls_macro: bool) {
        if written.len() > 1 {
            self.mention(written, calls_macro);
        }
    }

    fn mention(&mut self, written: &[Ident], calls_macro: bool) {
        let Some(last) = written.last() else { return };
        let mut names: Vec<String> = written.iter().map(|name| name.unraw().to_string()).collect();
        let climbed = names.iter().take_while(|name| *name == "super").count();
        let is_child = self.module.len() == self.depth_of_file && self.children.contains(&names[0]);
        if climbed > 0 || names[0] == "self" || is_child {
            let kept = self.module.len().saturating_sub(climbed);
            let below = names.split_off(if is_child { 0 } else { climbed.max(1) });
            names = ["crate".to_owned()]
                .into_iter()
                .chain(self.module[..kept].iter().cloned())
                .chain(below)
                .collect();
        }
        // `use a::{self}` names `a`.
        names.truncate(names.iter().rposition(|name| name != "self").map_or(0, |at| at + 1));
        self.source.mentions.push(Mention { line: line(last.span()), names, calls_macro });
    }

    fn read_tokens(&mut self, tokens: TokenStream) {
        let read = |input: ParseStream| {
            while !input.is_empty() {
                self.read_token(input)?;
            }
            Ok(())
        };
        // Every token is read in one way or another, so there is no error.
        read.parse2(tokens).unwrap_or_default();
    }

    fn read_token(&mut self, input: ParseStream) -> syn::Result<()> {
        if input.peek(Token![use]) {
            input.parse::<Token![use]>()?;
            input.parse::<Option<Token![$]>>()?;
            if let Ok(tree) = input.parse() {
                self.import(&tree, &[]);
            }
        } else if input.peek(Ident::peek_any) {
            let mut names = vec![input.call(Ident::parse_any)?];
            while input.peek(Token![::]) && input.peek3(Ident::peek_any) {
                input.parse::<Token![::]>()?;
                names.push(input.call(Ident::parse_any)?);
            }
            self.path(&names, input.peek(Token![!]) && !input.peek(Token![!=]));
            if names[0] == "doc" && input.parse::<Option<Token![=]>>()?.is_some() {
                input.parse::<Option<Lit>>()?;
            }
        } else if input.peek(syn::token::Brace)
            || input.peek(syn::token::Paren)
            || input.peek(syn::token::Bracket)
        {
            self.read_tokens(input.parse::<Group>()?.stream());
        } else if let TokenTree::Literal(literal) = input.parse()? {
            self.source.texts.extend(text_of(&Lit::new(literal)));
        }
        Ok(())
    }
}

fn line(span: Span) -> usize {
    span.start().line
}

fn names_of(path: &Path) -> Vec<Ident> {
    path.segments.iter().map(|segment| segment.ident.clone()).collect()
}

fn text_of(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Str(text) => Some(text.value()),
        Lit::ByteStr(text) => Some(String::from_utf8_lossy(&text.value()).into_owned()),
        Lit::CStr(text) => Some(text.value().to_string_lossy().into_owned()),
        _ => None,
    }
}

fn declared_module(item: &Item) -> Option<String> {
    match item {
        Item::Mod(module) if module.content.is_none() => Some(module.ident.unraw().to_string()),
        _ => None,
    }
}

fn is_test_only(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args().is_ok_and(|condition| needs_test(&condition))
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(all) if all.path.is_ident("all") => all
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|parts| parts.iter().any(needs_test)),
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, module: &[&str]) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|one| (*one).to_owned()).collect();
        let source = read(text, &module).expect("the text is Rust");
        source.mentions.into_iter().map(|one| one.names.join("/")).collect()
    }

    #[test]
    fn groups_are_taken_apart() {
        let text = "use crate::{a::{B, c::D as E}, f, self, g::*}; use crate::h; use i::j;";
        let paths = ["crate/a/B", "crate/a/c/D", "crate/f", "crate", "crate/g", "crate/h", "i/j"];
        assert_eq!(seen(text, &["m"]), paths);
    }

    #[test]
    fn a_path_in_code_is_a_mention() {
        let text = "fn f(x: &crate::a::B) { if x == crate::c::D { y } crate::e::f::<crate::G>() } \
                    pub(in crate::h) fn i() {}";
        assert_eq!(seen(text, &["m"]), ["crate/a/B", "crate/c/D", "crate/e/f", "crate/G"]);
    }

    #[test]
    fn the_input_of_a_macro_is_read_too() {
        let text = "macro_rules! m { ($x:ty) => { use $crate::{a, b::C}; $crate::d::e::<$x>() } } \
                    fn f() { g!(x => [crate::h::I { j: self::k::L }]) } #[m(with = crate::n)] struct S;";
        assert_eq!(
            seen(text, &["m"]),
            ["crate/a", "crate/b/C", "crate/d/e", "crate/h/I", "crate/m/k/L", "crate/n"]
        );
    }

    #[test]
    fn super_is_counted_from_the_module_it_stands_in() {
        assert_eq!(
            seen("use super::b::C; use super::super::d; use super::*;", &["a", "m"]),
            ["crate/a/b/C", "crate/d", "crate/a"]
        );
        let text = "mod n { use super::X; mod o { use super::super::Y; } } use super::Z;";
        assert_eq!(seen(text, &["m"]), ["crate/m/X", "crate/m/Y", "crate/Z"]);
    }

    #[test]
    fn a_declared_child_is_mentioned_by_its_bare_name() {
        let text = "mod part; pub use part::{A, B}; fn f() { x::part::no(); self::part::c(); part::d(); }";
        let paths = ["crate/m/part/A", "crate/m/part/B", "x/part/no", "crate/m/part/c", "crate/m/part/d"];
        assert_eq!(seen(text, &["m"]), paths);
    }

    #[test]
    fn a_call_of_a_macro_is_told_apart() {
        let source = read("fn f() { crate::a!(crate::b!() == crate::C != d); crate::e() }", &[]);
        let calls: Vec<bool> =
            source.expect("it is Rust").mentions.iter().map(|one| one.calls_macro).collect();
        assert_eq!(calls, [true, true, false, false]);
    }

    #[test]
    fn what_only_a_test_build_has_is_left_out() {
        let text = "#[cfg(test)] mod tests { use a::b; } #[cfg(all(test, unix))] use c::d; \
                    #[cfg(not(test))] use e::f; #[cfg(test)] mod more; impl S { #[cfg(test)] fn g() { h::i() } }";
        let source = read(text, &[]).expect("it is Rust");
        assert_eq!(source.mentions.len(), 1, "{source:?}");
        assert_eq!(source.test_modules, ["more"]);
        assert!(read("//! Head.\n#![cfg(test)]\nuse crate::x;", &[]).expect("it is Rust").is_test);
    }

    #[test]
    fn strings_ids_and_variants_are_collected_and_documentation_is_not() {
        let text = r##"/** no */ const A: &[u8] = b"one"; m!(c"two", [r#"three"#]); n! { #[doc = "no"] B }
            fn f() { S { id: "four", b: 1 } } enum E { #[doc(hidden)] C, D(u8), F { g: u8 }, H = 3 }"##;
        let source = read(text, &[]).expect("it is Rust");
        assert_eq!(source.texts, ["one", "two", "three", "four"]);
        assert_eq!(source.ids, [("S".to_owned(), "four".to_owned())]);
        assert_eq!(source.enums[0].1, ["C", "D", "F", "H"]);
    }

    #[test]
    fn the_word_unsafe_is_found_wherever_it_stands() {
        let text =
            "// unsafe\n#![forbid(unsafe_code)]\nm!({ unsafe { f() } });\n#[cfg(test)] unsafe fn g() {}";
        assert_eq!(unsafe_lines(text).expect("it is Rust"), [3, 4]);
    }
}

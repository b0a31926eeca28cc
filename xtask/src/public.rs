//! The public interface of the crate `tenure` as a sorted list: each name, with its fields, variants and functions.
//!
//! An enum, or a struct with public fields, that is not `#[non_exhaustive]` is marked as `closed`. Pure. The list is kept in
//! a file, so that a review sees each change of the interface. The facade re-exports names of `tenure-core` and
//! `tenure-sys`, where they are looked up; a name of another crate is listed as `other`.

#![expect(clippy::wildcard_enum_match_arm, reason = "of the many kinds of items few are of interest here")]

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, Signature, Type, UseTree, Visibility};

use crate::tree::Tree;

/// The facade, the crates that it takes its names from, and the file of the list.
const FACE: &str = "crates/tenure/src/lib.rs";
const SOURCES: [&str; 2] = ["crates/tenure-core/src/", "crates/tenure-sys/src/"];
const LIST: &str = "crates/tenure/public.txt";

/// Where the list and the sources differ, with what to type.
pub(crate) fn findings(tree: &Tree) -> Vec<String> {
    let now = match list(tree) {
        Ok(now) => now,
        Err(why) => return vec![why],
    };
    let kept: BTreeSet<String> = tree.text(LIST).unwrap_or_default().lines().map(str::to_owned).collect();
    let gone = kept.difference(&now).map(|line| format!("{LIST}: `{line}` is shown no more"));
    let new = now.difference(&kept).map(|line| format!("{LIST}: `{line}` is not listed"));
    let mut findings: Vec<String> = gone.chain(new).collect();
    if !findings.is_empty() {
        findings.push(format!("{LIST}: `cargo xtask public > {LIST}` takes the interface as it is now"));
    }
    findings
}

/// The list as it is now; an error is a finding.
pub(crate) fn list(tree: &Tree) -> Result<BTreeSet<String>, String> {
    let face = tree.text(FACE).ok_or_else(|| format!("{FACE}: missing"))?;
    let names = names(face).map_err(|why| format!("{FACE}: {why}"))?;
    let mut items = Vec::new();
    for (path, text) in SOURCES.iter().flat_map(|source| tree.below(source, ".rs")) {
        let file = syn::parse_file(text).map_err(|error| format!("{path}: {error}"))?;
        // A room's own functions may have the name of a story.
        let is_story = path.contains("/ops/");
        items.extend(file.items.into_iter().filter(|item| is_story || !matches!(item, Item::Fn(_))));
    }
    let mut lines = BTreeSet::new();
    for name in names {
        let before = lines.len();
        for item in &items {
            describe(&name, item, &mut lines);
        }
        if lines.len() == before {
            lines.insert(format!("other {name}"));
        }
    }
    Ok(lines)
}

/// The names that a facade takes by `pub use`, one by one.
fn names(face: &str) -> Result<BTreeSet<String>, String> {
    let file = syn::parse_file(face).map_err(|error| error.to_string())?;
    let mut names = BTreeSet::new();
    for item in file.items {
        match item {
            Item::Use(one) if is_public(&one.vis) => leaves(&one.tree, &mut names)?,
            Item::Use(_) => {}
            _ => return Err("holds more than `pub use`".to_owned()),
        }
    }
    Ok(names)
}

fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) -> Result<(), String> {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Group(group) => group.items.iter().try_for_each(|one| leaves(one, names)),
        UseTree::Name(name) => {
            names.insert(name.ident.to_string());
            Ok(())
        }
        UseTree::Rename(_) | UseTree::Glob(_) => {
            Err("takes a name under another one, or all names".to_owned())
        }
    }
}

fn describe(name: &str, item: &Item, lines: &mut BTreeSet<String>) {
    match item {
        Item::Struct(one) if one.ident == name && is_public(&one.vis) => {
            let is_open = one.fields.iter().any(|field| is_public(&field.vis));
            lines.insert(format!("struct {name}{}", closed(is_open, &one.attrs)));
            fields(name, &one.fields, true, lines);
        }
        Item::Enum(one) if one.ident == name && is_public(&one.vis) => {
            lines.insert(format!("enum {name}{}", closed(true, &one.attrs)));
            for variant in &one.variants {
                let path = format!("{name}::{}", variant.ident);
                lines.insert(format!("variant {path}"));
                fields(&path, &variant.fields, false, lines);
            }
        }
        Item::Type(one) if one.ident == name && is_public(&one.vis) => {
            lines.insert(format!("type {name} = {}", told(&one.ty)));
        }
        Item::Const(one) if one.ident == name && is_public(&one.vis) => {
            lines.insert(format!("const {name}: {}", told(&one.ty)));
        }
        Item::Fn(one) if one.sig.ident == name && is_public(&one.vis) => {
            lines.insert(format!("fn {}", signature(&one.sig)));
        }
        Item::Impl(one) if one.trait_.is_none() && is_of(&one.self_ty, name) => {
            for item in &one.items {
                match item {
                    ImplItem::Fn(one) if is_public(&one.vis) => {
                        lines.insert(format!("fn {name}::{}", signature(&one.sig)));
                    }
                    ImplItem::Const(one) if is_public(&one.vis) => {
                        lines.insert(format!("const {name}::{}: {}", one.ident, told(&one.ty)));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Marks what can get no variant or field more without breaking its users.
fn closed(is_open: bool, attributes: &[Attribute]) -> &'static str {
    let may_grow = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
    if is_open && !may_grow { ", closed" } else { "" }
}

fn fields(path: &str, fields: &Fields, only_public: bool, lines: &mut BTreeSet<String>) {
    for (place, field) in fields.iter().enumerate().filter(|(_, field)| !only_public || is_public(&field.vis))
    {
        let name = field.ident.as_ref().map_or_else(|| place.to_string(), ToString::to_string);
        lines.insert(format!("field {path}.{name}: {}", told(&field.ty)));
    }
}

/// Name, generics, arguments and result; whether a function is `const` does not count.
fn signature(function: &Signature) -> String {
    let arguments: Vec<String> = function.inputs.iter().map(told).collect();
    let answer = told(&function.output);
    format!("{}{}({}) {answer}", function.ident, told(&function.generics), arguments.join(", "))
        .trim()
        .to_owned()
}

fn is_of(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Code in one line, with the usual spaces.
fn told(code: &impl ToTokens) -> String {
    let text = code.to_token_stream().to_string();
    let tight =
        [(" :: ", "::"), (" < ", "<"), ("< ", "<"), (" >", ">"), (" , ", ", "), (" :", ":"), ("& ", "&")];
    let text = tight.iter().fold(text, |text, (wide, narrow)| text.replace(wide, narrow));
    [("( ", "("), (" )", ")"), (" (", "("), ("' ", "'")]
        .iter()
        .fold(text, |text, (wide, narrow)| text.replace(wide, narrow))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(face: &str, core: &str) -> Result<Vec<String>, String> {
        let tree = Tree::of(&[(FACE, face), ("crates/tenure-core/src/ops/story.rs", core)]);
        list(&tree).map(|lines| lines.into_iter().collect())
    }

    #[test]
    fn all_that_a_user_can_name_is_listed_and_nothing_else() {
        let face = "pub use tenure_core::{Answer, Made, ensure}; pub use tenure_core::Version;";
        let core = "pub enum Answer { Up(Box<Made>), Down { why: String } }
            #[non_exhaustive] pub struct Made { pub at: u64, hidden: u8 }
            impl Made { pub fn at(&self) -> u64 { 0 } fn own(&self) {} }
            pub fn ensure(made: &Made) -> Result<Answer, Error> { Err(Error) }
            pub fn other() {}";
        assert_eq!(
            listed(face, core).expect("it is read"),
            [
                "enum Answer, closed",
                "field Answer::Down.why: String",
                "field Answer::Up.0: Box<Made>",
                "field Made.at: u64",
                "fn Made::at(&self) -> u64",
                "fn ensure(made: &Made) -> Result<Answer, Error>",
                "other Version",
                "struct Made",
                "variant Answer::Down",
                "variant Answer::Up",
            ]
        );
    }

    #[test]
    fn a_face_names_each_name() {
        assert!(listed("pub use tenure_core::*;", "").is_err());
        assert!(listed("pub fn f() {}", "").is_err());
    }

    #[test]
    fn a_change_of_the_interface_is_a_finding_with_its_remedy() {
        let face = "pub use tenure_core::f;";
        let files =
            [(FACE, face), ("crates/tenure-core/src/ops/story.rs", "pub fn f() {}"), (LIST, "fn g()\n")];
        let found = findings(&Tree::of(&files));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[2].contains("cargo xtask public >"), "{found:?}");
    }
}

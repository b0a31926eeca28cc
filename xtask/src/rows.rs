//! The reference has one row for each error kind, each state of an answer, each check of the doctor and each
//! environment variable of the sources, and no other row.
//!
//! Pure. A row is a line of a Markdown table; it names the words in backticks in the column of a heading.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{self, Source};
use crate::tree::Tree;

/// Variants of an enum that a page lists, in the column `heading`, by their own name or in kebab case.
struct Listed {
    source: &'static str,
    name: &'static str,
    page: &'static str,
    heading: &'static str,
}

const LISTED: [Listed; 2] = [
    Listed {
        source: "crates/tenure-core/src/",
        name: "ErrorKind",
        page: "docs/reference/errors.md",
        heading: "kind",
    },
    Listed {
        source: "crates/tenure-cli/src/",
        name: "AnswerState",
        page: "docs/reference/exit-codes.md",
        heading: "state",
    },
];

/// The page that lists every check of the doctor, in the column `check`, and where the checks are.
const CHECKS: (&str, &str) = ("docs/reference/findings.md", "crates/tenure-doctor/src/checks/");

/// The page that lists every variable, in the column `variable`.
const VARIABLES: &str = "docs/reference/environment.md";

/// Crates whose variables are for tests only.
const UNLISTED: &str = "crates/tenure-test/";

/// Every name without its one row, and every row without its name.
pub(crate) fn findings(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    let sources = source::below(tree, "crates/", &mut findings);
    for listed in &LISTED {
        match variants(&sources, listed) {
            Some(names) => findings.extend(compare(tree, listed.page, listed.heading, names)),
            None => findings
                .push(format!("{}: no `enum {}`, which {} lists", listed.source, listed.name, listed.page)),
        }
    }
    findings.extend(compare(tree, CHECKS.0, "check", &checks(&sources)));
    findings.extend(compare(tree, VARIABLES, "variable", &variables(&sources)));
    findings
}

/// Compares the names with the rows of the page.
fn compare(tree: &Tree, page: &str, heading: &str, names: &[String]) -> Vec<String> {
    let Some(text) = tree.text(page) else {
        return vec![format!("{page}: missing; it lists {}", names.join(", "))];
    };
    let rows = rows(text, heading);
    let same = |name: &str, row: &str| row == name || row == kebab(name);
    let mut findings = Vec::new();
    for name in names {
        let count = rows.iter().filter(|(row, _)| same(name, row)).map(|(_, count)| count).sum::<usize>();
        if count != 1 {
            findings.push(format!("{page}: {count} rows for `{name}` in the column `{heading}`, not one"));
        }
    }
    let stale = rows.keys().filter(|row| !names.iter().any(|name| same(name, row)));
    findings.extend(stale.map(|row| format!("{page}: a row for `{row}`, which no source names")));
    findings
}

/// The words in backticks below the heading, in every table that has it, and how often each stands there.
fn rows(text: &str, heading: &str) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    let mut column = None;
    let mut in_table = false;
    for line in text.lines() {
        let cells = cells(line);
        if cells.is_empty() {
            in_table = false;
            column = None;
        } else if in_table {
            let words = column.and_then(|column: usize| cells.get(column)).map_or("", |cell| *cell);
            for word in words.split('`').skip(1).step_by(2) {
                *rows.entry(word.to_owned()).or_insert(0) += 1;
            }
        } else {
            in_table = true;
            column = cells.iter().position(|cell| cell.trim_matches('`').eq_ignore_ascii_case(heading));
        }
    }
    rows
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.trim();
    let body = line.strip_prefix('|').map(|rest| rest.strip_suffix('|').unwrap_or(rest));
    body.map(|body| body.split('|').map(str::trim).collect()).unwrap_or_default()
}

/// `SpawnFailed` as `spawn-failed`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for one in name.chars() {
        if one.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(one.to_lowercase());
    }
    kebab
}

/// The variants of the enum, in their order.
fn variants<'source>(sources: &'source [(&str, Source)], listed: &Listed) -> Option<&'source [String]> {
    let below = sources.iter().filter(|(path, _)| path.starts_with(listed.source));
    let mut enums = below.flat_map(|(_, source)| &source.enums);
    enums.find(|(name, _)| name == listed.name).map(|(_, variants)| variants.as_slice())
}

/// The names that checks give themselves: the text in `DoctorCheck { id: "…"` of what ships.
fn checks(sources: &[(&str, Source)]) -> Vec<String> {
    let below = sources.iter().filter(|(path, _)| path.starts_with(CHECKS.1));
    let ids = below.flat_map(|(_, source)| &source.ids).filter(|(name, _)| name == "DoctorCheck");
    ids.map(|(_, id)| id.clone()).collect()
}

/// The variables named in string literals of what ships, sorted.
fn variables(sources: &[(&str, Source)]) -> Vec<String> {
    let shipped = sources.iter().filter(|(path, _)| !path.starts_with(UNLISTED));
    let names: BTreeSet<String> =
        shipped.flat_map(|(_, source)| &source.texts).flat_map(|text| variables_in(text)).collect();
    names.into_iter().collect()
}

fn variables_in(text: &str) -> Vec<String> {
    const PREFIX: &str = "TENURE_";
    let is_part = |one: char| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_';
    let starts = text.match_indices(PREFIX).filter(|(at, _)| !text[..*at].ends_with(is_part));
    starts
        .filter_map(|(at, _)| {
            let rest = &text[at..];
            let name = &rest[..rest.find(|one| !is_part(one)).unwrap_or(rest.len())];
            (name.len() > PREFIX.len() && !name.ends_with('_')).then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_column_of_that_heading_is_read() {
        let page = "| Kind | exit |\n|---|---|\n| `A` | `X` |\n| `B`, `C` | 1 |\n\ntext `D`\n\n| other |\n|---|\n| `E` |\n";
        let rows = rows(page, "kind");
        assert_eq!(rows.keys().collect::<Vec<_>>(), ["A", "B", "C"]);
    }

    #[test]
    fn missing_doubled_and_stale_rows_are_found() {
        let page = "| kind |\n|---|\n| `spawn-failed` |\n| `Twice` |\n| `twice` |\n| `gone` |\n";
        let tree = Tree::of(&[("p.md", page)]);
        let names = ["SpawnFailed", "Twice", "Absent"].map(str::to_owned);
        assert_eq!(
            compare(&tree, "p.md", "kind", &names),
            [
                "p.md: 2 rows for `Twice` in the column `kind`, not one",
                "p.md: 0 rows for `Absent` in the column `kind`, not one",
                "p.md: a row for `gone`, which no source names",
            ]
        );
        assert_eq!(compare(&tree, "q.md", "kind", &names).len(), 1);
    }

    #[test]
    fn checks_are_known_by_the_names_that_they_give_themselves() {
        let text = "const C: &[DoctorCheck] = &[DoctorCheck { id: \"one\", part: \"p\" }, DoctorCheck { id: \"two\" }]; const D: State = State { id: \"three\" };";
        let tree = Tree::of(&[
            ("crates/tenure-doctor/src/checks/a.rs", text),
            ("crates/tenure-core/src/b.rs", text),
        ]);
        assert_eq!(checks(&source::below(&tree, "", &mut Vec::new())), ["one", "two"]);
    }

    #[test]
    fn variables_are_those_that_ship() {
        let tree = Tree::of(&[
            (
                "crates/a/src/x.rs",
                "// TENURE_NO\nfn f() { g(\"TENURE_A_1\"); h!(\"set TENURE_B=x, not MY_TENURE_C or TENURE_*\"); }",
            ),
            ("crates/a/src/y.rs", "#[cfg(test)] mod tests { const T: &str = \"TENURE_T\"; }"),
            ("crates/a/tests/z.rs", "f!(\"TENURE_Z\");"),
            ("crates/tenure-test/src/lib.rs", "f!(\"TENURE_S\");"),
        ]);
        let sources = source::below(&tree, "", &mut Vec::new());
        assert_eq!(variables(&sources), ["TENURE_A_1", "TENURE_B"]);
    }

    #[test]
    fn an_enum_that_is_not_there_is_a_finding() {
        let found = findings(&Tree::of(&[]));
        assert!(found[0].contains("no `enum ErrorKind`"), "{found:?}");
    }
}

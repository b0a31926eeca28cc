//! Which way imports may go: a room imports only rooms that stand earlier in its crate's code map, and a crate only
//! crates below it.
//!
//! Pure: it judges a [`Tree`] and what cargo says of the packages. Test modules may import what they like. A crate's
//! root (`lib.rs`, `main.rs`, `bin/`) is the face that names all rooms, so it is in no map and may import each; no
//! room may import from it.

use std::collections::BTreeSet;

use crate::code_map::{self, Map};
use crate::paths::{Mention, mentions};
use crate::token::{self, shipped, tokens};
use crate::tree::Tree;
use crate::workspace::Package;

/// The crates from the lowest up; each may depend on those before it. The last is for tests and may use all.
const CRATES: [&str; 10] = [
    "tenure-sys",
    "tenure-core",
    "tenure",
    "tenure-doctor",
    "tenure-proxy",
    "tenure-fence",
    "tenure-worker",
    "tenure-cli",
    "tenure-model",
    "tenure-test",
];

/// What depends on nothing of ours.
const APART: &str = "xtask";

/// The crate that decides nothing itself, and the one room of the library that it may name: a model that had a decision of its
/// own, or did something, would show nothing of the product.
const MODEL: (&str, &str, &str) = ("crates/tenure-model/src/", "tenure_core", "policy");

/// Every import that goes the wrong way, and every difference between the code maps and the sources.
pub(crate) fn findings(tree: &Tree, packages: &[Package]) -> Vec<String> {
    let mut findings = crate_findings(packages);
    let Some(text) = tree.text("ARCHITECTURE.md") else {
        findings.push("ARCHITECTURE.md: missing; it holds the code map of each crate".to_owned());
        return findings;
    };
    let (maps, faults) = code_map::read(text);
    findings.extend(faults);
    for map in &maps {
        if !CRATES.contains(&map.name.as_str()) {
            findings.push(format!("ARCHITECTURE.md: maps `{}`, which is no crate of crates/", map.name));
        }
    }
    for name in CRATES {
        if !tree.has(&format!("crates/{name}/src/lib.rs")) {
            continue;
        }
        match maps.iter().find(|map| map.name == name) {
            Some(map) => findings.extend(room_findings(tree, map)),
            None => findings.push(format!("ARCHITECTURE.md: no block ```rooms {name}")),
        }
    }
    findings.extend(tree.below(MODEL.0, ".rs").flat_map(|(path, text)| beside_policy(path, text)));
    findings
}

/// Each line of a file of the model that names another room of the library.
fn beside_policy(path: &str, text: &str) -> Vec<String> {
    let all = tokens(text);
    let shipped = shipped(&all).tokens;
    let names = |at: usize| {
        shipped[at].is_word(MODEL.1) && !shipped.get(at + 2).is_some_and(|next| next.is_word(MODEL.2))
    };
    let told = |at: usize| format!("{path}:{}: names {} beside `{}`", shipped[at].line, MODEL.1, MODEL.2);
    (0..shipped.len()).filter(|at| names(*at)).map(told).collect()
}

fn crate_findings(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let place = CRATES.iter().position(|name| *name == package.name);
        if place.is_none() && package.name != APART && !package.name.starts_with("example-") {
            findings.push(format!("{}: not one of {}", package.name, CRATES.join(", ")));
        }
        for dependency in &package.dependencies {
            let below = CRATES.iter().position(|name| name == dependency);
            let allowed = match (place, below) {
                (_, None) => true,
                (Some(place), Some(below)) => below < place,
                (None, Some(_)) => package.name != APART,
            };
            if !allowed {
                findings.push(format!("{}: depends on {dependency}, which is not below it", package.name));
            }
        }
    }
    findings
}

fn room_findings(tree: &Tree, map: &Map) -> Vec<String> {
    let mut findings = Vec::new();
    let source = format!("crates/{}/src/", map.name);
    let only_in_tests = test_files(tree, &source);
    for room in &map.rooms {
        if tree.text(&format!("{source}{room}.rs")).is_none() {
            findings.push(format!(
                "ARCHITECTURE.md: {} lists `{room}`, which has no {source}{room}.rs",
                map.name
            ));
        }
    }
    for (path, text) in tree.below(&source, ".rs") {
        let room = path[source.len()..].trim_end_matches(".rs");
        let is_root = matches!(room, "lib" | "main") || room.starts_with("bin/");
        if is_root || only_in_tests.iter().any(|test| room == test || room.starts_with(&format!("{test}/"))) {
            continue;
        }
        let Some(place) = map.rooms.iter().position(|one| one == room) else {
            findings.push(format!("{path}: in no line of {}'s code map in ARCHITECTURE.md", map.name));
            continue;
        };
        let module: Vec<String> = room.split('/').map(str::to_owned).collect();
        let seen = mentions(&shipped(&tokens(text)).tokens, &module);
        findings.extend(
            seen.iter()
                .filter_map(|mention| wrong_way(mention, place, map))
                .map(|(line, fault)| format!("{path}:{line}: {fault}")),
        );
    }
    // A group of names from one room is one import.
    findings.dedup();
    findings
}

fn wrong_way(mention: &Mention, place: usize, map: &Map) -> Option<(usize, String)> {
    let Some(other) = map.place_of(&mention.segments) else {
        let name = mention.segments.join("::");
        let fault = format!("names `crate::{name}`, which is in no room; name the room it comes from");
        return (!mention.calls_macro).then_some((mention.line, fault));
    };
    let (here, there) = (&map.rooms[place], &map.rooms[other]);
    let fault = format!("`{here}` imports `{there}`, which stands later in the code map");
    (other > place).then_some((mention.line, fault))
}

/// The modules below `source` that only a test build has, as `room/tests`.
fn test_files(tree: &Tree, source: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for (path, text) in tree.below(source, ".rs") {
        let room = path[source.len()..].trim_end_matches(".rs");
        let folder = if matches!(room, "lib" | "main") { String::new() } else { format!("{room}/") };
        let all = tokens(text);
        let names = shipped(&all).test_modules;
        files.extend(names.into_iter().map(|name| format!("{folder}{name}")));
        if token::shipped(&all).tokens.is_empty() && !all.is_empty() {
            files.insert(room.to_owned());
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "```rooms tenure\nspec:\n  spec - a\n  spec/part - b\ngate:\n  gate - c\nensure:\n  ensure - d\n```\n";

    fn judged(files: &[(&str, &str)]) -> Vec<String> {
        let rest = ["spec", "spec/part", "gate", "ensure"].map(|room| format!("crates/tenure/src/{room}.rs"));
        let mut all: Vec<(&str, &str)> = rest.iter().map(|path| (path.as_str(), "")).collect();
        all.extend([
            ("ARCHITECTURE.md", MAP),
            ("crates/tenure/src/lib.rs", "pub mod ensure; pub use ensure::E;"),
        ]);
        all.extend(files);
        findings(&Tree::of(&all), &[])
    }

    #[test]
    fn imports_of_earlier_rooms_pass() {
        let text = "use crate::{gate::Gate, spec::{self, part::P}}; fn f() { crate::spec::g() }";
        assert_eq!(judged(&[("crates/tenure/src/ensure.rs", text)]), [""; 0]);
    }

    #[test]
    fn an_import_of_a_later_room_is_found_with_its_line() {
        let found =
            judged(&[("crates/tenure/src/gate.rs", "//! Head.\n\nuse crate::spec;\nuse crate::ensure::E;")]);
        assert_eq!(
            found,
            ["crates/tenure/src/gate.rs:4: `gate` imports `ensure`, which stands later in the code map"]
        );
    }

    #[test]
    fn a_path_in_code_and_a_parent_that_uses_its_child_are_imports_too() {
        let found = judged(&[
            ("crates/tenure/src/gate.rs", "fn f() { super::ensure::go() }"),
            ("crates/tenure/src/spec.rs", "mod part; pub use part::P;"),
        ]);
        assert_eq!(
            found,
            [
                "crates/tenure/src/gate.rs:1: `gate` imports `ensure`, which stands later in the code map",
                "crates/tenure/src/spec.rs:1: `spec` imports `spec/part`, which stands later in the code map",
            ]
        );
    }

    #[test]
    fn a_name_of_the_root_is_no_way_around_the_order() {
        let found = judged(&[(
            "crates/tenure/src/gate.rs",
            "use crate::E; use super::*; fn f() { crate::point!(1) }",
        )]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`crate::E`, which is in no room"), "{found:?}");
    }

    #[test]
    fn test_modules_import_what_they_like() {
        let found = judged(&[
            (
                "crates/tenure/src/gate.rs",
                "#[cfg(test)] mod tests { use crate::ensure::E; } #[cfg(test)] mod more;",
            ),
            ("crates/tenure/src/gate/more.rs", "use crate::ensure::E;"),
            ("crates/tenure/src/spec.rs", "/// [`crate::ensure`]\nconst S: &str = \"crate::ensure\";"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn the_model_names_the_decisions_and_nothing_else_of_the_library() {
        let text = "use tenure_core::policy::decide;\nuse tenure_core::store::gate;\nuse tenure_core::{fault, policy};";
        let path = "crates/tenure-model/src/real.rs";
        let found = beside_policy(path, text);
        let expected = [2, 3].map(|line| format!("{path}:{line}: names tenure_core beside `policy`"));
        assert_eq!(found, expected);
    }

    #[test]
    fn map_and_sources_agree_both_ways() {
        let all = [
            ("ARCHITECTURE.md", "```rooms tenure\nspec:\n  spec - a\n```\n```rooms other\n```"),
            ("crates/tenure/src/lib.rs", ""),
            ("crates/tenure/src/gate.rs", ""),
            ("crates/tenure-sys/src/lib.rs", ""),
        ];
        assert_eq!(
            findings(&Tree::of(&all), &[]),
            [
                "ARCHITECTURE.md: maps `other`, which is no crate of crates/",
                "ARCHITECTURE.md: no block ```rooms tenure-sys",
                "ARCHITECTURE.md: tenure lists `spec`, which has no crates/tenure/src/spec.rs",
                "crates/tenure/src/gate.rs: in no line of tenure's code map in ARCHITECTURE.md",
            ]
        );
    }

    #[test]
    fn a_crate_depends_only_on_lower_crates() {
        let package = |name: &str, dependencies: &[&str]| Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|one| (*one).to_owned()).collect(),
        };
        let packages = [
            package("tenure-sys", &["libc", "tenure"]),
            package("tenure-worker", &["tenure", "tenure-sys", "serde"]),
            package("tenure-test", &["tenure-cli", "tenure-worker"]),
            package("xtask", &["tenure-sys"]),
            package("tenure-utils", &[]),
        ];
        assert_eq!(
            crate_findings(&packages),
            [
                "tenure-sys: depends on tenure, which is not below it",
                "xtask: depends on tenure-sys, which is not below it",
                "tenure-utils: not one of tenure-sys, tenure-core, tenure, tenure-doctor, tenure-proxy, tenure-fence, tenure-worker, tenure-cli, tenure-model, tenure-test",
            ]
        );
    }
}

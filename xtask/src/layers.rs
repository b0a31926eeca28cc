//! Which way imports may go: a room imports only earlier rooms of its crate's code map, and a crate only crates below
//! it.
//!
//! Pure: it judges a [`Tree`] and cargo's list of packages. Test modules may import any room. A crate's root (`lib.rs`,
//! `main.rs`, `bin/`) re-exports rooms, so it is in no map and may import each; no room may import from it.

use std::collections::BTreeSet;

use crate::code_map::{self, Map};
use crate::source::{self, Mention, Source};
use crate::tree::Tree;
use crate::workspace::Package;

/// The crates from the lowest up: each may depend on those before it.
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

/// The package that depends on none of these crates.
const APART: &str = "xtask";

/// The sources of the model, and the one room of the library that it may name: a model with decisions of its own would
/// show nothing about the product.
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
    for (path, source) in source::below(tree, MODEL.0, &mut findings) {
        findings.extend(beside_policy(path, &source));
    }
    findings
}

/// Each path of a file of the model that leads into another room of the library.
fn beside_policy(path: &str, source: &Source) -> Vec<String> {
    let is_beside = |names: &[String]| names[0] == MODEL.1 && names.get(1).is_none_or(|room| room != MODEL.2);
    let beside = source.mentions.iter().filter(|mention| is_beside(&mention.names));
    beside.map(|one| format!("{path}:{}: names {} beside `{}`", one.line, MODEL.1, MODEL.2)).collect()
}

/// What the examples in the documentation of a crate may use above it: they show what users type.
const EXAMPLES: (&str, &str) = ("tenure-core", "tenure");

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
                _ if (package.name.as_str(), dependency.as_str()) == EXAMPLES => true,
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
    let folder = format!("crates/{}/src/", map.name);
    for room in map.rooms.iter().filter(|room| tree.text(&format!("{folder}{room}.rs")).is_none()) {
        findings
            .push(format!("ARCHITECTURE.md: {} lists `{room}`, which has no {folder}{room}.rs", map.name));
    }
    let sources = source::below(tree, &folder, &mut findings);
    let of_tests = test_rooms(&sources, &folder);
    for (path, source) in &sources {
        let module = source::module_of(&path[folder.len()..]);
        let room = module.join("/");
        let is_test = (1..=module.len()).any(|length| of_tests.contains(&module[..length].join("/")));
        if module.is_empty() || is_test {
            continue;
        }
        let Some(place) = map.rooms.iter().position(|one| *one == room) else {
            findings.push(format!("{path}: in no line of {}'s code map in ARCHITECTURE.md", map.name));
            continue;
        };
        let faults = source.mentions.iter().filter_map(|mention| wrong_way(mention, place, map));
        findings.extend(faults.map(|(line, fault)| format!("{path}:{line}: {fault}")));
    }
    // A group of names from one room is one import.
    findings.dedup();
    findings
}

fn wrong_way(mention: &Mention, place: usize, map: &Map) -> Option<(usize, String)> {
    let (_, names) = mention.names.split_first().filter(|(root, _)| *root == "crate")?;
    let Some(other) = map.place_of(names) else {
        let name = names.join("::");
        let fault = format!("names `crate::{name}`, which is in no room; name the room it comes from");
        return (!mention.calls_macro).then_some((mention.line, fault));
    };
    let (here, there) = (&map.rooms[place], &map.rooms[other]);
    let fault = format!("`{here}` imports `{there}`, which stands later in the code map");
    (other > place).then_some((mention.line, fault))
}

/// The modules below `folder` that only a test build has, as `room/tests`.
fn test_rooms(sources: &[(&str, Source)], folder: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (path, source) in sources {
        let module = source::module_of(&path[folder.len()..]);
        rooms.extend(
            source
                .test_modules
                .iter()
                .map(|name| [&module[..], std::slice::from_ref(name)].concat().join("/")),
        );
        rooms.extend(source.is_test.then(|| module.join("/")));
    }
    rooms
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
        let tree = Tree::of(&[(path, text)]);
        let sources = source::below(&tree, MODEL.0, &mut Vec::new());
        let found = beside_policy(path, &sources[0].1);
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

//! Every example is a valid description, and every program of the catalog has one.

use std::collections::BTreeSet;
use std::fs;

use tenure_test::fixtures::sandbox::Sandbox;
use tenure_test::page;
use tenure_test::programs::catalog::PROGRAMS;
use tenure_test::programs::example;

use crate::BINARIES;

#[test]
fn the_catalog_has_every_example_and_each_is_valid_as_it_stands() {
    let sandbox = Sandbox::new(BINARIES.tenure);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(example::directory()).expect("the examples are there") {
        let directory = entry.expect("it can be listed").path();
        let file = directory.join("tenure.toml").display().to_string();
        let name = directory.file_name().expect("a directory has a name").to_string_lossy().into_owned();
        let program = PROGRAMS.iter().find(|program| program.name == name);
        let checked = sandbox.tenure(["config", "check", "--json", "--config", &file]).run().expect(0).json();
        // That a program is not installed here is no fault of its description.
        let mut warnings = checked["warnings"].as_array().expect("its warnings").iter();
        let is_valid = checked["faults"].as_array().is_some_and(Vec::is_empty)
            && warnings.all(|warning| warning["kind"] == "no-program");
        assert!(is_valid, "{name}: {checked}");
        let workers = checked["workers"].as_array().expect("its workers");
        assert_eq!(workers.len(), 1, "{name}");
        assert_eq!(workers[0]["name"].as_str(), program.map(|program| program.worker), "{name}");
        found.insert(name);
    }
    let listed: BTreeSet<String> = PROGRAMS.iter().map(|program| program.name.to_owned()).collect();
    assert_eq!((found.len(), &found), (PROGRAMS.len(), &listed));
}

#[test]
fn the_table_of_the_guide_has_every_program_in_the_order_of_the_catalog() {
    let guide = example::directory().join("../../docs/guides/programs.md");
    let table = page::table_in(&guide, "programs").expect("the guide has its place");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| [")?.split(']').next());
    assert!(rows.eq(PROGRAMS.iter().map(|program| program.name)), "{table}");
}

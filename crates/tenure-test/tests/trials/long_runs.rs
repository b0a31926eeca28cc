//! The page about what was verified: its tables are those of the records beside it.

use std::path::Path;

use tenure_test::inject::report;
use tenure_test::storm::campaign;
use tenure_test::{page, record};

/// The page.
fn verification() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verification.md"))
}

#[test]
fn the_table_of_the_storm_says_what_its_record_holds() {
    let lines = record::read(&page::record_of(verification(), "storm")).expect("a record");
    assert_eq!(page::table_in(verification(), "storm").expect("a table"), campaign::table(&lines));
}

#[test]
fn the_tables_of_faults_say_what_their_record_holds() {
    let lines = record::read(&page::record_of(verification(), "inject")).expect("a record");
    assert_eq!(page::table_in(verification(), "inject").expect("a table"), report::table(&lines));
}

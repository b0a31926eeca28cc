//! The tables of a page that long runs write, and the records beside it that they are written from.
//!
//! A page `verification.md` keeps the record of the long run `storm` in `verification/storm.jsonl`, and its table between
//! `<!-- storm: begin -->` and `<!-- storm: end -->`. Whoever adds to the record writes the table anew from all of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::record::{self, Line, RecordError};

/// Why a page cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The page or its record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The page has no place for the table.
    #[error("{path} has no lines `{begin}` and `{end}`, in this order: add them where the table belongs")]
    NoPlace {
        /// Which page.
        path: PathBuf,
        /// What stands before the table.
        begin: String,
        /// What stands after it.
        end: String,
    },
}

/// Where the page keeps the record of a long run.
#[must_use]
pub fn record_of(page: &Path, run: &str) -> PathBuf {
    page.with_extension("").join(format!("{run}.jsonl"))
}

/// The table of a long run as it stands in the page.
pub fn table_in(page: &Path, run: &str) -> Result<String, PageError> {
    let text = read(page)?;
    let (from, to) = place(page, &text, run)?;
    Ok(text[from..to].to_owned())
}

/// Writes the record of a long run, and its table in the page.
pub fn publish<T: Serialize>(
    page: &Path,
    run: &str,
    lines: &[Line<T>],
    table: &str,
) -> Result<(), PageError> {
    // A page without a place for the table gets no record.
    table_in(page, run)?;
    let record = record_of(page, run);
    let directory = record.parent().unwrap_or(page);
    fs::create_dir_all(directory)
        .map_err(|source| RecordError::Unusable { path: directory.to_owned(), source })?;
    record::replace(&record, &record::text(lines))?;
    write_table(page, run, table)
}

/// Writes a table into the page, of a run that keeps no record.
pub fn write_table(page: &Path, run: &str, table: &str) -> Result<(), PageError> {
    let text = read(page)?;
    let (from, to) = place(page, &text, run)?;
    Ok(record::replace(page, &[&text[..from], table, &text[to..]].concat())?)
}

fn read(page: &Path) -> Result<String, RecordError> {
    fs::read_to_string(page).map_err(|source| RecordError::Unusable { path: page.to_owned(), source })
}

/// From where to where the table stands.
fn place(page: &Path, text: &str, run: &str) -> Result<(usize, usize), PageError> {
    let (begin, end) = (format!("<!-- {run}: begin -->\n"), format!("<!-- {run}: end -->\n"));
    let from = text.find(&begin).map(|at| at + begin.len());
    let found = from.and_then(|from| text[from..].find(&end).map(|length| (from, from + length)));
    let (begin, end) = (begin.trim().to_owned(), end.trim().to_owned());
    found.ok_or_else(|| PageError::NoPlace { path: page.to_owned(), begin, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before_and_of_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let page = directory.path().join("page.md");
        fs::write(&page, "before\n<!-- storm: begin -->\nold\n<!-- storm: end -->\nafter\n").expect("a page");
        publish::<u32>(&page, "storm", &[], "new\n").expect("a table");
        let text = fs::read_to_string(&page).expect("a page");
        assert_eq!(text, "before\n<!-- storm: begin -->\nnew\n<!-- storm: end -->\nafter\n");
        assert_eq!(table_in(&page, "storm").expect("a table"), "new\n");
        assert!(record_of(&page, "storm").exists());
        let error = publish::<u32>(&page, "inject", &[], "new\n").expect_err("no place").to_string();
        assert!(error.contains("no lines `<!-- inject: begin -->`"), "{error}");
    }
}

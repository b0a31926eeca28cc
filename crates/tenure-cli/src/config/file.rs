//! One configuration file: its workers by name, as tables that know the position of each part.
//!
//! The text is parsed once. Only the worker that is asked for is read further, so a mistake in another worker's table
//! does no harm. `worker` reads the tables.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::find::SourceFile;
use super::keys::{self, Described};
use super::values::{Found, Valued};

/// The one table of the top level.
pub(crate) const TABLE: &str = "worker";

/// A value that knows where it is written.
pub(crate) type Written<'text> = Spanned<DeValue<'text>>;

/// The workers of one file.
#[derive(Debug)]
pub(crate) struct File<'text> {
    pub(crate) source: &'text SourceFile,
    table: DeTable<'text>,
}

impl<'text> File<'text> {
    /// Parses a file; its first fault is the error.
    pub(crate) fn parse(source: &'text SourceFile) -> Result<Self, ConfigError> {
        let document = DeTable::parse(&source.text).map_err(|error| broken(source, &error))?;
        let mut faults = Vec::new();
        let file = Self::of(source, document.into_inner(), &mut faults);
        faults.into_iter().next().map_or(Ok(file), Err)
    }

    /// Parses what can be parsed of a file, and every fault of it.
    pub(crate) fn parse_all(source: &'text SourceFile) -> (Self, Vec<ConfigError>) {
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        let mut faults: Vec<ConfigError> = errors.iter().map(|error| broken(source, error)).collect();
        let file = Self::of(source, document.into_inner(), &mut faults);
        (file, faults)
    }

    fn of(source: &'text SourceFile, document: DeTable<'text>, faults: &mut Vec<ConfigError>) -> Self {
        let mut table = DeTable::new();
        for (key, value) in document {
            let name: &str = key.get_ref();
            if name != TABLE {
                let suggestion = keys::nearest(name, [TABLE]).or(Some("worker.NAME")).map(Cow::Borrowed);
                let place = source.place(key.span().start);
                faults.push(ConfigError::UnknownKey { place, key: name.to_owned(), suggestion });
                continue;
            }
            let place = source.place(value.span().start);
            if let DeValue::Table(workers) = value.into_inner() {
                table = workers;
            } else {
                let message = "`worker` holds a table for each name: [worker.NAME]".to_owned();
                faults.push(ConfigError::Text { place, message });
            }
        }
        Self { source, table }
    }

    /// Their names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|name| name.get_ref().as_ref())
    }

    /// The description of the worker of that name, where there is one; its positions are those of all files numbered
    /// through.
    pub(crate) fn take(&mut self, name: &str) -> Option<Written<'text>> {
        let worker = self.table.remove(name)?;
        Some(if self.source.base == 0 { worker } else { shifted(worker, self.source.base) })
    }
}

fn broken(source: &SourceFile, error: &toml::de::Error) -> ConfigError {
    let place = source.place(error.span().map_or(0, |span| span.start));
    ConfigError::Text { place, message: error.message().to_owned() }
}

fn shifted(value: Written<'_>, by: usize) -> Written<'_> {
    let span = moved(&value.span(), by);
    let value = match value.into_inner() {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| shifted(item, by)).collect()),
        DeValue::Table(table) => {
            let entry = |(key, value): (Spanned<_>, _)| {
                let span = moved(&key.span(), by);
                (Spanned::new(span, key.into_inner()), shifted(value, by))
            };
            DeValue::Table(table.into_iter().map(entry).collect())
        }
        plain @ (DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)) => plain,
    };
    Spanned::new(span, value)
}

fn moved(span: &Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// Where the key at the end of `path` is written.
pub(crate) fn span_of(value: &Written<'_>, path: &[String]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    if let DeValue::Array(items) = value.get_ref() {
        return items.iter().find_map(|item| span_of(item, path));
    }
    let (key, below) = value.get_ref().as_table()?.get_key_value(first.as_str())?;
    if rest.is_empty() { Some(key.span()) } else { span_of(below, rest) }
}

impl Described for Written<'_> {
    fn entries(&self) -> Vec<(&str, &Self)> {
        let table = self.get_ref().as_table().into_iter().flatten();
        table.map(|(key, value)| (key.get_ref().as_ref(), value)).collect()
    }

    fn items(&self) -> &[Self] {
        match self.get_ref() {
            DeValue::Array(items) => items,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => &[],
        }
    }
}

impl Valued for Written<'_> {
    fn found(&self) -> Found<'_> {
        match self.get_ref() {
            DeValue::String(text) => Found::Text(text),
            DeValue::Integer(number) => {
                Found::Number(i64::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Boolean(switch) => Found::Switch(*switch),
            DeValue::Array(_) => Found::List,
            DeValue::Table(_) => Found::Table,
            DeValue::Float(_) | DeValue::Datetime(_) => Found::Other,
        }
    }

    fn position(&self) -> Option<usize> {
        Some(self.span().start)
    }
}

#[cfg(test)]
mod tests {
    use super::super::find::Level;
    use super::*;

    fn source(text: &str, base: usize) -> SourceFile {
        let mut source = SourceFile::new("/p/tenure.toml".into(), text.to_owned(), Level::Project);
        source.base = base;
        source
    }

    #[test]
    fn what_is_no_file_of_workers_names_its_line() {
        for (text, line) in [
            ("[worker.w\n", 1),
            ("[worker.w]\ncommand = [\"x\"]\n\n[wroker.v]\n", 4),
            ("\nworker = 3", 2),
            ("[worker.w]\na = 1\na = 2", 3),
        ] {
            let fault = File::parse(&source(text, 0)).expect_err(text).to_string();
            assert!(fault.contains(&format!("/p/tenure.toml:{line}")), "{text:?}: {fault}");
        }
    }

    #[test]
    fn every_fault_of_a_file_is_found() {
        let source = source("a = 1\n[worker.w]\nb = \nc = 'x\n[worker.v]\ncommand = []\n[other]\n", 0);
        let (file, faults) = File::parse_all(&source);
        assert!(faults.len() >= 4, "{faults:?}");
        assert!(file.names().any(|name| name == "v"));
    }

    #[test]
    fn positions_are_those_of_all_files_numbered_through() {
        let text = "[worker.w]\ncommand = [\"x\"]\nstop = { grace = \"5s\" }\n";
        let at = |base| {
            let source = source(text, base);
            let value = File::parse(&source).expect("parses").take("w").expect("there");
            span_of(&value, &["stop".into(), "grace".into()]).expect("there").start
        };
        assert_eq!(at(1000), at(0) + 1000);
    }
}

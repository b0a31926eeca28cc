//! Rows of the table: a median, what it is held against, and the ratio or difference that the promise is about.

use std::time::Duration;

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Its median.
    pub median: String,
    /// What it was paired with.
    pub against: String,
    /// Ratio or difference of the pair.
    pub pair: String,
    /// What is promised.
    pub promise: &'static str,
}

/// The median of some durations; zero of none.
#[must_use]
pub fn median(samples: &[Duration]) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The median of the ratios, pair by pair.
#[must_use]
pub fn ratio(ours: &[Duration], theirs: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or_default()
}

/// The median of the differences in microseconds, pair by pair.
#[must_use]
pub fn difference(ours: &[Duration], theirs: &[Duration]) -> f64 {
    let micros = |(a, b): (&Duration, &Duration)| (a.as_secs_f64() - b.as_secs_f64()) * 1e6;
    let mut differences: Vec<f64> = ours.iter().zip(theirs).map(micros).collect();
    differences.sort_unstable_by(f64::total_cmp);
    differences.get(differences.len() / 2).copied().unwrap_or_default()
}

/// A duration as text, in the unit that suits it.
#[must_use]
pub fn show(span: Duration) -> String {
    let micros = span.as_secs_f64() * 1e6;
    match micros {
        few if few < 2_000.0 => format!("{few:.0} µs"),
        some if some < 2_000_000.0 => format!("{:.1} ms", some / 1e3),
        many => format!("{:.2} s", many / 1e6),
    }
}

/// The table as Markdown.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let head = "| figure | median | against | pair | promise |\n|---|---|---|---|---|\n".to_owned();
    let row = |Row { what, median, against, pair, promise }: &Row| {
        format!("| {what} | {median} | {against} | {pair} | {promise} |\n")
    };
    std::iter::once(head).chain(rows.iter().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_and_differences_are_taken_pair_by_pair() {
        let ms = |list: &[u64]| list.iter().map(|&ms| Duration::from_millis(ms)).collect::<Vec<_>>();
        let (ours, theirs) = (ms(&[2, 20, 200]), ms(&[1, 10, 100]));
        assert!((ratio(&ours, &theirs) - 2.0).abs() < 1e-9);
        assert!((difference(&ours, &theirs) - 10_000.0).abs() < 1e-6);
        assert_eq!(median(&ours), Duration::from_millis(20));
    }
}

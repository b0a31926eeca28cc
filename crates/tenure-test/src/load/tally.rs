//! What clients saw, counted: new connections, connections that are kept, and long streams, each apart.
//!
//! Data and arithmetic only. Nothing is judged here: what must be zero is said by the test.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How many troubles are told in words.
const NOTES: usize = 12;

/// What all clients of a load saw.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Requests on a connection of their own.
    pub fresh: Fresh,
    /// Requests on connections that are kept.
    pub kept: Reused,
    /// Long answers.
    pub streams: Streams,
    /// Whole answers by who gave them, as the answers say.
    pub by: BTreeMap<Told, u64>,
    /// The first troubles in words, with the time since the load began.
    pub notes: Vec<String>,
    /// For how long there was load.
    pub lasted: Duration,
}

/// Who answered: version and generation as the first line of the body says them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// The generation; 0 where none is told.
    pub generation: u64,
    /// The version; empty where none is told.
    pub version: String,
}

/// Requests on a connection of their own: connect, GET, the whole answer, close.
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    /// Whole answers of the expected shape.
    pub answered: u64,
    /// Nobody listened.
    pub refused: u64,
    /// The connection ended before the whole answer was there.
    pub reset: u64,
    /// Nothing came for as long as the client was patient.
    pub timed_out: u64,
    /// Another status than 2xx, or a body of another shape.
    pub wrong: u64,
    /// From connect to the end of the answer, one for each answer; sorted once the load is over.
    pub waits: Vec<Duration>,
    /// The longest time in which a client that went on trying got no answer, from its first try to the answer.
    pub longest_with_retries: Duration,
}

/// Requests on connections that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reused {
    /// Whole answers of the expected shape.
    pub answered: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections that the server closed between two requests.
    pub closed: u64,
    /// Connections that the server closed while a request was on its way: not one byte of an answer. Like the former,
    /// the client's to retry (RFC 9112, 9.3.1).
    pub raced: u64,
    /// Answers that ended in the middle.
    pub cut: u64,
    /// Nobody listened when the client connected.
    pub refused: u64,
    /// The first request of a connection got no answer.
    pub reset: u64,
    /// Nothing came for as long as the client was patient.
    pub timed_out: u64,
    /// Another status than 2xx, or a body of another shape.
    pub wrong: u64,
}

/// Long answers in chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Streams {
    /// Answers with every chunk.
    pub complete: u64,
    /// Answers that had begun and ended early, or with another number of chunks.
    pub cut: u64,
    /// Answers that never began.
    pub failed: u64,
}

impl Load {
    /// Whether every new connection was answered, those of kept connections and streams included.
    #[must_use]
    pub fn refused_nothing(&self) -> bool {
        let fresh = self.fresh.refused + self.fresh.reset + self.fresh.timed_out + self.fresh.wrong;
        let kept = self.kept.refused + self.kept.reset + self.kept.timed_out + self.kept.wrong;
        fresh + kept + self.streams.failed == 0
    }

    /// Whether no answer ended in the middle.
    #[must_use]
    pub fn cut_nothing(&self) -> bool {
        self.kept.cut + self.streams.cut == 0
    }

    /// The generations that answered, in their order.
    #[must_use]
    pub fn generations(&self) -> Vec<u64> {
        let mut told: Vec<u64> = self.by.keys().map(|told| told.generation).collect();
        told.dedup();
        told
    }

    /// Adds what others saw at the same time.
    pub fn add(&mut self, other: Self) {
        self.fresh.add(other.fresh);
        self.kept.add(&other.kept);
        self.streams.complete += other.streams.complete;
        self.streams.cut += other.streams.cut;
        self.streams.failed += other.streams.failed;
        for (told, count) in other.by {
            *self.by.entry(told).or_default() += count;
        }
        self.notes.extend(other.notes);
        self.notes.truncate(NOTES);
        self.lasted = self.lasted.max(other.lasted);
    }

    /// Writes a trouble down in words.
    pub(super) fn note(&mut self, since: Duration, what: &str) {
        if self.notes.len() < NOTES {
            self.notes.push(format!("{:.1} ms: {what}", since.as_secs_f64() * 1e3));
        }
    }
}

impl Fresh {
    /// The longest wait.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.waits.iter().max().copied().unwrap_or_default()
    }

    /// The wait that this many of a hundred answers stayed below; zero without answers.
    ///
    /// Waits must be sorted, as those of a load that is over are.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.waits.len() * percent / 100).min(self.waits.len().saturating_sub(1));
        self.waits.get(index).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.reset += other.reset;
        self.timed_out += other.timed_out;
        self.wrong += other.wrong;
        self.waits.extend(other.waits);
        self.waits.sort_unstable();
        self.longest_with_retries = self.longest_with_retries.max(other.longest_with_retries);
    }
}

impl Reused {
    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.connections += other.connections;
        self.closed += other.closed;
        self.raced += other.raced;
        self.cut += other.cut;
        self.refused += other.refused;
        self.reset += other.reset;
        self.timed_out += other.timed_out;
        self.wrong += other.wrong;
    }
}

impl Told {
    /// Who a body says that it is from: `version` and `generation`, each followed by `=` or a space and its value.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let words: Vec<&str> = text.lines().next().unwrap_or_default().split([' ', '=', '\t']).collect();
        let after = |name: &str| words.iter().position(|&word| word == name).and_then(|at| words.get(at + 1));
        Self {
            generation: after("generation").and_then(|word| word.parse().ok()).unwrap_or_default(),
            version: after("version").copied().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Load {
    /// A summary on a few lines, for a test that fails and a person who tries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fresh { answered, refused, reset, timed_out, wrong, .. } = &self.fresh;
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        writeln!(f, "in {:.1} s:", self.lasted.as_secs_f64())?;
        writeln!(
            f,
            "  new: {answered} answered, {refused} refused, {reset} reset, {timed_out} timed out, {wrong} wrong; \
             p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms, with retries {:.1} ms",
            ms(self.fresh.percentile(50)),
            ms(self.fresh.percentile(99)),
            ms(self.fresh.longest()),
            ms(self.fresh.longest_with_retries),
        )?;
        writeln!(f, "  kept: {:?}", self.kept)?;
        writeln!(f, "  streams: {:?}", self.streams)?;
        writeln!(f, "  by {} generations: {:?}", self.generations().len(), self.generations())?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_who_it_is_from_in_either_form() {
        let told = |generation, version: &str| Told { generation, version: version.to_owned() };
        assert_eq!(Told::of(b"version=1.2.3 generation=7 pid=9\nmore"), told(7, "1.2.3"));
        assert_eq!(Told::of(b"hello from generation 4\n"), told(4, ""));
        assert_eq!(Told::of(b"<html>\ngeneration=4"), told(0, ""));
    }

    #[test]
    fn percentiles_are_of_all_clients_together() {
        let of = |ms: &[u64]| Load {
            fresh: Fresh {
                waits: ms.iter().map(|&ms| Duration::from_millis(ms)).collect(),
                ..Fresh::default()
            },
            ..Load::default()
        };
        let mut load = of(&[9, 1]);
        load.add(of(&[5, 3]));
        let percentile = |percent| load.fresh.percentile(percent).as_millis();
        assert_eq!((percentile(0), percentile(50), percentile(99)), (1, 5, 9));
        assert_eq!(Fresh::default().percentile(99), Duration::ZERO);
    }
}

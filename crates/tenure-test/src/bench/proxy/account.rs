//! What a proxy's thread took, from the kernel's own account, and the rows of pairs of samples.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tenure_sys::pipe;
use tenure_sys::poll::{self, Interest, Readiness};

use crate::bench::figure::Row;

/// The account of one thread.
pub(super) struct Account(PathBuf);

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Requests in a second.
    pub(super) rate: f64,
    /// Processor time meanwhile.
    pub(super) cpu: Duration,
    /// How long it took.
    pub(super) span: Duration,
}

impl Account {
    /// Of the thread of this name in a process.
    pub(super) fn of(pid: u32, name: &str) -> Self {
        let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
        let named = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        Self(tasks.find(named).map(|task| task.path()).expect("the thread runs"))
    }

    /// Processor time so far.
    pub(super) fn cpu(&self) -> Duration {
        let text = fs::read_to_string(self.0.join("schedstat")).unwrap_or_default();
        let nanos = text.split_whitespace().next().and_then(|first| first.parse().ok());
        Duration::from_nanos(nanos.unwrap_or_default())
    }

    /// Times that it has been woken.
    pub(super) fn switches(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_default()
    }
}

impl Sample {
    /// Microseconds of processor time for a request.
    fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.rate * self.span.as_secs_f64()).max(1.0)
    }
}

/// Throughput and cost of a load, ours in turn with theirs.
pub(super) fn rows(what: &str, pairs: &[(Sample, Sample)]) -> [Row; 2] {
    let middle = |value: &dyn Fn(&(Sample, Sample)) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    [
        Row {
            what: format!("proxy: {what}"),
            median: format!("{:.0} a second", middle(&|(ours, _)| ours.rate)),
            against: format!("haproxy: {:.0} a second", middle(&|(_, theirs)| theirs.rate)),
            pair: format!("ratio {:.2}", middle(&|(ours, theirs)| ours.rate / theirs.rate)),
            promise: "ratio ≥ 0.9",
        },
        Row {
            what: "the same: processor time for a request".to_owned(),
            median: format!("{:.1} µs", middle(&|(ours, _)| ours.cost())),
            against: format!("haproxy: {:.1} µs", middle(&|(_, theirs)| theirs.cost())),
            pair: format!("ratio {:.2}", middle(&|(ours, theirs)| ours.cost() / theirs.cost())),
            promise: "–",
        },
    ]
}

/// Lets real time pass: nobody writes into the pipe.
pub(super) fn pass(window: Duration) {
    use std::os::fd::AsFd;

    let (reader, _writer) = pipe::pipe().expect("a pipe can be made");
    let mut interests = [Interest::new(reader.as_fd(), Readiness::Read)];
    poll::wait(&mut interests, Some(window)).expect("a pipe can be polled");
}

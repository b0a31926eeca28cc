//! What a process inherited from whoever started it, as far as the kernel shows it to others. For messages only.

use std::fs;

use crate::linux::process::procfs;

use super::facts::network_of;
use super::handle::ProcessHandle;

/// What a process has inherited: names, and values as the kernel writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited(Vec<(String, String)>);

/// Of `/proc/PID/stat`, counted from the state: nice value and scheduling policy.
const NICE: usize = 16;
const POLICY: usize = 38;

/// The values that `spawn` resets to where it may: a process that has such a value did not inherit it. Processors are
/// always reset, as far as the cgroup has them, and are not compared.
const PUT_BACK: [(&str, &str); 3] = [("nice", "0"), ("scheduling policy", "0"), ("oom_score_adj", "0")];

/// Namespaces that are compared; pid and mount namespaces are told elsewhere.
const NAMESPACES: [&str; 5] = ["net", "user", "uts", "ipc", "cgroup"];

/// What a process has inherited; `None` where it cannot be looked at.
#[must_use]
pub fn inherited_by(pid: u32) -> Option<Inherited> {
    let mut found = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        found.extend(value.map(|value| (name.to_owned(), value)));
    };
    let stat = fs::read_to_string(procfs::path(pid, "stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    add("nice", fields.nth(NICE).map(str::to_owned));
    add("scheduling policy", fields.nth(POLICY - NICE - 1).map(str::to_owned));
    add("oom_score_adj", read(pid, "oom_score_adj"));
    add("no_new_privs", procfs::status_field(pid, "NoNewPrivs"));
    add("seccomp", procfs::status_field(pid, "Seccomp"));
    add("cgroup", read(pid, "cgroup"));
    for name in NAMESPACES {
        let link = fs::read_link(procfs::path(pid, &format!("ns/{name}"))).ok();
        add(&format!("{name} namespace"), link.map(|link| link.display().to_string()));
    }
    let limits = fs::read_to_string(procfs::path(pid, "limits")).ok()?;
    found.extend(limits.lines().skip(1).filter_map(hard_limit));
    Some(Inherited(found))
}

/// Whether a process sees the network that the caller sees; `None` where the kernel does not tell.
#[must_use]
pub fn shares_network(process: &ProcessHandle) -> Option<bool> {
    // `self`: in a pid namespace that sees the outer /proc, this process's own number is another's there.
    let own = procfs::namespace("self", "net").ok()?;
    let same = network_of(process.pid())? == own;
    // The number is still this process's.
    (!process.has_ended()).then_some(same)
}

fn read(pid: u32, file: &str) -> Option<String> {
    Some(in_a_line(&fs::read_to_string(procfs::path(pid, file)).ok()?))
}

/// A file of several lines in one, such as `/proc/PID/cgroup` with cgroups version 1.
fn in_a_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

/// A line of `/proc/PID/limits`: the name fills 26 characters, then come the soft and the hard limit.
fn hard_limit(line: &str) -> Option<(String, String)> {
    let (name, values) = line.split_at_checked(26)?;
    let hard = values.split_ascii_whitespace().nth(1)?;
    Some((format!("hard limit \"{}\"", name.trim().to_ascii_lowercase()), hard.to_owned()))
}

impl Inherited {
    /// A line for each thing that this process inherited and in which `other` differs.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let differs = |(name, value): &(String, String)| {
            let (_, others) = other.0.iter().find(|(known, _)| known == name)?;
            (value != others).then(|| match name.as_str() {
                "cgroup" => {
                    let (value, others) = (without(value, others), without(others, value));
                    format!("{name} is {value}; here it is {others}")
                }
                _ => format!("{name} is {value}; here it is {others}"),
            })
        };
        let from_starter =
            |(name, value): &&(String, String)| !PUT_BACK.contains(&(name.as_str(), value.as_str()));
        self.0.iter().filter(from_starter).filter_map(differs).collect()
    }
}

/// The parts of a list that the other list does not have: of a dozen cgroup hierarchies often one differs.
fn without(list: &str, other: &str) -> String {
    let others: Vec<&str> = other.split(", ").collect();
    let own: Vec<&str> = list.split(", ").filter(|part| !others.contains(part)).collect();
    if own.is_empty() { list.to_owned() } else { own.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_several_hierarchies_are_told_in_a_line_and_as_far_as_they_differ() {
        let of = |text: &str| Inherited(vec![("cgroup".to_owned(), in_a_line(text))]);
        let worker = of("2:cpu:/a\n1:memory:/\n0::/\n");
        let here = of("2:cpu:/b\n1:memory:/\n0::/\n");
        assert_eq!(worker.differences(&here), ["cgroup is 2:cpu:/a; here it is 2:cpu:/b"]);
        assert_eq!(of("0::/a\n").differences(&of("0::/\n")), ["cgroup is 0::/a; here it is 0::/"]);
    }

    #[test]
    fn a_process_does_not_differ_from_itself_and_each_difference_has_a_line() {
        let own = inherited_by(std::process::id()).expect("our own");
        assert_eq!(own.differences(&own), Vec::<String>::new());
        let mut other = own.clone();
        other.0[0].1 = "7".into();
        let line = format!("nice is 7; here it is {}", own.0[0].1);
        assert_eq!(other.differences(&own), [line]);
        // Who looks may be nicer than the worker, which has what it shall have.
        let mut put_back = own.clone();
        put_back.0[0].1 = "0".into();
        other.0[0].1 = "2".into();
        assert_eq!(put_back.differences(&other), Vec::<String>::new());
        assert!(own.0.iter().any(|(name, _)| name == "hard limit \"max open files\""), "{own:?}");
    }
}

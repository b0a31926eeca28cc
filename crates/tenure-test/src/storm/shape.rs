//! What the worker of a trial is like: who listens, whether two programs may run beside each other, and how its program
//! behaves towards those that have to find and end it.

use std::fmt;

use crate::fixtures::dice::Dice;

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The program, on a descriptor that it inherits.
    Inherit,
    /// The host, which relays to a port that the program is told.
    Proxy,
    /// The program, on an address of its own.
    SelfBound,
}

/// The shape of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    mode: Mode,
    overlap: bool,
    words: Vec<&'static str>,
    /// The address of a program that binds it itself: of this trial alone.
    address: String,
}

impl Shape {
    /// A random one; `seed` makes its address its own.
    pub fn choose(dice: &mut Dice, seed: u64) -> Self {
        let mode = match dice.below(6) {
            0..=2 => Mode::Inherit,
            3..=4 => Mode::Proxy,
            _ => Mode::SelfBound,
        };
        // A port that the program binds itself changes hands only when the old program is gone.
        let overlap = mode != Mode::SelfBound && dice.chance(30);
        let mut words = vec!["escapee"];
        // escapee: found by its cookie. orphan: only by the lock that it inherited. untitled: its environment tells nothing.
        // deaf: ends only by SIGKILL.
        for (word, percent) in [("orphan", 30), ("untitled", 25), ("deaf", 10)] {
            words.extend(dice.chance(percent).then_some(word));
        }
        let [_, .., a, b] = seed.to_be_bytes();
        let own = std::process::id().to_be_bytes();
        let address = format!("127.{}.{a}.{b}:{}", 1 + own[3] % 250, 20_000 + u16::from(own[2]));
        Self { mode, overlap, words, address }
    }

    /// The description of one version of it. `words` begin its command; `says` is the version that it says it is.
    #[must_use]
    pub fn describe(&self, version: &str, mut words: Vec<String>, says: Option<&str>) -> String {
        words.extend(self.words.iter().map(|word| (*word).to_owned()));
        words.extend(self.overlap.then(|| "beside".to_owned()));
        words.extend(says.map(|says| format!("claims={says}")));
        // What answers at the address may be the other program: readiness is told where two run.
        let tells = self.overlap || says.is_some();
        words.extend(tells.then(|| "notify".to_owned()));
        let listen = match self.mode {
            Mode::Inherit => "tcp = \"127.0.0.1:0\"".to_owned(),
            Mode::Proxy => {
                words.push("bind=env".to_owned());
                "tcp = \"127.0.0.1:0\", mode = \"proxy\", to = \"env:PORT\"".to_owned()
            }
            Mode::SelfBound => {
                words.push(format!("bind={}", self.address));
                format!("tcp = {:?}, mode = \"self\"", self.address)
            }
        };
        let ready = if tells { "notify = true" } else { "http = \"/\"" };
        let overlap = if self.overlap { "overlap = true\n" } else { "" };
        format!(
            "[worker.storm]\napp = \"storm.storm\"\nversion = {version:?}\ncommand = {words:?}\nlisten = [{{ name = \"http\", {listen} }}]\n\
             ready = {{ {ready} }}\n{overlap}start_timeout = \"3s\"\nbake = \"100ms\"\nstop = {{ grace = \"1s\" }}\n"
        )
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            Mode::Inherit => "inherit",
            Mode::Proxy => "proxy",
            Mode::SelfBound => "self",
        })?;
        if self.overlap { f.write_str(" with overlap") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_programs_beside_each_other_tell_their_readiness_themselves() {
        let mut dice = Dice::new(7);
        let shapes: Vec<Shape> = (0..200).map(|seed| Shape::choose(&mut dice, seed)).collect();
        let overlapping = shapes.iter().filter(|shape| shape.overlap);
        let texts: Vec<String> =
            overlapping.map(|shape| shape.describe("1.0.0", vec!["program".to_owned()], None)).collect();
        assert!(!texts.is_empty());
        assert!(texts.iter().all(|text| text.contains("notify = true") && !text.contains("mode = \"self\"")));
    }
}

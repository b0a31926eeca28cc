//! The part of its boot at which a worker failed.
//!
//! It goes over the channel and into answers as text. Most stages are named by the worker's app and are only shown; the
//! stages that have a variant of their own decide what a launcher does next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The named part of a boot that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum BootStage {
    /// It ended without a word, or closed its channel without a report.
    Died,
    /// A successor ended without a word, and with it the worker whose place it was to take.
    Vanished,
    /// Somebody asked the worker to stop.
    Stopped,
    /// A takeover failed for want of something that is not the version's: descriptors, memory, room on the disk, or an
    /// incumbent that does not hand over now.
    Takeover,
    /// The incumbent of a takeover was not heard any more. Whether it is silent to everybody is for the launcher to find
    /// out.
    Unheard,
    /// This process, or the machine, had no more descriptors or memory.
    Lack,
    /// Another part, by its name.
    Named(String),
}

impl BootStage {
    /// The stages that decide something.
    const DECIDING: [Self; 6] =
        [Self::Died, Self::Vanished, Self::Stopped, Self::Takeover, Self::Unheard, Self::Lack];

    /// Its text, which never changes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Died => "boot",
            Self::Vanished => "vanished",
            Self::Stopped => "stop",
            Self::Takeover => "hand-over",
            Self::Unheard => "hand-over, unanswered",
            Self::Lack => "lack",
            Self::Named(name) => name,
        }
    }

    /// Whether a failure at this stage says something about the worker's spec. A boot that somebody stopped does not,
    /// nor does one that ended together with the worker before it, a takeover with which the two could not go on, or a
    /// process that had no means to begin with.
    #[must_use]
    pub fn is_of_the_spec(&self) -> bool {
        match self {
            Self::Died | Self::Named(_) => true,
            Self::Vanished | Self::Stopped | Self::Takeover | Self::Unheard | Self::Lack => false,
        }
    }
}

impl fmt::Display for BootStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for BootStage {
    fn from(text: &str) -> Self {
        let deciding = Self::DECIDING.into_iter().find(|stage| stage.as_str() == text);
        deciding.unwrap_or_else(|| Self::Named(text.to_owned()))
    }
}

impl From<String> for BootStage {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<BootStage> for String {
    fn from(stage: BootStage) -> Self {
        stage.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_the_same_on_both_ends_of_the_channel() {
        let texts = ["boot", "vanished", "stop", "hand-over", "hand-over, unanswered", "lack", "config"];
        for text in texts {
            let stage = BootStage::from(text);
            assert_eq!(stage.to_string(), text);
            assert_eq!(matches!(stage, BootStage::Named(_)), text == "config");
            assert_eq!(serde_json::to_value(&stage).expect("writes"), text);
            assert_eq!(serde_json::from_value::<BootStage>(text.into()).expect("reads"), stage);
        }
    }
}

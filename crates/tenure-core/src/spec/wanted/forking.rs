//! Whether a program puts itself into the background. Data only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whether a program puts itself into the background, and where it writes which process serves then. Written as `true`,
/// `false`, or a table with `pid_file`.
///
/// ```
/// use tenure::{Forking, Spec};
///
/// let mut spec = Spec::of_command(vec!["memcached".into(), "-d".into()], "/srv/cache".into());
/// spec.forking = Forking::Yes;
/// spec.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
#[non_exhaustive]
pub enum Forking {
    /// Its first process is the program.
    #[default]
    No,
    /// Its first process ends with 0, and the only process that it leaves is the program.
    Yes,
    /// Its first process ends with 0, and the process that this file names is the program. The file is removed when the
    /// program has ended, unless another process has written it since. A relative path starts from `cwd`.
    PidFile(PathBuf),
}

impl Forking {
    /// Whether the first process is the program.
    #[must_use]
    pub fn is_no(&self) -> bool {
        *self == Self::No
    }
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Switch(bool),
    Table(Table),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(with = "crate::os_text::path")]
    pid_file: PathBuf,
}

impl From<Written> for Forking {
    fn from(written: Written) -> Self {
        match written {
            Written::Switch(false) => Self::No,
            Written::Switch(true) => Self::Yes,
            Written::Table(Table { pid_file }) => Self::PidFile(pid_file),
        }
    }
}

impl From<Forking> for Written {
    fn from(forking: Forking) -> Self {
        match forking {
            Forking::No => Self::Switch(false),
            Forking::Yes => Self::Switch(true),
            Forking::PidFile(pid_file) => Self::Table(Table { pid_file }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_switch_or_names_a_pid_file() {
        let read = serde_json::from_str::<Forking>;
        for (text, forking) in [
            ("false", Forking::No),
            ("true", Forking::Yes),
            (r#"{"pid_file":"run/x.pid"}"#, Forking::PidFile("run/x.pid".into())),
        ] {
            assert_eq!(read(text).expect(text), forking);
            assert_eq!(serde_json::to_string(&forking).expect("writes"), text);
        }
        for bad in ["{}", r#"{"pidfile":"x"}"#, r#""yes""#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

//! The keys of a version: what its text looks like, and how a command prints it. Data only.

use super::super::keys::Default::{Required, Value, Words};
use super::super::keys::Key;
use super::super::keys::Shape::{Switch, Text, Texts};

/// What a version or the name of a build looks like. Coarse: the grammars are checked when the file is read.
pub(super) const PATTERN: &str = "^[0-9A-Za-z][0-9A-Za-z.!_+-]*$";

/// A command that prints the version.
pub(super) const COMMAND: &[Key] = &[
    Key {
        name: "command",
        shape: Texts(1),
        default: Required,
        what: "program and arguments, run in `cwd` as the worker is; the version is found in its output",
    },
    Key {
        name: "inputs",
        shape: Texts(0),
        default: Value("[]"),
        what: "files, from `cwd`, that the output depends on; the command is not run again while neither they nor its program change",
    },
    Key {
        name: "pattern",
        shape: Text,
        default: Words("none"),
        what: "regular expression whose group, or group `version`, is the version in the output; needed where the output has several",
    },
    Key {
        name: "stderr",
        shape: Switch,
        default: Value("false"),
        what: "take the standard error where the standard output is empty, as for `nginx -v`",
    },
];

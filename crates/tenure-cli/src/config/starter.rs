//! The file that `init` writes: every key with its default, commented out, and the command where there is one.
//!
//! Made from the table of keys. Pure.

use std::fmt::Write;

use serde_json::json;

use super::keys::{Default, Key, Shape};
use super::origin::written;
use super::table::WORKER;

/// Longest line of a comment.
const WIDTH: usize = 100;

const HEAD: &str = "\
#:schema ./tenure.schema.json
# Workers that tenure keeps for this directory. Every key is here with its default; the reference says more.
#
#   tenure config check                           says what is wrong with this file
#   tenure config show                            says what is in force, and where it comes from
#   tenure config schema > tenure.schema.json     lets an editor complete and check it
#   tenure trust                                  after a change: allows this file to start programs
";

/// The text of a file that describes a worker of that name.
pub(crate) fn starter(name: &str, command: &[String]) -> String {
    let given = !command.is_empty();
    let off = if given { "" } else { "# " };
    let command = if given { written(&json!(command)) } else { "[\"node\", \"server.mjs\"]".to_owned() };
    let mut text = format!("{HEAD}\n{off}[worker.{name}]\n");
    let own = WORKER.iter().filter(|key| key.name == "command");
    for key in own {
        comment(&mut text, key.what);
        line(&mut text, format_args!("{off}{} = {command}", key.name));
    }
    for key in WORKER.iter().filter(|key| key.name != "command") {
        text.push('\n');
        comment(&mut text, key.what);
        line(&mut text, format_args!("# {} = {}", key.name, default(key)));
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes all");
}

/// The default as TOML, or an example if there is no default value.
fn default(key: &Key) -> String {
    match (key.name, key.default) {
        ("scope", _) => "\"project\"".to_owned(),
        ("app", _) => "\"vendor.plugin\"".to_owned(),
        ("key", _) => "\"KEY\"".to_owned(),
        ("cwd", _) => "\".\"".to_owned(),
        ("listen", _) => "[{ name = \"http\", tcp = \"127.0.0.1:0\" }]".to_owned(),
        ("bake", _) => "\"3s\"".to_owned(),
        ("umask", _) => "\"022\"".to_owned(),
        ("reload", _) => "\"HUP\"".to_owned(),
        ("ready", _) => "\"up\"".to_owned(),
        ("health", _) => {
            "{ http = \"/livez\", interval = \"10s\", timeout = \"2s\", failures = 3 }".to_owned()
        }
        (_, Default::Value(text)) => text.to_owned(),
        (_, Default::Words(_) | Default::Required | Default::Either(_)) => below(key.shape),
    }
}

/// The defaults of a table's keys.
fn below(shape: Shape) -> String {
    let keys = shape.below().into_iter().flatten().flatten();
    let values = keys.filter_map(|key| match key.default {
        Default::Value(text) => Some(format!("{} = {text}", key.name)),
        Default::Words(_) | Default::Required | Default::Either(_) => None,
    });
    format!("{{ {} }}", values.collect::<Vec<_>>().join(", "))
}

fn comment(text: &mut String, what: &str) {
    let mut line = "#".to_owned();
    for word in what.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

//! What was typed and cannot be used, in words of our own: the argument, its value, and what to write.
//!
//! Pure. The parser of the command line has words for it too, which end with what a reader of numbers says.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is wrong with a value, as a fragment; `None` for errors that are not about a value.
pub(crate) fn wrong_value(error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let choices = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(words)) if !words.is_empty() => Some(words.join(", ")),
        _ => None,
    };
    let wanted =
        choices.map(|words| format!("write one of {words}")).or_else(|| Some(error.source()?.to_string()));
    let name = argument.split([' ', '=']).next().unwrap_or(argument).trim_matches(['<', '>', '[', ']']);
    Some(match (value, wanted) {
        ("", None) => format!("`{name}` needs a value: {argument}"),
        ("", Some(wanted)) => format!("`{name}` needs a value: {wanted}"),
        (value, None) => format!("`{name}` cannot be {value:?}"),
        (value, Some(wanted)) => format!("`{name}` cannot be {value:?}: {wanted}"),
    })
}

//! Environment variables that override settings of the worker that is asked for, and the timeout of the call.
//!
//! A variable with a value that is not understood is an error that names it: if it were ignored, the mistake would be
//! looked for in the wrong place. An empty variable counts as unset.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use tenure_core::spec::amount::Span;
use tenure_core::{FIRST_ANSWER_VARIABLE, Version, WEDGED_AFTER_VARIABLE};

use super::error::ConfigError;
use super::worker::DescribedWorker;

/// Variable of the longest time of a call.
const TIMEOUT: &str = "TENURE_TIMEOUT";

/// Keys of a worker that a variable overrides, and the variable.
pub(crate) const OVERRIDES: [(&str, &str); 7] = [
    ("version", "TENURE_VERSION"),
    ("start_timeout", "TENURE_START_TIMEOUT"),
    ("drain_timeout", "TENURE_DRAIN_TIMEOUT"),
    ("stall_timeout", "TENURE_STALL_TIMEOUT"),
    ("bake", "TENURE_BAKE"),
    ("first_answer", FIRST_ANSWER_VARIABLE),
    ("wedged_after", WEDGED_AFTER_VARIABLE),
];

/// The variable that overrides a key.
pub(crate) fn of_key(key: &str) -> Option<&'static str> {
    OVERRIDES.iter().find(|(name, _)| *name == key).map(|(_, variable)| *variable)
}

/// The values that variables set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    version: Option<Version>,
    start_timeout: Option<Span>,
    drain_timeout: Option<Span>,
    stall_timeout: Option<Span>,
    bake: Option<Span>,
    first_answer: Option<Span>,
    wedged_after: Option<Span>,
}

impl Overrides {
    /// Reads this process's environment.
    pub(crate) fn of_environment() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var_os(name))
    }

    /// Reads an environment.
    pub(crate) fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let [version, start, drain, stall, bake, first, wedged] = OVERRIDES.map(|(_, variable)| variable);
        let span = |variable| match value::<Span>(&get, variable)? {
            Some(span) if span.duration().is_zero() => Err(ConfigError::Variable {
                name: variable,
                message: "it must be longer than zero".to_owned(),
            }),
            span => Ok(span),
        };
        Ok(Self {
            version: value(&get, version)?,
            start_timeout: span(start)?,
            drain_timeout: span(drain)?,
            stall_timeout: span(stall)?,
            bake: value(&get, bake)?,
            first_answer: span(first)?,
            wedged_after: span(wedged)?,
        })
    }

    /// Whether a variable sets this key.
    pub(crate) fn sets(&self, key: &str) -> bool {
        match key {
            "version" => self.version.is_some(),
            "start_timeout" => self.start_timeout.is_some(),
            "drain_timeout" => self.drain_timeout.is_some(),
            "stall_timeout" => self.stall_timeout.is_some(),
            "bake" => self.bake.is_some(),
            "first_answer" => self.first_answer.is_some(),
            "wedged_after" => self.wedged_after.is_some(),
            _ => false,
        }
    }

    /// Replaces the values of a description by those of the variables.
    pub(crate) fn apply(&self, worker: &mut DescribedWorker) {
        if let Some(version) = &self.version {
            worker.spec.version.clone_from(version);
            worker.version_command = None;
        }
        let spec = &mut worker.spec;
        let timeouts = [&mut spec.start_timeout, &mut spec.drain_timeout, &mut spec.stall_timeout];
        for (over, own) in
            [self.start_timeout, self.drain_timeout, self.stall_timeout].into_iter().zip(timeouts)
        {
            *own = over.unwrap_or(*own);
        }
        spec.bake = self.bake.or(spec.bake);
        worker.first_answer = self.first_answer.or(worker.first_answer);
        worker.wedged_after = self.wedged_after.or(worker.wedged_after);
    }
}

/// The longest time of a call, where the environment says it.
pub(crate) fn timeout() -> Result<Option<Duration>, ConfigError> {
    Ok(value::<Span>(&|name| std::env::var_os(name), TIMEOUT)?.map(Span::duration))
}

fn value<T: FromStr<Err: std::fmt::Display>>(
    get: &impl Fn(&str) -> Option<OsString>,
    name: &'static str,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let bad = |message| ConfigError::Variable { name, message };
    let text = value.to_str().ok_or_else(|| bad("it is no text".to_owned()))?;
    let read = |error: T::Err| bad(format!("{text:?}: {error}"));
    text.parse().map(Some).map_err(read)
}

#[cfg(test)]
mod tests {
    use tenure_core::Spec;

    use super::super::table::WORKER;
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Overrides, ConfigError> {
        Overrides::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn every_variable_overrides_its_own_key() {
        for (key, variable) in OVERRIDES {
            assert!(WORKER.iter().any(|known| known.name == key), "{key}");
            let value = if key == "version" { "3.2.1" } else { "77s" };
            let overrides = read(&[(variable, value)]).expect(variable);
            assert!(overrides.sets(key), "{key}");
            assert_eq!(OVERRIDES.iter().filter(|(key, _)| overrides.sets(key)).count(), 1);
            let mut worker = DescribedWorker::plain(Spec::of_command(vec!["x".into()], "/".into()));
            overrides.apply(&mut worker);
            let text = format!("{worker:?}");
            assert!(text.contains(if key == "version" { "Version(3.2.1)" } else { "77s" }), "{key}: {text}");
        }
    }

    #[test]
    fn what_is_not_understood_names_the_variable() {
        for (variable, value) in
            [("TENURE_VERSION", "1.2.x"), ("TENURE_START_TIMEOUT", "5"), ("TENURE_WEDGED_AFTER", "0s")]
        {
            assert!(read(&[(variable, value)]).expect_err(value).to_string().contains(variable));
        }
        assert!(read(&[("TENURE_BAKE", "0s")]).expect("no probation").sets("bake"));
        assert_eq!(read(&[("TENURE_VERSION", "")]).expect("empty is unset"), Overrides::default());
    }
}

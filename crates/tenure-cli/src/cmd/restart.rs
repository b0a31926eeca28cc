//! `tenure restart`, with the proof that the new worker serves.

use clap::Args;
use serde::Serialize;
use tenure_core::protocol::wire::Hello;
use tenure_core::spec::app::AppId;
use tenure_core::spec::{BadSpec, ListenMode};
use tenure_core::{Manner, Restarted, Version};

use crate::answer::AnswerState;
use crate::args::{WorkerSelection, words};
use crate::cmd::call::{Call, Run};
use crate::config::ScopeTarget;
use crate::output::account::{self, WorkerIdentity};
use crate::output::failure::Failure;
use crate::output::render::printable;

/// The document of a proved restart.
#[derive(Debug, Serialize)]
struct RestartDocument<'a> {
    state: AnswerState,
    #[serde(flatten)]
    worker: WorkerIdentity<'a>,
    old: Option<WorkerIdentity<'a>>,
    manner: &'static str,
    why: Option<&'a str>,
    /// The offers that were forgotten: nothing describes them any more, or they were those of the displaced app.
    forgotten: &'a [Version],
    /// The app that had the name until now.
    displaced: Option<&'a AppId>,
    /// The version of the description here, where a higher one was started that is described elsewhere.
    passed_over: Option<&'a Version>,
    took_us: u64,
}

/// Replace a worker with a new one, and prove that the new one serves.
///
/// The description is taken as it is now. The new worker takes over from the old one, so that no new connection is
/// refused; a worker that cannot hand over is ended first, and the output says so. If the new one fails, the old one goes on,
/// or is started again. Verified means that a new connection saw a higher generation, the right version and a ready
/// app.
#[derive(Debug, Args)]
#[command(
    override_usage = "tenure restart [OPTIONS] NAME [-- CMD…]",
    after_help = "\
Examples:
  tenure restart web            with the description as it is now
  tenure restart web --overlap  the new program is ready before the old one ends
  tenure restart web --force    the old worker is ended first
  tenure restart web --json     with the worker before and the new one

Exit codes:
  0  a new worker was seen to serve
  1  it was not; the error shows what was seen last
  6  it cannot be restarted so: --overlap, and the description does not allow it"
)]
pub(crate) struct Restart {
    #[command(flatten)]
    wanted: WorkerSelection,
    /// Start the new program beside the old one this time, as `overlap = true` does each time.
    #[arg(long, conflicts_with = "force")]
    pub(crate) overlap: bool,
    /// End the old worker first, instead of taking over from it.
    #[arg(long)]
    pub(crate) force: bool,
    /// The program, which then needs no configuration.
    #[arg(last = true, value_name = "CMD", value_parser = words())]
    command: Vec<String>,
}

impl Run for Restart {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let wanted = call.wanted(&self.wanted, &self.command)?;
        let target = wanted.target.clone();
        let ScopeTarget { scope, display_name, .. } = &target;
        call.may_start(&format!("restart {display_name}"))?;
        if self.overlap {
            wanted.spec.may_overlap().map_err(|bad| refused(&bad, display_name))?;
        }
        let described = wanted.spec.version.clone();
        let request = call.request(wanted)?.overlap(self.overlap).force(self.force);
        let restarted = call.wait(&target, || tenure_core::restart(&request))?;
        let elapsed = call.elapsed();
        let state =
            if restarted.manner == Manner::NoneRan { AnswerState::Started } else { AnswerState::Replaced };
        if call.screen.wants_json() {
            let took_us = account::micros(elapsed);
            let worker = WorkerIdentity::of(scope, Some(&restarted.new));
            let old = restarted.old.as_deref().map(|old| WorkerIdentity::of(scope, Some(old)));
            let (manner, why) = (restarted.manner.word(), restarted.manner.why());
            let displaced = restarted.displaced.as_ref();
            let theirs = displaced.map_or(&[][..], |displaced| &displaced.versions);
            let forgotten = [theirs, &restarted.forgotten].concat();
            let passed_over = restarted.instead.is_some().then_some(&described);
            call.document(&RestartDocument {
                state,
                worker,
                old,
                manner,
                why,
                forgotten: &forgotten,
                displaced: displaced.map(|displaced| &displaced.app),
                passed_over,
                took_us,
            })?;
        } else {
            let line = format!(
                "{} ({})",
                proof(display_name, &restarted),
                how_it_went(&restarted.new, &restarted.manner, &account::measured(elapsed))
            );
            call.screen.info(&line);
            for line in choice(&restarted, &described, &target) {
                call.screen.info(&format!("  {line}"));
            }
        }
        Ok(state.exit())
    }
}

/// Why another offer than the one of the description here was started, and which offers were forgotten.
fn choice(restarted: &Restarted, described: &Version, target: &ScopeTarget) -> Vec<String> {
    let forgotten = restarted.forgotten.iter();
    let mut lines: Vec<String> = Vec::new();
    if let Some(displaced) = &restarted.displaced {
        lines.push(format!("the name was kept for {} until now", printable(&displaced.app.to_string())));
        lines.extend(displaced.versions.iter().map(|version| format!("{version} of it is forgotten")));
    }
    lines.extend(forgotten.map(|version| format!("{version} is forgotten: nothing describes it any more")));
    if let Some((version, origin)) = &restarted.instead {
        let by = match origin.path() {
            Some(path) => format!("{} describes it", printable(&path.display().to_string())),
            None => "a call offered it".to_owned(),
        };
        let back = if version > described {
            format!("; {} takes it back", target.command("forget", &version.to_string()))
        } else {
            String::new()
        };
        lines.push(format!("{version} was started and not {described}: {by}{back}"));
    }
    lines
}

/// The failure of --overlap for a description that does not allow it.
fn refused(bad: &BadSpec, display_name: &str) -> Failure {
    let message = format!("restart {display_name}: `{}` {}; nothing was stopped", bad.key, bad.why);
    Failure::new(AnswerState::BadConfig, message).hint("correct the description, or leave out --overlap")
}

/// How the worker was replaced and how long that took, for people.
fn how_it_went(new: &Hello, manner: &Manner, elapsed: &str) -> String {
    let stays = new.spec.listen.iter().all(|listen| listen.mode != ListenMode::SelfBound);
    match manner {
        Manner::TakenOver if stays && !new.spec.listen.is_empty() => {
            format!("taken over in {elapsed}; no connection was refused")
        }
        Manner::TakenOver => format!("taken over in {elapsed}"),
        Manner::StoppedFirst { why: Some(why) } => format!("stopped first: {}; {elapsed}", printable(why)),
        Manner::StoppedFirst { why: None } => format!("stopped first; {elapsed}"),
        Manner::NoneRan | _ => elapsed.to_owned(),
    }
}

fn proof(display_name: &str, Restarted { old, new, .. }: &Restarted) -> String {
    let pid = |hello: &Hello| hello.identity.pid;
    let line = account::activation(new);
    match old {
        Some(old) => format!("{display_name}: restart verified, pid {} → {}, {line}", pid(old), pid(new)),
        None => format!("{display_name}: restart verified, pid {}, none was running: {line}", pid(new)),
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::protocol::wire::Answer;
    use tenure_core::spec::Listen;

    use super::*;

    /// A worker whose listeners are bound so.
    fn listening(modes: &[ListenMode]) -> Box<Hello> {
        let golden = include_str!("../../../tenure-core/formats/hello-1.json");
        let Answer::Hello(mut new) = serde_json::from_str(golden).expect("an answer") else {
            panic!("the golden answer is a HELLO")
        };
        let listen = |&mode| {
            let mut listen = Listen::inherit("http", "127.0.0.1:8080".parse().expect("an address"));
            listen.mode = mode;
            listen
        };
        new.spec.listen = modes.iter().map(listen).collect();
        new
    }

    #[test]
    fn how_it_was_done_is_told_and_nothing_that_was_not_kept() {
        use ListenMode::{Inherit, Proxy, SelfBound};
        let kept = "taken over in 120 ms; no connection was refused";
        for (modes, said) in [
            (&[Inherit][..], kept),
            (&[Proxy, Inherit], kept),
            (&[SelfBound], "taken over in 120 ms"),
            (&[Inherit, SelfBound], "taken over in 120 ms"),
            (&[], "taken over in 120 ms"),
        ] {
            assert_eq!(how_it_went(&listening(modes), &Manner::TakenOver, "120 ms"), said);
        }
        let first = |why: Option<&str>| {
            let manner = Manner::StoppedFirst { why: why.map(str::to_owned) };
            how_it_went(&listening(&[Inherit]), &manner, "9 ms")
        };
        assert_eq!(first(Some("it does not hand over")), "stopped first: it does not hand over; 9 ms");
        assert_eq!(first(None), "stopped first; 9 ms");
        assert!(!first(Some("\u{1b}[2J")).contains('\u{1b}'));
        assert_eq!(how_it_went(&listening(&[Inherit]), &Manner::NoneRan, "9 ms"), "9 ms");
    }
}

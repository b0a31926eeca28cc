//! `tenure doctor`: problems with their evidence and remedies. Starts nothing; without `--fix` it changes nothing
//! either.
//!
//! This file chooses the workers to look at and shows the findings; `tenure-doctor` makes them.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;
use tenure_doctor::{Access, Diagnosis, Facts, Finding, Fix, Severity, Subject};

use crate::answer::AnswerState;
use crate::args::KeyOrFile;
use crate::cmd::call::{Call, Run};
use crate::config::{self, ScopeTarget};
use crate::output::failure::Failure;
use crate::output::render::{self, printable};

/// How long a fix waits for the gate unless the call says otherwise: a longer holder is a problem of its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// The document.
#[derive(Debug, Serialize)]
struct DoctorDocument<'a> {
    state: AnswerState,
    findings: Vec<FindingRow<'a>>,
    checked: Vec<DoctorSubjects<'a>>,
    fixed: Vec<Fixed>,
}

/// A finding.
#[derive(Debug, Serialize)]
struct FindingRow<'a> {
    check: &'a str,
    severity: &'a str,
    /// The worker; `null` for the machine.
    worker: Option<String>,
    what: &'a str,
    evidence: &'a [String],
    remedy: &'a str,
    /// What `--fix` would do about it.
    fix: Option<String>,
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct DoctorSubjects<'a> {
    worker: Option<String>,
    parts: &'a [&'static str],
}

/// What `--fix` did, or why it did not.
#[derive(Debug, Serialize)]
struct Fixed {
    fix: String,
    done: bool,
    said: String,
}

/// Diagnose problems and show remedies; start nothing.
///
/// Each finding names the problem, the evidence and the remedy. Works with the worker up, absent or wedged.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure doctor            every worker, and the place where they are kept
  tenure doctor web --fix  and apply what is safe

Exit codes:
  0  no finding is an error; there may be warnings and notes
  7  at least one finding is an error")]
pub(crate) struct Doctor {
    /// The worker's name, or NAME@KEY; without it, every worker that ever ran here and the place where they are kept.
    name: Option<String>,
    #[command(flatten)]
    by: KeyOrFile,
    /// Apply the remedies that are safe, and report each.
    #[arg(long)]
    fix: bool,
}

impl Run for Doctor {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let (mut facts, mut diagnoses) = look(call, self)?;
        let mut fixed = Vec::new();
        let mut tried: Vec<Fix> = Vec::new();
        // A fix may reveal more findings, such as those in a directory that was closed. Each fix is tried once.
        while let Some(fix) = diagnoses.iter().find_map(|one| untried(one, &tried)).filter(|_| self.fix) {
            fixed.push(mend(call, &fix));
            tried.push(fix);
            (facts, diagnoses) = look(call, self)?;
        }
        let state = state_of(&diagnoses);
        if call.screen.wants_json() {
            render::document(&document(state, &diagnoses, fixed))?;
        } else if !call.screen.is_quiet() {
            call.screen.data(&report(call, self, &facts, &diagnoses))?;
        }
        Ok(state.exit())
    }
}

fn look(call: &Call, typed: &Doctor) -> Result<(Facts, Vec<Diagnosis>), Failure> {
    let (subjects, configuration) = subjects(call, typed)?;
    let facts = tenure_doctor::look(subjects, configuration, config::read_stated_version);
    let diagnoses = tenure_doctor::diagnose(&facts);
    Ok((facts, diagnoses))
}

fn untried(one: &Diagnosis, tried: &[Fix]) -> Option<Fix> {
    one.findings.iter().filter_map(|finding| finding.fix.clone()).find(|fix| !tried.contains(fix))
}

/// Only an error makes the call end with findings: a script that runs this every hour must not alarm anybody for a
/// note.
fn state_of(diagnoses: &[Diagnosis]) -> AnswerState {
    let mut findings = diagnoses.iter().flat_map(|one| &one.findings);
    if findings.any(|finding| finding.severity == Severity::Error) {
        AnswerState::Findings
    } else {
        AnswerState::Healthy
    }
}

fn mend(call: &Call, fix: &Fix) -> Fixed {
    let patience = call.common.timeout.map_or(PATIENCE, tenure_core::spec::amount::Span::duration);
    let (done, said) = match tenure_doctor::apply(fix, patience) {
        Ok(said) => (true, said),
        Err(error) => {
            (false, format!("failed to {}", whole(&Failure::because(AnswerState::Findings, &error))))
        }
    };
    if done {
        call.screen.info(&format!("fixed: {}", printable(&said)));
    } else {
        call.screen.warning(&format!("did not {fix}: {}", printable(&said)));
    }
    Fixed { fix: fix.to_string(), done, said }
}

/// The workers to look at, and what is wrong with the files that describe them. A configuration that cannot be used is
/// a finding like any other, and hides no worker that has state here.
fn subjects(call: &Call, typed: &Doctor) -> Result<(Vec<Subject>, Vec<String>), Failure> {
    let places = call.places()?;
    let subject = |target: ScopeTarget| Subject {
        dependencies: config::dependency::on_record(&places, &target.scope),
        arguments: target.arguments(),
        scope: target.scope,
        display_name: target.display_name,
    };
    let Some(name) = &typed.name else {
        let (mut targets, wrong) = configured(call, typed)?;
        targets.extend(tenure_doctor::scopes().into_iter().map(ScopeTarget::whole));
        let mut subjects: Vec<Subject> = Vec::new();
        for target in targets {
            if !subjects.iter().any(|known| known.scope == target.scope) {
                subjects.push(subject(target));
            }
        }
        subjects.sort_by(|one, other| one.scope.cmp(&other.scope));
        return Ok((subjects, wrong));
    };
    let error = match call.named_by_sound_files(name, &typed.by) {
        Ok(target) => return Ok((vec![subject(target)], Vec::new())),
        Err(error) if error.state != AnswerState::BadConfig => return Err(error),
        Err(error) => error,
    };
    // Which scope the name stands for is not known now: every one of that name that has state is looked at.
    let plain = tenure_core::Scope::new(name, None).map_err(|_| error.clone())?;
    let mut scopes: Vec<_> =
        tenure_doctor::scopes().into_iter().filter(|scope| scope.name() == name).collect();
    if scopes.is_empty() {
        scopes.push(plain);
    }
    let wrong = vec![format!("could not {}", whole(&error))];
    Ok((scopes.into_iter().map(ScopeTarget::whole).map(subject).collect(), wrong))
}

/// The workers whose description can be used, and what is wrong with the others.
fn configured(call: &Call, typed: &Doctor) -> Result<(Vec<ScopeTarget>, Vec<String>), Failure> {
    let places = call.places()?;
    match call.all(&typed.by) {
        Ok(targets) => Ok((targets, Vec::new())),
        Err(failure) => {
            let checked = config::checked(&places, typed.by.config.as_deref()).unwrap_or_default();
            let scope =
                |found: &config::SoundWorker| tenure_core::Scope::new(&found.name, found.key.as_deref()).ok();
            let usable = checked.workers.iter().filter_map(scope).map(ScopeTarget::whole).collect();
            let mut wrong: Vec<String> = checked.faults.iter().map(fault).collect();
            if wrong.is_empty() {
                wrong.push(format!("could not {}", whole(&failure)));
            }
            Ok((usable, wrong))
        }
    }
}

/// A failure with its causes, as one line.
fn whole(failure: &Failure) -> String {
    let causes = failure.body.causes.iter().map(String::as_str);
    std::iter::once(failure.body.message.as_str()).chain(causes).collect::<Vec<_>>().join(": ")
}

fn fault(fault: &config::ConfigFault) -> String {
    match &fault.place {
        Some(place) => format!("{place}: {}", fault.message),
        None => fault.message.clone(),
    }
}

fn document(state: AnswerState, diagnoses: &[Diagnosis], fixed: Vec<Fixed>) -> DoctorDocument<'_> {
    let worker = |one: &Diagnosis| one.scope.as_ref().map(ToString::to_string);
    let rows = diagnoses.iter().flat_map(|one| one.findings.iter().map(move |finding| (one, finding)));
    DoctorDocument {
        state,
        findings: rows.map(|(one, finding)| row(worker(one), finding)).collect(),
        checked: diagnoses
            .iter()
            .map(|one| DoctorSubjects { worker: worker(one), parts: &one.checked })
            .collect(),
        fixed,
    }
}

fn row(worker: Option<String>, finding: &Finding) -> FindingRow<'_> {
    FindingRow {
        check: finding.check,
        severity: finding.severity.word(),
        worker,
        what: &finding.what,
        evidence: &finding.evidence,
        remedy: &finding.remedy,
        fix: finding.fix.as_ref().map(ToString::to_string),
    }
}

/// For people: a line for each subject, its findings below. Of a machine without a finding nothing is said where one
/// worker was asked about.
fn report(call: &Call, typed: &Doctor, facts: &Facts, diagnoses: &[Diagnosis]) -> String {
    let mut text = String::new();
    for one in diagnoses {
        if one.scope.is_none() && one.findings.is_empty() && typed.name.is_some() && !call.screen.is_verbose()
        {
            continue;
        }
        let name = if one.scope.is_none() { "machine" } else { &one.display_name };
        if one.checked.is_empty() {
            line(
                &mut text,
                format_args!("{name}: not checked, because a directory above it cannot be entered\n"),
            );
            continue;
        }
        line(&mut text, format_args!("{name}{}: {}", standing(facts, one), count(one.findings.len())));
        if one.findings.is_empty() || call.screen.is_verbose() {
            line(&mut text, format_args!(": {}", one.checked.join(", ")));
        }
        text.push('\n');
        for finding in &one.findings {
            print_finding(&mut text, finding);
        }
    }
    if diagnoses.len() == 1 {
        line(&mut text, format_args!("no worker is configured here, and none ever ran\n"));
    }
    text
}

/// The state of the worker, in a few words.
fn standing(facts: &Facts, one: &Diagnosis) -> String {
    let Some(worker) = facts.workers.iter().find(|worker| Some(&worker.scope) == one.scope.as_ref()) else {
        return String::new();
    };
    match &worker.state {
        None if worker.directory.access == Access::Absent => " (never ran here)".to_owned(),
        None => String::new(),
        Some(state) => match state.hello() {
            Some(hello) => format!(" ({}, generation {})", hello.identity, hello.generation),
            None if state.is_free() => " (down)".to_owned(),
            None => " (no answer)".to_owned(),
        },
    }
}

fn count(findings: usize) -> String {
    match findings {
        0 => "no finding".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    }
}

fn print_finding(text: &mut String, finding: &Finding) {
    let style = match finding.severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => Style::new().bold(),
    };
    let dim = Style::new().dimmed();
    let word = finding.severity.word();
    let what = printable(&finding.what);
    line(text, format_args!("  {style}{word}{style:#}: {what} {dim}[{}]{dim:#}\n", finding.check));
    for evidence in &finding.evidence {
        line(text, format_args!("      {}\n", printable(evidence)));
    }
    line(text, format_args!("      -> {}\n", printable(&finding.remedy)));
    if let Some(fix) = &finding.fix {
        line(text, format_args!("      {dim}--fix would {}{dim:#}\n", printable(&fix.to_string())));
    }
}

fn line(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a string cannot fail");
}

//! `tenure version` and `tenure completions`: what this build is and speaks, and its words for a shell.

use clap_complete::{generate, shells};
use clap_complete_nushell::Nushell;
use serde::Serialize;
use tenure_core::protocol::wire::{PROTOCOL, ProtocolRange, WIRE_VERSION};
use tenure_core::record::{desired, ledger};

use crate::args::{self, Shell};
use crate::cmd::call::Call;
use crate::output::failure::Failure;
use crate::output::render::{self, SCHEMA};

#[derive(Debug, Serialize)]
struct VersionDocument {
    schema_version: u32,
    version: &'static str,
    protocol: ProtocolRange,
    wire: u8,
    records: Records,
}

/// Format versions of the records that this build writes.
#[derive(Debug, Serialize)]
struct Records {
    desired: u32,
    ledger: u32,
}

/// Tells the version; the exit code.
pub(crate) fn run(call: &Call) -> Result<u8, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if call.screen.wants_json() {
        let records = Records { desired: desired::SCHEMA, ledger: ledger::SCHEMA };
        let document = VersionDocument {
            schema_version: SCHEMA,
            version,
            protocol: PROTOCOL,
            wire: WIRE_VERSION,
            records,
        };
        render::document(&document)?;
    } else {
        render::text(&format!("tenure {version}\n"))?;
    }
    Ok(0)
}

/// Writes the completions of a shell; the exit code.
pub(crate) fn completions(words: &args::Completions) -> Result<u8, Failure> {
    let mut script = Vec::new();
    let command = &mut args::command();
    match words.shell {
        Shell::Bash => generate(shells::Bash, command, "tenure", &mut script),
        Shell::Zsh => generate(shells::Zsh, command, "tenure", &mut script),
        Shell::Fish => generate(shells::Fish, command, "tenure", &mut script),
        Shell::Elvish => generate(shells::Elvish, command, "tenure", &mut script),
        Shell::Nushell => generate(Nushell, command, "tenure", &mut script),
        Shell::Powershell => generate(shells::PowerShell, command, "tenure", &mut script),
    }
    render::bytes(&script)?;
    Ok(0)
}

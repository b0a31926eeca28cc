//! `tenure version`: what this build is, and which formats it speaks.

use clap::Args;
use serde::Serialize;
use tenure_core::protocol::wire::{PROTOCOL, ProtocolRange, WIRE_VERSION};
use tenure_core::record::{desired, ledger};

use crate::cmd::call::{Call, Run};
use crate::output::failure::Failure;
use crate::output::render;

#[derive(Debug, Serialize)]
struct VersionDocument {
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

/// Show the version; with --json, the formats as well.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure version --json  with the formats, for a program")]
pub(crate) struct Version {}

impl Run for Version {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let version = env!("CARGO_PKG_VERSION");
        if call.screen.wants_json() {
            let records = Records { desired: desired::SCHEMA, ledger: ledger::SCHEMA };
            let document = VersionDocument { version, protocol: PROTOCOL, wire: WIRE_VERSION, records };
            render::document(&document)?;
        } else {
            render::text(&format!("tenure {version}\n"))?;
        }
        Ok(0)
    }
}

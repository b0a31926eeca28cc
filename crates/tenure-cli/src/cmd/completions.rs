//! `tenure completions`: the commands and flags as a script for a shell.

use clap::{Args, ValueEnum};
use clap_complete::{generate, shells};
use clap_complete_nushell::Nushell;

use crate::cmd::call::{Call, Run};
use crate::output::failure::Failure;
use crate::output::render;

/// Write shell completions to stdout.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tenure completions bash > ~/.local/share/bash-completion/completions/tenure
  tenure completions zsh > ~/.zfunc/_tenure
  tenure completions fish > ~/.config/fish/completions/tenure.fish")]
pub(crate) struct Completions {
    /// The shell: bash, zsh, fish, elvish, nushell or powershell.
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

/// A shell for which completions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Nushell,
    Powershell,
}

impl Run for Completions {
    fn run(&self, call: &Call) -> Result<u8, Failure> {
        let mut script = Vec::new();
        let command = &mut (call.declare)();
        match self.shell {
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
}

//! `chaos completions SHELL`: a script that completes commands and options, made from the same definitions that parse them.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::failure::Failure;
use crate::show;

/// Arguments of `chaos completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

const HELP: &str = "\
Where it goes:
  bash        chaos completions bash > ~/.local/share/bash-completion/completions/chaos
  zsh         chaos completions zsh > ~/.zfunc/_chaos               (a directory of your fpath)
  fish        chaos completions fish > ~/.config/fish/completions/chaos.fish
  elvish      chaos completions elvish >> ~/.config/elvish/rc.elv
  powershell  chaos completions powershell >> $PROFILE";

/// Prints the script.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "chaos", &mut script);
    show::print(&String::from_utf8_lossy(&script));
    Ok(ExitCode::SUCCESS)
}

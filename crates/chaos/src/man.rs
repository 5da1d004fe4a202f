//! `chaos man [DIR]`: manual pages, made from the same definitions that parse the arguments and print the help.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Arguments;
use crate::failure::Failure;
use crate::show;

/// Arguments of `chaos man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  chaos man | man -l -                        read it now\n  \
                        chaos man ~/.local/share/man/man1           one page per command, for `man chaos-run`")]
pub(crate) struct ManArguments {
    /// A directory for the pages of all commands (chaos.1, chaos-run.1, …), made if it isn't there; pages of that name are replaced. Left out: the page
    /// of chaos itself is printed.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints one page, or writes them all.
pub(crate) fn man(arguments: &ManArguments) -> Result<ExitCode, Failure> {
    let Some(directory) = &arguments.directory else {
        show::print(&page(Arguments::command())?);
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display())).map_err(Failure::Refused)?;
    // A page for `help` would say what `--help` says.
    let chaos = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(chaos, directory)
        .with_context(|| format!("write into {}", directory.display()))
        .map_err(Failure::Refused)?;
    show::print(&format!("{}\n", directory.join("chaos.1").display()));
    Ok(ExitCode::SUCCESS)
}

fn page(command: clap::Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text).context("render the manual page")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

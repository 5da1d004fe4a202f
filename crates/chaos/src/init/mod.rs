//! `chaos init [DIR]`: a workload and a fault plan of one's own to start from, small enough to be green within half a minute, with
//! comments that teach the language where it is used.
//!
//! ```text
//! DIR/workloads/NAME.yaml           what is tested, with which load, and what must hold
//! DIR/faults/NAME.yaml              what goes wrong
//! DIR/workloads/systems/NAME.yaml   with `--system NAME`: how a program of one's own is started, observed and used
//! ```
//!
//! The definition begins as that of the reference node, so that everything is green before its words are replaced, one after the
//! other, by those of another program (`chaos system check` after each).
//!
//! Refuses to overwrite anything: if one of the files is there, all that are there are listed, and nothing is written. If
//! writing fails half-way, what was written is taken away again.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use chaos_plan::SchemaKind;

use crate::failure::Failure;
use crate::{again, show};

const WORKLOAD: &str = include_str!("workload.yaml");
const FAULTS: &str = include_str!("faults.yaml");
const SYSTEM: &str = include_str!("system.yaml");

/// Arguments of `chaos init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chaos init                        workloads/first.yaml and faults/first.yaml, here\n  \
                        chaos init --system mydb          for a program of your own: workloads/systems/mydb.yaml, too"
)]
pub(crate) struct InitArguments {
    /// Where; made if it isn't there.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// What the files are called: letters, digits, `-`, `_`. Left out: the system's name, or `first`.
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// What is to be tested: raft (the reference node, which is built in), or a name for a program of your own.
    #[arg(long, value_name = "raft|NAME", default_value = "raft", value_parser = name)]
    system: String,
}

impl InitArguments {
    /// The program of the user's own, if it isn't the reference node that is tested.
    fn own(&self) -> Option<&str> {
        Some(self.system.as_str()).filter(|system| *system != "raft")
    }

    /// What the files are called.
    fn name(&self) -> &str {
        self.name.as_deref().or(self.own()).unwrap_or("first")
    }
}

fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= 64 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits, `-` and `_`, 64 at most, a letter or a digit first".to_owned())
    }
}

/// A file to be written.
struct NewFile {
    /// Below the directory.
    path: PathBuf,
    text: String,
    /// Whether it is ours and the same for every name: one that is there already is left as it is.
    shared: bool,
}

/// Writes the files, or none.
pub(crate) fn init(arguments: &InitArguments) -> Result<ExitCode, Failure> {
    let mut files = files(arguments.name(), arguments.own());
    files.retain(|file| !file.shared || arguments.directory.join(&file.path).symlink_metadata().is_err());
    let there: Vec<String> = files
        .iter()
        .map(|file| arguments.directory.join(&file.path))
        // A link that leads nowhere is there, too.
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| format!("\n  {}", path.display()))
        .collect();
    if !there.is_empty() {
        let there = there.concat();
        return Err(Failure::Refused(anyhow!(
            "nothing was written, since these are there already:{there}\ngive another directory or another --name"
        )));
    }
    write_all(&arguments.directory, &files)
        .map_err(|error| Failure::Refused(anyhow!("nothing was written: {error}")))?;
    show::print(&next_steps(arguments, &files));
    Ok(ExitCode::SUCCESS)
}

fn files(name: &str, own: Option<&str>) -> Vec<NewFile> {
    let system_lines = match own {
        None => {
            "system: raft                      # the reference node, built in: `{ raft: { heartbeat: 20ms } }` tunes it"
                .to_owned()
        }
        Some(system) => format!(
            "system:\n  use: workloads/systems/{system}.yaml   # how it is started, observed and used; try it by `chaos system check`\n  \
             profile: default\n  programs:                       # to begin with, the reference node; put your own program here\n    \
             {system}: {}",
            // Every JSON text is a YAML text.
            serde_json::Value::from(own_program())
        ),
    };
    let mut files = Vec::new();
    let mut plan = |kind: SchemaKind, folder: &str, name: &str, text: String| {
        let schema = format!("{}.schema.json", kind.name());
        let modeline = format!("# yaml-language-server: $schema={schema}\n");
        let path = Path::new(folder).join(schema);
        files.push(NewFile { path, text: chaos_plan::schema(kind), shared: true });
        let path = Path::new(folder).join(format!("{name}.yaml"));
        files.push(NewFile { path, text: format!("{modeline}{text}"), shared: false });
    };
    plan(SchemaKind::Workload, "workloads", name, WORKLOAD.replace("NAME", name).replace("SYSTEM", &system_lines));
    plan(SchemaKind::Faults, "faults", name, FAULTS.replace("NAME", name));
    if let Some(system) = own {
        let text = SYSTEM.replace("PLAN", name).replace("NAME", system).replace("CHAOS", &in_a_shell(&own_program()));
        plan(SchemaKind::System, "workloads/systems", system, text);
    }
    files
}

/// How this program is called: by its name where it is on the PATH, else by its path.
fn own_program() -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|directory| directory.join("chaos").is_file()) {
        return "chaos".to_owned();
    }
    env::current_exe().map_or("chaos".to_owned(), |path| path.to_string_lossy().into_owned())
}

/// As a word of a shell's command line.
fn in_a_shell(program: &str) -> String {
    again::quoted(program)
}

/// Writes all files, or takes away what was written.
fn write_all(directory: &Path, files: &[NewFile]) -> Result<(), String> {
    let mut written: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = directory.join(&file.path);
        let done = match path.parent() {
            Some(parent) => fs::create_dir_all(parent),
            None => Ok(()),
        };
        if let Err(error) = done.and_then(|()| write_new(&path, file, &mut written)) {
            for path in &written {
                // It may have gone meanwhile, which is what we want.
                let _ = fs::remove_file(path);
            }
            return Err(format!("write {}: {error}", path.display()));
        }
    }
    Ok(())
}

/// Writes a file that must not be there.
fn write_new(path: &Path, file: &NewFile, written: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).open(path)?;
    written.push(path.to_owned());
    out.write_all(file.text.as_bytes())
}

fn next_steps(arguments: &InitArguments, files: &[NewFile]) -> String {
    let (directory, name) = (&arguments.directory, arguments.name());
    let mut text = "Written:\n".to_owned();
    for file in files {
        text.push_str(&format!("  {}\n", directory.join(&file.path).display()));
    }
    text.push_str("\nNext:\n");
    if directory != Path::new(".") {
        text.push_str(&format!("  cd {}\n", directory.display()));
    }
    if let Some(system) = arguments.own() {
        text.push_str(&format!(
            "  chaos system check workloads/systems/{system}.yaml --bin {system}={}\n                                      \
             does every line of the definition work? Then put your program's words into it\n",
            in_a_shell(&own_program())
        ));
    }
    text.push_str(&format!(
        "  chaos plan workloads/{name}.yaml   see it with every default filled in\n  \
         chaos run workloads/{name}.yaml    about half a minute\n  chaos language{}                      every word of it\n",
        if arguments.own().is_some() { " system" } else { "" }
    ));
    text
}

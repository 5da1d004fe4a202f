//! `chaos init [DIR]`: a workload and a fault plan of one's own to start from, small enough to be green within half a minute, with
//! comments that teach the language where it is used.
//!
//! ```text
//! DIR/workloads/NAME.yaml   what is tested, with which load, and what must hold
//! DIR/faults/NAME.yaml      what goes wrong
//! DIR/NAME-node.sh          with `--system own`: what starts a node; to be replaced by one's own program
//! ```
//!
//! Refuses to overwrite anything: if one of the files is there, all that are there are listed, and nothing is written. If
//! writing fails half-way, what was written is taken away again.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use chaos_plan::SchemaKind;

use crate::failure::Failure;
use crate::{again, show};

const WORKLOAD: &str = include_str!("workload.yaml");
const FAULTS: &str = include_str!("faults.yaml");
const NODE: &str = include_str!("node.sh");

/// Arguments of `chaos init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chaos init                        workloads/first.yaml and faults/first.yaml, here\n  \
                        chaos init --name mydb --system own\n                                    for a program of your own"
)]
pub(crate) struct InitArguments {
    /// Where; made if it isn't there.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// What the files are called: letters, digits, `-`, `_`.
    #[arg(long, default_value = "first", value_parser = name)]
    name: String,
    /// What is to be tested: the reference node, or a program of your own that speaks its API (`chaos explain node-api`).
    #[arg(long, value_enum, default_value_t)]
    system: InitSystem,
}

/// What is to be tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum InitSystem {
    /// The reference node, which is built in.
    #[default]
    Raft,
    /// A program of your own.
    Own,
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
    executable: bool,
    /// Whether it is ours and the same for every name: one that is there already is left as it is.
    shared: bool,
}

/// Writes the files, or none.
pub(crate) fn init(arguments: &InitArguments) -> Result<ExitCode, Failure> {
    let mut files = files(&arguments.name, arguments.system);
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

fn files(name: &str, system: InitSystem) -> Vec<NewFile> {
    let system_lines = match system {
        InitSystem::Raft => {
            "system: raft                      # the reference node, built in: `{ raft: { heartbeat: 20ms } }` tunes it"
                .to_owned()
        }
        InitSystem::Own => format!(
            "system:\n  raft:                           # the API that your program must speak: `chaos explain node-api`\n    \
             program: ./{name}-node.sh # what starts one node; relative to where chaos is run\n    \
             election-timeout: 150ms..300ms  # handed to the program, and what the report's floor rests on\n    \
             heartbeat: 40ms\n    \
             arguments: []                 # handed to it as they are, after chaos's own"
        ),
    };
    let mut files = Vec::new();
    let mut plan = |kind: SchemaKind, folder: &str, text: String| {
        let schema = format!("{}.schema.json", kind.name());
        let modeline = format!("# yaml-language-server: $schema={schema}\n");
        let path = Path::new(folder).join(schema);
        files.push(NewFile { path, text: chaos_plan::schema(kind), executable: false, shared: true });
        let path = Path::new(folder).join(format!("{name}.yaml"));
        files.push(NewFile { path, text: format!("{modeline}{text}"), executable: false, shared: false });
    };
    plan(SchemaKind::Workload, "workloads", WORKLOAD.replace("NAME", name).replace("SYSTEM", &system_lines));
    plan(SchemaKind::Faults, "faults", FAULTS.replace("NAME", name));
    if system == InitSystem::Own {
        let path = PathBuf::from(format!("{name}-node.sh"));
        let text = NODE.replace("NAME", name).replace("CHAOS", &own_program());
        files.push(NewFile { path, text, executable: true, shared: false });
    }
    files
}

/// How a script calls this program: by its name where the shell finds it, else by its path.
fn own_program() -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|directory| directory.join("chaos").is_file()) {
        return "chaos".to_owned();
    }
    env::current_exe().map_or("chaos".to_owned(), |path| again::quoted(&path.to_string_lossy()))
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
    let mode = if file.executable { 0o777 } else { 0o666 };
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    written.push(path.to_owned());
    out.write_all(file.text.as_bytes())
}

fn next_steps(arguments: &InitArguments, files: &[NewFile]) -> String {
    let (directory, name) = (&arguments.directory, &arguments.name);
    let mut text = "Written:\n".to_owned();
    for file in files {
        text.push_str(&format!("  {}\n", directory.join(&file.path).display()));
    }
    let go = if directory == Path::new(".") { String::new() } else { format!("  cd {}\n", directory.display()) };
    text.push_str(&format!(
        "\nNext:\n{go}  chaos plan workloads/{name}.yaml   see it with every default filled in\n  \
         chaos run workloads/{name}.yaml    about half a minute\n  chaos language                      every word of it\n"
    ));
    if arguments.system == InitSystem::Own {
        text.push_str(&format!(
            "  chaos explain node-api              what your program must speak; start it in {name}-node.sh\n"
        ));
    }
    text
}

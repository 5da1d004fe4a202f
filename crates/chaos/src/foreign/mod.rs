//! `chaos check PATH…`: run directories as `judge` does it, and histories of any tool as files.
//!
//! The libraries have no clock and no files: reading, the deadline and printing are here. Whatever stands in a file reaches
//! the terminal through [`tell::shown`] only.

mod options;
mod tally;
mod tell;

use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow};
use chaos_check::linear::Budget;
use chaos_foreign::{Certificate, Format, Judged, Options, Parsed, Rechecked};
use chaos_history::History;

pub(crate) use self::options::{deadline, failed_cas, format, keys, kind, size, threads};
use self::tally::Tally;
use self::tell::{Paper, shown};
use crate::args::CheckArguments;
use crate::failure::Failure;
use crate::{judge, show};

/// The exit codes of a file.
const VALID: u8 = 0;
const INVALID: u8 = 1;
const UNKNOWN: u8 = 2;

/// Lines of a history are numbered by 32 bits; see `chaos_foreign`.
const BYTES_MAX: u64 = u32::MAX as u64;

/// What a path stands for.
enum Target {
    /// A run directory; `named_by`: the history in it that the user gave.
    Run { directory: PathBuf, named_by: Option<PathBuf> },
    /// A history.
    File(PathBuf),
}

impl Target {
    fn of(path: &Path, read_as_file: bool) -> Self {
        if path.is_dir() {
            // An entry of Jepsen's store is a directory too.
            let inside = ["history.jsonl", "history.edn", "history.txt"].map(|name| path.join(name));
            return match inside.into_iter().find(|file| file.is_file()) {
                Some(file) if !file.ends_with("history.jsonl") => Self::File(file),
                Some(_) | None => Self::Run { directory: path.to_owned(), named_by: None },
            };
        }
        let directory = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Self::File(path.to_owned()),
        };
        let of_a_run = path.ends_with("history.jsonl") && directory.join("plan.yaml").is_file();
        if of_a_run && !read_as_file {
            Self::Run { directory: directory.to_owned(), named_by: Some(path.to_owned()) }
        } else {
            Self::File(path.to_owned())
        }
    }
}

/// `chaos check PATH…`.
pub(crate) fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let about_files = arguments.about_files();
    let targets: Vec<Target> = arguments.paths.iter().map(|path| Target::of(path, !about_files.is_empty())).collect();
    refuse_options(arguments, &targets, &about_files)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (deadline, patience) = (arguments.patience(), Arc::clone(&stop));
    // It ends with the process, at the latest.
    std::thread::spawn(move || {
        std::thread::sleep(deadline);
        patience.store(true, Ordering::Relaxed);
    });
    let (mut told, mut tally) = (BTreeSet::new(), Tally::default());
    for (path, target) in arguments.paths.iter().zip(&targets) {
        let done = match target {
            Target::Run { directory, named_by } => {
                if let Some(history) = named_by.as_ref().filter(|_| !arguments.quiet) {
                    let (history, directory) = (history.display().to_string(), directory.display().to_string());
                    let what = format!("{history} is of the run {directory}, which is judged as a whole\n");
                    show::print(&format!("{}\n", shown(what.trim_end(), 800)));
                }
                judge::check(directory, arguments.quiet)
            }
            Target::File(file) => check_file(file, arguments, &stop, &mut told),
        };
        match done {
            Ok(code) => tally.add(path, code, None),
            Err(failure) if arguments.paths.len() == 1 => return Err(failure),
            Err(failure) => {
                let code = failure.tell(std::io::stderr().is_terminal());
                tally.add(path, code, Some(failure.short()));
            }
        }
    }
    if arguments.paths.len() > 1 {
        let mut paper = Paper::new();
        paper.wrapped("", &tally.sentence());
        show::print(&paper.text);
    }
    Ok(ExitCode::from(tally.worst()))
}

/// What the user asked for and can't have.
fn refuse_options(arguments: &CheckArguments, targets: &[Target], about_files: &[&str]) -> Result<(), Failure> {
    let mistake = |what: String| Err(Failure::Refused(anyhow!(what)));
    if !targets.iter().any(|target| matches!(target, Target::File(_))) && !about_files.is_empty() {
        return mistake(format!(
            "{} about files, and no path is one: a run directory says itself how it is judged",
            match about_files {
                [one] => format!("{one} is"),
                all => format!("{} are", all.join(", ")),
            }
        ));
    }
    let Some(certificate) = &arguments.certificate else { return Ok(()) };
    if arguments.paths.len() > 1 {
        return mistake("--certificate is about one file: give one path".to_owned());
    }
    // Before the search: it may take long, and its verdict must not be lost for this.
    if !arguments.verify && certificate.exists() {
        let file = certificate.display();
        return mistake(format!("{file} exists, and may be somebody's proof (to check it, add --verify)"));
    }
    Ok(())
}

fn check_file(
    path: &Path,
    arguments: &CheckArguments,
    stop: &AtomicBool,
    told: &mut BTreeSet<String>,
) -> Result<u8, Failure> {
    let begun = Instant::now();
    let parsed = read(path, arguments)?;
    let name = shown(&path.display().to_string(), 400);
    let mut paper = Paper::new();
    let mut unwritten = None;
    let code = if let Some((certificate, true)) = arguments.certificate.as_ref().map(|file| (file, arguments.verify)) {
        let rechecked = recheck(&parsed, certificate, arguments)?;
        let (code, word) = tell::verdict_of_recheck(&rechecked, &parsed);
        paper.verdict(&name, code, &word);
        paper.reading(&parsed, told);
        paper.recheck(&rechecked);
        code
    } else {
        let judged = decide(&parsed, arguments, stop).map_err(|why| Failure::Refused(anyhow!("{name}: {why}")))?;
        let (code, word) = tell::verdict(&judged, &parsed, arguments);
        paper.verdict(&name, code, &word);
        paper.reading(&parsed, told);
        paper.verdicts(&judged, arguments);
        if let Some(file) = &arguments.certificate {
            match write_new(file, &Certificate::new(&parsed, &judged).to_json()) {
                Ok(()) => paper.certificate(file, &judged),
                Err(failure) => unwritten = Some(failure),
            }
        }
        code
    };
    if parsed.format == Format::Chaos {
        paper.wrapped(
            "  ",
            "only linearizability is judged of a bare history; elections, lost writes and expectations: chaos \
                             check DIR, of the run directory with its plan.yaml",
        );
    }
    let seconds = begun.elapsed().as_secs_f64();
    paper.wrapped("  ", &if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.1} s") });
    show::print(if arguments.quiet { paper.head() } else { &paper.text });
    match unwritten {
        // A violation is told by the exit code whatever else is wrong.
        Some(failure) if code == INVALID => {
            failure.tell(std::io::stderr().is_terminal());
            Ok(code)
        }
        Some(failure) => Err(failure),
        None => Ok(code),
    }
}

fn decide(parsed: &Parsed, arguments: &CheckArguments, stop: &AtomicBool) -> Result<Vec<Judged>, String> {
    let threads = arguments.processors();
    let bytes = arguments.bytes() / threads.get().min(parsed.objects.len().max(1));
    let budget = Budget { configurations: u64::MAX, bytes, stop: Some(stop) };
    chaos_foreign::judge(parsed, &budget, threads)
}

fn recheck(parsed: &Parsed, file: &Path, arguments: &CheckArguments) -> Result<Vec<Rechecked>, Failure> {
    let text = fs::read(file).with_context(|| format!("read {}", file.display())).map_err(Failure::Refused)?;
    let in_file = || file.display().to_string();
    let certificate = Certificate::from_json(&text).with_context(in_file).map_err(Failure::Refused)?;
    let rechecked = chaos_foreign::recheck(parsed, &certificate, arguments.processors());
    rechecked.with_context(in_file).map_err(Failure::Refused)
}

/// What a file or a pipe holds. A device may have no end, and no history.
fn content_of(path: &Path) -> Result<Vec<u8>, anyhow::Error> {
    use std::os::unix::fs::FileTypeExt;
    let file = fs::File::open(path).with_context(|| format!("read {}", path.display()))?;
    let about = file.metadata()?;
    if !about.is_file() && !about.file_type().is_fifo() {
        return Err(anyhow!("{} is neither a file nor a pipe", path.display()));
    }
    let too_long = || anyhow!("{}: 4 GiB or more: split it by key", path.display());
    if about.len() >= BYTES_MAX {
        return Err(too_long());
    }
    let mut content = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut content).with_context(|| format!("read {}", path.display()))?;
    if content.len() as u64 == BYTES_MAX { Err(too_long()) } else { Ok(content) }
}

fn read(path: &Path, arguments: &CheckArguments) -> Result<Parsed, Failure> {
    let file = || path.display().to_string();
    let content = content_of(path).map_err(Failure::Refused)?;
    let options = Options {
        format: arguments.format,
        kind: arguments.model,
        failed_cas: arguments.failed_cas,
        keys: arguments.keys,
        initial: arguments.initial.clone(),
    };
    if content.starts_with(b"\xef\xbb\xbf{\"chaos_history\"") {
        let what = "the file begins with a byte order mark, which chaos does not write: remove its first three bytes";
        return Err(Failure::Refused(anyhow!(what).context(file())));
    }
    let ours = || content.starts_with(b"{\"chaos_history\"");
    let parsed = if arguments.format == Some(Format::Chaos) || (arguments.format.is_none() && ours()) {
        let forced = arguments.model.is_some() || arguments.failed_cas.is_some() || arguments.keys.is_some();
        if forced || arguments.initial.is_some() {
            let what =
                "a history of chaos says itself what it is: leave out --model, --failed-cas, --keys and --initial";
            return Err(Failure::Refused(anyhow!(what).context(file())));
        }
        let history = History::read(path).map_err(Failure::refused)?;
        chaos_foreign::from_history(&history)
    } else {
        chaos_foreign::parse(&content, &options)
    };
    parsed.map_err(|error| {
        let place = error.line().map_or_else(file, |line| format!("{}:{line}", path.display()));
        let text = error.to_string();
        let what = text.strip_prefix(&format!("line {}: ", error.line().unwrap_or_default())).unwrap_or(&text);
        Failure::Refused(anyhow!("{}: {}", shown(&place, 400), shown(what, 800)))
    })
}

/// Writes a file that must not be there yet: it may be somebody's proof.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
        .map_err(Failure::Refused)
}

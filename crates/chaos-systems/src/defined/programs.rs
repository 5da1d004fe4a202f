//! Where the programs of a system are: named by the user, installed in the cache, or on the PATH; and which version they are.
//!
//! A missing or wrong program ends the run before anything has started, with the command that mends it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chaos_plan::definition::{DefinedSystem, Scope, VersionQuestion};

use super::DefinedError;
use crate::driver::CommandLine;

/// The program that is the harness itself, whose nodes (`chaos node`) a definition may start.
const OWN: &str = "chaos";
/// How long a program may take to tell its version.
const VERSION_WITHIN: Duration = Duration::from_secs(20);

/// The programs of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// The installed version's directory, if there is one.
    pub prefix: Option<PathBuf>,
    /// Absolute paths by the names that commands use.
    pub paths: BTreeMap<String, PathBuf>,
}

impl Programs {
    /// A command line whose first word may name a program, one on the PATH, or a path: a relative one is looked up in the directory
    /// in which the command runs (`""`: where the harness does).
    ///
    /// # Panics
    /// If there is no first word; definitions are read so.
    #[must_use]
    pub fn command(&self, words: &[String], directory: &Path) -> CommandLine {
        let (first, rest) = words.split_first().expect("a command has a first word");
        let path = || if first.contains('/') { directory.join(first) } else { first.into() };
        let program = self.paths.get(first).cloned().or_else(|| first_on_path(first)).unwrap_or_else(path);
        let arguments = rest.iter().map(OsString::from).collect();
        CommandLine { program, arguments, ..CommandLine::default() }
    }

    /// Finds the programs of a system, looking for installed ones in `cache`.
    ///
    /// # Errors
    /// If one is nowhere.
    pub fn find(system: &DefinedSystem, cache: &Path) -> Result<Self, DefinedError> {
        let definition = &system.definition;
        let missing = |program: &str, install: Option<(&str, &str)>| DefinedError::Missing {
            system: definition.name.clone(),
            program: program.to_owned(),
            remedy: remedy(install, program),
            untested: definition.untested.clone(),
        };
        let installed = match (&definition.install, system.version()) {
            (Some(install), Some(version)) => Some((install, version, cache.join(&install.name).join(version))),
            _ => None,
        };
        let prefix = installed.as_ref().map(|(_, _, prefix)| prefix.clone()).filter(|prefix| prefix.is_dir());
        let mut paths = BTreeMap::new();
        for (program, known) in &definition.programs {
            let path = match (system.programs.get(program), system.part_of(known)) {
                (Some(given), _) => named(given, program)?,
                (None, Some((recipe, version))) => {
                    let of = cache.join(&recipe).join(&version);
                    found(program, Some(&of))
                        .ok_or_else(|| missing(program, Some((recipe.as_str(), version.as_str()))))?
                }
                // A definition may run the nodes that this very program carries.
                (None, None) if program == OWN => std::env::current_exe().map_err(|_| missing(program, None))?,
                (None, None) => {
                    let install = installed.as_ref().map(|(install, version, _)| (install.name.as_str(), *version));
                    found(program, prefix.as_deref()).ok_or_else(|| missing(program, install))?
                }
            };
            paths.insert(program.clone(), path);
        }
        Ok(Self { prefix, paths })
    }

    /// Asks every program for its version, and compares it with what is wanted if the program isn't one that the user named.
    ///
    /// # Errors
    /// If a program doesn't run, or is of another version.
    pub fn versions(&self, system: &DefinedSystem, scope: &Scope) -> Result<BTreeMap<String, String>, DefinedError> {
        let mut versions = BTreeMap::new();
        let definition = &system.definition;
        for (name, program) in &definition.programs {
            let Some(question) = &program.version else { continue };
            let found = self.version(name, question, scope)?;
            let part = system.part_of(program);
            let wanted = part.as_ref().map(|(_, version)| version.as_str()).or(system.version());
            if let Some(wanted) = wanted.filter(|_| !system.programs.contains_key(name)) {
                let from_prefix = self.prefix.as_ref().is_some_and(|prefix| self.paths[name].starts_with(prefix));
                let same = found == wanted
                    || found.starts_with(&format!("{wanted}-"))
                    || found.starts_with(&format!("{wanted}."));
                if !same && !from_prefix {
                    let install = definition.install.as_ref().map(|install| install.name.as_str());
                    let install = part.as_ref().map(|(recipe, _)| recipe.as_str()).or(install);
                    return Err(DefinedError::WrongVersion {
                        program: name.clone(),
                        path: self.paths[name].clone(),
                        found,
                        wanted: wanted.to_owned(),
                        remedy: remedy(install.map(|install| (install, wanted)), name),
                    });
                }
            }
            versions.insert(name.clone(), found);
        }
        Ok(versions)
    }

    fn version(&self, program: &str, question: &VersionQuestion, scope: &Scope) -> Result<String, DefinedError> {
        let failed = |why: String| DefinedError::NoVersion { program: program.to_owned(), why };
        let scope = scope.at(None);
        let words = question.run.iter().map(|word| word.render(&scope)).collect::<Result<Vec<_>, _>>();
        let words = words.map_err(|error| failed(error.to_string()))?;
        let command = self.command(&words, Path::new(""));
        let output = output_of(&command).map_err(failed)?;
        let groups = question.pattern.groups(&output).ok_or_else(|| {
            let shown: String = output.trim().chars().take(200).collect();
            failed(format!("`{}` does not match what it says: `{}`", question.pattern.text(), shown.escape_debug()))
        })?;
        Ok(groups.get("1").or_else(|| groups.get("0")).cloned().unwrap_or_default())
    }
}

/// The program that the user names; a bare word is looked up on the PATH.
fn named(given: &Path, program: &str) -> Result<PathBuf, DefinedError> {
    let absolute = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
    let is_bare = given.components().count() == 1;
    let bare = || given.to_str().filter(|_| is_bare).and_then(first_on_path);
    let path = if is_program(&absolute) { Some(absolute) } else { bare() };
    path.ok_or_else(|| DefinedError::NoProgram { program: program.to_owned(), path: given.to_owned() })
}

/// The program in an installed version, or on the PATH.
fn found(program: &str, prefix: Option<&Path>) -> Option<PathBuf> {
    let installed = prefix.map(|prefix| prefix.join("bin").join(program)).filter(|path| is_program(path));
    installed.or_else(|| first_on_path(program))
}

/// Where installed systems lie: `$CHAOS_SYSTEMS`, or the user's cache.
#[must_use]
pub fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CHAOS_SYSTEMS").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("chaos/systems")
    })
}

fn remedy(install: Option<(&str, &str)>, program: &str) -> String {
    match install {
        Some((recipe, version)) => format!(
            "install it with `scripts/systems/install {recipe}@{version}`, or say where it is with `--bin {program}=PATH`"
        ),
        None => format!("put it on the PATH, or say where it is with `--bin {program}=PATH`"),
    }
}

/// The first one that has the same path wherever a command is started.
fn first_on_path(name: &str) -> Option<PathBuf> {
    on_path(OsStr::new(name)).find(|path| path.is_absolute())
}

/// The executable files of this name on the PATH, in its order; none for a name that is a path.
pub fn on_path(name: &OsStr) -> impl Iterator<Item = PathBuf> {
    let is_path = name.as_bytes().contains(&b'/');
    let all = std::env::var_os("PATH").unwrap_or_default();
    let paths: Vec<_> = std::env::split_paths(&all).filter(|_| !is_path).map(|folder| folder.join(name)).collect();
    paths.into_iter().filter(|path| is_program(path))
}

/// Whether there is a file that somebody may execute.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// What a short command prints, both streams together.
fn output_of(command: &CommandLine) -> Result<String, String> {
    let mut child = Command::new(&command.program)
        .args(&command.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("run {}: {error}", command.program.display()))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let read = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let streams = [stdout.as_mut().map(|s| s as &mut dyn Read), stderr.as_mut().map(|s| s as &mut dyn Read)];
        for stream in streams.into_iter().flatten() {
            // What can't be read doesn't show a version either.
            let _ = stream.take(1 << 16).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let give_up = Instant::now() + VERSION_WITHIN;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return read.join().map_err(|_| "its output can't be read".to_owned()),
            Ok(None) if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {VERSION_WITHIN:?}"));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chaos_plan::{Source, System, load_source};

    use super::*;

    fn system(more: &str) -> DefinedSystem {
        let definition = format!(
            "version: 1\nsystem: rare\n{more}programs: {{ no-such-program-of-anybody: {{}} }}\nports: {{ client: 1 }}\n\
             processes: {{ rare: {{ run: [no-such-program-of-anybody] }} }}\n\
             observers: {{ self: {{ of: own-role, http: {{ port: client, path: / }}, role: answer.role }} }}\n"
        );
        let text = "name: case\nsystem: { use: rare.yaml }\nnodes: 3\nclients: none\nfaults: none\n\
                    checks: [reelection: { within: 9s }]\n";
        let source = Source { name: "case.yaml".to_owned(), text: text.to_owned() };
        let loaded = load_source(source, &[], &|_| Ok(definition.clone())).unwrap_or_else(|errors| panic!("{errors}"));
        match loaded.workload.system {
            System::Defined(system) => *system,
            System::Raft(_) => panic!("the reference node"),
        }
    }

    #[test]
    fn a_missing_program_of_a_definition_that_nobody_has_tried_comes_with_the_reason() {
        let cache = tempfile::tempdir().unwrap();
        let told = |more: &str| Programs::find(&system(more), cache.path()).unwrap_err().to_string();
        let plain = told("");
        assert!(plain.ends_with("or say where it is with `--bin no-such-program-of-anybody=PATH`"), "{plain}");
        let untested = told("untested: no package has it\n");
        assert_eq!(untested, format!("{plain}; nobody has tried this definition: no package has it"));
    }

    #[test]
    fn a_relative_path_is_looked_up_where_the_command_runs_and_a_name_is_not() {
        let paths = BTreeMap::from([("mydb".to_owned(), PathBuf::from("/opt/mydb"))]);
        let programs = Programs { prefix: None, paths };
        let program = |word: &str, directory: &str| programs.command(&[word.to_owned()], Path::new(directory)).program;
        assert_eq!(program("./start.sh", "/nodes/n1"), Path::new("/nodes/n1/./start.sh"));
        assert_eq!(program("/bin/x", "/nodes/n1"), Path::new("/bin/x"));
        assert_eq!(program("mydb", "/nodes/n1"), Path::new("/opt/mydb"));
        assert_eq!(program("no-such-program", "/nodes/n1"), Path::new("no-such-program"));
        assert_eq!(program("./tell-version", ""), Path::new("./tell-version"));
    }

    #[test]
    fn a_program_is_a_file_that_may_be_executed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        assert!(!is_program(&file) && !is_program(folder.path()));
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_program(&file));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(is_program(&file));
    }

    #[test]
    fn the_path_is_searched_for_names_and_not_for_paths() {
        let found: Vec<_> = on_path(OsStr::new("sh")).collect();
        assert!(found.iter().any(|path| path.ends_with("sh")), "{found:?}");
        assert!(found.iter().all(|path| is_program(path)), "{found:?}");
        assert_eq!(on_path(found[0].as_os_str()).next(), None);
        assert_eq!(on_path(OsStr::new("no-such-program-of-anybody")).next(), None);
    }
}

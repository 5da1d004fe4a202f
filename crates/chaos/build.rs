//! Puts the directed plans of the museum, every file of `workloads/museum`, into the program: so that a new specimen's plan is a file
//! and nothing else.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let folder = root.join("../../workloads/museum");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    files.sort();
    let rows: String = files.iter().filter_map(|file| row(file)).collect();
    fs::write(out.join("museum_plans.rs"), format!("&[\n{rows}]\n"))
}

/// `("double-vote", include_str!("…"))`, of a plan's file.
fn row(file: &Path) -> Option<String> {
    let name = file.file_stem()?.to_str()?;
    file.extension()
        .is_some_and(|extension| extension == "yaml")
        .then(|| format!("({name:?}, include_str!({file:?})),\n"))
}

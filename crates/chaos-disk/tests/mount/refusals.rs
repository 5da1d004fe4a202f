//! Where the host refuses, nothing is left behind.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use chaos_disk::{DiskError, Durability, MountDisk};
use nix::sched::CloneFlags;

use crate::{Case, IN_VAIN, enter_user_namespace};

pub(crate) const CASES: &[Case] = &[("a_mount_that_is_refused_leaves_nothing_beside_the_directory", nothing_is_left)];

fn nothing_is_left() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    fs::create_dir(&directory).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    assert!(command.arg(IN_VAIN).arg(&directory).status().unwrap().success());
    let left: Vec<_> = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["data"]);
}

/// Mounts in a mount namespace that belongs to others, which nobody may.
pub(crate) fn mount_in_vain(directory: &str) -> ExitCode {
    enter_user_namespace(CloneFlags::empty());
    match MountDisk::mount(Path::new(directory), Durability::Strict) {
        Err(DiskError::Refused { .. }) => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

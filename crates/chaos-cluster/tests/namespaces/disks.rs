//! Disks that are spoilt under running nodes, and that only their node notices.

use std::fs;
use std::path::Path;
use std::time::Duration;

use chaos_cluster::{Disks, ProcessError};
use chaos_disk::corrupt::Selection;
use chaos_disk::{DiskFault, Durability, Failure, Keep, Reach};
use chaos_engine::FaultChange;
use chaos_history::{NodeId, NodeLife, Seed};
use chaos_plan::{self as plan, CallFault, Damage, DiskFailure, Hindrance, KillSignal};
use chaos_systems::Launch;

use crate::rig::{LONG, Rig, Stub, process};
use crate::{Case, SKIP_CODE, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_hanging_disk_is_felt_by_its_node_alone", a_hanging_disk_is_felt_by_its_node_alone),
    ("a_program_that_must_not_be_root_meets_the_fault_too", a_program_that_must_not_be_root_meets_the_fault_too),
    ("a_power_loss_takes_what_was_not_synced", a_power_loss_takes_what_was_not_synced),
    ("a_fault_spoils_a_disk_until_it_ends_and_starts_who_ended_of_it", a_fault_spoils_a_disk),
    ("a_power_fails_on_all_nodes_and_its_end_starts_them", a_power_fails),
    ("damage_is_done_to_nodes_that_are_down_and_told_bit_by_bit", damage_is_told),
    ("what_prepared_a_node_survives_its_first_power_loss", what_prepared_a_node_survives),
    ("a_sound_disk_can_only_be_damaged", a_sound_disk_can_only_be_damaged),
];

fn n1() -> NodeId {
    NodeId::new(1)
}

/// Nodes that all run this script in their data directory, `$n` being their number, on such disks.
fn started(disks: Disks, nodes: usize, nonroot: bool, script: &'static str) -> Rig {
    let launches = move |node: NodeId, data: &Path| {
        let script = format!("n={}; cd {}; {script}", node.index() + 1, data.display());
        let mut process = process("node", &script);
        process.command.nonroot = nonroot;
        Launch { processes: vec![process], ..Launch::default() }
    };
    let mut rig = Rig::on(disks, Path::new("/tmp"), Stub::new(nodes, 0, launches));
    rig.try_start().unwrap();
    rig
}

/// Ends the case as skipped where there are no mounts to be had.
fn require_mounts() {
    if let Err(error) = chaos_disk::trial::mount() {
        println!("{}", chaos_net::chain(&error));
        std::process::exit(i32::from(SKIP_CODE));
    }
}

/// How often a node has said that it is alive.
fn count(number: u16) -> u64 {
    fs::metadata(format!("/tmp/count{number}")).map_or(0, |metadata| metadata.len())
}

fn grows(number: u16) {
    let before = count(number);
    eventually("a node goes on", LONG, || count(number) > before + 5);
}

const SYNCS: &str =
    "while :; do dd if=/dev/zero of=file bs=1k count=1 conv=fsync 2>>/tmp/errors$n; printf x >>/tmp/count$n; done";

fn a_hanging_disk_is_felt_by_its_node_alone() {
    let rig = started(Disks::Calls(Reach::Syncs), 2, false, SYNCS);
    grows(1);
    rig.world.set_disk(n1(), DiskFault::slow_syncs(Duration::MAX)).unwrap();
    eventually("a held sync", LONG, || rig.world.disk_touched(n1()).delayed > 0);
    let before = count(1);
    grows(2);
    grows(2);
    assert_eq!(count(1), before);
    rig.world.set_disk(n1(), DiskFault::default()).unwrap();
    grows(1);
    assert!(!rig.world.disk_bypassed(n1()));
    let refused = rig.world.set_disk(n1(), DiskFault::failing_writes(Failure::Full));
    assert!(matches!(refused, Err(ProcessError::Disk { .. })), "{refused:?}");
}

fn a_program_that_must_not_be_root_meets_the_fault_too() {
    let rig = started(Disks::Calls(Reach::Syncs), 1, true, SYNCS);
    grows(1);
    rig.world.set_disk(n1(), DiskFault::failing_syncs(Failure::Io)).unwrap();
    let error = || fs::read_to_string("/tmp/errors1").unwrap().contains("Input/output error");
    eventually("an error of the disk", LONG, error);
}

fn a_power_loss_takes_what_was_not_synced() {
    require_mounts();
    let script =
        "ls >/tmp/found$n; echo kept >kept; sync kept; sync .; echo lost >lost; touch /tmp/ready$n; exec sleep 1000";
    for nonroot in [false, true] {
        let _ = fs::remove_dir_all("/tmp/run");
        let mut rig = started(Disks::Mounted(Durability::Strict), 1, nonroot, script);
        eventually("the node has written", LONG, || Path::new("/tmp/ready1").exists());
        fs::remove_file("/tmp/ready1").unwrap();
        let loss = rig.world.power_loss(n1(), Keep::Synced).unwrap();
        assert_eq!((loss.files, loss.names), (1, 1));
        assert!(matches!(rig.exit_of(1), NodeLife::Exited { expected: true, .. }));
        assert_eq!(rig.file(1, "data/kept"), "kept\n");
        assert!(rig.fault(FaultChange::Restart, &[1]).error.is_none());
        eventually("the node is back", LONG, || Path::new("/tmp/ready1").exists());
        fs::remove_file("/tmp/ready1").unwrap();
        assert_eq!(fs::read_to_string("/tmp/found1").unwrap(), "kept\n");
    }
}

fn a_fault_spoils_a_disk() {
    // Ends at the first sync that fails, as a sound server does.
    let script =
        "while dd if=/dev/zero of=file bs=1k count=1 conv=fsync 2>/dev/null; do printf x >>/tmp/count$n; done; exit 7";
    let mut rig = started(Disks::Calls(Reach::Syncs), 2, false, script);
    grows(1);
    let slow = CallFault { delay: Duration::from_secs(3600), failure: None };
    let failing = CallFault { delay: Duration::ZERO, failure: Some(DiskFailure::Io) };
    let spoil = |sync| FaultChange::Hinder(Hindrance::Disk(plan::DiskFault { sync, write: CallFault::default() }));
    let event = rig.fault(spoil(slow), &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?} {}", rig.remarks());
    eventually("a held sync", LONG, || rig.world.disk_touched(n1()).delayed > 0);
    let before = count(1);
    grows(2);
    assert_eq!(count(1), before);
    assert_eq!(rig.fault(FaultChange::Relax, &[1]).error, None);
    grows(1);
    assert!(
        rig.remarks().contains("disk of n1: 1 calls were delayed and 0 failed, the first at "),
        "{}",
        rig.remarks()
    );
    assert_eq!(rig.fault(spoil(failing), &[1]).error, None);
    assert_eq!(rig.exit_of(1), NodeLife::Exited { code: Some(7), signal: None, expected: false });
    assert_eq!(rig.fault(FaultChange::Relax, &[1]).error, None);
    assert!(rig.remarks().contains("n1 had ended under its spoilt disk; it is started again"), "{}", rig.remarks());
    grows(1);
}

fn a_power_fails() {
    require_mounts();
    let script =
        "ls >/tmp/found$n; echo kept >kept; sync kept; sync .; echo lost >lost; touch /tmp/ready$n; exec sleep 1000";
    let mut rig = started(Disks::Mounted(Durability::Strict), 2, false, script);
    let ready = || [1, 2].iter().all(|number| Path::new(&format!("/tmp/ready{number}")).exists());
    eventually("the nodes have written", LONG, ready);
    for number in [1, 2] {
        fs::remove_file(format!("/tmp/ready{number}")).unwrap();
    }
    let event = rig.fault(FaultChange::LosePower { kept: None }, &[1, 2]);
    assert!(event.error.is_none() && event.stamps.effect >= Some(event.stamps.call_end), "{event:?}");
    assert_eq!(rig.file(2, "data/kept"), "kept\n");
    for number in [1, 2] {
        assert!(!rig.directory.node(NodeId::new(number)).join("data/lost").exists());
        let told = format!("n{number} lost what was not synced: 1 files and 1 names");
        assert!(rig.remarks().contains(&told), "{}", rig.remarks());
    }
    assert_eq!(rig.fault(FaultChange::Restart, &[1, 2]).error, None);
    eventually("the nodes are back", LONG, ready);
    assert_eq!(fs::read_to_string("/tmp/found2").unwrap(), "kept\n");
}

fn damage_is_told() {
    let mut rig = started(Disks::Sound, 1, false, "[ -e wal ] || echo text >wal; touch /tmp/ready1; exec sleep 1000");
    eventually("the node has written", LONG, || Path::new("/tmp/ready1").exists());
    assert_eq!(rig.fault(FaultChange::Kill(KillSignal::KILL), &[1]).error, None);
    let corrupt = |damage| FaultChange::Corrupt { file: "w*".to_owned(), damage, seed: Seed(3) };
    let event = rig.fault(corrupt(Damage::FlipBits(2)), &[1]);
    assert!(event.error.is_none() && event.stamps.effect.is_some(), "{event:?}");
    let found = fs::read(rig.directory.node(n1()).join("data/wal")).unwrap();
    let changed: Vec<usize> = (0..5).filter(|&at| found[at] != b"text\n"[at]).collect();
    let bits: u32 = (0..5).map(|at| (found[at] ^ b"text\n"[at]).count_ones()).sum();
    assert_eq!(bits, 2);
    for at in changed {
        let told = format!("of byte {at} of wal (");
        assert!(
            rig.remarks().contains(&told) && rig.remarks().contains(&format!("{:#04x} now)", found[at])),
            "{}",
            rig.remarks()
        );
    }
    assert_eq!(rig.fault(FaultChange::Relax, &[1]).error, None);
    assert_eq!(rig.fault(corrupt(Damage::Truncate { bytes: 2 }), &[1]).error, None);
    assert_eq!(fs::read(rig.directory.node(n1()).join("data/wal")).unwrap(), found[..3]);
    assert!(rig.remarks().contains("n1: cut wal from 5 to 3 bytes"), "{}", rig.remarks());
    let none = FaultChange::Corrupt { file: "*.log".to_owned(), damage: Damage::FlipBits(1), seed: Seed(3) };
    let event = rig.fault(none, &[1]);
    assert!(event.error.is_some_and(|error| error.contains("no regular file")));
}

fn what_prepared_a_node_survives() {
    require_mounts();
    let launches = move |_: NodeId, data: &Path| Launch {
        files: vec![chaos_systems::LaunchFile { path: data.join("settings"), text: "set".to_owned(), mode: None }],
        processes: vec![process("node", "exec sleep 1000")],
        ..Launch::default()
    };
    let driver = Stub::new(1, 0, launches);
    let mut rig = Rig::on(Disks::Mounted(Durability::Strict), Path::new("/tmp"), driver);
    rig.try_start().unwrap();
    rig.world.power_loss(n1(), Keep::Synced).unwrap();
    assert_eq!(rig.file(1, "data/settings"), "set");
}

fn a_sound_disk_can_only_be_damaged() {
    let mut rig = started(Disks::Sound, 1, false, "echo text >file; touch /tmp/ready1; exec sleep 1000");
    eventually("the node has written", LONG, || Path::new("/tmp/ready1").exists());
    let fault = rig.world.set_disk(n1(), DiskFault::default());
    assert!(matches!(fault, Err(ProcessError::SoundDisk(_))), "{fault:?}");
    let loss = rig.world.power_loss(n1(), Keep::Synced);
    assert!(matches!(loss, Err(ProcessError::SoundDisk(_))), "{loss:?}");
    let files = Selection::new("*").unwrap();
    let flips = rig.world.flip_bits(n1(), &files, 1, 1).unwrap();
    let found = fs::read(rig.directory.node(n1()).join("data/file")).unwrap();
    assert_eq!(found[usize::try_from(flips[0].offset).unwrap()], flips[0].new);
    assert_eq!(rig.world.truncate(n1(), &files, 3, 1).unwrap().new_length, 2);
}

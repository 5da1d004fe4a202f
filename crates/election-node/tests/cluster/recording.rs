//! What a node's core was told can be run through it again, to the bit, and a replay that differs says where.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use election_node::{ReplayError, Replayed};

use crate::support::Cluster;
use crate::sys::Limits;

impl Cluster {
    fn recording(&self, index: usize) -> PathBuf {
        self.data.path().join(format!("{}.core", self.nodes[index].name()))
    }

    fn launch_recorded(&mut self, index: usize) {
        let mut command = self.command(index, &self.directory(index));
        command.arg("--record").arg(self.recording(index));
        self.launch_as(index, command, Limits::default());
    }
}

/// Starts nodes that record, lets them elect and serve, kills the leader, lets it come back, and ends them all.
fn recorded(arguments: &[&str]) -> Cluster {
    let service = arguments.contains(&"--service=n4");
    let mut cluster = Cluster::prepare(if service { 4 } else { 3 }, arguments);
    (0..cluster.nodes.len()).for_each(|index| cluster.launch_recorded(index));
    let (leader, term) = cluster.wait_for_leader(&[0, 1, 2], 0);
    for value in 0..20 {
        // An algorithm without a log refuses it, which is an input of nobody.
        cluster.nodes[leader].ask("PUT", "/kv/k", &format!(r#"{{"value":"{value}"}}"#)).unwrap();
    }
    cluster.nodes[leader].kill();
    let others: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    cluster.wait_for_leader(&others, term);
    cluster.launch_recorded(leader);
    cluster.wait_for_leader(&[0, 1, 2], term);
    cluster.nodes.iter_mut().for_each(|node| drop(node.kill()));
    cluster
}

fn replay(cluster: &Cluster, index: usize) -> Result<(Replayed, Vec<&'static str>), ReplayError> {
    let mut names = Vec::new();
    let replayed = election_node::replay(&cluster.recording(index), &mut |moment| names.extend(moment.name()))?;
    Ok((replayed, names))
}

#[test]
fn every_algorithm_does_again_what_it_did_across_a_kill() {
    for arguments in [
        &["--algorithm=raft", "--snapshot-threshold=5"] as &[&str],
        &["--specimen=refusal-rearms-timer"],
        &["--algorithm=bully"],
        &["--algorithm=ring"],
        &["--algorithm=lease", "--service=n4"],
        &["--algorithm=paxos-lease"],
        &["--algorithm=zab"],
    ] {
        let cluster = recorded(arguments);
        let (mut starts, mut leaders) = (0, 0);
        for index in 0..cluster.nodes.len() {
            let (replayed, names) = replay(&cluster, index).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
            assert!(replayed.steps > 0, "{arguments:?}: {replayed:?}");
            starts += replayed.starts;
            leaders += names.iter().filter(|name| **name == "became_leader").count();
        }
        assert_eq!(starts, cluster.nodes.len() as u64 + 1, "{arguments:?}");
        assert!(leaders >= 2, "{arguments:?}: {leaders} leaders");
    }
}

#[test]
fn another_input_is_found_out_at_its_line_and_half_a_line_is_passed_over_only_at_an_end() {
    let cluster = recorded(&[]);
    let path = cluster.recording(0);
    let text = fs::read_to_string(&path).unwrap();
    let (whole, _) = replay(&cluster, 0).unwrap();

    let vote = text.lines().position(|line| line.contains("VoteReply") && line.contains("\"granted\":true"));
    let vote = vote
        .or_else(|| text.lines().position(|line| line.contains("\"pre\":false")))
        .or_else(|| text.lines().position(|line| line.contains("\"Vote\"")));
    let vote = vote.expect("whoever takes part in an election hears of votes");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[vote] = lines[vote].replace("\"term\":", "\"term\":9").replace("\"Tick\"", "\"Tock\"");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    match replay(&cluster, 0) {
        Err(ReplayError::Differs { line, .. }) => assert_eq!(line, vote as u64 + 1),
        other => panic!("{other:?}"),
    }

    // Killed amid a line: at the end of the file, and before the next start.
    let mut torn = text.clone();
    torn.truncate(text.len() - 7);
    fs::write(&path, &torn).unwrap();
    let (replayed, _) = replay(&cluster, 0).unwrap();
    assert_eq!((replayed.torn, replayed.steps), (1, whole.steps - 1));
    let again = format!("{torn}\n{text}");
    fs::write(&path, again).unwrap();
    let (replayed, _) = replay(&cluster, 0).unwrap();
    assert_eq!((replayed.torn, replayed.starts, replayed.steps), (1, 2 * whole.starts, 2 * whole.steps - 1));

    // Anywhere else it is damage.
    let mut lines: Vec<&str> = text.lines().collect();
    lines[2] = &lines[2][..lines[2].len() / 2];
    fs::write(&path, lines.join("\n")).unwrap();
    let error = replay(&cluster, 0).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    for (wrong, said) in
        [("", "it is empty"), ("{}\n", "line 1"), (lines[1], "before any start"), ("\u{0}\u{1}", "line 1")]
    {
        fs::write(&path, wrong).unwrap();
        let error = replay(&cluster, 0).unwrap_err().to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
    fs::write(&path, text.replace("chaos.core/1", "chaos.core/2")).unwrap();
    let error = replay(&cluster, 0).unwrap_err().to_string();
    assert!(error.contains("line 1: it is `chaos.core/2`"), "{error}");
}

#[test]
fn a_recording_that_can_not_be_written_ends_the_recording_and_not_the_node() {
    let mut cluster = Cluster::prepare(1, &["--record=/dev/full"]);
    cluster.launch(0);
    cluster.wait_for_leader(&[0], 0);
    let said = cluster.nodes[0].kill();
    assert!(said.contains("inputs are recorded no more"), "{said}");

    let mut cluster = Cluster::prepare(1, &["--record=/nonexistent/core"]);
    cluster.launch(0);
    let (status, said) = cluster.nodes[0].wait();
    assert!(status.code() == Some(4) && said.contains("open /nonexistent/core"), "{status:?} {said}");
}

#[test]
fn what_a_former_start_left_unfinished_is_no_part_of_the_next_ones_first_line() {
    let mut cluster = Cluster::prepare(1, &[]);
    for _ in 0..2 {
        cluster.launch_recorded(0);
        cluster.wait_for_leader(&[0], 0);
        cluster.nodes[0].kill();
        let mut file = fs::OpenOptions::new().append(true).open(cluster.recording(0)).unwrap();
        file.write_all(b"{\"step\":{\"at\":12").unwrap();
    }
    let (replayed, _) = replay(&cluster, 0).unwrap();
    assert_eq!((replayed.starts, replayed.torn), (2, 2));
}

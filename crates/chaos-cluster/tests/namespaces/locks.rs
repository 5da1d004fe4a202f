//! Who holds something: sessions of their own, and the resource that locks protect.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chaos_cluster::RESOURCE_PORT;
use chaos_engine::{Command, Event, Invocation, World};
use chaos_history::{
    Action, ClientRole, Completion, NodeId, OpId, OpPhase, OpResult, Operation, ProcessId, operations,
};

use crate::Case;
use crate::rig::{LONG, Rig};

pub(crate) const CASES: &[Case] = &[
    ("who_holds_has_a_session_of_its_own_until_nobody_knows_what_it_holds", who_holds_has_a_session),
    ("programs_in_nodes_use_the_resource_and_are_fenced_and_recorded", programs_use_the_resource),
    ("clients_use_the_resource_in_the_order_of_the_lines", clients_use_the_resource),
];

const IDLE: &str = "exec sleep 1000";

/// Has the process do it, and waits for the end.
fn done(rig: &mut Rig, id: u64, process: u64, action: Action) -> OpPhase {
    let (due, node) = (rig.clock.now(), NodeId::new(1));
    let (id, process, deadline) = (OpId(id), ProcessId(process), due + Duration::from_millis(200));
    let invocation = Invocation { id, process, node, role: ClientRole::Roaming, due, deadline, action };
    rig.world.execute(Command::Invoke(invocation)).unwrap();
    rig.until("the operation's end", |_, event| match event {
        Event::Completed(completed) if completed.id == id => Some(completed.phase.clone()),
        _ => None,
    })
}

fn acquire(key: &str) -> Action {
    Action::Acquire { key: key.to_owned() }
}

fn recorded(rig: &mut Rig) -> Vec<Operation> {
    // A landmark is flushed at once, and with it all before.
    rig.world.execute(Command::Remark("read here".to_owned())).unwrap();
    operations(&rig.history().events).unwrap()
}

fn who_holds_has_a_session() {
    let mut rig = Rig::started(&[IDLE]);
    let opened = |rig: &Rig| rig.driver.opened.load(Ordering::SeqCst);
    let alive = |rig: &Rig| Arc::strong_count(&rig.driver.alive) - 1;
    done(&mut rig, 0, 0, Action::Read { key: "answered".to_owned() });
    assert_eq!(opened(&rig), 0, "who holds nothing shares one");
    let held = OpPhase::Ok(OpResult::Acquired { token: Some(7) });
    assert_eq!(done(&mut rig, 1, 1, acquire("answered")), held);
    assert_eq!(done(&mut rig, 2, 2, acquire("answered")), held);
    assert_eq!((opened(&rig), alive(&rig)), (2, 2), "each has its own");
    assert_eq!(done(&mut rig, 3, 1, Action::Release { key: "answered".to_owned() }), OpPhase::Ok(OpResult::Released));
    assert_eq!((opened(&rig), alive(&rig)), (2, 2), "and keeps it");
    assert!(matches!(done(&mut rig, 4, 1, acquire("never")), OpPhase::Info { .. }));
    assert_eq!((opened(&rig), alive(&rig)), (2, 1), "until nobody knows what it holds");
    rig.driver.refuses_sessions.store(true, Ordering::SeqCst);
    let OpPhase::Fail { error } = done(&mut rig, 5, 3, acquire("answered")) else { panic!("nothing was sent") };
    assert!(error.contains("no place for it"), "{error}");
}

fn clients_use_the_resource() {
    let mut rig = Rig::started(&[IDLE]);
    let access = |token| Action::Access { key: "l0".to_owned(), token };
    let shown = [(Some(7), true), (None, true), (Some(6), false), (Some(8), true), (Some(7), false)];
    for (id, (token, accepted)) in (0..).zip(shown) {
        assert_eq!(done(&mut rig, id, id, access(token)), OpPhase::Ok(OpResult::Accessed { accepted }), "{token:?}");
    }
    assert_eq!(rig.driver.opened.load(Ordering::SeqCst), 0, "no system is asked");
    let operations = recorded(&mut rig);
    for pair in operations.windows(2) {
        assert_eq!(pair[0].complete_line.map(|line| line > pair[0].invoke_line), Some(true));
        assert!(pair[0].complete_line < Some(pair[1].invoke_line), "{pair:?}");
    }
}

fn programs_use_the_resource() {
    let ask = |what: &str| {
        format!(
            "bash -c 'exec 3<>/dev/tcp/10.77.0.254/{RESOURCE_PORT}; printf \"POST /access/{what} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\" >&3; \
             head -n 1 <&3' >> /tmp/answers; "
        )
    };
    let asked = ["l?hold=a&token=7", "l?hold=b&token=6", "l?hold=a&tokn=9", "l?hold=a&token=-1", "l"].map(ask);
    let script = format!("{} touch /tmp/asked; {IDLE}", asked.concat());
    let mut rig = Rig::new(Path::new("/tmp"), &[&script, IDLE]);
    rig.world.serve_resource().unwrap();
    rig.try_start().unwrap();
    let give_up = rig.clock.now() + LONG;
    while !Path::new("/tmp/asked").exists() {
        let soon = rig.clock.now() + Duration::from_millis(5);
        rig.world.next_event(soon).unwrap();
        assert!(rig.clock.now() < give_up, "the node asks");
    }
    let answers = std::fs::read_to_string("/tmp/answers").unwrap();
    let codes: Vec<&str> = answers.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(codes, ["200", "409", "400", "400", "200"], "{answers}");
    let operations = recorded(&mut rig);
    let told: Vec<(Action, Completion)> =
        operations.iter().map(|operation| (operation.action.clone(), operation.completion.clone())).collect();
    let access = |token, accepted| {
        let access = Action::Access { key: "l".to_owned(), token };
        (access, Completion::Ok(OpResult::Accessed { accepted }))
    };
    assert_eq!(told, [access(Some(7), true), access(Some(6), false), access(None, true)]);
    assert!(operations.iter().all(|operation| operation.node == NodeId::new(1)), "who asks is known by its address");
    let processes: Vec<ProcessId> = operations.iter().map(|operation| operation.process).collect();
    assert!(processes[0] != processes[1] && processes[1] != processes[2] && processes[0] != processes[2]);

    let mut own = TcpStream::connect(("10.77.0.254", RESOURCE_PORT)).unwrap();
    own.write_all(b"POST /access/l HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    own.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "who is no node is refused: {answer}");
}

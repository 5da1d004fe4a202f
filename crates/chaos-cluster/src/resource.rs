//! The resource that locks protect, for programs that run in nodes: candidates and lock holders of the system's own, which a fault
//! can pause while they hold.
//!
//! It answers in the switch, which every node reaches whatever links are cut, at the address that templates know as
//! `{{ resource }}`. Version 1:
//!
//! ```text
//! POST (or GET) /access/LOCK?hold=TEXT&token=NUMBER     200 {"accepted":true}     it is let in
//!                                                       409 {"accepted":false}    a larger token was shown before
//!                                                       400, 403, 404, 503        nothing was decided, nothing is recorded
//! ```
//!
//! Who asks is known by its address. `hold` tells one hold of a program from the next (the key of its queue entry, say); without it
//! all accesses of a node are one hold. `token` is the fencing token; who shows none is let in. What is decided enters the history as
//! an access of a process of its own for each hold, before the answer leaves.
//!
//! It refuses to be asked by what is no node, and to keep more than is asked of it: connections are closed after their answer.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chaos_history::{self as history, Action, ClientRole, NodeId, OpEvent, OpId, OpPhase, OpResult, ProcessId};
use tokio::sync::oneshot;

use crate::inbox::{Message, Outbox};
use crate::world::{RealWorld, WorldError};

/// The port at the switch's address. The network is the run's own, so it is free unless a node's user takes it.
pub const RESOURCE_PORT: u16 = 17_077;

/// The longest name of a lock or of a hold, bytes.
const NAME_BYTES_MAX: usize = 200;

/// Processes and operations of programs are numbered from here on: the engine counts its own from 0, and JSON keeps both exactly.
const FIRST_PROCESS: u64 = 1_000_000_000;
const FIRST_OPERATION: u64 = 1_000_000_000_000;

/// A program's question.
pub(crate) struct Asked {
    node: NodeId,
    lock: String,
    hold: String,
    token: Option<u64>,
    decided: oneshot::Sender<bool>,
}

/// The programs that have come so far.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    /// The process that stands for each hold of each node's programs.
    processes: BTreeMap<(NodeId, String, String), ProcessId>,
    accesses: u64,
}

impl Programs {
    fn process(&mut self, asked: &Asked) -> ProcessId {
        let next = ProcessId(FIRST_PROCESS + u64::try_from(self.processes.len()).unwrap_or(u64::MAX - FIRST_PROCESS));
        *self.processes.entry((asked.node, asked.lock.clone(), asked.hold.clone())).or_insert(next)
    }

    fn operation(&mut self) -> OpId {
        self.accesses += 1;
        OpId(FIRST_OPERATION + self.accesses - 1)
    }
}

impl RealWorld {
    /// Lets programs in nodes use the resource, at [`RESOURCE_PORT`] of the switch's address.
    ///
    /// # Errors
    /// If the port is not to be had.
    pub fn serve_resource(&mut self) -> Result<(), WorldError> {
        let address = SocketAddr::from((self.network.harness_address(), RESOURCE_PORT));
        let nodes = (0..self.network.nodes()).map(|index| (self.network.address(index), NodeId::from_index(index)));
        let desk = Desk { messages: self.messages.clone(), nodes: nodes.collect() };
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind(address));
        let listener =
            listener.map_err(|source| WorldError::Setup { action: "open the resource for locks", source })?;
        let service = Router::new().route("/access/{lock}", get(access).post(access)).with_state(desk);
        let service = service.into_make_service_with_connect_info::<SocketAddr>();
        // It never ends by itself; the runtime takes it away.
        self.runtime.spawn(async move { axum::serve(listener, service).await });
        Ok(())
    }

    /// Decides what a program asked, and records it.
    pub(crate) fn asked(&mut self, asked: Asked) -> Result<(), WorldError> {
        let (process, id) = (self.programs.process(&asked), self.programs.operation());
        let Asked { node, lock, hold: _, token, decided } = asked;
        let accepted = self.resource.access(&lock, token);
        let at = self.clock.now();
        let invoke = OpPhase::Invoke { role: ClientRole::Pinned, due: at, action: Action::Access { key: lock, token } };
        for phase in [invoke, OpPhase::Ok(OpResult::Accessed { accepted })] {
            self.record(at, history::Event::Op(OpEvent { id, process, node, phase }), None)?;
        }
        // A program that has gone meanwhile has used it all the same.
        let _ = decided.send(accepted);
        Ok(())
    }
}

/// What the handlers need.
#[derive(Clone)]
struct Desk {
    messages: Outbox,
    nodes: BTreeMap<Ipv4Addr, NodeId>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    #[serde(default)]
    hold: String,
    token: Option<u64>,
}

async fn access(
    State(desk): State<Desk>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(lock): Path<String>,
    shown: Result<Query<Shown>, QueryRejection>,
) -> Response {
    let node = match from.ip() {
        IpAddr::V4(address) => desk.nodes.get(&address).copied(),
        IpAddr::V6(_) => None,
    };
    let Some(node) = node else { return refused(StatusCode::FORBIDDEN, "only nodes use this") };
    let Query(Shown { hold, token }) = match shown {
        Ok(shown) => shown,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    if lock.len() > NAME_BYTES_MAX || hold.len() > NAME_BYTES_MAX {
        return refused(StatusCode::BAD_REQUEST, "a name is too long");
    }
    let (decided, decision) = oneshot::channel();
    desk.messages.send_from_task(Message::Asked(Asked { node, lock, hold, token, decided })).await;
    match decision.await {
        Ok(true) => answer(StatusCode::OK, "{\"accepted\":true}\n".to_owned()),
        Ok(false) => answer(StatusCode::CONFLICT, "{\"accepted\":false}\n".to_owned()),
        Err(_) => refused(StatusCode::SERVICE_UNAVAILABLE, "the run is over"),
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    answer(status, format!("{why}\n"))
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(header::CONNECTION, "close")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hold_of_a_nodes_programs_is_a_process_of_its_own() {
        let mut programs = Programs::default();
        let mut process = |node, lock: &str, hold: &str| {
            let (decided, _) = oneshot::channel();
            let (lock, hold) = (lock.to_owned(), hold.to_owned());
            programs.process(&Asked { node: NodeId::new(node), lock, hold, token: None, decided }).0 - FIRST_PROCESS
        };
        let asked = [(1, "l", "a"), (2, "l", "a"), (1, "l", "b"), (1, "m", "a"), (1, "l", "a")];
        assert_eq!(asked.map(|(node, lock, hold)| process(node, lock, hold)), [0, 1, 2, 3, 0]);
    }
}

//! The library's requests to peers, and peers' requests to the library: JSON in frames over TCP, one request after another on a
//! connection, connections kept for the next request.
//!
//! A request that the library gives up on takes its connection along, because an answer may still come on it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kv_node::options::Peers;
use kv_node::wire;
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{BasicNode, Raft};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use crate::storage::Types;

/// A request to a peer.
#[derive(Serialize, Deserialize)]
enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
}

/// Makes the library's clients.
#[derive(Clone)]
pub struct Network {
    pools: Vec<(u64, Arc<Pool>)>,
}

/// Connections to one peer that nobody uses at the moment.
struct Pool {
    to: SocketAddr,
    from: SocketAddr,
    patience: Duration,
    idle: Mutex<Vec<TcpStream>>,
}

/// The library's client of one peer.
pub struct Client {
    to: u64,
    pool: Arc<Pool>,
}

impl Network {
    /// A network without connections; `patience` is the longest wait for one, and for an acknowledgement on it.
    pub fn new(peers: &Peers, from: SocketAddr, patience: Duration) -> Self {
        let pool = |to| Arc::new(Pool { to, from, patience, idle: Mutex::default() });
        Self { pools: peers.iter().map(|(number, to)| (number, pool(to))).collect() }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, to: u64, _: &BasicNode) -> Client {
        let pool = self.pools.iter().find(|(number, _)| *number == to);
        Client { to, pool: Arc::clone(&pool.expect("the members are the peers of the command line").1) }
    }
}

impl Pool {
    fn take(&self) -> Option<TcpStream> {
        self.idle.lock().expect("nobody panics with the pool in hand").pop()
    }

    async fn exchange(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        // A peer that has been restarted has closed what is kept here; only a fresh connection tells whether it is there.
        while let Some(stream) = self.take() {
            if let Ok(answer) = self.exchange_on(stream, request).await {
                return Ok(answer);
            }
        }
        self.exchange_on(wire::dial(self.to, self.from, self.patience).await?, request).await
    }

    async fn exchange_on(&self, mut stream: TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
        wire::send(&mut stream, request).await?;
        let answer = wire::receive(&mut stream).await?;
        self.idle.lock().expect("nobody panics with the pool in hand").push(stream);
        Ok(answer)
    }
}

impl Client {
    async fn ask<T, E>(&self, request: &Request) -> Result<T, RPCError<u64, BasicNode, E>>
    where
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let bytes = serde_json::to_vec(request).map_err(|error| NetworkError::new(&error))?;
        // The library waits before it tries an unreachable peer again; after a network error it would try at once, and for ever.
        let answer = self.pool.exchange(&bytes).await.map_err(|error| Unreachable::new(&error))?;
        let answer: Result<T, E> = serde_json::from_slice(&answer).map_err(|error| NetworkError::new(&error))?;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.to, error)))
    }
}

impl RaftNetwork<Types> for Client {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        self.ask(&Request::Append(request)).await
    }

    async fn install_snapshot(
        &mut self,
        _: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, RPCError<u64, BasicNode, RaftError<u64, InstallSnapshotError>>> {
        let error = io::Error::new(io::ErrorKind::Unsupported, "nodes keep their whole log and send no snapshots");
        Err(Unreachable::new(&error).into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        self.ask(&Request::Vote(request)).await
    }
}

/// Answers peers until the runtime ends.
pub async fn accept(listener: TcpListener, raft: Raft<Types>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let raft = raft.clone();
                // An error is the end of the connection, by whatever cause; the peer dials again.
                tokio::spawn(async move { answer_on(stream, &raft).await });
            }
            // Out of descriptors, for example.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn answer_on(mut stream: TcpStream, raft: &Raft<Types>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let answer = match serde_json::from_slice(&wire::receive(&mut stream).await?)? {
            Request::Append(request) => serde_json::to_vec(&raft.append_entries(request).await),
            Request::Vote(request) => serde_json::to_vec(&raft.vote(request).await),
        };
        wire::send(&mut stream, &answer?).await?;
    }
}

//! Messages to and from peers. The library's messages may be lost, repeated or late, so nothing is kept for a peer that cannot be
//! reached: what waits for it is dropped, and the library is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use kv_node::options::Peers;
use kv_node::wire;
use protobuf::Message as _;
use raft::eraftpb::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::core::Input;

/// The most messages that wait for one peer.
const QUEUE_MESSAGES_MAX: usize = 4096;

/// Who a node is and how long it waits for others.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The node's number.
    pub number: u64,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long a connection may take, or be without acknowledgement.
    pub patience: Duration,
}

/// A queue to each peer.
pub struct Outbound(BTreeMap<u64, mpsc::Sender<Vec<u8>>>);

impl Outbound {
    /// Starts a task per peer, in the current runtime.
    pub fn start(peers: &Peers, local: Local, inbox: &SyncSender<Input>) -> Self {
        let others = peers.iter().filter(|(number, _)| *number != local.number);
        Self(
            others
                .map(|(number, address)| {
                    let (sender, queue) = mpsc::channel(QUEUE_MESSAGES_MAX);
                    tokio::spawn(carry(number, address, local, queue, inbox.clone()));
                    (number, sender)
                })
                .collect(),
        )
    }

    /// Queues the messages; where a queue is full, the message is lost.
    pub fn send(&self, messages: Vec<Message>) {
        for message in messages {
            if let (Some(queue), Ok(bytes)) = (self.0.get(&message.to), message.write_to_bytes()) {
                let _ = queue.try_send(bytes);
            }
        }
    }
}

/// Keeps a connection to one peer while there is something to send.
async fn carry(
    number: u64,
    address: SocketAddr,
    local: Local,
    mut queue: mpsc::Receiver<Vec<u8>>,
    inbox: SyncSender<Input>,
) {
    let mut connection: Option<TcpStream> = None;
    while let Some(message) = queue.recv().await {
        let sent = async {
            let stream = match connection.take() {
                Some(stream) => connection.insert(stream),
                None => connection.insert(wire::dial(address, local.address, local.patience).await?),
            };
            wire::send(stream, &message).await
        };
        if sent.await.is_err() {
            connection = None;
            while queue.try_recv().is_ok() {}
            // If the inbox is full, the library finds out by itself, later.
            let _ = inbox.try_send(Input::Unreachable(number));
        }
    }
}

/// Takes peers' messages until the runtime ends.
pub async fn accept(listener: TcpListener, local: Local, inbox: SyncSender<Input>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(take_from(stream, local, inbox.clone()))),
            // Out of descriptors, for example: the peer dials again.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn take_from(mut stream: TcpStream, local: Local, inbox: SyncSender<Input>) {
    while let Ok(bytes) = wire::receive(&mut stream).await {
        let Ok(message) = Message::parse_from_bytes(&bytes) else { return };
        if message.to == local.number {
            // A full inbox loses messages, as a network does.
            let _ = inbox.try_send(Input::Message(message));
        }
    }
}

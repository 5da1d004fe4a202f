//! What may be used again, and what counts as sent.

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;

const NODE: fn() -> NodeId = || NodeId::new(1);

async fn listener() -> (TcpListener, Pool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(vec![listener.local_addr().unwrap()], Duration::from_secs(5));
    (listener, pool)
}

async fn take(pool: &Pool) -> TcpStream {
    match pool.idle(NODE()) {
        Some(kept) => kept,
        None => pool.connect(NODE()).await.unwrap(),
    }
}

/// Waits until the kernel has delivered what the other side did.
async fn until_readable(stream: &TcpStream) {
    tokio::time::timeout(Duration::from_secs(5), stream.readable()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_was_put_back_is_used_again() {
    let (listener, pool) = listener().await;
    let first = take(&pool).await;
    let address = first.local_addr().unwrap();
    let _other_side = listener.accept().await.unwrap();
    pool.put_back(NODE(), first);
    assert_eq!(take(&pool).await.local_addr().unwrap(), address);
    assert!(pool.idle(NODE()).is_none(), "it was taken out");
}

#[tokio::test]
async fn a_connection_that_the_node_closed_is_replaced_before_anything_is_sent() {
    let (listener, pool) = listener().await;
    let first = take(&pool).await;
    let address = first.local_addr().unwrap();
    drop(listener.accept().await.unwrap());
    until_readable(&first).await;
    pool.put_back(NODE(), first);
    assert_ne!(take(&pool).await.local_addr().unwrap(), address);
}

#[tokio::test]
async fn a_connection_with_an_unasked_answer_on_it_is_not_used_again() {
    let (listener, pool) = listener().await;
    let first = take(&pool).await;
    let (mut other_side, _) = listener.accept().await.unwrap();
    other_side.write_all(b"late answer").await.unwrap();
    until_readable(&first).await;
    pool.put_back(NODE(), first);
    assert!(pool.idle(NODE()).is_none());
}

#[tokio::test]
async fn nothing_listening_is_not_connected() {
    let (listener, pool) = listener().await;
    drop(listener);
    let error = pool.connect(NODE()).await.unwrap_err();
    assert!(error.to_string().starts_with("not connected: "), "{error}");
    assert!(matches!(Answer::from(error).phase, chaos_history::OpPhase::Fail { .. }));
}

#[tokio::test]
async fn what_is_sent_arrives_whole_and_what_is_refused_was_not_sent() {
    let (listener, pool) = listener().await;
    let mut stream = take(&pool).await;
    let (mut other_side, _) = listener.accept().await.unwrap();
    send(&mut stream, b"hello").await.unwrap();
    let mut got = [0; 5];
    other_side.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    stream.shutdown().await.unwrap();
    assert!(matches!(send(&mut stream, b"more").await, Err(Unsent::Nothing(_))));
}

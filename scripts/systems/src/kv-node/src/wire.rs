//! Messages between nodes: frames of a length (4 bytes, big-endian) and so many bytes, over TCP.
//!
//! A connection on which nothing is acknowledged for a while is given up by the kernel (`TCP_USER_TIMEOUT`): otherwise its ever
//! longer waits between retransmissions would outlast a partition, and the recovery measured would be TCP's.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The longest frame, bytes.
const FRAME_BYTES_MAX: u32 = 64 << 20;

/// Dials, from the local address `from`; `patience` is the longest wait for the connection, and for any acknowledgement on it.
///
/// # Errors
/// If nobody answers in time.
pub async fn dial(to: SocketAddr, from: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from.ip(), 0))?;
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_user_timeout(Some(patience))?;
    tokio::time::timeout(patience, socket.connect(to)).await?
}

/// Listens; the address may be in TIME_WAIT from the process before.
///
/// # Errors
/// If the address is not ours or taken.
pub fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(1024)
}

/// Sends one frame.
///
/// # Errors
/// If the connection is broken or the frame too long.
pub async fn send(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the frame is too long"))?;
    let mut bytes = Vec::with_capacity(frame.len() + 4);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(frame);
    stream.write_all(&bytes).await
}

/// Receives one frame.
///
/// # Errors
/// If the connection ends or the frame is too long.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    // The length is the peer's word: memory is taken as the bytes come.
    let mut frame = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut frame).await?;
    if frame.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_whole_and_a_cut_one_not_at_all() {
        let mut bytes = Vec::new();
        send(&mut bytes, b"vote").await.unwrap();
        send(&mut bytes, b"").await.unwrap();
        let mut whole = bytes.as_slice();
        assert_eq!(receive(&mut whole).await.unwrap(), b"vote");
        assert_eq!(receive(&mut whole).await.unwrap(), b"");
        assert_eq!(receive(&mut whole).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut cut = &bytes[..6];
        assert_eq!(receive(&mut cut).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut huge = [0xff; 8].as_slice();
        assert_eq!(receive(&mut huge).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

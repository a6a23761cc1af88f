//! WebSocket frames as the driver's library reads them under our limits, then what they carry.
//!
//! The handshake is behind us; a reader that stops in mid-message must stop for good, and memory stays within the limit.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use warmline::driver::websocket_limits;
use warmline::sip::Message;
use warmline::transport::MESSAGE_LIMIT;

pub(super) fn run(octets: &[u8]) {
    let mut socket = WebSocket::from_raw_socket(Wire(octets), Role::Server, Some(websocket_limits()));
    for _ in 0..=octets.len() {
        match socket.read() {
            Ok(WsMessage::Text(text)) => message(Bytes::from(text)),
            Ok(WsMessage::Binary(octets)) => message(octets),
            Ok(WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Close(_) | WsMessage::Frame(_)) => {}
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return,
        }
    }
}

fn message(octets: Bytes) {
    assert!(octets.len() <= MESSAGE_LIMIT);
    if let Ok(message) = Message::parse(octets) {
        let _ = message.validate();
    }
}

/// What came, and then nothing any more; what is answered goes nowhere.
struct Wire<'a>(&'a [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

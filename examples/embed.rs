//! The engine in a host of its own: a UDP socket and a clock, nothing else. No runtime, no threads.
//!
//! ```text
//! cargo run --example embed                    # serves SIP on 127.0.0.1:5060; point two softphones at it
//! cargo run --example embed -- 127.0.0.1:0 2   # another address, and only for two seconds
//! ```

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use warmline::engine::{Engine, Input, Output, Settings};
use warmline::transport::{Flow, Transport};

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let socket = UdpSocket::bind(args.next().unwrap_or_else(|| "127.0.0.1:5060".to_owned()))?;
    let local = socket.local_addr()?;
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    println!("serving SIP over UDP on {local}");
    let start = clock();
    // The default registrar is open: on loopback anybody may register.
    let mut engine = Engine::new(Settings::loopback(local), start);
    let mut buffer = vec![0; 65_535];
    while clock().duration_since(start).as_secs() < seconds {
        // 1. Everything that the engine wants done is done before it is asked again.
        while let Some(output) = engine.poll_output() {
            perform(&socket, output);
        }
        // 2. Wait for a datagram, but not longer than the engine sleeps.
        let wait = engine
            .poll_timeout()
            .map_or(Duration::from_secs(1), |at| at.duration_since(clock()));
        socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), Duration::from_secs(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, remote)) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec().into();
                engine.handle_input(
                    clock(),
                    Input::Received {
                        flow: flow(local, remote),
                        bytes,
                    },
                );
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => eprintln!("receive: {error}"),
        }
        // 3. Early calls do no harm.
        engine.handle_timeout(clock());
    }
    Ok(())
}

fn perform(socket: &UdpSocket, output: Output) {
    match output {
        Output::Transmit { flow, bytes } => {
            if let Err(error) = socket.send_to(&bytes, flow.remote) {
                eprintln!("send to {}: {error}", flow.remote);
            }
        }
        Output::Event(event) => println!("{event:?}"),
        Output::Reply { id, reply } => println!("{id:?}: {reply:?}"),
        // Nothing is kept: a phone registers again. No host is a name here: a host with a resolver would answer by
        // Input::Resolved, and what is not answered the engine gives up by itself. A host without media threads sets
        // Settings::media.mode to Off.
        Output::Store { .. } | Output::Resolve { .. } | Output::Media(_) => {}
    }
}

fn flow(local: SocketAddr, remote: SocketAddr) -> Flow {
    Flow {
        transport: Transport::Udp,
        local,
        remote,
        connection: 0,
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the host: it owns the clock")]
fn clock() -> Instant {
    Instant::now()
}

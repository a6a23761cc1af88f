//! The media thread with its sockets: CPU time a packet, read from the kernel's own account of that thread.
//!
//! A figure of this machine in this minute, for orientation; it is no ratio and no gate.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use warmline::driver::{MediaOptions, MediaThread, dtls_certificate};
use warmline::media::rtp::Header;
use warmline::media::{Hear, MediaCommand, Security};

use crate::streams::{AUDIO, endpoint, leg};

/// Of the legs' ports; below those that the system gives out by itself.
const FIRST_PORT: u16 = 11_000;
/// Packets between two looks at the clock.
const BURST: usize = 10;

/// Microseconds of the media thread for a packet received and sent; `None` where there is no such account.
pub(crate) fn measure(streams: usize, seconds: u64) -> Option<f64> {
    let options = MediaOptions::new([127, 0, 0, 1].into(), dtls_certificate().ok()?);
    let (events, _told) = tokio::sync::mpsc::unbounded_channel();
    let media = MediaThread::start(options, events).ok()?;
    let parties: Vec<UdpSocket> = (0..streams)
        .map(|_| UdpSocket::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .ok()?;
    for (at, party) in parties.iter().enumerate() {
        party.set_nonblocking(true).ok()?;
        let port = FIRST_PORT + 2 * at as u16;
        let endpoint = Box::new(endpoint(port, party.local_addr().ok()?, Security::None));
        media.send(MediaCommand::Endpoint { leg: leg(at), endpoint });
        let what = Hear::Leg(leg(at ^ 1));
        media.send(MediaCommand::Hear { leg: leg(at), what });
    }
    // The ports are open when the first packet comes through.
    let mut sequence = 0;
    while round(&parties, &mut sequence, Instant::now()) < streams {
        assert!(sequence < 500, "nothing comes through");
    }
    let account = account()?;
    let (before, begun) = (spent(&account)?, Instant::now());
    let mut heard = 0;
    for count in 0..seconds * 50 {
        heard += round(
            &parties,
            &mut sequence,
            begun + Duration::from_millis(20) * count as u32,
        );
    }
    let after = spent(&account)?;
    media.stop();
    Some((after - before) as f64 / 1_000.0 / heard as f64)
}

/// Every party sends a packet, spread over 20 ms, and what came to it meanwhile is read; how many came.
fn round(parties: &[UdpSocket], sequence: &mut u16, begun: Instant) -> usize {
    *sequence = sequence.wrapping_add(1);
    let (mut packet, mut heard) = (Vec::new(), 0);
    let mut octets = [0; 2_048];
    for (at, party) in parties.iter().enumerate() {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: *sequence,
            timestamp: u32::from(*sequence) * 160,
            ssrc: at as u32,
        };
        header.write(&[0x55; AUDIO], &mut packet);
        party.send_to(&packet, ("127.0.0.1", FIRST_PORT + 2 * at as u16)).ok(); // refused until the port is open
        while party.recv(&mut octets).is_ok_and(|length| length > AUDIO) {
            heard += 1;
        }
        if at.is_multiple_of(BURST) {
            let due = begun + Duration::from_millis(20).mul_f64(at as f64 / parties.len() as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
    std::thread::sleep((begun + Duration::from_millis(20)).saturating_duration_since(Instant::now()));
    heard
}

/// Where the kernel counts the media thread's time.
fn account() -> Option<std::path::PathBuf> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let mut folders = threads.filter_map(|thread| Some(thread.ok()?.path()));
    let named = |folder: &std::path::PathBuf| {
        std::fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "warmline-media")
    };
    folders.find(named).map(|folder| folder.join("schedstat"))
}

fn spent(account: &std::path::Path) -> Option<u64> {
    std::fs::read_to_string(account)
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

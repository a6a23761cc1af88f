//! A byte stream cut into messages: whatever pieces it comes in, the frames are the same.

use std::time::{Duration, Instant};

use warmline::sip::Message;
use warmline::transport::{Frame, FrameErrorKind, MESSAGE_LIMIT, StreamFramer};

use super::octets::Octets;

pub(super) fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let (first, second) = (usize::from(octets.next()), usize::from(octets.next()));
    let stream = octets.some(usize::MAX);
    let whole = frames(stream, &[stream.len()]);
    let pieces = frames(stream, &[1 + first, 1 + second, 1, 1, 3]);
    // Keepalives may be counted otherwise when they come in pieces; messages and the verdict may not.
    assert_eq!(messages(&whole), messages(&pieces), "cut after {first} and {second}");
    assert_eq!(whole.1, pieces.1);
    for message in messages(&whole) {
        assert!(message.len() <= MESSAGE_LIMIT);
        if let Ok(parsed) = Message::parse(message.clone().into()) {
            assert_eq!(parsed.bytes(), &message[..], "the frame ends where the message ends");
        }
    }
}

type Cut = (Vec<Frame>, Option<FrameErrorKind>);

fn messages((frames, _): &Cut) -> Vec<Vec<u8>> {
    let message = |frame: &Frame| match frame {
        Frame::Message(bytes) => Some(bytes.to_vec()),
        Frame::Ping | Frame::Pong => None,
    };
    frames.iter().filter_map(message).collect()
}

/// The stream in pieces of these lengths, the last of which repeats.
fn frames(stream: &[u8], lengths: &[usize]) -> Cut {
    #[expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]
    let start = Instant::now();
    let mut framer = StreamFramer::new();
    let (mut found, mut rest, mut count) = (Vec::new(), stream, 0_u32);
    while !rest.is_empty() {
        let length = lengths.get(count as usize).or(lengths.last()).copied().unwrap_or(1);
        let (piece, after) = rest.split_at(length.clamp(1, rest.len()));
        rest = after;
        framer.push(start + Duration::from_millis(u64::from(count)), piece);
        count += 1;
        loop {
            match framer.next() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => {
                    if let Some(answer) = error.answer {
                        // What it repeats of the request may itself be broken.
                        assert!(answer.starts_with(b"SIP/2.0 4") || answer.starts_with(b"SIP/2.0 5"));
                    }
                    assert_eq!(framer.pending(), 0, "a stream that was refused keeps nothing");
                    assert!(framer.next().is_err());
                    return (found, Some(error.kind));
                }
            }
            assert!(framer.pending() <= MESSAGE_LIMIT + piece.len());
        }
    }
    (found, None)
}

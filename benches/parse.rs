//! How much it costs to find what matching needs in a 1,050-octet INVITE, and to forward it, beside rsip 0.4.
//!
//! Times are medians of interleaved rounds in one process; instructions and allocations are differences between runs
//! of N and 2N iterations under valgrind, which repeat exactly. `--quick` takes fewer rounds.

use bytes::Bytes;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HeadersExt;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;
use warmline::sip::{Forward, HeaderName, Message};

/// A re-INVITE as a phone behind a proxy sends it.
const INVITE: &str = concat!(
    "INVITE sip:bob@192.0.2.20:5060;transport=udp SIP/2.0\r\n",
    "Via: SIP/2.0/UDP proxy.example.com:5060;branch=z9hG4bK74bf9a2c1d;rport\r\n",
    "Via: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bKnashds8;received=203.0.113.9;rport=40112\r\n",
    "Max-Forwards: 69\r\n",
    "Record-Route: <sip:proxy.example.com;lr>\r\n",
    "From: \"Alice Wonder\" <sip:alice@example.com>;tag=9fxced76sl\r\n",
    "To: \"Bob Builder\" <sip:bob@example.com>;tag=8321234356\r\n",
    "Call-ID: 3848276298220188511@atlanta.example.com\r\n",
    "CSeq: 31862 INVITE\r\n",
    "Contact: <sip:alice@198.51.100.7:5062;transport=udp>\r\n",
    "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, INFO, UPDATE\r\n",
    "Supported: replaces, timer, 100rel\r\n",
    "User-Agent: Example Softphone 5.2.1 (build 42)\r\n",
    "Subject: a call about something, and one thing more yet\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 266\r\n",
    "\r\n",
    "v=0\r\n",
    "o=alice 2890844526 2890844526 IN IP4 198.51.100.7\r\n",
    "s=-\r\n",
    "c=IN IP4 198.51.100.7\r\n",
    "t=0 0\r\n",
    "m=audio 49170 RTP/AVP 0 8 9 101\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "a=rtpmap:8 PCMA/8000\r\n",
    "a=rtpmap:9 G722/8000\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=fmtp:101 0-16\r\n",
    "a=sendrecv\r\n",
    "a=ptime:20\r\n",
);

const OUR_VIA: &str = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKwarmline0001";

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    run: fn(&Bytes),
}

const OURS_IDS: Case = Case {
    name: "ours/ids",
    run: ours_ids,
};
const THEIRS_IDS: Case = Case {
    name: "rsip/ids",
    run: theirs_ids,
};
const OURS_FORWARD: Case = Case {
    name: "ours/forward",
    run: ours_forward,
};
const THEIRS_FORWARD: Case = Case {
    name: "rsip/forward",
    run: theirs_forward,
};
const EMPTY: Case = Case {
    name: "empty",
    run: empty,
};
const CASES: [Case; 5] = [OURS_IDS, THEIRS_IDS, OURS_FORWARD, THEIRS_FORWARD, EMPTY];

/// The loop and the copy of the `Bytes` handle.
fn empty(input: &Bytes) {
    black_box(input.clone());
}

fn ours_ids(input: &Bytes) {
    let message = Message::parse(input.clone()).expect("parses");
    black_box(message.method());
    black_box(message.call_id());
    black_box((message.from_tag(), message.to_tag()));
    black_box(message.branch());
    black_box((message.cseq(), message.content_length()));
}

fn theirs_ids(input: &Bytes) {
    let message = rsip::Request::try_from(&input[..]).expect("parses");
    black_box(message.method());
    let via = message.via_header().expect("via").typed().expect("via");
    let from = message.from_header().expect("from").typed().expect("from");
    let to = message.to_header().expect("to").typed().expect("to");
    let cseq = message.cseq_header().expect("cseq").typed().expect("cseq");
    black_box(message.call_id_header().expect("call-id").value());
    black_box((via.branch(), from.tag(), to.tag(), cseq.seq));
    black_box(&message.body);
}

fn ours_forward(input: &Bytes) {
    let message = Message::parse(input.clone()).expect("parses");
    let hops = message
        .number(HeaderName::MaxForwards)
        .and_then(|hops| u8::try_from(hops).ok())
        .unwrap_or(70);
    black_box(
        Forward::new(&message)
            .push_via(OUR_VIA)
            .max_forwards(hops.saturating_sub(1))
            .print(),
    );
}

fn theirs_forward(input: &Bytes) {
    let mut message = rsip::Request::try_from(&input[..]).expect("parses");
    let hops: u32 = message
        .max_forwards_header()
        .expect("hops")
        .value()
        .parse()
        .expect("number");
    let lowered = rsip::headers::MaxForwards::from(hops.saturating_sub(1));
    message.headers.unique_push(rsip::Header::MaxForwards(lowered));
    let mut headers = vec![rsip::Header::Via(rsip::headers::Via::new(OUR_VIA))];
    headers.extend(std::mem::take(&mut message.headers));
    message.headers = headers.into();
    black_box(Vec::<u8>::from(message));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, count] = arguments.as_slice()
        && flag == "--count"
    {
        return count_run(name, count.parse().expect("a number"));
    }
    assert_eq!(INVITE.len(), 1_050);
    let input = Bytes::from(INVITE.as_bytes().to_vec());
    let rounds = if arguments.iter().any(|argument| argument == "--quick") {
        501
    } else {
        5_001
    };
    println!("rsip builds every header and typed values of what it parses: it does more work than a scanner.");
    let times = measure(&input, rounds);
    for (case, nanoseconds) in CASES.iter().zip(&times) {
        println!("{:<14} {nanoseconds:>8.0} ns", case.name);
    }
    let [ours, theirs, our_forward, their_forward, _] = times;
    let counts = instructions();
    if counts.is_none() {
        println!("valgrind is missing: no instruction or allocation counts");
    }
    for (case, count) in CASES.iter().zip(counts.iter().flatten()) {
        println!(
            "{:<14} {:>8} instructions {:>4} allocations",
            case.name, count.instructions, count.allocations
        );
    }
    println!("ratio parse/forward {:.3}", our_forward / their_forward);
    if let Some(count) = counts.as_ref().and_then(|list| list.get(2)) {
        println!("instructions parse/forward {}", count.instructions);
    }
    println!("ratio parse/invite {:.3}", ours / theirs);
    if let Some(count) = counts.as_ref().and_then(|list| list.first()) {
        println!("instructions parse/invite {}", count.instructions);
    }
}

/// Medians in nanoseconds an iteration. Every round runs every case, so that a slow moment of the machine meets all;
/// every sample is about as short as the others, so that none is interrupted more often on a busy machine.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn measure(input: &Bytes, rounds: usize) -> [f64; CASES.len()] {
    /// Seconds.
    const SAMPLE: f64 = 100e-6;
    let sample = |case: &Case, iterations: u32| {
        let start = Instant::now();
        for _ in 0..iterations {
            (case.run)(black_box(input));
        }
        start.elapsed().as_secs_f64() / f64::from(iterations)
    };
    // The best of some tries says how many iterations make a sample; they warm the caches, too.
    let iterations = CASES.map(|case| {
        let best = (0..50).map(|_| sample(&case, 20)).fold(f64::MAX, f64::min);
        ((SAMPLE / best) as u32).clamp(1, 100_000)
    });
    let mut samples: [Vec<f64>; CASES.len()] = Default::default();
    for _ in 0..rounds {
        for ((case, iterations), list) in CASES.iter().zip(iterations).zip(&mut samples) {
            list.push(sample(case, iterations) * 1e9);
        }
    }
    samples.map(|mut list| {
        list.sort_by(f64::total_cmp);
        list[list.len() / 2]
    })
}

struct Count {
    instructions: u64,
    allocations: u64,
}

fn count_run(name: &str, count: u64) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case");
    let input = Bytes::from(INVITE.as_bytes().to_vec());
    for _ in 0..count {
        (case.run)(black_box(&input));
    }
}

/// What one iteration costs: the difference between runs of N and 2N.
fn instructions() -> Option<Vec<Count>> {
    const N: u64 = 200;
    let program = std::env::current_exe().ok()?;
    let valgrind = |options: &[&str], case: &str, count: u64, mark: &str| -> Option<u64> {
        let mut command = Command::new("valgrind");
        command
            .args(options)
            .arg(&program)
            .args(["--count", case, &count.to_string()]);
        let output = command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let rest = text.split(mark).nth(1)?;
        let digits = rest
            .trim_start()
            .split(|c: char| !(c.is_ascii_digit() || c == ','))
            .next()?;
        digits.replace(',', "").parse().ok()
    };
    let per_iteration = |options: &[&str], case: &str, mark: &str| -> Option<u64> {
        let (one, two) = (valgrind(options, case, N, mark)?, valgrind(options, case, 2 * N, mark)?);
        Some(two.saturating_sub(one) / N)
    };
    let callgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let memcheck = ["--tool=memcheck", "--leak-check=no"];
    let counts = CASES.iter().map(|case| {
        Some(Count {
            instructions: per_iteration(&callgrind, case.name, "Collected :")?,
            allocations: per_iteration(&memcheck, case.name, "total heap usage:")?,
        })
    });
    counts.collect()
}

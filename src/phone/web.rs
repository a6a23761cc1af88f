//! The session description of a browser, as Chromium writes it, cut down to what matters to the other side.
//!
//! RFC 8829 §5.2, §5.3 · RFC 8839 §5.4 · RFC 8842 §5 · RFC 9143.

use bytes::Bytes;

use super::config::PhoneConfig;
use crate::sdp::{Description, Direction};

const FORMATS: [(&str, &str); 7] = [
    ("111", "opus/48000/2"),
    ("63", "red/48000/2"),
    ("9", "G722/8000"),
    ("0", "PCMU/8000"),
    ("8", "PCMA/8000"),
    ("110", "telephone-event/48000"),
    ("126", "telephone-event/8000"),
];

fn lines(description: &Description) -> Vec<String> {
    String::from_utf8_lossy(description.bytes())
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What a browser would not survive: other m-lines, or another stream behind the same one.
pub(super) fn changed(before: &Description, after: &Description) -> Option<String> {
    let ours = |lines: &[String]| lines.iter().any(|line| line == "a=ice-lite");
    let (before, after) = (lines(before), lines(after));
    if !ours(&before) || !ours(&after) {
        return None;
    }
    let shape = |lines: &[String]| -> Vec<String> {
        let m_line = |line: &str| {
            line.strip_prefix("m=")
                .and_then(|rest| rest.split(' ').next())
                .map(str::to_owned)
        };
        let kept = |line: &String| match m_line(line) {
            Some(kind) => Some(kind),
            None => ["a=mid:", "a=msid:", "a=ssrc:", "a=fingerprint:"]
                .iter()
                .any(|start| line.starts_with(start))
                .then(|| line.clone()),
        };
        lines.iter().filter_map(kept).collect()
    };
    let (before, after) = (shape(&before), shape(&after));
    (before != after).then(|| format!("the session of a browser became {after:?}, was {before:?}: RFC 8829 §5.2.2"))
}

/// Our description: an answer to `offer`, or an offer of our own.
pub(super) fn describe(
    config: &PhoneConfig,
    (id, version): (u64, u64),
    direction: Direction,
    offer: Option<&Description>,
) -> Bytes {
    let offered = offer.map(lines).unwrap_or_default();
    let map = |format: &str| {
        let start = format!("a=rtpmap:{format} ");
        offered
            .iter()
            .find_map(|line| line.strip_prefix(&start))
            .map(str::to_owned)
    };
    let m_lines: Vec<Vec<String>> = offered
        .iter()
        .filter_map(|line| line.strip_prefix("m="))
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect();
    let mut formats: Vec<(String, String)> = Vec::new();
    if let Some(audio) = m_lines
        .iter()
        .find(|words| words.first().is_some_and(|kind| kind == "audio"))
    {
        for format in audio.iter().skip(3) {
            let name = map(format).unwrap_or_default();
            if FORMATS.iter().any(|(_, known)| known.eq_ignore_ascii_case(&name)) {
                formats.push((format.clone(), name));
            }
        }
    } else {
        formats.extend(FORMATS.map(|(format, name)| (format.to_owned(), name.to_owned())));
    }
    let setup = if offer.is_some() { "active" } else { "actpass" };
    let numbers: Vec<&str> = formats.iter().map(|(number, _)| number.as_str()).collect();
    let (host, port, user) = (config.media.ip(), config.media.port(), &config.user);
    let mut text = format!(
        "v=0\r\no=- {id} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS *\r\n\
         m=audio {port} UDP/TLS/RTP/SAVPF {numbers}\r\nc=IN IP4 {host}\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2122260223 {host} {port} typ host generation 0\r\n\
         a=ice-ufrag:{user:x<4}\r\na=ice-pwd:{user}-has-a-password-of-24\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {print}\r\na=setup:{setup}\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\n",
        numbers = numbers.join(" "),
        print = vec!["AB"; 32].join(":"),
    );
    for (number, name) in &formats {
        text += &format!("a=rtpmap:{number} {name}\r\n");
    }
    text += &format!("a=ssrc:{} cname:{user}\r\n", 1_000 + config.seed);
    for words in m_lines
        .iter()
        .filter(|words| words.first().is_some_and(|kind| kind != "audio"))
    {
        text += &format!("m={} 0 {} 0\r\n", words[0], words[2]);
    }
    Bytes::from(text)
}

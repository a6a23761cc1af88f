//! `[media]` and `[[prompt]]`: when media passes through the edge, its ports, its files.

use super::fields::{Choice, Fields};
use super::report::Problems;
use crate::engine::{Listener, MediaSettings, PeerMedia};
use crate::media::PromptName;
use crate::media::describe::{Mode, Record, Srtp};

/// The name under which the hold music is known.
const HOLD: &str = "hold";

/// Files and folders of media, as the file names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaFiles {
    /// Prompts by name; the hold music is `hold`. `builtin` instead of a file: what the edge brings with it.
    pub prompts: Vec<(String, String)>,
    /// Where recordings are written; `None`: nothing is recorded.
    pub recordings: Option<String>,
}

const MODES: [Choice<Mode>; 3] = [
    ("auto", Ok(Mode::Auto)),
    ("relay", Ok(Mode::Relay)),
    ("off", Ok(Mode::Off)),
];

const PEER_MODES: [Choice<Mode>; 3] = [
    ("auto", Ok(Mode::Auto)),
    ("relay", Ok(Mode::Relay)),
    ("direct", Ok(Mode::Off)),
];

const RECORD: [Choice<Record>; 2] = [("none", Ok(Record::No)), ("all", Ok(Record::Callers))];

const SRTP: [Choice<Srtp>; 3] = [
    ("off", Ok(Srtp::Off)),
    ("preferred", Ok(Srtp::Preferred)),
    ("required", Ok(Srtp::Required)),
];

pub(super) fn media(
    file: &mut Fields<'_>,
    listeners: &[Listener],
    problems: &mut Problems,
) -> (MediaSettings, MediaFiles) {
    let mut media = MediaSettings::default();
    let mut files = MediaFiles::default();
    let prompts = prompts(file, problems);
    let Some(mut fields) = file.table("media", "[media]", problems) else {
        files.prompts = prompts;
        return (media, files);
    };
    media.mode = fields.choice("mode", &MODES, problems).unwrap_or_default();
    media.srtp = fields.choice("srtp", &SRTP, problems).unwrap_or_default();
    if let Some(given) = fields.text("address", problems) {
        match given.value.parse::<std::net::IpAddr>() {
            Ok(address) if !address.is_unspecified() => media.address = Some(address),
            Ok(_) | Err(_) => problems.add(
                given.span,
                "`address` is no address that others can send to",
                "write the IP by which phones and browsers reach this machine",
            ),
        }
    }
    let ports = fields.key_span("ports");
    match fields.pair("ports", 1_024..=65_535, problems) {
        Some((first, last)) if last > first => media.ports = (first, last),
        Some(_) => problems.add(
            ports.clone(),
            "`ports` is an empty range",
            "write [first, last], as in [20000, 20999]",
        ),
        None => {}
    }
    if let Some(port) = fields.number("browser_port", 1_024..=65_535, problems) {
        media.browser_port = u16::try_from(port).unwrap_or(media.browser_port);
    }
    let clash = |port: u16| (media.ports.0..=media.ports.1).contains(&port);
    if clash(media.browser_port) {
        let what = format!("`browser_port` {} lies within `ports`", media.browser_port);
        problems.add(fields.key_span("browser_port"), what, "choose one outside");
    }
    let udp = |listener: &&Listener| listener.transport == crate::transport::Transport::Udp;
    if let Some(listener) = listeners
        .iter()
        .filter(udp)
        .find(|listener| clash(listener.address.port()))
    {
        let what = format!("the UDP listener {} lies within `ports`", listener.address);
        problems.add(ports, what, "choose another range");
    }
    if let Some(transcode) = fields.flag("transcode", problems) {
        media.transcode = transcode.value;
    }
    if let Some(music) = fields.text("hold_music", problems) {
        if media.mode == Mode::Off {
            let what = "`hold_music` is never heard with mode = \"off\"";
            problems.add(music.span.clone(), what, "set mode = \"auto\", or remove it");
        }
        media.hold_music = Some(PromptName(HOLD.into()));
        files.prompts.push((HOLD.to_owned(), music.value.to_owned()));
    }
    files.prompts.extend(prompts);
    files.recordings = fields
        .text("recordings", problems)
        .map(|folder| folder.value.to_owned());
    let record = fields.key_span("record");
    media.record = fields.choice("record", &RECORD, problems).unwrap_or_default();
    if media.record != Record::No && files.recordings.is_none() {
        problems.add(record, "recordings have no place", "add recordings = \"folder\"");
    }
    if let Some(seconds) = fields.number("timeout_s", 0..=3_600, problems) {
        media.timeout_s = u32::try_from(seconds).unwrap_or_default();
    }
    fields.finish(problems);
    (media, files)
}

fn prompts(file: &mut Fields<'_>, problems: &mut Problems) -> Vec<(String, String)> {
    let mut prompts: Vec<(String, String)> = Vec::new();
    for mut fields in file.tables("prompt", "[[prompt]]", problems) {
        let name = fields.required("name", "\"sales\"", problems);
        let path = fields.required("file", "\"sales.wav\"", problems);
        if let Some(name) = &name {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.value.is_empty() || !name.value.chars().all(good) {
                problems.add(
                    name.span.clone(),
                    "`name` of a prompt has odd characters",
                    "letters, digits, - and _ only",
                );
            } else if name.value == HOLD || prompts.iter().any(|(known, _)| known == name.value) {
                problems.add(
                    name.span.clone(),
                    format!("a second prompt `{}`", name.value),
                    "give each prompt its own name; `hold` is that of [media] hold_music",
                );
            }
        }
        if let (Some(name), Some(path)) = (name, path) {
            prompts.push((name.value.to_owned(), path.value.to_owned()));
        }
        fields.finish(problems);
    }
    prompts
}

/// `media`, `srtp` and `record` of a peer; where it says nothing, those of `[media]` hold.
pub(super) fn peer(fields: &mut Fields<'_>, default: PeerMedia, problems: &mut Problems) -> PeerMedia {
    PeerMedia {
        mode: fields.choice("media", &PEER_MODES, problems).unwrap_or(default.mode),
        srtp: fields.choice("srtp", &SRTP, problems).unwrap_or(default.srtp),
        record: match fields.flag("record", problems).map(|flag| flag.value) {
            Some(true) => Record::Always,
            Some(false) => Record::No,
            None => default.record,
        },
    }
}

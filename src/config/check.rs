//! Walks through the file section by section and checks what concerns several of them.

use std::time::Duration;

use toml::de::DeTable;

use super::fields::Fields;
use super::report::{Problems, Report};
use super::{Config, Edge, Log, Registrar, parts, transfer};
use crate::engine::{HoldDirection, PeerMedia, Register, TransferMode};
use crate::media::describe::Record;
use crate::sip::digest::Algorithm;
use crate::transaction::Timers;

pub(super) fn read(name: &str, text: &str) -> Result<Config, Report> {
    let mut problems = Problems::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could be read of a broken file is guesswork; complaints about it would mislead.
        for error in errors {
            problems.add(error.span().unwrap_or(0..0), error.message(), "");
        }
        return Err(problems.report(name));
    }
    let mut file = Fields::of("the file", root.span(), root.get_ref());
    let config = sections(&mut file, text, &mut problems);
    file.finish(&mut problems);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems.report(name))
    }
}

fn sections(file: &mut Fields<'_>, text: &str, problems: &mut Problems) -> Config {
    let edge = edge(file, problems);
    let dns = super::dns::dns(file, problems);
    let mut tls = super::tls::tls(file, problems);
    let listeners = parts::listeners(file, &mut tls, problems);
    let pbx = parts::pbx(file, text, &listeners, &mut tls, problems);
    let transfer = transfer::transfer(file, problems);
    let (media, media_files) = super::media::media(file, &listeners, problems);
    let of_peers = PeerMedia {
        mode: media.mode,
        srtp: media.srtp,
        record: media.record,
    };
    let peers = parts::peers(file, edge.transfer, transfer.refer_answer, of_peers, &mut tls, problems);
    let recorded = peers.iter().any(|peer| peer.media.record == Record::Always);
    if recorded && media_files.recordings.is_none() {
        let hint = "add recordings = \"folder\" to [media]";
        problems.add(file.key_span("peer"), "a peer's recordings have no place", hint);
    }
    let users = parts::users(file, problems);
    let routes = parts::routes(file, text, &listeners, problems);
    let applications = super::application::applications(file, problems);
    super::transfer::check_applications(&transfer, &applications, file.key_span("transfer"), problems);
    let (registrar, open) = registrar(file, problems);
    let (timers, guard) = timers(file, problems);
    let api = parts::api(file, problems);
    let log = log(file, problems);
    let store = super::store::store(file, problems);
    let cluster = super::cluster::cluster(file, store.as_ref(), &listeners, problems);
    let audit = super::audit::audit(file, problems);
    let drain = super::drain::drain(file, problems);
    let ladder = parts::ladder(file, problems);
    let softphone = parts::softphone(file, problems);
    let records = super::records::records(file, problems);
    let bot = super::bot::bot(file, problems);
    let queues = super::queue::queues(file, problems);
    let webhook = super::webhook::webhook(file, problems);
    let ringcentral = super::ringcentral::ringcentral(file, &users, problems);
    let twilio = super::twilio::twilio(file, problems);
    let limits = super::limits::limits(file, problems);

    if let Some(span) = open {
        let through = pbx.as_ref().is_some_and(|(_, register)| *register == Register::Through);
        if let Some(listener) = listeners.iter().find(|listener| !listener.address.ip().is_loopback()) {
            let what = format!("an open registrar cannot listen on {}", listener.address);
            problems.add(
                span,
                what,
                "list every phone as a [[user]], or listen on 127.0.0.1 only",
            );
        } else if through {
            problems.add(
                span,
                "`open` has no meaning when the PBX keeps the bindings",
                "remove it, or set register = \"local\"",
            );
        }
    } else if !["pbx", "user", "route"].iter().any(|key| file.has(key)) && !listeners.is_empty() {
        let hint = "add a [[user]], a [[route]] or a [pbx]; to play on loopback: [registrar] open = true";
        problems.add(
            file.span.clone(),
            "nobody could use this edge: no users, no routes, no PBX",
            hint,
        );
    }
    Config {
        edge,
        transfer,
        listeners,
        pbx,
        peers,
        users,
        routes,
        applications,
        registrar,
        timers,
        guard,
        api,
        log,
        ladder,
        records,
        bot,
        queues,
        store,
        cluster,
        audit,
        drain,
        softphone,
        tls,
        media,
        media_files,
        dns,
        webhook,
        ringcentral,
        twilio,
        limits,
    }
}

/// The words of a transfer mode, here and in a peer's profile.
pub(super) const TRANSFER: [super::fields::Choice<TransferMode>; 4] = [
    ("native", Ok(TransferMode::Native)),
    ("refer", Ok(TransferMode::Refer)),
    ("auto", Ok(TransferMode::Auto)),
    ("pass", Ok(TransferMode::Pass)),
];

fn edge(file: &mut Fields<'_>, problems: &mut Problems) -> Edge {
    let mut edge = Edge {
        domain: None,
        node: 0,
        transfer: TransferMode::Native,
        hold: HoldDirection::SendOnly,
        ring_timeout: Duration::from_secs(60),
        session_expires: 1_800,
        min_se: 90,
        reach: Vec::new(),
    };
    let Some(mut fields) = file.table("edge", "[edge]", problems) else {
        return edge;
    };
    if let Some(domain) = fields.text("domain", problems) {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if domain.value.is_empty() || !domain.value.chars().all(good) {
            problems.add(
                domain.span,
                "`domain` is no domain name",
                "write a host name or an IPv4 address: \"example.test\"",
            );
        } else {
            edge.domain = Some(domain.value.to_ascii_lowercase());
        }
    }
    edge.reach = super::dns::reach(&mut fields, problems);
    if let Some(node) = fields.number("node", 0..=u64::from(u16::MAX), problems) {
        edge.node = u16::try_from(node).unwrap_or(u16::MAX);
    }
    if let Some(transfer) = fields.choice("transfer", &TRANSFER, problems) {
        edge.transfer = transfer;
    }
    let holds = [
        ("sendonly", Ok(HoldDirection::SendOnly)),
        ("inactive", Ok(HoldDirection::Inactive)),
    ];
    if let Some(hold) = fields.choice("hold", &holds, problems) {
        edge.hold = hold;
    }
    if let Some(seconds) = fields.number("ring_timeout_s", 1..=600, problems) {
        edge.ring_timeout = Duration::from_secs(seconds);
    }
    // RFC 4028 §4: nobody may ask for less than 90 seconds.
    for (key, place) in [
        ("session_expires_s", &mut edge.session_expires),
        ("min_se_s", &mut edge.min_se),
    ] {
        if let Some(seconds) = fields.number(key, 90..=86_400, problems) {
            *place = u32::try_from(seconds).unwrap_or(u32::MAX);
        }
    }
    if edge.min_se > edge.session_expires {
        let what = format!(
            "`session_expires_s` ({}) is below `min_se_s` ({})",
            edge.session_expires, edge.min_se
        );
        let key = if fields.has("min_se_s") {
            "min_se_s"
        } else {
            "session_expires_s"
        };
        problems.add(fields.key_span(key), what, "the defaults are 1800 and 90");
    }
    fields.finish(problems);
    edge
}

/// Also where `open = true` stands, if it does.
fn registrar(file: &mut Fields<'_>, problems: &mut Problems) -> (Registrar, Option<std::ops::Range<usize>>) {
    let mut registrar = Registrar {
        expires: (60, 3_600),
        max_contacts: 5,
        digest: vec![Algorithm::Sha256, Algorithm::Md5],
        open: false,
    };
    let Some(mut fields) = file.table("registrar", "[registrar]", problems) else {
        return (registrar, None);
    };
    let seconds = |found: u64| u32::try_from(found).unwrap_or(u32::MAX);
    if let Some(min) = fields.number("min_expires_s", 1..=86_400, problems) {
        registrar.expires.0 = seconds(min);
    }
    if let Some(max) = fields.number("max_expires_s", 1..=86_400, problems) {
        registrar.expires.1 = seconds(max);
    }
    let (min, max) = registrar.expires;
    if min > max {
        let what = format!("`max_expires_s` ({max}) is below `min_expires_s` ({min})");
        problems.add(fields.key_span("min_expires_s"), what, "the defaults are 60 and 3600");
    }
    if let Some(contacts) = fields.number("max_contacts", 1..=32, problems) {
        registrar.max_contacts = usize::try_from(contacts).unwrap_or(5);
    }
    if let Some(digest) = digest(&mut fields, problems) {
        registrar.digest = digest;
    }
    let open = fields.flag("open", problems).filter(|open| open.value);
    registrar.open = open.is_some();
    fields.finish(problems);
    (registrar, open.map(|open| open.span))
}

/// The algorithms that phones are offered; `None`: the file does not say, or says nothing good.
fn digest(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<Algorithm>> {
    let mut algorithms = Vec::new();
    for name in fields.texts("digest", problems) {
        let algorithm = match name.value.to_ascii_lowercase().as_str() {
            "sha-256" => Algorithm::Sha256,
            "md5" => Algorithm::Md5,
            _ => {
                let what = format!("`{}` is no digest algorithm", name.value.escape_debug());
                problems.add(name.span, what, "\"sha-256\" or \"md5\"");
                continue;
            }
        };
        if algorithms.contains(&algorithm) {
            problems.add(
                name.span,
                format!("a second `{}`", name.value),
                "name each algorithm once",
            );
        } else {
            algorithms.push(algorithm);
        }
    }
    (!algorithms.is_empty()).then_some(algorithms)
}

fn timers(file: &mut Fields<'_>, problems: &mut Problems) -> (Timers, Duration) {
    let mut timers = Timers::default();
    let mut guard = Duration::from_secs(4);
    let Some(mut fields) = file.table("timers", "[timers]", problems) else {
        return (timers, guard);
    };
    let places: [(&'static str, u64, &mut Duration); 4] = [
        ("t1_ms", 5_000, &mut timers.t1),
        ("t2_ms", 32_000, &mut timers.t2),
        ("t4_ms", 32_000, &mut timers.t4),
        ("guard_ms", 32_000, &mut guard),
    ];
    for (key, most, place) in places {
        if let Some(millis) = fields.number(key, 10..=most, problems) {
            *place = Duration::from_millis(millis);
        }
    }
    if timers.t1 > timers.t2 {
        problems.add(
            fields.key_span("t1_ms"),
            "`t1_ms` is above `t2_ms`",
            "T1 is the first interval, T2 the longest (RFC 3261 §17.1.2.2)",
        );
    }
    fields.finish(problems);
    (timers, guard)
}

fn log(file: &mut Fields<'_>, problems: &mut Problems) -> Log {
    use tracing::Level;
    let mut log = Log {
        level: Level::INFO,
        json: false,
    };
    let Some(mut fields) = file.table("log", "[log]", problems) else {
        return log;
    };
    let levels = [
        ("error", Ok(Level::ERROR)),
        ("warn", Ok(Level::WARN)),
        ("info", Ok(Level::INFO)),
        ("debug", Ok(Level::DEBUG)),
        ("trace", Ok(Level::TRACE)),
    ];
    if let Some(level) = fields.choice("level", &levels, problems) {
        log.level = level;
    }
    if let Some(json) = fields.choice("format", &[("text", Ok(false)), ("json", Ok(true))], problems) {
        log.json = json;
    }
    fields.finish(problems);
    log
}

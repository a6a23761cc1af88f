use super::*;
use crate::transport::locate::Found;

const WHOLE: &str = r#"
[edge]
domain = "example.test"
node = 7
transfer = "auto"
hold = "inactive"
ring_timeout_s = 20
session_expires_s = 900
min_se_s = 120
[[listen]]
transport = "udp"
address = "0.0.0.0:5060"
advertise = "203.0.113.7"
[[listen]]
transport = "tcp"
address = "127.0.0.1:5060"
[pbx]
uri = "sip:pbx.example.test:5080;transport=tcp"
register = "local"
[[peer]]
name = "carrier"
match = ["127.0.0.0/8", "2001:db8::1"]
auth = "none"
transfer = "refer"
call_id = "keep"
username = "edge"
password = "hush"
realm = "carrier.example"
[[user]]
name = "agent1"
password = "secret"
[[route]]
match = '^\+?[0-9]+$'
to = "sip:127.0.0.1:5090"
[registrar]
min_expires_s = 30
max_expires_s = 300
max_contacts = 2
[timers]
t1_ms = 100
t2_ms = 400
t4_ms = 500
[api]
listen = "127.0.0.1:8081"
token = "abc"
[log]
level = "debug"
format = "json"
"#;

#[test]
fn every_key_reaches_the_engine() {
    let config = Config::read("x", WHOLE).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.names().len(), 1);
    let lost = config.settings([1; 16], |_| None).unwrap_err();
    assert_eq!(
        lost.to_string(),
        "host name `pbx.example.test` was not found ([pbx] uri, line 18)"
    );
    let found = |target: &Target| {
        Some(Found {
            places: vec![Place {
                address: "192.0.2.9:5080".parse::<SocketAddr>().unwrap(),
                transport: target.transport,
            }],
            life: Duration::from_secs(60),
        })
    };
    let settings = config.settings([1; 16], found).unwrap();
    assert_eq!(
        (settings.domain.as_str(), settings.node, settings.key),
        ("example.test", 7, [1; 16])
    );
    assert_eq!(
        settings.listeners[0].advertised,
        "203.0.113.7:5060".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(settings.listeners[1].transport, Transport::Tcp);
    let pbx = settings.pbx.unwrap();
    assert_eq!(
        (pbx.host.as_str(), pbx.transport, pbx.register),
        ("pbx.example.test", Transport::Tcp, Register::Local)
    );
    assert_eq!(pbx.address, "192.0.2.9:5080".parse::<SocketAddr>().unwrap());
    assert_eq!(settings.peers[0].networks[1].prefix, 128);
    assert_eq!(settings.peers[0].transfer, TransferMode::Refer);
    assert!(settings.peers[0].keeps_call_id);
    let credentials = settings.peers[0].credentials.as_ref().unwrap();
    assert_eq!(
        (credentials.user.as_str(), credentials.realm.as_str()),
        ("edge", "carrier.example")
    );
    assert!(!format!("{credentials:?}").contains("hush"), "no password in logs");
    assert!(settings.routes[0].pattern.is_match("+49123"));
    assert_eq!(settings.users[0].password, "secret");
    assert_eq!(
        (settings.transfer, settings.hold),
        (TransferMode::Auto, HoldDirection::Inactive)
    );
    assert_eq!((settings.expires, settings.max_contacts), ((30, 300), 2));
    assert_eq!(settings.timers.t1, Duration::from_millis(100));
    assert_eq!(settings.ring_timeout, Duration::from_secs(20));
    assert_eq!((settings.session_expires, settings.min_se), (900, 120));
    assert!(!settings.open);
    assert_eq!(config.api.unwrap().token.as_deref(), Some("abc"));
    assert_eq!(
        config.log,
        Log {
            level: tracing::Level::DEBUG,
            json: true
        }
    );
}

#[test]
fn the_example_of_the_module_doc_is_accepted() {
    let doc = include_str!("mod.rs");
    let lines = doc.lines().skip_while(|line| !line.contains("```toml")).skip(1);
    let text: String = lines
        .take_while(|line| !line.contains("```"))
        .map(|line| line.replacen("//! ", "", 1) + "\n")
        .collect();
    Config::read("doc", &text).unwrap_or_else(|report| panic!("{report}"));
}

#[test]
fn the_embedded_default_is_open_on_loopback() {
    let settings = Config::embedded().settings([0; 16], |_| None).unwrap();
    assert!(settings.open && settings.listeners.len() == 2);
    assert!(
        settings
            .listeners
            .iter()
            .all(|listener| listener.address.ip().is_loopback())
    );
}

/// Reads a bad file and returns `line: what | hint` for each problem.
fn told(text: &str) -> Vec<String> {
    let report = Config::read("bad.toml", text).expect_err("must be refused");
    let line = |p: &Problem| format!("{}: {} | {}", p.line, p.what, p.hint.clone().unwrap_or_default());
    report.problems().iter().map(line).collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = r#"[edge]
domian = "example.test"
hold = "sendrecv"
ring_timeout_s = 0
[[listen]]
transport = "tls"
address = "localhost:5060"
[[listen]]
transport = "udp"
address = "0.0.0.0:5060"
[[user]]
name = "a b"
password = "x"
[[user]]
name = "agent1"
password = 7
[[user]]
name = "agent1"
password = "y"
[[peer]]
name = "p"
match = ["10.0.0.0/40"]
transfer = "past"
[[route]]
match = "(["
to = "tel:+49"
[api]
listen = "0.0.0.0:8080"
[store]
path = "folder/"
"#;
    let told = told(text);
    let expect = [
        "2: unknown key `domian` in [edge] | did you mean `domain`?",
        "3: `hold` cannot be \"sendrecv\" | one of: sendonly, inactive",
        "4: `ring_timeout_s` is out of bounds | from 1 to 600",
        "7: `address` is no address: \"localhost:5060\" | write IP:port",
        "10: nobody can answer to 0.0.0.0 | add advertise",
        "12: `name` is no user part of a SIP address | letters",
        "16: `password` is an integer | it must be a text in quotes",
        "18: a second user `agent1` | remove one",
        "22: `10.0.0.0/40` is no address block | write an IP",
        "23: `transfer` cannot be \"past\" | did you mean \"pass\"?",
        "25: `match` is no regular expression: unclosed character class | in TOML",
        "26: [[route]] to is no SIP URI | write sip:host",
        "28: the API is open to the network on 0.0.0.0:8080 without a token | add token",
        "30: `path` names no file | write path",
    ];
    assert_eq!(told.len(), expect.len(), "{told:#?}");
    for (told, expect) in told.iter().zip(expect) {
        assert!(told.starts_with(expect), "{told}\nis not\n{expect}");
    }
}

#[test]
fn a_missing_key_is_told_at_its_section() {
    let told =
        told("[edge]\ndomain = \"x\"\n\n[[listen]]\naddress = \"127.0.0.1:5060\"\n[pbx]\nregister = \"through\"\n");
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[0].starts_with("4: [[listen]] needs `transport` | add `transport = \"udp\"`"),
        "{told:#?}"
    );
    assert!(told[1].starts_with("6: [pbx] needs `uri`"), "{told:#?}");
}

#[test]
fn broken_syntax_is_told_with_its_line() {
    let told = told("[edge]\ndomain = \n[edge]\nnode = 1 2\n");
    assert!(told.iter().any(|line| line.starts_with("2: ")), "{told:#?}");
    assert!(told.len() > 1, "{told:#?}");
}

#[test]
fn an_edge_that_nobody_can_use_is_refused() {
    let listen = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n";
    assert!(told(listen)[0].contains("nobody could use this edge"));
    assert!(told("")[0].starts_with("1: the edge listens nowhere"), "{:?}", told(""));
    Config::read("x", &format!("{listen}[registrar]\nopen = true\n")).unwrap();
    let outside = told("[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.1:5060\"\n[registrar]\nopen = true\n");
    assert!(
        outside[0].starts_with("5: an open registrar cannot listen on 192.0.2.1:5060"),
        "{outside:#?}"
    );
}

#[test]
fn any_text_is_refused_without_a_panic() {
    for text in [
        "\u{feff}",
        "listen = 3",
        "[listen]\n",
        "[[edge]]\n[[edge]]",
        "edge = [1]",
        "[[peer]]\nmatch = \"x\"",
        "a.b.c = {d = [}",
    ] {
        assert!(Config::read("x", text).is_err(), "{text}");
    }
}

#[test]
fn a_target_that_no_listener_can_send_to_is_refused() {
    let text = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[pbx]\nuri = \"sip:127.0.0.1:5080;transport=tcp\"\n\
        [[route]]\nmatch = \"x\"\nto = \"sip:[::1]:5060\"\n[[peer]]\nname = \"p\"\nmatch = []\n";
    let told = told(text);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].starts_with("5: [pbx] uri cannot be reached from any listener: none sends tcp"),
        "{told:#?}"
    );
    assert!(told[1].starts_with("8: [[route]] to cannot be reached"), "{told:#?}");
    assert!(told[2].starts_with("11: `match` is an empty list"), "{told:#?}");
}

#[test]
fn digest_algorithms_are_offered_in_the_order_of_the_file() {
    let base = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\ndigest = ";
    let settings = Config::read("x", &format!("{base}[\"MD5\", \"sha-256\"]"))
        .unwrap()
        .settings([0; 16], |_| None)
        .unwrap();
    assert_eq!(settings.digest, [Algorithm::Md5, Algorithm::Sha256]);
    assert!(told(&format!("{base}[\"sha-1\", \"md5\", \"md5\"]")).len() == 2);
}

#[test]
fn the_transfer_section_says_what_happens_when_a_target_cannot_be_had() {
    let text = "[registrar]\nopen = true\n[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[transfer]\n";
    let read = |lines: &str| Config::read("edge.toml", &format!("{text}{lines}"));
    let settings = read("on_failure = \"next\"\nnext = [\"sip:a@b\", \"tel:1\"]\nrefer_answer = \"200\"\nmax_depth = 3\ntimeout_s = 60\npick_up = true\n")
        .unwrap()
        .settings([0; 16], |_| None)
        .unwrap();
    assert!(matches!(&settings.on_failure, crate::engine::OnFailure::Next(next) if next.len() == 2));
    assert_eq!(settings.refer_answer, crate::engine::ReferAnswer::Ok);
    assert_eq!((settings.transfer_depth, settings.transfer_timeout.as_secs()), (3, 60));
    assert!(settings.pick_up);
    for (lines, told) in [
        ("on_failure = \"next\"\n", "has nobody to go to"),
        ("next = [\"sip:a@b\"]\n", "`next` is never used"),
        (
            "on_failure = \"next\"\nnext = [\"http://x\"]\n",
            "`next` has no address to dial",
        ),
        ("max_depth = 0\n", "`max_depth` is out of bounds"),
    ] {
        let report = read(lines).unwrap_err().to_string();
        assert!(report.contains(told), "{report}");
    }
}

#[test]
fn session_intervals_fit_each_other_and_rfc_4028() {
    let bad = |edge: &str| {
        let text = format!(
            "[edge]\n{edge}\n[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n"
        );
        told(&text)
    };
    let least = bad("session_expires_s = 60\nmin_se_s = 30");
    assert_eq!(
        least,
        [
            "2: `session_expires_s` is out of bounds | from 90 to 86400",
            "3: `min_se_s` is out of bounds | from 90 to 86400"
        ]
    );
    let crossed = bad("session_expires_s = 300\nmin_se_s = 600");
    assert_eq!(
        crossed,
        ["3: `session_expires_s` (300) is below `min_se_s` (600) | the defaults are 1800 and 90"]
    );
}

#[test]
fn a_password_for_a_peer_needs_its_realm() {
    let text = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n[[peer]]\nname = \"c\"\n\
                match = [\"10.0.0.1\"]\nusername = \"u\"\npassword = \"p\"\n";
    let told = told(text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("belong together"), "{told:?}");
}

#[test]
fn certificates_and_origins_belong_to_their_listeners() {
    let text = "[[listen]]\ntransport = \"wss\"\naddress = \"127.0.0.1:8443\"\ncertificate = \"c.pem\"\nkey = \"c.key\"\n\
        origins = [\"https://a.test\"]\n[[listen]]\ntransport = \"tls\"\naddress = \"[::1]:5061\"\n[tls]\nca = \"ca.pem\"\n\
        [pbx]\nuri = \"sip:[::1];transport=tls\"\nverify = false\n[[peer]]\nname = \"p\"\nmatch = [\"192.0.2.0/24\"]\nverify = false\n";
    let config = Config::read("x", text).unwrap_or_else(|report| panic!("{report}"));
    let pem = PemFiles {
        certificate: "c.pem".to_owned(),
        key: "c.key".to_owned(),
    };
    assert_eq!(config.tls.listeners[0].identity, Some(pem));
    assert_eq!(config.tls.listeners[0].origins, ["https://a.test"]);
    assert_eq!(config.tls.listeners[1], ListenExtras::default());
    assert_eq!(
        (config.tls.ca.as_deref(), config.tls.verify_pbx),
        (Some("ca.pem"), false)
    );
    assert_eq!(config.tls.unverified.len(), 1);
    let pbx = config.settings([0; 16], |_| None).unwrap().pbx.unwrap();
    assert_eq!(
        (pbx.address, pbx.transport),
        ("[::1]:5061".parse().unwrap(), Transport::Tls)
    );
    let bad = "[[listen]]\ntransport = \"ws\"\naddress = \"127.0.0.1:80\"\nkey = \"k\"\norigins = [\"a.test\"]\n\
        [[listen]]\ntransport = \"tcp\"\naddress = \"127.0.0.1:80\"\n[tls]\ncertificate = \"c\"\n[registrar]\nopen = true\n";
    let told = told(bad);
    assert_eq!(told.len(), 4, "{told:#?}");
    for (told, expect) in told.iter().zip([
        "4: `key` has",
        "5: `a.test` is no origin",
        "8: a second",
        "10: `certificate` without",
    ]) {
        assert!(told.starts_with(expect), "{told}\nis not\n{expect}");
    }
}

const LISTEN: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";

#[test]
fn media_is_read_and_its_mistakes_are_named() {
    use crate::media::describe::{Mode, Record, Srtp};
    let good = format!(
        "{LISTEN}[media]\nmode = \"relay\"\nports = [30000, 30099]\nbrowser_port = 30100\nhold_music = \"builtin\"\ntranscode = false\n\
         recordings = \"calls\"\nrecord = \"all\"\ntimeout_s = 60\n[[prompt]]\nname = \"sales\"\nfile = \"sales.ogg\"\n\
         [[peer]]\nname = \"pbx\"\nmatch = [\"192.0.2.1\"]\nmedia = \"direct\"\nsrtp = \"required\"\n\
         [[peer]]\nname = \"trunk\"\nmatch = [\"192.0.2.2\"]\nrecord = true\n"
    );
    let config = Config::read("edge.toml", &good).unwrap();
    assert_eq!(
        (config.media.mode, config.media.ports, config.media.transcode),
        (Mode::Relay, (30_000, 30_099), false)
    );
    assert_eq!((config.media.browser_port, config.media.timeout_s), (30_100, 60));
    let prompts = [("hold", "builtin"), ("sales", "sales.ogg")].map(|(name, file)| (name.to_owned(), file.to_owned()));
    assert_eq!(config.media_files.prompts, prompts);
    let settings = config.settings([0; 16], |_| None).unwrap();
    assert!(settings.recordings && settings.prompts == ["hold", "sales"]);
    let peers: Vec<_> = settings
        .peers
        .iter()
        .map(|peer| (peer.media.mode, peer.media.srtp, peer.media.record))
        .collect();
    let (pbx, trunk) = (
        (Mode::Off, Srtp::Required, Record::Callers),
        (Mode::Relay, Srtp::Off, Record::Always),
    );
    assert_eq!((peers, settings.media.record), (vec![pbx, trunk], Record::Callers));
    for (media, wanted) in [
        ("record = \"all\"", "recordings have no place"),
        ("mode = \"relais\"", "did you mean \"relay\"?"),
        ("ports = [30000]", "`ports` is no pair of numbers"),
        ("ports = [30001, 30001]", "`ports` is an empty range"),
        ("ports = [80, 30001]", "`ports` is no pair of numbers"),
        ("browser_port = 20500", "`browser_port` 20500 lies within `ports`"),
        (
            "ports = [5000, 5099]",
            "the UDP listener 127.0.0.1:5060 lies within `ports`",
        ),
        (
            "address = \"0.0.0.0\"",
            "`address` is no address that others can send to",
        ),
        (
            "mode = \"off\"\nhold_music = \"builtin\"",
            "`hold_music` is never heard",
        ),
        ("musik = \"a.wav\"", "musik"),
    ] {
        let report = Config::read("edge.toml", &format!("{LISTEN}[media]\n{media}\n")).unwrap_err();
        assert!(report.to_string().contains(wanted), "{wanted} is not in {report}");
    }
    let twice =
        format!("{LISTEN}[[prompt]]\nname = \"a\"\nfile = \"a.wav\"\n[[prompt]]\nname = \"a\"\nfile = \"b.wav\"\n");
    assert!(
        Config::read("edge.toml", &twice)
            .unwrap_err()
            .to_string()
            .contains("a second prompt `a`")
    );
}

#[test]
fn look_ups_foreign_hosts_and_certificates_are_checked() {
    let start = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n";
    let bad = format!(
        "{start}client_ca = \"ca.pem\"\n[edge]\nreach = [\"*.partner.example\", \"a b\", \"*x\"]\n\
         [dns]\nservers = [\"192.0.2.53\", \"ns.example\"]\ntimeout_ms = 100\n\
         [[peer]]\nname = \"carrier\"\nmatch = [\"192.0.2.0/24\"]\ncertificate = \"edge.pem\"\n[registrar]\nopen = true\n"
    );
    let report = Config::read("x.toml", &bad).unwrap_err().to_string();
    for part in [
        "`reach` has no host: \"a b\"",
        "`reach` has no host: \"*x\"",
        "`servers` has no address: \"ns.example\"",
        "`timeout_ms` is out of bounds",
        "`client_ca` has no meaning here",
        "`certificate` without `key`",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let good = format!(
        "{start}[edge]\nreach = [\"*.Partner.example\", \"192.0.2.7\"]\n[dns]\nservers = [\"192.0.2.53\", \"[::1]:5353\"]\n\
         timeout_ms = 700\navoid_s = 0\n[registrar]\nopen = true\n"
    );
    let config = Config::read("x.toml", &good).unwrap();
    assert_eq!(config.dns.servers[0].to_string(), "192.0.2.53:53");
    let settings = config.settings([0; 16], |_| None).unwrap();
    assert_eq!(
        (settings.lookup_timeout, settings.avoid),
        (Duration::from_millis(700), Duration::ZERO)
    );
    let reached = ["a.partner.EXAMPLE", "192.0.2.7"].map(|host| settings.reaches_out_to(host));
    assert_eq!(reached, [true, true]);
    let not = ["partner.example", "xpartner.example", "192.0.2.70", ""].map(|host| settings.reaches_out_to(host));
    assert_eq!(not, [false; 4]);
}

#[test]
fn limits_are_checked_and_have_their_defaults() {
    let start = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";
    let defaults = Config::read("x.toml", start).unwrap();
    assert_eq!(defaults.limits, crate::engine::RequestLimits::default());
    let config = Config::read(
        "x.toml",
        &format!(
            "{start}[limits]\nrequests_per_minute = 120\ncalls_burst = 3\nfailures = 0\nallow = [\"10.0.0.0/8\"]\n"
        ),
    )
    .unwrap();
    let limits = config.limits;
    assert_eq!((limits.source.per_minute, limits.source.burst), (120, 120));
    assert_eq!(
        (limits.calls.per_minute, limits.calls.burst, limits.failures),
        (60, 3, 0)
    );
    assert_eq!(limits.allow.len(), 1);
    let report = Config::read(
        "x.toml",
        &format!("{start}[limits]\nban_s = 0\nallow = [\"here\"]\nrequests = 1\n"),
    );
    let report = report.unwrap_err().to_string();
    for part in ["`ban_s` is out of bounds", "`here` is no address block", "requests"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

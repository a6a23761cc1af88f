//! The first inputs of each target: the torture messages of RFC 4475 and RFC 5118, examples of every value and body, and
//! programs that do what the ladders do.

use std::path::Path;

use crate::world::{ALICE, BOB, CAROL, World, millis};

/// One file for each.
pub(crate) fn write(folder: &Path) {
    let vectors = vectors();
    keep(folder, "wire", vectors.iter().cloned());
    let framed = vectors.iter().map(|message| [&[40, 7], message.as_slice()].concat());
    keep(folder, "framing", framed.chain([b"\0\0\r\n\r\n\r\nINVITE".to_vec()]));
    keep(
        folder,
        "websocket",
        vectors.iter().take(8).flat_map(|message| frames(message)),
    );
    keep(folder, "values", VALUES.iter().map(|text| text.as_bytes().to_vec()));
    keep(
        folder,
        "sdp",
        SDP.iter().map(|text| text.replace('\n', "\r\n").into_bytes()),
    );
    keep(folder, "media", media());
    keep(folder, "api", API.iter().map(|text| text.as_bytes().to_vec()));
    keep(folder, "config", CONFIG.iter().map(|text| text.as_bytes().to_vec()));
    keep(folder, "stored", stored());
    keep(folder, "programs", programs());
}

fn keep(folder: &Path, target: &str, inputs: impl IntoIterator<Item = Vec<u8>>) {
    let folder = folder.join(target);
    std::fs::create_dir_all(&folder).unwrap();
    for (number, input) in inputs.into_iter().enumerate() {
        std::fs::write(folder.join(format!("first-{number:03}")), input).unwrap();
    }
}

fn vectors() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files = Vec::new();
    for set in ["rfc4475", "rfc5118"] {
        files.extend(
            std::fs::read_dir(root.join(set))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    files.sort();
    files.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A message in one masked frame, and in two; then a ping and a close.
fn frames(message: &[u8]) -> [Vec<u8>; 2] {
    let frame = |first: u8, content: &[u8]| {
        let mut frame = vec![first];
        match content.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            long => frame.extend([&[0x80 | 126], &(long as u16).to_be_bytes()[..]].concat()),
        }
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        frame.extend(content.iter().enumerate().map(|(at, octet)| octet ^ mask[at % 4]));
        frame
    };
    let (one, two) = message.split_at(message.len() / 2);
    [
        [frame(0x81, message), frame(0x89, b"ping"), frame(0x88, &[3, 232])].concat(),
        [frame(0x02, one), frame(0x89, b""), frame(0x80, two)].concat(),
    ]
}

fn media() -> Vec<Vec<u8>> {
    let rtp = [
        &[0x80, 8, 0xff, 0xfe, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 1][..],
        &[0xd5; 80],
    ]
    .concat();
    let rtcp = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0, 0, 1];
    let key = [0x80, 101, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 5, 0x8a, 1, 0x40];
    let hello = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 1][..], &[0; 29]].concat();
    let stun = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], b"transaction1"].concat();
    let check = [
        0, 0x24, 0, 4, 0x6e, 0, 0x1e, 0xfe, 0x80, 0x2a, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x25, 0, 0,
    ];
    let step = |head: [u8; 2], rest: &[u8]| [&head[..], rest].concat();
    vec![
        [step([0, 0], &rtp), step([0, 0], &key), step([11, 0], &[200])].join(&0xff),
        [step([6, 1], &rtp), step([6, 1], &rtcp), step([6, 1], &rtp)].join(&0xff),
        [step([8, 3], &check), step([0, 3], &hello), step([11, 0], &[60])].join(&0xff),
        [step([0x20, 0], &rtcp), step([0x10, 3], &stun), step([0, 3], &stun)].join(&0xff),
        [
            step([12, 0], &[5, 0, 0, 0, 1, 0, 0, 2, 0, 1, 3, 2, 1]),
            step([10, 0], &[1, 1, 0xff, 0xfe, 0xff, 0xfe, 0, 1, 9, 9]),
        ]
        .join(&0xff),
        [
            step([13, 0], &[]),
            step([14, 1], b"12#*AD"),
            step([15, 2], &[1, 3]),
            step([11, 0], &[255]),
        ]
        .join(&0xff),
    ]
}

/// What an edge kept in the middle of a warm transfer.
fn stored() -> Vec<Vec<u8>> {
    let mut world = World::keeping(|_| {});
    let warm = world.warm();
    let talking = rows(&mut world);
    world.alice().refer_attended(warm.customer, warm.consult);
    world.advance(millis(3));
    let moving = rows(&mut world);
    let mut world = World::keeping(|settings| settings.media.mode = warmline::media::describe::Mode::Relay);
    world.call(ALICE, BOB);
    let ringing = {
        world.carol().call(BOB);
        world.advance(millis(50));
        rows(&mut world)
    };
    assert!(world.phone(CAROL).live().len() == 1);
    let journal =
        "[1,[[\"bindings\",\"alice\",[]],[\"legs\",\"leg-1-0\",null]]]\n[2,[[\"calls\",\"call-0-0\",{}]]]\n[3,";
    vec![talking, moving, ringing, journal.as_bytes().to_vec()]
}

fn rows(world: &mut World) -> Vec<u8> {
    let line = |row: warmline::store::Row| {
        let value = row.value.map(|value| String::from_utf8(value).unwrap());
        format!("{} {} {}\n", row.table, row.key, value.unwrap_or_default())
    };
    world.kept_rows().into_iter().map(line).collect::<String>().into_bytes()
}

/// Calls, hold, both transfers, with and without forged messages between them.
fn programs() -> Vec<Vec<u8>> {
    let call = [0, 0, 1, 0, 5]; // alice calls bob
    let answer = [0, 1, 0, 0, 3, 5]; // bob picks up
    let talk = |what: u8| [0, 0, 1, 0, what, 7];
    let mut programs = Vec::new();
    for ground in [0_u8, 2, 3, 4, 8, 0x18, 0x20, 0x40, 0x48] {
        for acts in [&[0, 2][..], &[6], &[11, 7], &[9, 5], &[4, 6, 5]] {
            let mut program = vec![ground, 1];
            program.extend(call);
            program.extend(answer);
            for act in acts {
                program.extend(talk(*act));
                program.extend([8, 0, 1, 0]);
            }
            program.extend([12, 0, 0, *acts.last().unwrap_or(&0), 1, 1, 2, 1, 0, 3]);
            program.extend([10, 3, 0x81, 2, 3, 4, 5, 14, 2, 1, 0, 0]);
            programs.push(program);
        }
    }
    programs
}

const VALUES: [&str; 22] = [
    "<sip:carol@example.org>",
    "<sip:dave@example.org?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only>",
    "<sip:dave@example.org;method=BYE?Subject=x&Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Route=%3Csip:x%3E>",
    "\"A \\\"quoted\\\" name\" <sips:a@[2001:db8::1]:5061;transport=tls;lr>;tag=1;x=\"y,z\"",
    "sip:a@b;tag=1",
    "tel:+1-212-555-1234;phone-context=example.com",
    "urn:service:sos",
    "abc@host;to-tag=1;from-tag=2",
    "abc@host ; from-tag=0;to-tag=0;early-only;x=\"1\"",
    "fa77@host ; local-tag=kkaz-; remote-tag=6544;x=1",
    "SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKx;rport=5;received=192.0.2.1",
    "SIP / 2.0 / TCP host ; branch = z9hG4bK1",
    "active;expires=60;retry-after=1",
    "terminated;reason=noresource",
    "Digest realm=\"x\", nonce=\"0000000000000000\", algorithm=SHA-256, qop=\"auth,auth-int\", opaque=\"\", stale=TRUE",
    "Digest username=\"a\", realm=\"x\", nonce=\"n\", uri=\"sip:x\", response=\"00\", nc=ffffffff, cnonce=\"c\", qop=auth",
    "sip:user;par=u%40example.net@example.com",
    "sip:%00@h?a=b&c",
    "sip:1.2.3.4:65536",
    "<sip:c@d?Replaces=%>",
    "x000000000000000000000000000000000000000",
    "*",
];

const SDP: [&str; 5] = [
    "v=0\no=- 18446744073709551615 18446744073709551615 IN IP4 192.0.2.7\ns=-\nc=IN IP4 192.0.2.7\nt=0 0\nm=audio 4000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=sendonly\n",
    "v=0\no=- 1 1 IN IP6 ::1\ns=-\nt=0 0\nm=audio 4000 RTP/SAVP 8\nc=IN IP6 2001:db8::1\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^20|1:4\na=ptime:20\nm=video 0 RTP/AVP 31\n",
    "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0\na=msid-semantic: WMS\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\nc=IN IP4 0.0.0.0\na=rtcp:9 IN IP4 0.0.0.0\na=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F\na=setup:actpass\na=mid:0\na=rtcp-mux\na=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\na=ssrc:1 cname:x\na=candidate:1 1 udp 2122260223 10.0.0.2 4000 typ host generation 0\n",
    "v=0\nm=audio 1 RTP/AVP 0 0 0\na=rtpmap:0 PCMU/0\na=inactive\na=sendrecv\n",
    "v=0\no=x\ns=\nc=IN IP4 h\nm=image 9 udptl t38\nm=message 9 TCP/MSRP *\n",
];

const API: [&str; 26] = [
    "GET /v1/calls\n",
    "POST /v1/hubs\n{\"name\":\"desk\",\"most\":3,\"stays\":true}",
    "POST /v1/calls\n{\"from\":\"sip:agent1@example.test\",\"to\":\"sip:boss@example.test\",\"ring_timeout\":5}",
    "POST /v1/calls/call-0-0/parties\n{\"to\":\"sip:boss@example.test\",\"role\":{\"part\":\"coach\",\"of\":\"leg-0-0\"}}",
    "PUT /v1/legs/leg-0-0/role\n{\"part\":\"muted\",\"held\":true}",
    "POST /v1/legs/leg-0-0/answer\n{\"part\":\"speaker\"}",
    "POST /v1/legs/leg-0-0/reject\n{\"status\":486}",
    "POST /v1/legs/leg-1-0/move\n{\"to\":\"call-0-0\"}",
    "POST /v1/legs/leg-0-0/digits\n{\"digits\":\"12#\"}",
    "POST /v1/legs/leg-0-0/play\n{\"sound\":\"tone\",\"again\":true}",
    "POST /v1/transfers\n{\"transferor\":\"leg-0-0\",\"target\":\"leg-1-0\",\"on_failure\":\"ladder\"}",
    "POST /v1/transfers\n{\"transferor\":\"leg-0-0\",\"target\":\"sip:x@example.test?Replaces=a\",\"mode\":\"native\",\"ring_timeout\":1e9}",
    "GET /v1/records?limit=10&from=%2B1\n",
    "PUT /v1/agents/agent1\n{\"state\":\"available\"}",
    "POST /2010-04-01/Accounts/AC00000000000000000000000000000000/Calls.json\nTo=%2B15551&From=client%3Aagent1&Url=http%3A%2F%2F127.0.0.1%2F&Timeout=5&StatusCallbackEvent=initiated",
    "POST /2010-04-01/Accounts/AC00000000000000000000000000000000/Conferences/CF1/Participants.json\nFrom=1&To=2&Label=x&Coaching=true&CallSidToCoach=CA1",
    "GET /2010-04-01/Accounts/AC00000000000000000000000000000000/Calls.json?PageSize=1000&Page=1&Status=completed\n",
    "POST /2010-04-01/Accounts/AC00000000000000000000000000000000/Queues.json\nFriendlyName=q&MaxSize=5",
    "POST /v1/Workspaces/WS1/TaskQueues\nFriendlyName=q&TargetWorkers=skill%20HAS%20%22x%22",
    "POST /restapi/v1.0/account/~/telephony/call-out\n{\"from\":{\"deviceId\":\"1\"},\"to\":{\"phoneNumber\":\"103\"}}",
    "POST /restapi/v1.0/account/~/telephony/sessions/s-1/parties/p-1/bridge\n{\"telephonySessionId\":\"s-2\",\"partyId\":\"p-2\"}",
    "POST /restapi/v1.0/subscription\n{\"eventFilters\":[\"/restapi/v1.0/account/~/extension/~/telephony/sessions?direction=Inbound\"],\"deliveryMode\":{\"transportType\":\"WebHook\",\"address\":\"https://127.0.0.1/\"}}",
    "TWIML\n<Response><Dial timeout=\"5\" record=\"true\"><Number url=\"x\">+1555</Number><Sip>sip:a@b</Sip></Dial><Gather numDigits=\"1\" action=\"/x\"><Say>hi</Say></Gather></Response>",
    "TWIML\n<?xml version=\"1.0\"?><Response><Dial><Conference beep=\"onEnter\" coach=\"CA1\" maxParticipants=\"250\">room</Conference></Dial><Enqueue waitUrl=\"w\">q</Enqueue></Response>",
    "BOT\n{\"data\":{\"replies\":[{\"type\":\"message\",\"text\":\"hi\"},{\"type\":\"switch\",\"data\":{\"to\":\"+1555\",\"timeout\":5,\"headers\":{\"X-A\":\"b\"}}}]}}",
    "EXPRESSION\n(skill HAS \"x\" AND level >= 2.5) OR NOT task.id IN ['a', 'b']\n{\"skill\":[\"x\"],\"level\":3,\"task\":{\"id\":\"a\"}}",
];

const CONFIG: [&str; 4] = [
    "[edge]\ndomain = \"192.0.2.5\"\n[[listen]]\ntransport = \"udp\"\naddress = \"192.0.2.5:5060\"\n[pbx]\nuri = \"sip:192.0.2.10:5060\"\nregister = \"through\"\n[api]\nlisten = \"127.0.0.1:8080\"\ntoken = \"change-me\"\n",
    "[[listen]]\ntransport = \"wss\"\naddress = \"[::1]:8443\"\norigins = [\"https://a\"]\n[[user]]\nname = \"a\"\npassword = \"b\"\n[[route]]\nmatch = \"^\\\\+?[0-9]+$\"\nto = \"sip:127.0.0.1:5090\"\n[media]\nmode = \"relay\"\nports = [20000, 20999]\nhold_music = \"builtin\"\n[transfer]\non_failure = \"ladder\"\n",
    "[limits]\nsource = { per_minute = 60, burst = 20 }\n[audit]\nfile = \"a\"\n[store]\npath = \"x\"\ndurability = \"confirmed\"\n[webhook]\nallow = [\"10.0.0.0/8\"]\n[[queue]]\nname = \"q\"\nagents = [\"a\"]\n",
    "[[application]]\nname = \"sales\"\nmatch = \"^1\"\n[[bot.channel]]\nname = \"x\"\nurl = \"http://127.0.0.1/\"\n[twilio]\naccount_sid = \"AC0\"\nauth_token = \"t\"\n[dns]\navoid_s = 99999999999\n",
];

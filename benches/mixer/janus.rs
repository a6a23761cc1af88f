//! The same conference in Janus's AudioBridge and in the media thread, by the kernel's account of their CPU time.
//!
//! `cargo bench --bench mixer -- --janus`, with Debian's `janus` installed. Members of both are plain RTP in G.711 at 8 kHz on
//! loopback, a packet each 20 ms, from the same sender in this process, whose time counts for neither. Rounds alternate; the
//! figure is the median of paired ratios.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use warmline::driver::{MediaOptions, MediaThread, dtls_certificate};
use warmline::media::MediaCommand;
use warmline::media::audio::{g711, measure};
use warmline::media::rtp::Header;
use warmline::vocabulary::CallHandle;

use crate::hub;
use crate::shared::median;

const ROUNDS: usize = 7;
const SECONDS: usize = 4;
const FIRST_PORT: u16 = 12_000;
const API: u16 = 18_088;

/// One server's members, by where their packets go.
struct Conference {
    sockets: Vec<UdpSocket>,
    edges: Vec<u16>,
    sequence: u16,
}

impl Conference {
    fn new(size: usize) -> Conference {
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_nonblocking(true).expect("a socket that does not wait");
            socket
        };
        Conference {
            sockets: (0..size).map(socket).collect(),
            edges: Vec::new(),
            sequence: 0,
        }
    }

    /// So many seconds of talk; how many packets each member heard in a second.
    fn talk(&mut self, seconds: usize, voices: &[Vec<u8>]) -> f64 {
        let begun = Instant::now();
        let (mut packet, mut octets, mut heard) = (Vec::new(), [0; 2_048], 0);
        for round in 0..(seconds * 50) as u32 {
            self.sequence = self.sequence.wrapping_add(1);
            for (at, (socket, edge)) in self.sockets.iter().zip(&self.edges).enumerate() {
                let header = Header {
                    marker: false,
                    payload_type: 0,
                    sequence: self.sequence,
                    timestamp: u32::from(self.sequence) * 160,
                    ssrc: 0x1000 + at as u32,
                };
                header.write(&voices[at % voices.len()], &mut packet);
                socket.send_to(&packet, ("127.0.0.1", *edge)).ok(); // counted at the other end
                while socket.recv(&mut octets).is_ok() {
                    heard += 1;
                }
                if at % 10 == 9 {
                    let due = Duration::from_millis(20).mul_f64(at as f64 / self.sockets.len() as f64);
                    wait(begun + Duration::from_millis(20) * round + due);
                }
            }
            wait(begun + Duration::from_millis(20) * (round + 1));
        }
        f64::from(heard) / (self.sockets.len() * seconds) as f64
    }
}

fn wait(until: Instant) {
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
}

/// Measures hubs of this size; all of the members talk, or three of them.
pub(crate) fn compare(size: usize, closing: &mut Vec<String>) -> Result<(), String> {
    let mut janus = Janus::start()?;
    let mut theirs = Conference::new(size);
    janus.join(&mut theirs)?;
    let (media, mut ours) = edge(size);
    for (name, talkers) in [("all", size), ("three", 3)] {
        let voice = |at: usize| -> Vec<u8> {
            let dbfs = if at < talkers { -26.0 } else { -200.0 };
            let tone = measure::tone(200.0 + 50.0 * (at % 60) as f64, dbfs, 8_000, 160);
            tone.into_iter().map(g711::mu_law).collect()
        };
        let voices: Vec<Vec<u8>> = (0..size).map(voice).collect();
        for conference in [&mut theirs, &mut ours] {
            conference.talk(2, &voices);
        }
        let mut ratios = Vec::new();
        let mut spent = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let of = |account: &dyn Fn() -> u64, conference: &mut Conference| {
                let before = account();
                let rate = conference.talk(SECONDS, &voices);
                let each = (account() - before) as f64 / 1_000.0 / (size * SECONDS * 50) as f64;
                (each, rate)
            };
            let (own, rate) = of(&|| threads(std::process::id(), "warmline-media"), &mut ours);
            let (other, their_rate) = of(&|| threads(janus.process.id(), ""), &mut theirs);
            if rate < 48.0 || their_rate < 48.0 {
                println!("a round is dropped: {rate:.1} and {their_rate:.1} packets a second were heard");
                continue;
            }
            ratios.push(own / other);
            spent[0].push(own);
            spent[1].push(other);
        }
        let [own, other] = spent.map(|list| median(&list));
        println!(
            "{size} members, {name} talk: {own:.2} µs a member and 20 ms, Janus {other:.2} µs; ratio {:.3} ({:.3} to {:.3})",
            median(&ratios),
            ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratios.iter().copied().fold(0.0, f64::max),
        );
        closing.push(format!("ratio mixer/janus_{name}_{size} {:.3}", median(&ratios)));
    }
    media.stop();
    Ok(())
}

fn edge(size: usize) -> (MediaThread, Conference) {
    let options = MediaOptions::new([127, 0, 0, 1].into(), dtls_certificate().expect("a certificate"));
    let (events, _told) = tokio::sync::mpsc::unbounded_channel();
    let media = MediaThread::start(options, events).expect("a thread");
    let mut conference = Conference::new(size);
    for (at, socket) in conference.sockets.iter().enumerate() {
        let port = FIRST_PORT + 2 * at as u16;
        let address = socket.local_addr().expect("an address");
        let endpoint = Box::new(hub::plain(address, port));
        media.send(MediaCommand::Endpoint {
            leg: hub::leg(at),
            endpoint,
        });
        conference.edges.push(port);
    }
    media.send(MediaCommand::Mix {
        call: CallHandle { slot: 0, generation: 0 },
        members: (0..size).map(hub::speaker).collect(),
    });
    (media, conference)
}

/// Nanoseconds of CPU of a process's threads of this name, of all of them where it is empty.
fn threads(process: u32, name: &str) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    let spent = |folder: PathBuf| -> Option<u64> {
        let comm = std::fs::read_to_string(folder.join("comm")).ok()?;
        let account = std::fs::read_to_string(folder.join("schedstat")).ok()?;
        let own = account.split_whitespace().next()?.parse().ok()?;
        (name.is_empty() || comm.trim() == name).then_some(own)
    };
    tasks.filter_map(|task| spent(task.ok()?.path())).sum()
}

struct Janus {
    process: Child,
    folder: PathBuf,
}

impl Drop for Janus {
    fn drop(&mut self) {
        self.process.kill().ok(); // it has ended of itself
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok(); // a folder of the system's temporary ones
    }
}

impl Janus {
    fn start() -> Result<Janus, String> {
        let folder = std::env::temp_dir().join(format!("warmline-janus-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let write =
            |name: &str, text: String| std::fs::write(folder.join(name), text).map_err(|error| error.to_string());
        write(
            "janus.jcfg",
            format!(
                "general: {{ configs_folder = \"{}\"\n session_timeout = 0\n debug_level = 2 }}\n",
                folder.display()
            ) + "plugins: { disable = \"libjanus_echotest.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_nosip.so,\
                   libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_videoroom.so,\
                   libjanus_voicemail.so,libjanus_lua.so,libjanus_duktape.so\" }\n"
                + "transports: { disable = \"libjanus_websockets.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_mqtt.so,\
                   libjanus_nanomsg.so\" }\n",
        )?;
        write(
            "janus.transport.http.jcfg",
            format!(
                "general: {{ json = \"plain\"\n base_path = \"/janus\"\n http = true\n ip = \"127.0.0.1\"\n port = {API} }}\n"
            ),
        )?;
        let room = "room-1: { description = \"b\"\n sampling_rate = 8000\n allow_rtp_participants = true\n \
                    audiolevel_ext = false }\n";
        write(
            "janus.plugin.audiobridge.jcfg",
            format!("general: {{ rtp_port_range = \"50000-58000\"\n local_ip = \"127.0.0.1\" }}\n{room}"),
        )?;
        let process = Command::new("janus")
            .args(["-F", &folder.display().to_string(), "-o"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("janus: {error}"))?;
        let janus = Janus { process, folder };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", API)).is_ok() {
                return Ok(janus);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("janus does not listen".to_owned())
    }

    fn join(&mut self, conference: &mut Conference) -> Result<(), String> {
        let session = ask("/janus", Some(json!({"janus": "create", "transaction": "t"})))?;
        let session = format!("/janus/{}", session["data"]["id"]);
        let mut ports = std::collections::BTreeMap::new();
        for (at, socket) in conference.sockets.iter().enumerate() {
            let attach = json!({"janus": "attach", "plugin": "janus.plugin.audiobridge", "transaction": "t"});
            let handle = &ask(&session, Some(attach))?["data"]["id"];
            let port = socket.local_addr().map_err(|error| error.to_string())?.port();
            let rtp = json!({"ip": "127.0.0.1", "port": port, "payload_type": 0});
            let body = json!({"request": "join", "room": 1, "id": at + 1, "codec": "pcmu", "rtp": rtp});
            let message = json!({"janus": "message", "transaction": "t", "body": body});
            ask(&format!("{session}/{handle}"), Some(message))?;
            while !ports.contains_key(&at) {
                let event = ask(&format!("{session}?maxev=1"), None)?;
                let event = event.get(0).cloned().unwrap_or(event);
                let data = &event["plugindata"]["data"];
                if let Some(error) = data.get("error") {
                    return Err(error.to_string());
                }
                if let (Some(port), Some(id)) = (data["rtp"]["port"].as_u64(), data["id"].as_u64()) {
                    ports.insert(id as usize - 1, port as u16);
                }
            }
        }
        conference.edges = ports.into_values().collect();
        Ok(())
    }
}

/// Posts, or gets.
fn ask(path: &str, body: Option<Value>) -> Result<Value, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", API)).map_err(told)?;
    let request = match body {
        Some(body) => {
            let body = body.to_string();
            format!(
                "POST {path} HTTP/1.0\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        None => format!("GET {path} HTTP/1.0\r\nHost: h\r\n\r\n"),
    };
    stream.write_all(request.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))
}

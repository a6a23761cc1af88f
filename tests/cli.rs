//! The command as people call it: arguments, exit codes, and what is printed.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const TOKEN: &str = "a-token-of-the-test";

fn warmline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmline"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("WARMLINE_TOKEN")
        .env_remove("WARMLINE_API");
    command
}

fn run(args: &[&str]) -> Output {
    warmline(args).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> File {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "warmline-{}-{}.toml",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        File(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok(); // a leftover in the temporary folder is no failure
    }
}

const GOOD: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n[registrar]\nopen = true\n";

#[test]
fn check_accepts_a_good_file() {
    let file = File::new(GOOD);
    let output = run(&["check", "--config", file.path()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with(": good\n"));
}

#[test]
fn check_tells_every_mistake_with_its_line_and_a_hint() {
    let file = File::new(
        "[edge]\ndomian = \"x\"\n[[listen]]\ntransport = \"sctp\"\naddress = \"here\"\n[store]\npaht = \"x\"\n",
    );
    let output = run(&["check", "--config", file.path()]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for line in [2, 4, 5, 6, 7] {
        assert!(
            told.contains(&format!("{}:{line}:", file.path())),
            "line {line} is missing in\n{told}"
        );
    }
    for words in [
        "did you mean `domain`?",
        "`transport` cannot be \"sctp\"",
        "`address` is no address",
        "5 errors in",
        "nothing was started",
    ] {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }
    // The same words, and no port bound, from run.
    let output = run(&["run", "--config", file.path()]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), told));
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let output = run(&["check", "--config", "no-such-file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("no-such-file.toml"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn every_command_has_help_with_examples() {
    for command in [
        "demo", "run", "check", "calls", "dial", "ladder", "hold", "resume", "transfer", "hangup",
    ] {
        let output = run(&[command, "--help"]);
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(
            help.contains("Usage:") && help.contains("Example"),
            "{command}:\n{help}"
        );
        assert!(help.contains(&format!("warmline {command}")), "{command}:\n{help}");
    }
    let output = run(&["--help"]);
    assert!(text(&output.stdout).contains("Exit codes:"));
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["dmeo"]).status.code(), Some(2));
}

#[test]
fn the_demo_ends_well() {
    for transport in ["udp", "tcp"] {
        let output = run(&["demo", "--pace", "0", "--transport", transport]);
        let shown = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{transport}:\n{shown}\n{}",
            text(&output.stderr)
        );
        for words in [
            "REFER",
            "Refer-To consult, Replaces",
            "transfer completed",
            "The warm transfer worked",
            "left behind: 0 calls, 0 dialogs",
        ] {
            assert!(shown.contains(words), "{transport}: `{words}` is missing in\n{shown}");
        }
        assert!(!shown.contains('\u{1b}'), "colours without a terminal");
        let widest = shown
            .lines()
            .filter(|line| line.contains('│'))
            .map(|line| line.chars().count())
            .max();
        assert!(widest <= Some(110), "{widest:?}");
    }
}

/// What a browser gets there; its request comes in two pieces.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r").unwrap();
    stream.flush().unwrap();
    write!(stream, "\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_demo_for_browsers_serves_the_page_and_says_how_to_log_in() {
    let mut process = warmline(&["demo", "--browser"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(process.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    for line in lines.by_ref() {
        said += &format!("{line}\n");
        if line.contains("Ctrl-C") {
            break;
        }
    }
    let mut running = Running {
        process,
        said: vec![said.clone()],
    };
    for words in ["user anna, password warm", "user ben, password line"] {
        assert!(said.contains(words), "{said}");
    }
    let url = said
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .unwrap();
    let address = url.strip_prefix("http://").unwrap().strip_suffix("/phone/").unwrap();
    let page = get(address, "/phone/");
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("<title>warmline phone</title>"),
        "{page}"
    );
    let config = get(address, "/phone/config.json");
    let servers = format!(r#""servers":[{{"url":"ws://{address}"}}]"#);
    assert!(
        config.contains(&servers) && config.contains(r#""domain":"demo.test""#),
        "{config}"
    );
    assert!(
        get(address, "/").contains("location: /phone/"),
        "whoever types the bare address means the page"
    );
    assert!(get(address, "/etc/passwd").starts_with("HTTP/1.1 404 "));
    assert_eq!(running.terminate(), Some(0));
}

/// A started edge, stopped with the test.
struct Running {
    process: Child,
    said: Vec<String>,
}

impl Running {
    /// Waits until the line about the API is printed.
    fn start(path: &str) -> Running {
        let mut process = warmline(&["run", "--config", path])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut said = Vec::new();
        for line in lines {
            let last = line.contains("api ");
            said.push(line);
            if last {
                break;
            }
        }
        Running { process, said }
    }

    fn api(&self) -> String {
        let line = self.said.last().unwrap();
        line.split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned()
    }

    fn terminate(&mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().ok(); // it has ended already
    }
}

#[test]
fn an_edge_runs_answers_its_clients_and_stops() {
    let file = File::new(&format!("{GOOD}[api]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n"));
    let mut edge = Running::start(file.path());
    assert!(
        edge.said.iter().any(|line| line.contains("sip   udp 127.0.0.1:")),
        "{:?}",
        edge.said
    );
    assert!(
        edge.said.iter().any(|line| line.contains("without a password")),
        "{:?}",
        edge.said
    );
    let api = edge.api();
    let ask = |args: &[&str]| warmline(args).args(["--api", &api, "--token", TOKEN]).output().unwrap();
    assert_eq!(text(&ask(&["calls"]).stdout), "no calls\n");
    let lost = ask(&["hold", "leg-1-0"]);
    assert_eq!(lost.status.code(), Some(1));
    assert!(
        text(&lost.stderr).contains("leg-1-0") && text(&lost.stderr).contains("hint:"),
        "{}",
        text(&lost.stderr)
    );
    assert_eq!(ask(&["hangup", "leg/1"]).status.code(), Some(2));
    let stranger = warmline(&["calls", "--api", &api, "--token", "wrong"])
        .output()
        .unwrap();
    assert!(
        text(&stranger.stderr).contains("bearer token"),
        "{}",
        text(&stranger.stderr)
    );
    assert_eq!(edge.terminate(), Some(0));
    let gone = ask(&["calls"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        text(&gone.stderr).contains("is the edge running"),
        "{}",
        text(&gone.stderr)
    );
}

#[test]
fn a_port_in_use_is_told_with_what_to_do() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let file = File::new(&GOOD.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    let output = run(&["run", "--config", file.path()]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains(&format!("UDP 127.0.0.1:{port}")) && told.contains("port in use"),
        "{told}"
    );

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let file = File::new(&format!("{GOOD}[api]\nlisten = \"{address}\"\n"));
    let output = run(&["run", "--config", file.path()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains(&format!("API {address}")),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn without_a_token_on_loopback_a_random_one_is_printed() {
    let file = File::new(&format!("{GOOD}[api]\nlisten = \"127.0.0.1:0\"\n"));
    let mut edge = Running::start(file.path());
    let line = edge.said.last().unwrap().clone();
    let token = line
        .split_whitespace()
        .skip_while(|word| *word != "token")
        .nth(1)
        .unwrap();
    assert_eq!(token.len(), 32, "{line}");
    let calls = warmline(&["calls", "--api", &edge.api()])
        .env("WARMLINE_TOKEN", token)
        .output()
        .unwrap();
    assert_eq!(text(&calls.stdout), "no calls\n", "{}", text(&calls.stderr));
    assert_eq!(edge.terminate(), Some(0));
}

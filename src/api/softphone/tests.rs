use super::*;
use crate::engine::Transport;

fn listener(transport: Transport, address: &str) -> Listener {
    let address = address.parse().unwrap();
    Listener {
        transport,
        address,
        advertised: address,
    }
}

fn asked<'a>(path: &'a str, host: &'a str, tls: bool, port: u16) -> Asked<'a> {
    Asked {
        path,
        host: Some(host),
        tls,
        port,
    }
}

fn urls(site: &Site, host: &str, tls: bool, port: u16) -> Vec<String> {
    let answer = site.answer(&asked("/phone/config.json", host, tls, port));
    let config: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let servers = config["servers"].as_array().unwrap();
    servers
        .iter()
        .map(|server| server["url"].as_str().unwrap().to_owned())
        .collect()
}

fn site(listeners: &[(Transport, &str)]) -> Site {
    let listeners: Vec<Listener> = listeners.iter().map(|(t, a)| listener(*t, a)).collect();
    Site::new("example.test", &listeners, &[])
}

#[test]
fn every_file_of_the_page_is_there_and_guarded() {
    let site = site(&[(Transport::Ws, "127.0.0.1:8088")]);
    let html = String::from_utf8(
        site.answer(&asked("/phone/", "127.0.0.1:8080", false, 8080))
            .body()
            .to_vec(),
    )
    .unwrap();
    for name in ["softphone.js", "softphone.css", "icon.svg", "licences.txt"] {
        assert!(html.contains(name), "{name}");
        let path = format!("/phone/{name}");
        let answer = site.answer(&asked(&path, "127.0.0.1:8080", false, 8080));
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        assert!(
            answer.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'; script-src 'self';"),
            "{name}"
        );
    }
    // What the policy forbids would simply not work.
    let scripts = html.matches("<script").count();
    assert_eq!(scripts, html.matches("<script src=").count());
    for inline in [" style=", " onclick=", " onload=", "javascript:", "<style"] {
        assert!(!html.contains(inline), "{inline}");
    }
    let licences = site.answer(&asked("/phone/licences.txt", "h", false, 1));
    assert!(
        String::from_utf8_lossy(licences.body()).contains("The MIT License"),
        "JsSIP's licence"
    );
}

#[test]
fn nothing_but_the_page_is_given_out() {
    let site = site(&[(Transport::Ws, "127.0.0.1:8088")]);
    for path in [
        "/phone/../Cargo.toml",
        "/phone//etc/passwd",
        "/phone/index.html/",
        "/phones/",
    ] {
        let answer = site.answer(&asked(path, "127.0.0.1", false, 8080));
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!Site::owns("/phones/"));
    let moved = site.answer(&asked("/phone", "127.0.0.1", false, 8080));
    assert_eq!(moved.headers()["location"], "/phone/");
    let posted = site.respond(&Method::POST, &asked("/phone/", "127.0.0.1", false, 8080));
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn the_page_is_told_urls_that_its_browser_can_reach() {
    let both = site(&[(Transport::Ws, "127.0.0.1:8088"), (Transport::Wss, "127.0.0.1:8443")]);
    assert_eq!(
        urls(&both, "127.0.0.1:8080", false, 8080),
        ["wss://127.0.0.1:8443", "ws://127.0.0.1:8088"]
    );
    assert_eq!(
        urls(&both, "localhost:8088", false, 8088),
        ["ws://localhost:8088", "wss://localhost:8443"]
    );
    // Over TLS nothing without it.
    assert_eq!(urls(&both, "127.0.0.1:8443", true, 8443), ["wss://127.0.0.1:8443"]);
    // A name is what a certificate says.
    let wide = site(&[(Transport::Wss, "0.0.0.0:8443")]);
    assert_eq!(
        urls(&wide, "edge.example.test:8443", true, 8443),
        ["wss://edge.example.test:8443"]
    );
    assert_eq!(
        urls(&wide, "[2001:db8::1]:8443", true, 8443),
        ["wss://[2001:db8::1]:8443"]
    );
    let fixed = site(&[(Transport::Ws, "192.0.2.5:8088")]);
    assert_eq!(urls(&fixed, "127.0.0.1:8080", false, 8080), ["ws://192.0.2.5:8088"]);
}

#[test]
fn a_reverse_proxy_is_named_by_the_file() {
    let listeners = [listener(Transport::Ws, "127.0.0.1:8088")];
    let site = Site::new(
        "example.test",
        &listeners,
        &["wss://phones.example.test/sip".to_owned()],
    );
    assert_eq!(
        urls(&site, "phones.example.test", true, 443),
        ["wss://phones.example.test/sip"]
    );
}

#[test]
fn a_host_header_cannot_widen_the_policy() {
    let site = site(&[(Transport::Wss, "0.0.0.0:8443")]);
    for host in [
        "x; script-src *",
        "evil' 'unsafe-inline",
        "a b:1",
        "[::1",
        "[zz]:1",
        "",
        "x/y",
        "a\"b",
    ] {
        let answer = site.answer(&asked("/phone/", host, true, 8443));
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("connect-src 'self' wss://0.0.0.0:8443;"),
            "{host}: {policy}"
        );
    }
}

#[test]
fn without_a_websocket_the_page_says_what_it_lacks() {
    let site = site(&[(Transport::Udp, "127.0.0.1:5060")]);
    let answer = site.answer(&asked("/phone/", "127.0.0.1:8080", false, 8080));
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(String::from_utf8_lossy(answer.body()).contains("transport = \"ws\""));
}

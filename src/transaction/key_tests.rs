use super::super::testing::*;
use super::*;

const TO: &str = "<sip:bob@example.com>";

fn keys() -> Keys {
    Keys::new([7; 16])
}

fn ask(keys: &Keys, message: &Message, method: &str) -> Key {
    keys.request(message, &message.top_via().unwrap(), method).unwrap()
}

fn key(via: &str) -> Key {
    ask(&keys(), &request("OPTIONS", via, TO), "OPTIONS")
}

#[test]
fn a_branch_leads_back_to_its_slot() {
    let keys = keys();
    for (slot, generation) in [(0, 0), (1, u32::MAX), (u32::MAX, 1), (77, 4)] {
        let branch = keys.branch(slot, generation);
        assert!(branch.as_str().starts_with("z9hG4bK"));
        assert!(
            branch.as_str()[7..]
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
        assert_eq!(keys.open(branch.as_str()), Some((slot, generation)));
    }
}

#[test]
fn a_forged_branch_leads_nowhere() {
    let keys = keys();
    let branch = keys.branch(3, 9);
    let text = branch.as_str();
    for place in 0..text.len() {
        for letter in b"abz27" {
            let mut forged = text.as_bytes().to_vec();
            if forged[place] != *letter {
                forged[place] = *letter;
                assert_eq!(keys.open(std::str::from_utf8(&forged).unwrap()), None);
            }
        }
    }
    assert_eq!(Keys::new([8; 16]).open(text), None, "another process's");
    for other in [
        "",
        "z9hG4bK",
        "z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaa",
        &text[7..],
        &text[..32],
        &format!("{text}a"),
    ] {
        assert_eq!(keys.open(other), None, "{other}");
    }
}

#[test]
fn the_branch_of_an_ack_is_no_slots() {
    let mut keys = keys();
    let (first, second) = (keys.branch_of_ack(), keys.branch_of_ack());
    assert_ne!(first.as_str(), second.as_str());
    assert_eq!(keys.open(first.as_str()), None);
}

#[test]
fn a_request_is_its_branch_sent_by_and_method() {
    let one = key("SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK1");
    for same in [
        "SIP/2.0/UDP A.Example.COM:5060;branch=z9hG4bK1",
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
        "SIP / 2.0 / UDP a.example.com : 5060 ; ttl=1 ; branch=z9hG4bK1",
        "SIP/2.0/UDP a.example.com;rport=9;received=192.0.2.3;branch=z9hG4bK1",
    ] {
        assert_eq!(key(same), one, "{same}");
    }
    for other in [
        "SIP/2.0/UDP a.example.com:5061;branch=z9hG4bK1",
        "SIP/2.0/UDP b.example.com:5060;branch=z9hG4bK1",
        "SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK2",
        "SIP/2.0/UDP a.example.com:5060;branch=z9hG4bk1", // no cookie: RFC 2543
        "SIP/2.0/UDP a.example.com:5060",
    ] {
        assert_ne!(key(other), one, "{other}");
    }
    let invite = request("INVITE", "SIP/2.0/UDP a.example.com;branch=z9hG4bK1", TO);
    let ack = request(
        "ACK",
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
        "<sip:bob@example.com>;tag=b1",
    );
    assert_eq!(ask(&keys(), &invite, "INVITE"), ask(&keys(), &ack, "INVITE"));
    assert_ne!(ask(&keys(), &invite, "INVITE"), ask(&keys(), &invite, "CANCEL"));
    assert_ne!(
        ask(&keys(), &invite, "INVITE"),
        ask(&Keys::new([8; 16]), &invite, "INVITE")
    );
}

#[test]
fn without_the_cookie_it_is_all_that_rfc_2543_compares() {
    let via = "SIP/2.0/UDP a.example.com;branch=1";
    let text = request_text("OPTIONS", via, TO);
    let key = |text: &str| ask(&keys(), &Message::parse(text.to_owned().into()).unwrap(), "OPTIONS");
    assert_eq!(key(&text), key(&text.replace("Max-Forwards: 70", "Max-Forwards: 69")));
    for (from, to) in [
        ("sip:bob@192.0.2.9", "sip:bob@192.0.2.8"),
        ("tag=a1", "tag=a2"),
        ("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b"),
        ("c1@", "c2@"),
        ("CSeq: 7", "CSeq: 8"),
        ("branch=1", "branch=2"),
    ] {
        assert_ne!(key(&text), key(&text.replace(from, to)), "{from}");
    }
    // RFC 4475 §3.2.1: the cookie with nothing after it is no branch
    let bare = request("OPTIONS", "SIP/2.0/UDP a.example.com;branch=z9hG4bK", TO);
    assert_eq!(compliant_branch(&bare), None);
}

#[test]
fn merged_requests_meet_without_a_to_tag_only() {
    let merged = |text: &str| keys().merged(&Message::parse(text.to_owned().into()).unwrap());
    let one = request_text("INVITE", "SIP/2.0/UDP a.example.com;branch=z9hG4bK1", TO);
    let key = merged(&one);
    assert!(key.is_some());
    assert_eq!(merged(&one.replace("z9hG4bK1", "z9hG4bK2")), key);
    assert_ne!(merged(&one.replace("CSeq: 7", "CSeq: 8")), key);
    assert_ne!(merged(&one.replace("tag=a1", "tag=a2")), key);
    assert_ne!(merged(&one.replace("c1@", "c2@")), key);
    assert_eq!(
        merged(&one.replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=b")),
        None
    );
}

#[test]
fn the_layers_own_tag_is_a_token_and_another_for_each() {
    let (one, two) = (keys().tag(1), keys().tag(2));
    assert_ne!(one, two);
    assert!(one.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
}

//! Whose a message is.

use super::*;

/// A message in the text of the tests, made whole.
fn message(text: &str) -> crate::sip::Message {
    let text = format!("{}\r\n\r\n", text.trim().replace('\n', "\r\n"));
    crate::sip::Message::parse(text.into_bytes().into()).unwrap()
}

fn request(method: &str, to_tag: &str, more: &str) -> crate::sip::Message {
    message(&format!(
        "{method} sip:b@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\nFrom: <sip:a@a.example>;tag=theirs\n\
         To: <sip:b@b.example>{to_tag}\nCall-ID: c\nCSeq: 1 {method}{more}\nContent-Length: 0"
    ))
}

fn response(from_tag: &str, via: &str) -> crate::sip::Message {
    message(&format!(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\nFrom: <sip:a@a.example>;tag={from_tag}\n\
         To: <sip:b@b.example>;tag=theirs\nCall-ID: c\nCSeq: 1 INVITE\nContent-Length: 0"
    ))
}

#[test]
fn a_message_goes_to_the_node_that_its_tag_names() {
    let bench = Bench::new(Some(7), &[(9, 3, 2)]);
    let seal = crate::dialog::Seal::new([4; 16], 0);
    let tag_of = |node| crate::dialog::Seal::new([4; 16], node).tag(1, 2);
    let (ours, theirs, nobodys) = (tag_of(7), tag_of(9), tag_of(300));
    let forged = crate::dialog::Seal::new([5; 16], 9).tag(1, 2);
    let peer = Whereto::Peer {
        node: 9,
        link: card(2).link,
    };
    let replaces = |tag: &str| format!("\nReplaces: c;to-tag={tag};from-tag=x");
    let join = format!("\nJoin: c;to-tag={theirs};from-tag=x");
    let target = format!("\nTarget-Dialog: c;local-tag={theirs};remote-tag=x");
    for (message, whereto) in [
        (request("BYE", &format!(";tag={ours}"), ""), Whereto::Here(7)),
        (request("BYE", &format!(";tag={theirs}"), ""), peer),
        (request("BYE", &format!(";tag={nobodys}"), ""), Whereto::Nobody(300)),
        (request("BYE", &format!(";tag={forged}"), ""), Whereto::Home),
        (request("INVITE", "", ""), Whereto::Home),
        (request("INVITE", "", &replaces(&theirs)), peer),
        (request("INVITE", "", &replaces(&ours)), Whereto::Here(7)),
        (request("INVITE", "", &replaces("garbage")), Whereto::Home),
        (request("INVITE", "", &join), peer),
        (request("REFER", "", &target), peer),
        // In a dialog its own tag counts, whatever else it names.
        (
            request("INVITE", &format!(";tag={ours}"), &replaces(&theirs)),
            Whereto::Here(7),
        ),
        (response(&theirs, "192.0.2.1"), peer),
        (response(&ours, "192.0.2.2"), Whereto::Here(7)),
        (response("strangers", "192.0.2.2"), peer),
        (response("strangers", "192.0.2.1"), Whereto::Home),
        (response("strangers", "192.0.2.99:5070"), Whereto::Home),
    ] {
        assert_eq!(bench.this.whereto(&seal, &message, false), whereto, "{message:?}");
        let by_link = bench.this.whereto(&seal, &message, true);
        assert!(
            !matches!(by_link, Whereto::Peer { .. }),
            "a message goes over one link at the most"
        );
    }
}

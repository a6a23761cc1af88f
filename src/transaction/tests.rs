//! What only the room itself can see: that nothing is left behind in any table. Behaviour: `tests/transactions/`.

use std::fmt::Debug;

use super::testing::*;
use super::*;
use crate::sip::{Draft, HeaderName, Method};
use crate::transport::Transport;

type Table = Transactions<u32>;

fn table(generation: u32) -> Table {
    Transactions::starting_at(TIMERS, [3; 16], generation)
}

fn draft(method: Method) -> Draft {
    Draft::request(&method, "sip:bob@192.0.2.9")
        .header(HeaderName::MaxForwards, 70)
        .header(HeaderName::From, "<sip:a@example.com>;tag=a1")
        .header(HeaderName::To, "<sip:bob@example.com>")
        .header(HeaderName::CallId, "c1")
        .header(HeaderName::CSeq, format!("1 {method}"))
}

fn sent(table: &mut Table) -> Message {
    Message::parse(table.poll_transmit().expect("something sent").bytes).unwrap()
}

fn answer(request: &Message, status: u16) -> Message {
    Message::parse(request.respond(status).to_tag("b1").print()).unwrap()
}

/// Everything is over: no table holds anything.
fn assert_empty<U: Clone + Debug>(table: &Transactions<U>) {
    assert_eq!(table.live(), (0, 0));
    assert!(table.index.is_empty(), "index");
    assert!(table.connected.is_empty(), "connected");
    assert_eq!(table.poll_timeout(), None);
    assert_eq!(table.deadlines.len(), 0);
}

#[test]
fn nothing_is_left_behind_on_any_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Wss] {
        let (now, flow) = (start(), flow(transport));
        let mut table = table(0);
        for method in [Method::Invite, Method::Options, Method::Bye] {
            for status in [200, 486] {
                table.request(now, flow, "192.0.2.1", &draft(method.clone()), 1);
                let request = sent(&mut table);
                assert!(table.receive(now, flow, answer(&request, status)).is_some());
                let via = format!("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{method}{status}");
                let request = request_text(method.as_str(), &via, "<sip:bob@example.com>");
                let message = Message::parse(request.into()).unwrap();
                let Some(Received::Request { server, message }) = table.receive(now, flow, message) else {
                    panic!()
                };
                assert!(table.respond(now, server, message.respond(status).to_tag("t").print(), status));
                while table.poll_transmit().is_some() {}
            }
        }
        table.handle_timeout(now + secs(40));
        assert_empty(&table);
    }
}

#[test]
fn deadlines_of_what_has_ended_are_swept() {
    let (now, flow) = (start(), flow(Transport::Tcp));
    let mut table = table(0);
    // One that stays, early, so that the front of the index never moves.
    table.request(now - secs(1), flow, "192.0.2.1", &draft(Method::Options), 0);
    sent(&mut table);
    for round in 0..5_000 {
        table.request(now, flow, "192.0.2.1", &draft(Method::Options), round);
        let request = sent(&mut table);
        assert!(table.receive(now, flow, answer(&request, 200)).is_some());
    }
    assert_eq!(table.live(), (1, 0));
    assert!(
        table.deadlines.len() < 100,
        "{} entries for one transaction",
        table.deadlines.len()
    );
    assert_eq!(table.poll_timeout(), Some(now + secs(31)));
}

#[test]
fn the_next_deadline_is_the_true_one() {
    let (now, flow) = (start(), flow(Transport::Udp));
    let mut table = table(0);
    table.request(now, flow, "192.0.2.1", &draft(Method::Invite), 1);
    let invite = sent(&mut table);
    table.request(now + ms(100), flow, "192.0.2.1", &draft(Method::Options), 2);
    assert_eq!(table.poll_timeout(), Some(now + ms(500)));
    table.receive(now + ms(200), flow, answer(&invite, 180));
    assert_eq!(table.poll_timeout(), Some(now + ms(600)), "what rings has no deadline");
    table.receive(now + ms(300), flow, answer(&invite, 200));
    assert_eq!(table.poll_timeout(), Some(now + ms(600)));
}

#[test]
fn generations_wrap_and_old_handles_stay_dead() {
    let (now, flow) = (start(), flow(Transport::Tcp));
    let mut table = table(u32::MAX - 1);
    let mut old = Vec::new();
    for round in 0..4 {
        let client = table.request(now, flow, "192.0.2.1", &draft(Method::Options), round);
        assert_eq!(
            (client.slot, client.generation),
            (0, (u32::MAX - 1).wrapping_add(round))
        );
        let request = sent(&mut table);
        for (handle, before) in &old {
            assert_ne!(*handle, client);
            assert!(!table.cancel(now, *handle, 0));
            assert!(
                table.receive(now, flow, answer(before, 200)).is_none(),
                "a late response to an old slot"
            );
        }
        let Some(Received::Response {
            client: found, user, ..
        }) = table.receive(now, flow, answer(&request, 200))
        else {
            panic!("round {round}")
        };
        assert_eq!((found, user), (client, round));
        old.push((client, request));
    }
    assert_empty(&table);
}

#[test]
fn a_stale_server_handle_is_refused_quietly() {
    let (now, flow) = (start(), flow(Transport::Tcp));
    let mut table = table(u32::MAX);
    let options = request(
        "OPTIONS",
        "SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1",
        "<sip:bob@example.com>",
    );
    let response = options.respond(200).to_tag("t").print();
    let Some(Received::Request { server, .. }) = table.receive(now, flow, options.clone()) else {
        panic!()
    };
    assert!(table.respond(now, server, response.clone(), 200));
    assert!(!table.respond(now, server, response.clone(), 200));
    let Some(Received::Request { server: next, .. }) = table.receive(now, flow, options) else {
        panic!()
    };
    assert_eq!(
        (next.slot, next.generation),
        (server.slot, 0),
        "the same slot, over the wrap"
    );
    assert!(
        !table.respond(now, server, response.clone(), 200),
        "not the new one's answer"
    );
    assert_eq!(table.reply_flow(server), None);
    assert!(table.respond(now, next, response, 200));
    table.handle_timeout(now + secs(40));
    assert_empty(&table);
}

#[test]
fn failed_connections_end_their_own_transactions_only() {
    let now = start();
    let mut table = table(0);
    let seven = flow(Transport::Tcp);
    let eight = Flow { connection: 8, ..seven };
    let any = Flow { connection: 0, ..seven };
    let elsewhere = Flow {
        remote: "192.0.2.10:5060".parse().unwrap(),
        ..seven
    };
    let udp = flow(Transport::Udp);
    let handles = [seven, eight, any, elsewhere, udp].map(|flow| {
        let handle = table.request(now, flow, "192.0.2.1", &draft(Method::Invite), 0);
        sent(&mut table);
        handle
    });
    table.flow_failed(now, &seven);
    let failed = |handle| {
        Some(Event::TransportFailed {
            client: handle,
            user: 0,
        })
    };
    assert_eq!(table.poll_event(), failed(handles[0]));
    assert_eq!(
        table.poll_event(),
        failed(handles[2]),
        "it named no connection of its own"
    );
    assert_eq!(table.poll_event(), None);
    table.flow_failed(now, &udp);
    assert_eq!(table.poll_event(), failed(handles[4]));
    table.flow_failed(now, &any);
    assert_eq!(
        table.poll_event(),
        failed(handles[1]),
        "no connection to that remote can be had"
    );
    table.flow_failed(now, &elsewhere);
    assert_eq!(table.poll_event(), failed(handles[3]));
    assert_empty(&table);
}

#[test]
fn a_flow_that_leads_nowhere_fails_at_once() {
    let now = start();
    let mut table = table(0);
    let nowhere = Flow {
        remote: "224.0.1.75:5060".parse().unwrap(),
        ..flow(Transport::Udp)
    };
    let client = table.request(now, nowhere, "192.0.2.1", &draft(Method::Invite), 4);
    assert_eq!(table.poll_event(), Some(Event::TransportFailed { client, user: 4 }));
    assert_eq!(table.poll_transmit(), None);
    assert_empty(&table);
    // nor is a request answered that claims to come from there
    let options = request(
        "OPTIONS",
        "SIP/2.0/UDP 192.0.2.9:0;branch=z9hG4bK1",
        "<sip:bob@example.com>",
    );
    assert!(table.receive(now, flow(Transport::Udp), options).is_none());
    assert_empty(&table);
}

#[test]
fn an_unanswered_server_transaction_is_told_when_its_way_back_is_gone() {
    let now = start();
    let mut table = table(0);
    let (tcp, wss) = (flow(Transport::Tcp), flow(Transport::Wss));
    let mut ask = |flow: Flow, branch: &str| {
        let via = format!("SIP/2.0/{} 192.0.2.9:5062;branch=z9hG4bK{branch}", flow.transport);
        match table.receive(now, flow, request("INVITE", &via, "<sip:bob@example.com>")) {
            Some(Received::Request { server, message }) => {
                table.respond(now, server, message.respond(180).to_tag("t").print(), 180);
                assert_eq!(table.poll_transmit().unwrap().flow, flow);
                server
            }
            other => panic!("{other:?}"),
        }
    };
    let (by_tcp, by_wss) = (ask(tcp, "1"), ask(wss, "2"));
    table.flow_failed(now, &wss);
    assert_eq!(
        table.poll_event(),
        Some(Event::ServerTransportFailed { server: by_wss })
    );
    // RFC 3261 §18.2.2: TCP is tried again at sent-by's port
    table.flow_failed(now, &tcp);
    assert_eq!(table.poll_event(), None);
    let again = Flow {
        remote: "192.0.2.9:5062".parse().unwrap(),
        connection: 0,
        ..tcp
    };
    assert_eq!(table.poll_transmit().unwrap().flow, again);
    table.flow_failed(now, &again);
    assert_eq!(
        table.poll_event(),
        Some(Event::ServerTransportFailed { server: by_tcp })
    );
    assert_empty(&table);
}

#[test]
fn a_stranger_is_answered_once_and_forgotten() {
    let now = start();
    let mut table = table(0);
    for method in ["INVITE", "OPTIONS"] {
        let asked = request(method, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKs", "<sip:bob@example.com>");
        let response = asked.respond(401).to_tag("t").print();
        for _ in 0..2 {
            let Some(Received::Request { server, .. }) = table.receive(now, flow(Transport::Udp), asked.clone()) else {
                panic!("{method}: nothing is remembered")
            };
            assert!(table.respond_and_forget(server, response.clone()));
            assert_eq!(
                table.poll_transmit().map(|transmit| transmit.bytes),
                Some(response.clone())
            );
            assert!(!table.respond_and_forget(server, response.clone()));
            assert_empty(&table);
        }
        let Some(Received::Request { server, .. }) = table.receive(now, flow(Transport::Udp), asked) else {
            panic!()
        };
        assert!(table.respond(now, server, response.clone(), 401));
        assert!(!table.respond_and_forget(server, response), "it has its answer");
        table.handle_timeout(now + secs(40));
        while table.poll_transmit().is_some() || table.poll_event().is_some() {}
    }
}

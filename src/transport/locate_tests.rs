use super::*;

const OURS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

fn wanted(host: &str, port: Option<u16>, transport: Option<Transport>) -> Wanted {
    Wanted {
        host: host.to_owned(),
        port,
        transport,
        secure: false,
    }
}

fn naptr(order: u16, preference: u16, services: &str, replacement: &str) -> Naptr {
    Naptr {
        order,
        preference,
        flags: "s".to_owned(),
        services: services.to_owned(),
        replacement: replacement.to_owned(),
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv {
        priority,
        weight,
        port,
        target: target.to_owned(),
    }
}

/// A zone in which host `hN` has the address 192.0.2.N; gives the places and what was asked.
fn locate(wanted: &Wanted, seed: u64, naptrs: &[Naptr], srvs: &[(&str, Vec<Srv>)]) -> (Vec<String>, Vec<Query>) {
    let mut search = Locate::new(wanted, &OURS, seed);
    let mut asked = Vec::new();
    while let Some(query) = search.query() {
        asked.push(query.clone());
        search.answer(match query {
            Query::Naptr(_) => Records::Naptr(naptrs.to_vec()),
            Query::Srv(name) => {
                let found = srvs.iter().find(|(known, _)| *known == name);
                Records::Srv(found.map(|(_, records)| records.clone()).unwrap_or_default())
            }
            Query::Addresses(host) => {
                let number = host.strip_prefix('h').and_then(|number| number.parse().ok());
                Records::Addresses(
                    number
                        .map(|number: u8| [192, 0, 2, number].into())
                        .into_iter()
                        .collect(),
                )
            }
        });
    }
    let place = |place: &Place| format!("{} {}", place.transport, place.address);
    (search.places().iter().map(place).collect(), asked)
}

#[test]
fn an_address_asks_nothing_and_a_port_asks_for_addresses_only() {
    let (places, asked) = locate(&wanted("2001:db8::1", None, Some(Transport::Tls)), 1, &[], &[]);
    assert_eq!((places, asked.len()), (vec!["TLS [2001:db8::1]:5061".to_owned()], 0));
    let (places, asked) = locate(&wanted("H7", Some(5070), None), 1, &[], &[]);
    assert_eq!(places, ["UDP 192.0.2.7:5070"]);
    assert_eq!(asked, [Query::Addresses("h7".to_owned())]);
}

/// RFC 3263 §4.1's example: TLS first, then TCP, then UDP.
#[test]
fn the_domain_says_its_favourite_transport() {
    let naptrs = [
        naptr(90, 50, "SIP+D2U", "_sip._udp.example.com"),
        naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
        naptr(90, 40, "SIP+D2T", "_sip._tcp.example.com"),
        naptr(1, 1, "SIP+D2S", "_sip._sctp.example.com"),
    ];
    let srvs = [
        ("_sips._tcp.example.com", vec![srv(0, 1, 5061, "h1")]),
        (
            "_sip._tcp.example.com",
            vec![srv(1, 0, 5062, "h2"), srv(0, 0, 5060, "h3")],
        ),
        ("_sip._udp.example.com", vec![srv(0, 0, 5060, "h4")]),
    ];
    let (places, _) = locate(&wanted("example.com", None, None), 1, &naptrs, &srvs);
    let expect = [
        "TLS 192.0.2.1:5061",
        "TCP 192.0.2.3:5060",
        "TCP 192.0.2.2:5062",
        "UDP 192.0.2.4:5060",
    ];
    assert_eq!(places, expect);
}

#[test]
fn without_naptr_every_transport_of_ours_is_asked_for_and_then_the_host() {
    let srvs = [("_sip._tcp.h9", vec![srv(0, 0, 5080, "h2")])];
    let (places, asked) = locate(&wanted("h9", None, None), 1, &[], &srvs);
    assert_eq!((places, asked.len()), (vec!["TCP 192.0.2.2:5080".to_owned()], 5));
    let (places, _) = locate(&wanted("h9", None, None), 1, &[], &[]);
    assert_eq!(places, ["UDP 192.0.2.9:5060"]);
    let (places, _) = locate(&wanted("h9", None, Some(Transport::Tls)), 1, &[], &[]);
    assert_eq!(places, ["TLS 192.0.2.9:5061"]);
    // RFC 2782: a target of "." says that there is no such service, and then the host is no way round it.
    let closed = [("_sip._udp.h9", vec![srv(0, 0, 0, ".")])];
    assert!(
        locate(&wanted("h9", None, Some(Transport::Udp)), 1, &[], &closed)
            .0
            .is_empty()
    );
}

#[test]
fn weights_are_shares_and_the_same_seed_throws_alike() {
    let records = vec![srv(0, 30, 5060, "h1"), srv(0, 10, 5060, "h2"), srv(5, 900, 5060, "h3")];
    let srvs = [("_sip._udp.example.com", records)];
    let wanted = wanted("example.com", None, Some(Transport::Udp));
    let run = |seed| locate(&wanted, seed, &[], &srvs).0;
    let firsts = (0..4_000).filter(|seed| run(*seed)[0] == "UDP 192.0.2.1:5060").count();
    assert!(
        (2_800..3_200).contains(&firsts),
        "{firsts} of 4000, three quarters were wanted"
    );
    for seed in 0..50 {
        let places = run(seed);
        assert_eq!(
            (places.len(), places[2].as_str()),
            (3, "UDP 192.0.2.3:5060"),
            "priority before weight"
        );
        assert_eq!(places, run(seed));
    }
}

#[test]
fn a_zone_without_end_is_not_followed() {
    let records: Vec<Srv> = (0..500)
        .map(|number| srv(0, 0, 5060, &format!("h{}", number % 250)))
        .collect();
    let srvs = [("_sip._udp.example.com", records)];
    let (places, asked) = locate(&wanted("example.com", None, Some(Transport::Udp)), 1, &[], &srvs);
    assert!(places.len() <= MOST_PLACES && asked.len() <= MOST_QUESTIONS);
    let mut stray = Locate::new(&wanted("example.com", None, None), &OURS, 1);
    while stray.query().is_some() {
        stray.answer(Records::Srv(vec![srv(0, 0, 1, "x")])); // of another kind than asked, for ever
    }
    assert!(stray.places().is_empty());
}

//! RFC 3261 §10.3, RFC 3327 §5.3, RFC 5626 §6: what a REGISTER does to bindings.

use super::*;

const DESK: &str = "Contact: <sip:alice@10.0.0.7:5062>";

#[test]
fn a_contact_is_bound_to_the_flow_it_registered_on() {
    let mut world = World::open();
    let (response, changes) = world.send(&request("r", 1, &format!("{DESK};expires=600;q=0.5\nExpires: 900")));
    assert_eq!(response.status(), Some(200));
    assert_eq!(added(&changes), ["sip:alice@10.0.0.7:5062"]);
    let contact = response.contact().unwrap().unwrap();
    assert_eq!(
        contact.param("expires"),
        Some(Some("600")),
        "the contact's own interval goes before Expires"
    );
    assert!(response.to_tag().is_some());
    let binding = world.registrar.lookup(world.now, "alice")[0];
    assert_eq!(binding.flow, flow(HOME));
    assert_eq!(
        (binding.aor.as_str(), binding.q, binding.expires_in(world.now)),
        ("sip:alice@example.com", 500, 600)
    );
    assert_eq!(
        (world.registrar.by_flow(&flow(HOME)).len(), world.registrar.len()),
        (1, 1)
    );
    assert!(world.registrar.by_flow(&flow("198.51.100.7:9")).is_empty());
}

#[test]
fn a_refresh_is_no_change_and_another_flow_is_one() {
    let mut world = World::open();
    world.send(&request("r", 1, DESK));
    assert_eq!(world.send(&request("r", 2, DESK)).1, []);
    world.from = flow("203.0.113.9:40000");
    let (_, changes) = world.send(&request("r", 3, DESK));
    assert_eq!((added(&changes).len(), removed(&changes).len()), (1, 0));
    assert_eq!(world.registrar.lookup(world.now, "alice")[0].flow, world.from);
    assert!(world.registrar.by_flow(&flow(HOME)).is_empty());
}

#[test]
fn intervals_are_clamped_refused_or_defaulted() {
    let mut world = World::open();
    let (response, changes) = world.send(&request("r", 1, &format!("{DESK}\nExpires: 59")));
    assert_eq!(
        (response.status(), response.number(HeaderName::MinExpires)),
        (Some(423), Some(60))
    );
    assert!(changes.is_empty() && world.contacts().is_empty());
    for (cseq, asked, granted) in [
        (2, "Expires: 60", "60"),
        (3, "Expires: 86400", "3600"),
        (4, "Expires: soon", "3600"),
        (5, "Expires: 99999999999999999999", "3600"),
        (6, "", "3600"),
    ] {
        let (response, _) = world.send(&request("r", cseq, &format!("{DESK}\n{asked}")));
        let contact = response.contact().unwrap().unwrap();
        assert_eq!(contact.param("expires"), Some(Some(granted)), "{asked}");
    }
}

#[test]
fn a_binding_expires_at_its_second_and_not_before() {
    let mut world = World::open();
    world.send(&request("r", 1, &format!("{DESK}\nExpires: 60")));
    world.send(&request("r", 2, "Contact: <sip:alice@10.0.0.8>;expires=90"));
    assert_eq!(world.registrar.poll_timeout(), Some(world.now + seconds(60)));
    assert!(world.advance(seconds(60) - Duration::from_nanos(1)).is_empty());
    assert_eq!(world.contacts().len(), 2);
    assert_eq!(
        removed(&world.advance(Duration::from_nanos(1))),
        ["sip:alice@10.0.0.7:5062"]
    );
    assert_eq!(world.registrar.poll_timeout(), Some(world.now + seconds(30)));
    world.now += seconds(30);
    assert!(
        world.contacts().is_empty(),
        "what has expired is gone before anybody collects it"
    );
    assert_eq!(world.advance(seconds(0)).len(), 1);
    assert_eq!(
        (world.registrar.poll_timeout(), world.registrar.is_empty()),
        (None, true)
    );
}

#[test]
fn no_contact_lists_what_there_is() {
    let mut world = World::open();
    world.send(&request(
        "r",
        1,
        &format!("{DESK};q=0.1, <sip:alice@10.0.0.8>;+sip.instance=\"<urn:uuid:1>\""),
    ));
    let (response, changes) = world.send(&request("other", 1, ""));
    assert!(changes.is_empty());
    let listed: Vec<&str> = response.values(HeaderName::Contact).collect();
    assert_eq!(
        listed,
        [
            "<sip:alice@10.0.0.7:5062>;q=0.1;expires=3600",
            "<sip:alice@10.0.0.8>;+sip.instance=\"<urn:uuid:1>\";expires=3600"
        ]
    );
    assert_eq!(
        world.contacts(),
        ["sip:alice@10.0.0.8", "sip:alice@10.0.0.7:5062"],
        "highest q first"
    );
}

#[test]
fn among_equals_the_newest_is_first() {
    let mut world = World::open();
    world.send(&request("a", 1, "Contact: <sip:alice@10.0.0.1>"));
    world.send(&request("b", 1, "Contact: <sip:alice@10.0.0.2>"));
    world.send(&request("a", 2, "Contact: <sip:alice@10.0.0.1>"));
    assert_eq!(
        world.contacts(),
        ["sip:alice@10.0.0.2", "sip:alice@10.0.0.1"],
        "a refresh is not newer"
    );
    let order: Vec<u64> = world
        .registrar
        .all(world.now)
        .iter()
        .map(|binding| binding.id)
        .collect();
    assert_eq!(order, [1, 2]);
}

#[test]
fn a_star_removes_all_or_nothing() {
    let mut world = World::open();
    world.send(&request("r", 5, DESK));
    world.send(&request("s", 1, "Contact: <sip:alice@10.0.0.8>"));
    for bad in [
        "Contact: *",
        "Contact: *\nExpires: 60",
        "Contact: *, <sip:alice@10.0.0.8>\nExpires: 0",
    ] {
        assert_eq!(world.status(&request("r", 6, bad)), 400, "{bad}");
    }
    // The same Call-ID as one of the bindings, and not a higher CSeq: the update is aborted as a whole.
    assert_eq!(world.status(&request("r", 5, "Contact: *\nExpires: 0")), 500);
    assert_eq!(world.contacts().len(), 2);
    let (response, changes) = world.send(&request("r", 6, "Contact: *\nExpires: 0"));
    assert_eq!((response.status(), removed(&changes).len()), (Some(200), 2));
    assert_eq!(response.contact().unwrap(), None);
    assert!(world.registrar.is_empty());
}

#[test]
fn an_out_of_order_register_changes_nothing() {
    let mut world = World::open();
    world.send(&request("r", 7, DESK));
    assert_eq!(world.status(&request("r", 7, &format!("{DESK};expires=0"))), 500);
    // The first contact of this one would be good: it must not be bound, since the request fails.
    assert_eq!(
        world.status(&request("r", 6, &format!("Contact: <sip:alice@10.0.0.8>\n{DESK}"))),
        500
    );
    assert_eq!(world.contacts(), ["sip:alice@10.0.0.7:5062"]);
    // A phone that restarted has a new Call-ID and counts from 1 again.
    assert_eq!(world.status(&request("new", 1, &format!("{DESK};expires=0"))), 200);
    assert!(world.contacts().is_empty());
}

#[test]
fn more_contacts_than_allowed_are_refused_and_a_moving_phone_is_not() {
    let mut world = World::open();
    for n in 1..=3 {
        assert_eq!(
            world.status(&request("r", n, &format!("Contact: <sip:alice@10.0.0.{n}>"))),
            200
        );
    }
    assert_eq!(world.status(&request("r", 4, "Contact: <sip:alice@10.0.0.4>")), 403);
    assert_eq!(world.contacts().len(), 3);
    let moved = "Contact: <sip:alice@10.0.0.1>;expires=0, <sip:alice@10.0.0.4>";
    let (response, changes) = world.send(&request("r", 5, moved));
    assert_eq!(response.status(), Some(200));
    assert_eq!(
        (added(&changes), removed(&changes)),
        (vec!["sip:alice@10.0.0.4".into()], vec!["sip:alice@10.0.0.1".into()])
    );
    let flood: Vec<String> = (0..7).map(|n| format!("<sip:alice@10.0.1.{n}>;expires=0")).collect();
    assert_eq!(
        world.status(&request("r", 6, &format!("Contact: {}", flood.join(", ")))),
        403
    );
}

#[test]
fn an_expired_binding_takes_no_place() {
    let mut world = World::open();
    for n in 1..=3 {
        world.send(&request("r", n, &format!("Contact: <sip:alice@10.0.0.{n}>;expires=60")));
    }
    world.now += seconds(61); // nobody has collected them yet
    let (response, changes) = world.send(&request("r", 4, "Contact: <sip:alice@10.0.0.4>"));
    assert_eq!(response.status(), Some(200));
    assert_eq!((added(&changes).len(), removed(&changes).len()), (1, 3));
}

#[test]
fn what_is_not_for_us_is_refused() {
    let mut world = World::open();
    let status =
        |world: &mut World, start: &str, to: &str, lines: &str| world.status(&message(start, to, "r", 1, lines));
    let register = "REGISTER sip:example.com";
    assert_eq!(
        status(&mut world, "REGISTER sip:example.org", "sip:alice@example.org", DESK),
        404
    );
    assert_eq!(status(&mut world, register, "sip:alice@example.org", DESK), 404);
    assert_eq!(status(&mut world, register, "tel:+15550100", DESK), 400);
    assert_eq!(status(&mut world, register, "sip:example.com", DESK), 400);
    assert_eq!(
        status(&mut world, "REGISTER tel:+15550100", "sip:alice@example.com", DESK),
        416
    );
    assert_eq!(
        status(
            &mut world,
            register,
            "sip:alice@example.com",
            "Contact: <tel:+15550100>"
        ),
        400
    );
    assert_eq!(
        status(&mut world, register, "sip:alice@example.com", "Contact: <sip:>"),
        400
    );
    assert_eq!(
        status(
            &mut world,
            register,
            "sip:alice@example.com",
            &format!("{DESK}, {}", &DESK[9..])
        ),
        400
    );
    assert_eq!(
        status(
            &mut world,
            "REGISTER sip:EXAMPLE.com:5070",
            "sip:alice@Example.COM",
            DESK
        ),
        200
    );
    let (response, _) = world.send(&request("q", 1, &format!("{DESK}\nRequire: gruu, path")));
    assert_eq!(
        (response.status(), response.text(HeaderName::Unsupported)),
        (Some(420), Some("gruu"))
    );
}

#[test]
fn the_address_of_record_has_one_form() {
    let mut world = World::open();
    world.send(&message(
        "REGISTER sip:example.com",
        "sip:%61lice@EXAMPLE.com;user=phone",
        "r",
        1,
        DESK,
    ));
    assert_eq!(world.contacts().len(), 1);
    assert_eq!(world.registrar.all(world.now)[0].aor, "sip:alice@example.com");
    world.send(&message(
        "REGISTER sip:example.com",
        "sip:Alice@example.com",
        "r",
        2,
        DESK,
    ));
    assert_eq!(world.contacts().len(), 1, "the user part is compared with case");
}

#[test]
fn a_path_is_kept_and_given_back() {
    let mut world = World::open();
    let lines = format!("{DESK}\nPath: <sip:p2@example.net;lr>, <sip:p1@example.net;lr>\nSupported: path");
    let (response, _) = world.send(&request("r", 1, &lines));
    assert_eq!(response.values(HeaderName::Path).count(), 2);
    let binding = world.registrar.lookup(world.now, "alice")[0];
    assert_eq!(binding.path, ["<sip:p2@example.net;lr>", "<sip:p1@example.net;lr>"]);
}

#[test]
fn an_outbound_registration_survives_its_connection() {
    let mut world = World::open();
    let contact = |port: u16| {
        format!(
            "Contact: <sip:alice@10.0.0.7:{port};transport=tcp>;reg-id=1;+sip.instance=\"<urn:uuid:7>\"\nSupported: outbound"
        )
    };
    world.from = tcp("198.51.100.7:40001", 1);
    let (response, _) = world.send(&request("r", 1, &contact(40001)));
    assert_eq!(response.text(HeaderName::Require), Some("outbound"));
    assert_eq!(response.text(HeaderName::FlowTimer), Some("120"));
    world.from = tcp("198.51.100.7:40002", 2);
    let (_, changes) = world.send(&request("r", 2, &contact(40002)));
    assert_eq!(
        (added(&changes).len(), removed(&changes).len()),
        (1, 1),
        "the new contact takes the old one's place"
    );
    assert_eq!(world.registrar.lookup(world.now, "alice")[0].flow.connection, 2);
    // The end of the old connection is no news any more, that of the new one is.
    assert!(world.registrar.flow_gone(&tcp("198.51.100.7:40001", 1)).is_empty());
    assert_eq!(world.registrar.flow_gone(&tcp("198.51.100.7:40002", 2)).len(), 1);
    assert!(world.registrar.is_empty());
    // Over UDP the keepalive is STUN, at the phone's own pace.
    world.from = flow(HOME);
    let (response, _) = world.send(&request("r", 3, &contact(5062)));
    assert_eq!(
        (response.status(), response.text(HeaderName::Require)),
        (Some(200), Some("outbound"))
    );
    assert_eq!(response.text(HeaderName::FlowTimer), None);
}

#[test]
fn date_is_said_where_the_wall_clock_is_known() {
    let mut world = World::open();
    assert_eq!(world.send(&request("r", 1, "")).0.text(HeaderName::Date), None);
    let start = world.now;
    let config = world.registrar.config.clone();
    world.registrar = Registrar::new(config, start).with_wall_clock(1_289_690_930);
    world.now += seconds(10);
    let date = world
        .send(&request("r", 1, ""))
        .0
        .text(HeaderName::Date)
        .map(str::to_owned);
    assert_eq!(date.as_deref(), Some("Sat, 13 Nov 2010 23:29:00 GMT"));
}

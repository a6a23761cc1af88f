//! RFC 3327 §5: what the edge learns from a REGISTER that the PBX answered.

use super::*;
use crate::registrar::Kept;

fn response(request: &Message, status: u16, contacts: &str) -> Message {
    let draft = request.respond(status).to_tag("pbx");
    parse(&if contacts.is_empty() {
        draft
    } else {
        draft.header(HeaderName::Contact, contacts)
    })
}

fn learn(world: &mut World, request: &Message, status: u16, contacts: &str) -> Vec<Change> {
    let response = response(request, status, contacts);
    world.registrar.learn(world.now, world.from, request, &response)
}

#[test]
fn a_2xx_binds_the_contact_to_its_flow_for_the_time_that_the_pbx_granted() {
    let mut world = World::closed();
    let request = request("r", 2, "Contact: <sip:alice@10.0.0.7:5062>\nExpires: 3600");
    let changes = learn(&mut world, &request, 200, "<sip:alice@10.0.0.7:5062>;expires=120");
    assert_eq!(added(&changes), ["sip:alice@10.0.0.7:5062"]);
    let binding = world.registrar.lookup(world.now, "alice")[0];
    assert_eq!(
        (binding.kept, binding.kept.as_str(), binding.flow),
        (Kept::Through, "through", flow(HOME))
    );
    assert_eq!(binding.expires_in(world.now), 120);
    assert_eq!(
        learn(&mut world, &request, 200, "<sip:alice@10.0.0.7:5062>;expires=120"),
        [],
        "a refresh"
    );
    assert_eq!(world.advance(seconds(120)).len(), 1);
}

#[test]
fn a_refusal_teaches_nothing() {
    let mut world = World::closed();
    let first = request("r", 1, "Contact: <sip:alice@10.0.0.7:5062>");
    learn(&mut world, &first, 200, "<sip:alice@10.0.0.7:5062>;expires=120");
    for status in [100, 302, 401, 403, 503] {
        let again = request("r", 2, "Contact: <sip:alice@10.0.0.7:5062>;expires=0");
        assert_eq!(learn(&mut world, &again, status, ""), [], "{status}");
    }
    assert_eq!(world.contacts().len(), 1);
}

#[test]
fn a_removal_removes_and_what_is_listed_no_more_is_gone() {
    let mut world = World::closed();
    for (n, listed) in [
        (1, "<sip:alice@10.0.0.1>;expires=99"),
        (2, "<sip:alice@10.0.0.2>;expires=99, <sip:alice@10.0.0.1>;expires=9"),
    ] {
        let request = request("r", n, &format!("Contact: <sip:alice@10.0.0.{n}>"));
        learn(&mut world, &request, 200, listed);
    }
    assert_eq!(world.contacts().len(), 2);
    // The PBX threw the first one out when a third came.
    let third = request("s", 1, "Contact: <sip:alice@10.0.0.3>");
    let changes = learn(
        &mut world,
        &third,
        200,
        "<sip:alice@10.0.0.3>;expires=99, <sip:alice@10.0.0.2>;expires=90",
    );
    assert_eq!(
        (added(&changes), removed(&changes)),
        (vec!["sip:alice@10.0.0.3".into()], vec!["sip:alice@10.0.0.1".into()])
    );
    let gone = request("s", 2, "Contact: <sip:alice@10.0.0.3>;expires=0");
    assert_eq!(
        removed(&learn(&mut world, &gone, 200, "<sip:alice@10.0.0.2>;expires=80")),
        ["sip:alice@10.0.0.3"]
    );
    let star = request("s", 3, "Contact: *\nExpires: 0");
    assert_eq!(removed(&learn(&mut world, &star, 200, "")), ["sip:alice@10.0.0.2"]);
}

#[test]
fn a_contact_that_the_pbx_rewrote_is_known_by_its_user() {
    let mut world = World::closed();
    let request = request("r", 1, "Contact: <sip:x7@10.0.0.7:5062;ob>");
    learn(
        &mut world,
        &request,
        200,
        "<sip:x7@198.51.100.7:61000>;expires=99, <sip:y8@198.51.100.8>;expires=99",
    );
    assert_eq!(world.contacts(), ["sip:x7@10.0.0.7:5062;ob"], "as the phone wrote it");
    // Two phones with the same user part, both rewritten: a 2xx to one that asked for an interval has bound it.
    world.from = flow("198.51.100.9:5060");
    let other = super::request("s", 1, "Contact: <sip:x7@10.0.0.9:5062>");
    learn(
        &mut world,
        &other,
        200,
        "<sip:x7@198.51.100.7:61000>;expires=50, <sip:x7@198.51.100.9:5060>;expires=99",
    );
    assert_eq!(world.contacts().len(), 2);
    let gone = super::request("s", 2, "Contact: <sip:x7@10.0.0.9:5062>;expires=0");
    learn(&mut world, &gone, 200, "<sip:x7@198.51.100.7:61000>;expires=50");
    assert_eq!(world.contacts(), ["sip:x7@10.0.0.7:5062;ob"]);
}

#[test]
fn a_fetch_teaches_what_is_gone_and_nothing_else() {
    let mut world = World::closed();
    let first = request("r", 1, "Contact: <sip:alice@10.0.0.7>");
    learn(&mut world, &first, 200, "<sip:alice@10.0.0.7>;expires=99");
    let fetch = request("f", 1, "");
    assert_eq!(
        learn(
            &mut world,
            &fetch,
            200,
            "<sip:alice@10.0.0.7>;expires=98, <sip:alice@203.0.113.5>;expires=9"
        ),
        []
    );
    assert_eq!(
        world.contacts(),
        ["sip:alice@10.0.0.7"],
        "the flow of a contact that never passed is not known"
    );
}

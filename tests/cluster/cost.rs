//! What a cluster costs, by the number of its nodes: counted, never timed.
//!
//! `WARMLINE_NODES=1000 cargo test --release --test cluster cost -- --nocapture` adds another size.

use super::cells::{Cell, cells};
use super::sim::{Sim, Way, millis, seconds};
use super::store::Load;

/// The counts of one size.
#[derive(Clone, Copy, Debug)]
struct Cost {
    nodes: usize,
    /// Questions of membership to the store, a second and node, and in all.
    questions: f64,
    /// Rows shown to a renewal.
    watched: f64,
    /// Rows that looks at everything show, a second and node.
    looked: f64,
    /// Wake-ups of a process, a second.
    wakes: f64,
    /// Writes, rows and octets of a call, from INVITE to the last row gone.
    call: [f64; 3],
    /// The same of an attended transfer: consult, REFER, hang-up.
    transfer: [f64; 3],
    /// Octets that stand in the store while a call is up.
    standing: f64,
    /// Messages of a call that come at the wrong node, where the balancer knows nothing, and frames that they need.
    frames: f64,
    messages: f64,
}

fn per(load: Load, before: Load, calls: usize) -> [f64; 3] {
    let each = |now: u64, before: u64| (now - before) as f64 / calls as f64;
    [
        each(load.writes, before.writes),
        each(load.rows, before.rows),
        each(load.octets, before.octets),
    ]
}

fn measure(nodes: usize, relayed: bool) -> Cost {
    let mut sim = Sim::new(nodes, Way::Balancer);
    sim.relayed = relayed;
    sim.boot_all();
    sim.advance(seconds(20));
    let (load, traffic) = (sim.store.load, sim.traffic);
    sim.advance(seconds(200));
    let idle = 200.0 * nodes as f64;
    let (after, woken) = (sim.store.load, sim.traffic);
    let renewals = after.renewals - load.renewals;
    let questions = (after.membership() - load.membership()) as f64 / idle;
    let watched = (after.watched - load.watched) as f64 / renewals as f64;
    let looked = (after.looked - load.looked) as f64 / idle;
    let wakes = (woken.wakes - traffic.wakes) as f64 / idle;

    let some = nodes.min(20);
    let cells = cells(&mut sim, some);
    let before = sim.store.load;
    for cell in &cells {
        cell.call(&mut sim);
    }
    sim.advance(seconds(1));
    let standing = sim.store.octets_at_all() as f64 / some as f64;
    Cell::end_all(&mut sim, &cells);
    let call = per(sim.store.load, before, some);
    let before = sim.store.load;
    for cell in &cells {
        cell.call(&mut sim);
        cell.warm(&mut sim);
        cell.refer_attended(&mut sim);
        sim.advance(seconds(2));
    }
    Cell::end_all(&mut sim, &cells);
    let transfer = per(sim.store.load, before, some);

    // Every message comes at the next node but the one that has the call.
    for cell in &cells {
        cell.call(&mut sim);
        for phone in cell.phones() {
            sim.detour.insert(phone, (cell.host + 1) % nodes);
        }
    }
    let before = sim.traffic;
    for cell in &cells {
        cell.answers(&mut sim);
    }
    let frames = sim.traffic.forwarded + sim.traffic.sent_for - before.forwarded - before.sent_for;
    let messages = sim.traffic.received - before.received;
    Cell::end_all(&mut sim, &cells);
    Cost {
        nodes,
        questions,
        watched,
        looked,
        wakes,
        call,
        transfer,
        standing,
        frames: frames as f64 / some as f64,
        messages: messages as f64 / some as f64,
    }
}

fn print(cost: &Cost) {
    println!(
        "{:>5} nodes | {:.2} questions a second and node ({:.0} in all) | {:.1} rows watched, {:.1} looked at a second | \
         {:.1} wake-ups a second | a call: {:.1} writes, {:.1} rows, {:.0} octets, {:.0} standing | with a transfer: {:.1} writes, {:.1} \
         rows, {:.0} octets | at the wrong node: {:.1} frames for {:.1} messages",
        cost.nodes,
        cost.questions,
        cost.questions * cost.nodes as f64,
        cost.watched,
        cost.looked,
        cost.wakes,
        cost.call[0],
        cost.call[1],
        cost.call[2],
        cost.standing,
        cost.transfer[0],
        cost.transfer[1],
        cost.transfer[2],
        cost.frames,
        cost.messages,
    );
}

#[test]
fn what_a_node_costs_does_not_grow_with_the_number_of_nodes() {
    let more = std::env::var("WARMLINE_NODES")
        .ok()
        .and_then(|nodes| nodes.parse().ok());
    let costs: Vec<Cost> = [1, 10, 100]
        .into_iter()
        .chain(more)
        .map(|nodes| measure(nodes, false))
        .collect();
    costs.iter().for_each(print);
    println!("calls whose sound passes through the edge:");
    print(&measure(10, true));
    for cost in &costs {
        // Two renewals a second, and a look now and then.
        assert!((2.0..=2.2).contains(&cost.questions), "{cost:?}");
        assert!(
            cost.watched <= 3.5,
            "three watchers for each number, so three numbers for each process: {cost:?}"
        );
        assert!(cost.looked <= 11.0, "the more nodes, the rarer the looks: {cost:?}");
        assert!(cost.wakes <= 3.0, "{cost:?}");
        // A call is a call.
        for (ours, first) in cost.call.iter().zip(costs[0].call) {
            assert!((ours - first).abs() <= first * 0.15, "{cost:?}");
        }
        for (ours, first) in cost.transfer.iter().zip(costs[0].transfer) {
            assert!((ours - first).abs() <= first * 0.15, "{cost:?}");
        }
    }
    assert_eq!(costs[0].frames, 0.0);
    // One frame for each message that comes in, and one for each that goes out, at the most.
    assert!(
        costs[1..]
            .iter()
            .all(|cost| cost.frames >= cost.messages && cost.frames <= 3.0 * cost.messages)
    );
}

#[test]
fn a_death_is_told_once_to_everybody_and_claimed_once() {
    for nodes in [10, 100] {
        let mut sim = Sim::new(nodes, Way::Balancer);
        sim.boot_all();
        sim.advance(seconds(3));
        let (load, traffic) = (sim.store.load, sim.traffic);
        sim.kill(5);
        sim.until(seconds(4), |sim| sim.server_of(5).is_some())
            .expect("taken over");
        sim.advance(millis(800));
        let claims = sim.store.load.claims - load.claims;
        let (pings, told) = (sim.traffic.pings - traffic.pings, sim.traffic.told - traffic.told);
        println!("{nodes} nodes: {claims} claims, {pings} pings, {told} told");
        assert_eq!(claims, 1, "the others waited their turn");
        assert!(pings <= 6, "{pings}");
        assert_eq!(told, nodes as u64 - 2);
    }
}

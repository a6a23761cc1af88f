//! A hundred nodes.

use std::collections::BTreeMap;

use super::cells::{Cell, cells};
use super::sim::{Note, Sim, Way, seconds};

#[test]
fn a_hundred_nodes_of_which_twenty_die() {
    let mut sim = Sim::new(100, Way::Balancer);
    sim.boot_all();
    let cells = cells(&mut sim, 100);
    for cell in &cells {
        cell.call(&mut sim);
    }
    // Two at once, twice; then a rack of eleven; then five of those who took over.
    let mut gaps = Vec::new();
    for dead in [vec![3, 4], vec![40, 77], (10..21).collect::<Vec<usize>>()] {
        for host in &dead {
            sim.kill(*host);
        }
        let died = sim.now;
        sim.advance(seconds(4));
        let served = sim
            .notes
            .iter()
            .filter(|(at, note)| *at >= died && matches!(note, Note::Served { .. }));
        gaps.extend(served.map(|(at, _)| *at - died));
        assert!(gaps.len() >= dead.len());
    }
    gaps.sort();
    println!("taken over after {:?} to {:?}", gaps[0], gaps[gaps.len() - 1]);
    assert_eq!(gaps.len(), 15);
    assert!(gaps.iter().all(|gap| *gap <= seconds(3)), "{gaps:?}");
    let busiest = |sim: &Sim| {
        (0..100)
            .max_by_key(|host| sim.served_by_others(*host))
            .expect("a hundred")
    };
    for _ in 0..5 {
        let host = busiest(&sim);
        sim.kill(host);
        sim.advance(seconds(4));
    }
    sim.advance(seconds(10));
    let mut adopted: BTreeMap<usize, usize> = BTreeMap::new();
    for node in 0..100 {
        let server = sim.server_of(node).unwrap_or_else(|| panic!("node {node} has nobody"));
        if usize::from(node) != server {
            *adopted.entry(server).or_default() += 1;
        }
    }
    println!(
        "20 dead numbers at {} survivors: {:?}",
        adopted.len(),
        adopted.values().collect::<Vec<_>>()
    );
    assert!(
        adopted.len() >= 10 && adopted.values().all(|numbers| *numbers <= 4),
        "{adopted:?}"
    );
    println!(
        "claims {} of which lost {}",
        sim.store.load.claims, sim.store.load.lost_claims
    );
    for cell in &cells {
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
    assert_eq!(sim.store.holders().len(), 80, "a number for each that lives");
}

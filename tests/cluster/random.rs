//! Random programs of deaths, returns, partitions, stops and store faults, over calls that nobody hangs up.
//!
//! ```text
//! WARMLINE_SEED=17 cargo test --test cluster random          # one program again
//! WARMLINE_PROGRAMS=2000 cargo test --test cluster random    # a night of them
//! ```

use std::collections::BTreeSet;

use super::cells::{Cell, cells};
use super::sim::{Sim, Way, millis, seconds};
use super::store::Health;

/// Dice that fall the same way for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }
}

const HOSTS: usize = 6;

fn living(sim: &Sim) -> Vec<usize> {
    (0..HOSTS).filter(|host| sim.lives(*host)).collect()
}

fn step(sim: &mut Sim, dice: &mut Dice) {
    let host = dice.throw(HOSTS);
    match dice.throw(9) {
        0 | 1 if living(sim).len() > 1 => sim.kill(host),
        2 | 3 if !sim.lives(host) => sim.boot(host),
        4 => sim.hosts[host].cut = !sim.hosts[host].cut,
        5 => sim.hosts[host].storeless = !sim.hosts[host].storeless,
        6 => {
            sim.store.health = [Health::Well, Health::Well, Health::Gone, Health::ReadOnly][dice.throw(4)];
        }
        7 => sim.store_latency = [millis(1), millis(1), millis(400), seconds(1)][dice.throw(4)],
        8 if sim.lives(host) => match sim.is_frozen(host) {
            true => sim.thaw(host),
            false => sim.freeze(host),
        },
        _ => {}
    }
    sim.advance(millis(50 * dice.throw(80) as u64));
}

/// Everything is as it should be again, and every host has a process.
fn heal(sim: &mut Sim) {
    sim.store.health = Health::Well;
    sim.store_latency = millis(1);
    for host in 0..HOSTS {
        (sim.hosts[host].cut, sim.hosts[host].storeless) = (false, false);
        if sim.is_frozen(host) {
            sim.thaw(host);
        }
        if !sim.lives(host) {
            sim.boot(host);
        }
    }
    sim.advance(seconds(20));
}

/// Each claim has a process that lives and serves it under that token, and no process serves anything else.
fn one_owner_each(sim: &Sim, seed: u64) {
    let claimed: BTreeSet<_> = sim
        .store
        .claims()
        .map(|claim| (claim.node, claim.token, claim.card.map(|card| card.holder)))
        .collect();
    let served: BTreeSet<_> = living(sim)
        .into_iter()
        .flat_map(|host| {
            let process = sim.process(host);
            let holder = Some(process.holder());
            assert!(
                process.membership.home().is_some(),
                "seed {seed}: host {host} has no home"
            );
            assert_eq!(
                process.serving.keys().copied().collect::<Vec<_>>(),
                process.membership.held().map(|held| held.node).collect::<Vec<_>>(),
                "seed {seed}: host {host}"
            );
            process
                .membership
                .held()
                .map(move |held| (held.node, held.token, holder))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(claimed, served, "seed {seed}");
}

fn program(seed: u64) {
    let mut dice = Dice(seed);
    let mut sim = Sim::new(
        HOSTS,
        if seed.is_multiple_of(2) {
            Way::Balancer
        } else {
            Way::Takeover
        },
    );
    sim.durable = true;
    sim.boot_all();
    let cells = cells(&mut sim, HOSTS);
    for cell in &cells {
        cell.call(&mut sim);
    }
    for _ in 0..8 + dice.throw(8) {
        step(&mut sim, &mut dice);
    }
    heal(&mut sim);
    one_owner_each(&sim, seed);
    for cell in &cells {
        let calls = cell.phones().map(|phone| super::cells::live(&sim, phone).len());
        assert_eq!(calls, [1, 1, 0], "seed {seed}: {cell:?}");
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn random_faults_leave_one_owner_for_each_number_and_every_call_up() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    if let Some(seed) = number("WARMLINE_SEED") {
        program(seed);
        return;
    }
    for seed in 0..number("WARMLINE_PROGRAMS").unwrap_or(40) {
        program(seed);
    }
}

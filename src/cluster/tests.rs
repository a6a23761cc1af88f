//! One process against answers made by hand. Many of them with a store and engines: `tests/cluster.rs`.

use std::time::{Duration, Instant};

use super::*;

mod whereto;

const LEASE: Duration = Duration::from_secs(2);

fn card(n: u64) -> Card {
    Card {
        holder: Holder(n),
        link: std::net::SocketAddr::from(([192, 0, 2, n as u8], 7060)),
    }
}

fn listener(n: u64) -> std::net::SocketAddr {
    std::net::SocketAddr::from(([192, 0, 2, n as u8], 5060))
}

fn claim(node: u16, token: u64, holder: u64) -> Claim {
    Claim {
        node,
        token,
        card: Some(card(holder)),
        listeners: vec![listener(holder)],
    }
}

fn held(node: u16, token: u64) -> Held {
    Held { node, token }
}

/// A process, the claims that the store shows it, and what it said.
struct Bench {
    now: Instant,
    this: Membership,
    store: Vec<Seen>,
    token: u64,
    /// What the store does: answers, fails, or says nothing.
    answers: Store,
    pongs: bool,
    said: Vec<Output>,
    renewals: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Store {
    Answers,
    Fails,
    IsSilent,
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    fn new(wanted: Option<u16>, others: &[(u16, u64, u64)]) -> Bench {
        let now = Instant::now();
        let terms = Terms {
            wanted,
            listeners: vec![listener(1)],
            ..Terms::default()
        };
        let mut bench = Bench {
            now,
            this: Membership::new(terms, card(1), now),
            store: others
                .iter()
                .map(|(node, token, holder)| Seen {
                    claim: claim(*node, *token, *holder),
                    beat: 0,
                })
                .collect(),
            token: 100,
            answers: Store::Answers,
            pongs: false,
            said: Vec::new(),
            renewals: 0,
        };
        bench.this.handle_timeout(now);
        bench.pump();
        bench
    }

    fn pump(&mut self) {
        while let Some(output) = self.this.poll_output() {
            match &output {
                Output::Store { id, order } => match self.answers {
                    Store::Answers => {
                        let (id, answer) = (*id, self.perform(order.clone()));
                        self.this.handle_input(self.now, Input::Answered { id, answer });
                    }
                    Store::Fails => self.this.handle_input(self.now, Input::Failed { id: *id }),
                    Store::IsSilent => {}
                },
                Output::Ping { held, .. } => {
                    let input = match self.pongs {
                        true => Input::PeerPinged(*held),
                        false => Input::PeerSilent { node: held.node },
                    };
                    self.this.handle_input(self.now, input);
                    self.said.push(output);
                }
                Output::Serve { .. }
                | Output::Fenced(_)
                | Output::Reclaimed(_)
                | Output::Released(_)
                | Output::Tell(_)
                | Output::Alarm(_) => self.said.push(output),
            }
        }
    }

    fn perform(&mut self, order: StoreOrder) -> StoreAnswer {
        match order {
            StoreOrder::Renew { held, watch } => {
                self.renewals += 1;
                let stands = |held: &Held| self.claim(held.node);
                let is_theirs = |held: &&Held| stands(held).is_none_or(|claim| claim.token != held.token);
                let refused = held
                    .iter()
                    .filter(is_theirs)
                    .map(|held| (*held, stands(held)))
                    .collect();
                let seen = self.store.iter().filter(|seen| watch.contains(&seen.claim.node));
                let seen = seen.cloned().collect();
                StoreAnswer::Renewed { refused, seen }
            }
            StoreOrder::Look => StoreAnswer::Looked(self.store.clone()),
            StoreOrder::Claim {
                node,
                expected,
                card,
                listeners,
                above,
            } => {
                let by = self.claim(node);
                if by.as_ref().map(|claim| claim.token) != expected {
                    return StoreAnswer::Lost { node, by };
                }
                self.token = self.token.max(above) + 1;
                let token = self.token;
                let card = Some(card);
                self.put(Claim {
                    node,
                    token,
                    card,
                    listeners,
                });
                StoreAnswer::Won(held(node, token))
            }
            StoreOrder::Release { held, empty } => {
                let at = self.store.iter().position(|seen| seen.claim.node == held.node).unwrap();
                match empty {
                    true => drop(self.store.remove(at)),
                    false => self.store[at].claim.card = None,
                }
                StoreAnswer::Released
            }
        }
    }

    fn claim(&self, node: u16) -> Option<Claim> {
        self.store
            .iter()
            .map(|seen| seen.claim.clone())
            .find(|claim| claim.node == node)
    }

    fn put(&mut self, claim: Claim) {
        self.store.retain(|seen| seen.claim.node != claim.node);
        self.store.push(Seen { claim, beat: 0 });
    }

    /// Time goes by; these others renew.
    fn advance(&mut self, time: Duration, renewing: &[u16]) {
        let end = self.now + time;
        while let Some(next) = self.this.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            for seen in &mut self.store {
                seen.beat += u64::from(renewing.contains(&seen.claim.node));
            }
            self.this.handle_timeout(self.now);
            self.pump();
        }
        self.now = end;
    }

    fn tell(&mut self, input: Input) {
        self.this.handle_input(self.now, input);
        self.pump();
    }

    fn serves(&self) -> Vec<u16> {
        self.this.held().map(|held| held.node).collect()
    }

    fn said(&self, wanted: impl Fn(&Output) -> bool) -> usize {
        self.said.iter().filter(|output| wanted(output)).count()
    }

    fn pings(&self) -> usize {
        self.said(|output| matches!(output, Output::Ping { .. }))
    }
}

#[test]
fn the_first_process_gets_what_it_wants_and_renews_four_times_a_lease() {
    let mut bench = Bench::new(Some(7), &[]);
    assert_eq!(bench.this.home(), Some(held(7, 101)));
    assert!(bench.said.contains(&Output::Serve {
        held: held(7, 101),
        home: true,
        from: None
    }));
    let before = bench.renewals;
    bench.advance(LEASE * 10, &[]);
    assert_eq!(bench.renewals - before, 40);
}

#[test]
fn who_finds_its_number_taken_gets_a_free_one() {
    let mut bench = Bench::new(Some(7), &[(7, 3, 2)]);
    let home = bench.this.home().unwrap();
    assert_ne!(home.node, 7);
    bench.advance(LEASE * 10, &[7]);
    assert_eq!(bench.serves(), [home.node]);
    assert_eq!(bench.pings(), 0);
}

#[test]
fn a_number_without_a_beat_is_pinged_and_adopted_after_its_lease_and_not_before() {
    let mut bench = Bench::new(None, &[(7, 3, 2)]);
    bench.advance(LEASE - Duration::from_millis(1), &[]);
    assert!(bench.pings() > 0);
    assert!(!bench.serves().contains(&7));
    assert_eq!(
        bench.this.place_of(7),
        Place::Nowhere,
        "its messages are kept meanwhile"
    );
    bench.advance(LEASE / 4 + LEASE / 16, &[]);
    assert!(bench.serves().contains(&7));
    assert_eq!(bench.this.place_of(7), Place::Here);
    let home = bench.this.home().unwrap().node;
    assert_ne!(home, 7, "new calls begin under our own number");
}

#[test]
fn who_answers_a_ping_is_left_alone_though_its_beat_stands_still() {
    let mut bench = Bench::new(None, &[(7, 3, 2)]);
    bench.pongs = true;
    bench.advance(LEASE * 20, &[]);
    assert!(bench.pings() > 10);
    assert!(!bench.serves().contains(&7));
    assert_eq!(bench.this.place_of(7), Place::Peer(card(2).link));
}

#[test]
fn nobody_is_taken_over_while_the_store_does_not_answer() {
    for store in [Store::Fails, Store::IsSilent] {
        let mut bench = Bench::new(None, &[(7, 3, 2)]);
        bench.advance(LEASE / 2 + LEASE / 4, &[7]);
        bench.answers = store;
        bench.advance(LEASE * 20, &[]);
        assert_eq!(
            bench.said(|output| *output == Output::Alarm(Alarm::StoreUnreachable)),
            1
        );
        assert!(!bench.serves().contains(&7));
        // What stood still while nobody could renew says nothing: the lease begins anew.
        bench.answers = Store::Answers;
        bench.advance(LEASE, &[]);
        assert!(!bench.serves().contains(&7));
        assert_eq!(
            bench.said(|output| matches!(output, Output::Alarm(Alarm::StoreBack { .. }))),
            1
        );
        bench.advance(LEASE, &[]);
        assert!(bench.serves().contains(&7));
    }
}

#[test]
fn a_higher_token_fences_however_it_is_learned() {
    // A refused write, a peer, a refused renewal.
    let ways: [fn(&mut Bench, Held); 3] = [
        |bench, held| {
            bench.tell(Input::WriteRefused {
                held,
                stands: Some(held.token + 50),
            })
        },
        |bench, held| bench.tell(Input::Told(claim(held.node, held.token + 50, 2))),
        |bench, held| {
            bench.put(claim(held.node, held.token + 50, 2));
            bench.advance(LEASE / 4, &[]);
        },
    ];
    for way in ways {
        let mut bench = Bench::new(Some(7), &[]);
        let ours = bench.this.home().unwrap();
        bench.put(claim(ours.node, ours.token + 50, 2));
        way(&mut bench, ours);
        assert!(bench.said.contains(&Output::Fenced(ours)));
        bench.advance(LEASE, &[ours.node]);
        let home = bench.this.home().expect("another number");
        assert_ne!(home.node, ours.node);
        assert_eq!(bench.said(|output| matches!(output, Output::Fenced(_))), 1);
    }
}

#[test]
fn a_store_that_lost_everything_costs_nobody_a_call() {
    let mut bench = Bench::new(Some(7), &[(9, 3, 2)]);
    let ours = bench.this.home().unwrap();
    bench.store.clear();
    bench.token = 0;
    bench.advance(LEASE / 2, &[]);
    let again = bench.this.home().expect("it goes on");
    assert!(again.node == ours.node && again.token > ours.token);
    assert!(bench.said.contains(&Output::Reclaimed(again)));
    assert_eq!(bench.said(|output| matches!(output, Output::Fenced(_))), 0);
    // The same when a write is the first to find out.
    bench.store.clear();
    bench.tell(Input::WriteRefused {
        held: again,
        stands: None,
    });
    assert!(
        bench
            .this
            .home()
            .is_some_and(|home| home.node == 7 && home.token > again.token)
    );
}

#[test]
fn our_own_new_token_fences_us_not() {
    let mut bench = Bench::new(Some(7), &[]);
    let ours = bench.this.home().unwrap();
    bench.store.clear();
    bench.answers = Store::IsSilent;
    bench.tell(Input::WriteRefused {
        held: ours,
        stands: None,
    });
    // The claim was done; its answer is under way, and another write meets the new token.
    bench.tell(Input::WriteRefused {
        held: ours,
        stands: Some(ours.token + 1),
    });
    assert_eq!(bench.this.home(), Some(ours));
    assert_eq!(bench.said(|output| matches!(output, Output::Fenced(_))), 0);
}

#[test]
fn old_news_fence_nobody() {
    let mut bench = Bench::new(Some(7), &[]);
    let ours = bench.this.home().unwrap();
    bench.tell(Input::WriteRefused {
        held: held(7, ours.token - 1),
        stands: Some(ours.token),
    });
    bench.tell(Input::Told(claim(7, ours.token - 1, 2)));
    bench.tell(Input::Told(claim(7, ours.token, 1)));
    assert_eq!(bench.this.home(), Some(ours));
    assert_eq!(bench.said(|output| matches!(output, Output::Fenced(_))), 0);
    // Who is mistaken is told.
    assert!(bench.said(|output| *output == Output::Tell(claim(7, ours.token, 1))) >= 2);
}

#[test]
fn a_claim_whose_answer_was_lost_is_found_again() {
    let mut bench = Bench::new(None, &[(7, 3, 2)]);
    bench.advance(LEASE / 2, &[]);
    // The store does what it is asked and nobody hears of it.
    bench.put(claim(7, 3, 2));
    let mut claimed = false;
    let end = bench.now + LEASE * 10;
    while !bench.serves().contains(&7) {
        assert!(bench.now < end, "the claim was granted and nobody found out");
        let next = bench.this.poll_timeout().unwrap();
        bench.now = next;
        bench.this.handle_timeout(next);
        while let Some(output) = bench.this.poll_output() {
            if let Output::Store { id, order } = output {
                let answer = bench.perform(order.clone());
                let heard = claimed || !matches!(order, StoreOrder::Claim { node: 7, .. });
                claimed |= !heard;
                let input = match heard {
                    true => Input::Answered { id, answer },
                    false => Input::Failed { id },
                };
                bench.this.handle_input(next, input);
            }
        }
    }
    assert_eq!(bench.claim(7).unwrap().card, Some(card(1)));
}

#[test]
fn an_emptied_adoption_is_given_back_and_the_home_is_not() {
    let mut bench = Bench::new(None, &[(7, 3, 2)]);
    bench.advance(LEASE * 2, &[]);
    let home = bench.this.home().unwrap();
    bench.tell(Input::Emptied { node: 7 });
    bench.tell(Input::Emptied { node: home.node });
    assert_eq!(bench.serves(), [home.node]);
    assert_eq!(bench.claim(7), None);
    bench.tell(Input::Leaving);
    bench.tell(Input::Emptied { node: home.node });
    assert!(bench.serves().is_empty() && bench.store.is_empty());
    bench.advance(LEASE * 10, &[]);
    assert!(bench.serves().is_empty());
}

#[test]
fn what_was_given_up_with_records_is_taken_at_once() {
    let mut bench = Bench::new(None, &[(7, 3, 2)]);
    bench.store[0].claim.card = None;
    bench.store[0].claim.token = 4;
    bench.advance(LEASE / 4 + LEASE / 4 + LEASE / 16, &[]);
    assert!(bench.serves().contains(&7));
    assert_eq!(bench.pings(), 0);
}

#[test]
fn who_finds_every_number_taken_says_so_once_and_waits() {
    let mut bench = Bench::new(None, &[]);
    bench.this = Membership::new(
        Terms {
            pool: 3..=4,
            ..Terms::default()
        },
        card(1),
        bench.now,
    );
    bench.store = [(3, 1, 2), (4, 2, 3)]
        .map(|(node, token, holder)| Seen {
            claim: claim(node, token, holder),
            beat: 0,
        })
        .to_vec();
    bench.advance(LEASE * 4, &[3, 4]);
    assert_eq!(bench.this.home(), None);
    assert_eq!(bench.said(|output| *output == Output::Alarm(Alarm::PoolExhausted)), 1);
    bench.store.remove(0);
    bench.advance(LEASE, &[4]);
    assert_eq!(bench.this.home().map(|home| home.node), Some(3));
}

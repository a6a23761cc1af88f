//! What a process asks for: the store, its peers, its engines.

use std::time::Duration;

use warmline::cluster::{Input, Output as Order};

use super::super::process::{Process, Wish};
use super::super::store::{Answer, Question};
use super::{Actor, Flight, Frame, LEASE, LINK, Note, PATIENCE, Sim, Way, seconds};

impl Sim {
    pub(super) fn answered(&mut self, host: usize, answer: Answer) {
        let (now, start) = (self.now, self.start);
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        match answer {
            Answer::Order(id, Some(answer)) => process.membership.handle_input(now, Input::Answered { id, answer }),
            Answer::Order(id, None) => process.membership.handle_input(now, Input::Failed { id }),
            Answer::Written(held, done) => {
                process.written(held, done.map(|stands| stands == Some(held.token)));
                match done {
                    Some(stands) if stands != Some(held.token) => {
                        process
                            .membership
                            .handle_input(now, Input::WriteRefused { held, stands });
                    }
                    Some(_) => {}
                    None => self.retry_later(host),
                }
            }
            Answer::Users(done) => {
                process.users_written(done);
                if done.is_none() {
                    self.retry_later(host);
                }
            }
            Answer::Records(held, Some(records)) => {
                let claim = process.membership.claim_of(held.node);
                let own = process.settings.listeners[0].address;
                let listeners = match self.way {
                    Way::Takeover => claim.map_or(vec![own], |claim| claim.listeners),
                    Way::Balancer => vec![own],
                };
                process.begin(now, held, &listeners, start, records);
                if self.way == Way::Takeover {
                    for address in listeners {
                        // An address whose host has a process of its own does not move.
                        let native = self.hosts.iter().position(|host| host.sip == address);
                        if native.is_none_or(|native| !self.lives(native) || self.hosts[native].cut) {
                            self.addresses.insert(address, host);
                        }
                    }
                }
            }
            Answer::Records(held, None) => self.ask(host, Question::Read(held), seconds(1)),
        }
        self.pump(host);
    }

    /// The queue is looked at again; nothing else is due.
    pub(super) fn retry_later(&mut self, host: usize) {
        let life = self.hosts[host].life;
        let answer = Answer::Users(Some(()));
        // An answer to nothing wakes the host.
        self.fly(LEASE / 8, Flight::Answer { host, life, answer });
    }

    pub(super) fn ask(&mut self, host: usize, question: Question, after: Duration) {
        let life = self.hosts[host].life;
        if self.hosts[host].cut || self.hosts[host].storeless {
            // Silence: membership has a patience of its own, the driver one for the rest.
            let answer = match question {
                Question::Order(..) => return,
                Question::Write { held, .. } => Answer::Written(held, None),
                Question::Users(_) => Answer::Users(None),
                Question::Read(held) => Answer::Records(held, None),
            };
            self.fly(PATIENCE, Flight::Answer { host, life, answer });
            return;
        }
        self.fly(self.store_latency + after, Flight::Store { host, life, question });
    }

    /// Does what the process wants done, and what follows from it at once.
    pub(super) fn pump(&mut self, host: usize) {
        self.again(host);
        for _ in 0..100 {
            let Some(process) = &mut self.hosts[host].process else {
                break;
            };
            let wishes = process.wishes(true);
            if wishes.is_empty() {
                break;
            }
            for wish in wishes {
                match wish {
                    Wish::Store(question) => self.ask(host, question, Duration::ZERO),
                    Wish::Transmit(flow, bytes) => self.transmit(host, flow, bytes),
                    Wish::Cluster(order) => self.obey(host, order),
                }
            }
            if let Some(process) = &mut self.hosts[host].process {
                for node in process.emptied() {
                    process.membership.handle_input(self.now, Input::Emptied { node });
                }
            }
        }
        self.touch(Actor::Host(host));
    }

    pub(super) fn obey(&mut self, host: usize, order: Order) {
        let note = |sim: &mut Sim, note| sim.notes.push((sim.now, note));
        match order {
            Order::Store { id, order } => self.ask(host, Question::Order(id, order), Duration::ZERO),
            Order::Ping { held, link } => {
                self.traffic.pings += 1;
                self.link(host, Some(held.node), link, Frame::Ping(held));
            }
            Order::Serve { held, home, .. } => {
                note(self, Note::Served { host, held, home });
                self.process_mut(host).serve(held, home);
                self.ask(host, Question::Read(held), Duration::ZERO);
            }
            Order::Reclaimed(held) => {
                let now = self.now;
                self.process_mut(host).reclaimed(now, held);
            }
            Order::Fenced(held) => {
                note(self, Note::Fenced { host, held });
                self.process_mut(host).serving.remove(&held.node);
            }
            Order::Released(held) => {
                note(self, Note::Released { held });
                self.process_mut(host).serving.remove(&held.node);
            }
            Order::Tell(claim) => {
                for to in 0..self.hosts.len() {
                    if to != host && self.lives(to) && !self.hosts[to].cut && !self.hosts[host].cut {
                        self.traffic.told += 1;
                        let frame = Frame::Told(claim.clone());
                        self.fly(LINK, Flight::Link { from: host, to, frame });
                    }
                }
            }
            Order::Alarm(alarm) => note(self, Note::Alarm { host, alarm }),
        }
    }

    pub(super) fn process_mut(&mut self, host: usize) -> &mut Process {
        self.hosts[host].process.as_mut().expect("it lives")
    }
}

//! Three phones at one node: an operator, a customer, a consult.

use warmline::phone::{CallState, PhoneCall};

use super::sim::{Sim, millis, seconds};

/// Three phones that know one host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) host: usize,
    pub(crate) operator: usize,
    pub(crate) customer: usize,
    pub(crate) consult: usize,
}

/// One cell at each of the first hosts, all registered.
pub(crate) fn cells(sim: &mut Sim, hosts: usize) -> Vec<Cell> {
    let cells: Vec<Cell> = (0..hosts).map(|host| Cell::new(sim, host)).collect();
    sim.advance(seconds(1));
    for cell in &cells {
        for phone in cell.phones() {
            assert!(sim.phones[phone].is_registered(), "{}", sim.phones[phone].config().user);
        }
    }
    cells
}

impl Cell {
    fn new(sim: &mut Sim, host: usize) -> Cell {
        let mut phone = |role: &str| {
            let phone = sim.add_phone(&format!("{role}{host}"), host);
            sim.at(phone, |phone, now| phone.register(now));
            phone
        };
        Cell {
            host,
            operator: phone("operator"),
            customer: phone("customer"),
            consult: phone("consult"),
        }
    }

    pub(crate) fn phones(&self) -> [usize; 3] {
        [self.operator, self.customer, self.consult]
    }

    /// The customer calls the operator, who answers.
    pub(crate) fn call(&self, sim: &mut Sim) {
        self.dial(sim, self.customer, self.operator);
    }

    /// The operator holds the customer and talks with the consult.
    pub(crate) fn warm(&self, sim: &mut Sim) {
        let [customer] = live(sim, self.operator)[..] else {
            panic!("one call")
        };
        sim.at(self.operator, |phone, now| phone.hold(now, customer))
            .expect("it is up");
        sim.advance(millis(100));
        self.dial(sim, self.operator, self.consult);
    }

    fn dial(&self, sim: &mut Sim, from: usize, to: usize) {
        let uri = sim.phones[to].config().aor();
        sim.phones[to].script().auto_answer = Some(millis(20));
        let call = sim.at(from, |phone, now| phone.call(now, &uri));
        let up = |sim: &Sim| sim.phones[from].state(call) == Some(CallState::Connected);
        sim.until(seconds(3), up).unwrap_or_else(|| panic!("{from} calls {to}"));
        sim.advance(millis(20));
    }

    /// The consult is handed the customer.
    pub(crate) fn refer_attended(&self, sim: &mut Sim) {
        let [customer, consult] = live(sim, self.operator)[..] else {
            panic!("two calls")
        };
        sim.at(self.operator, |phone, now| phone.refer_attended(now, customer, consult))
            .expect("both are up");
    }

    /// The customer is sent to the consult.
    pub(crate) fn refer(&self, sim: &mut Sim) {
        let [customer] = live(sim, self.operator)[..] else {
            panic!("one call")
        };
        let uri = sim.phones[self.consult].config().aor();
        sim.phones[self.consult].script().auto_answer = Some(millis(20));
        sim.at(self.operator, |phone, now| phone.refer(now, customer, &uri))
            .expect("it is up");
    }

    /// Every dialog of the cell answers a request within it.
    pub(crate) fn answers(&self, sim: &mut Sim) {
        for phone in self.phones() {
            for call in live(sim, phone) {
                let held = sim.phones[phone].is_holding(call);
                let turn = |sim: &mut Sim, hold: bool| {
                    let done = sim.at(phone, |phone, now| match hold {
                        true => phone.hold(now, call),
                        false => phone.resume(now, call),
                    });
                    done.expect("it is up");
                    let turned = |sim: &Sim| sim.phones[phone].is_holding(call) == hold;
                    if sim.until(seconds(8), turned).is_none() {
                        sim.print_lines(phone);
                        panic!("{} is not answered", sim.phones[phone].config().user);
                    }
                    sim.advance(millis(50));
                };
                turn(sim, !held);
                turn(sim, held);
            }
        }
    }

    /// Everybody hangs up, and nothing is left: in no phone, in no process, in the store.
    pub(crate) fn end_all(sim: &mut Sim, cells: &[Cell]) {
        for _ in 0..4 {
            for phone in cells.iter().flat_map(Cell::phones) {
                for call in live(sim, phone) {
                    let done = sim.at(phone, |phone, now| match phone.state(call) {
                        Some(CallState::Ringing) => phone.reject(now, call, 480),
                        Some(CallState::Calling | CallState::Early) => phone.cancel(now, call),
                        Some(CallState::Connected | CallState::Ended(_)) | None => phone.bye(now, call),
                    });
                    done.ok(); // it ended by itself meanwhile
                }
            }
            sim.advance(seconds(2));
        }
        sim.advance(seconds(40));
        for phone in cells.iter().flat_map(Cell::phones) {
            assert_eq!(live(sim, phone), [], "{}", sim.phones[phone].config().user);
        }
        for host in 0..sim.hosts.len() {
            if sim.lives(host) {
                assert_eq!(sim.process(host).dialogs(), 0, "host {host}");
                assert_eq!(sim.process(host).serving.len(), 1, "host {host} serves its home only");
                assert!(
                    sim.process(host).ended.values().all(|ends| *ends == 1),
                    "a transfer ended twice"
                );
            }
        }
        assert_eq!(sim.store.kept_at_all(), 0, "records are left");
    }
}

/// The calls that a phone has.
pub(crate) fn live(sim: &Sim, phone: usize) -> Vec<PhoneCall> {
    sim.phones[phone].live()
}

use super::*;
use crate::engine::{Cause, HubNote, Role};

fn leg(slot: u32) -> LegHandle {
    LegHandle { slot, generation: 0 }
}

fn call(slot: u32) -> CallHandle {
    CallHandle { slot, generation: 0 }
}

fn party(name: &str) -> String {
    format!("sip:{name}@example.test")
}

/// Shows records events, one a second.
struct Told {
    records: Records,
    at: u64,
}

impl Told {
    fn new(keep: usize) -> Told {
        let records = Records::new(keep);
        Told { records, at: 0 }
    }

    fn tell(&mut self, event: Event) {
        self.at += 1_000;
        self.records.event(Moment(self.at), &event);
    }

    fn starts(&mut self, slot: u32, of: u32, name: &str, inbound: bool) {
        self.tell(Event::LegStarted {
            leg: leg(slot),
            call: Some(call(of)),
            transfer: None,
            inbound,
            party: party(name),
            call_id: String::new(),
        });
    }

    fn joins(&mut self, slot: u32, of: u32) {
        let role = Role::default();
        self.tell(Event::Hub(HubNote::Joined {
            call: call(of),
            leg: leg(slot),
            role,
        }));
    }

    fn ends(&mut self, slot: u32) {
        let cause = Cause::Party;
        self.tell(Event::LegEnded { leg: leg(slot), cause });
    }

    /// A caller for an application, and who serves it: leg `slot` and the next one in hub `slot`.
    fn served(&mut self, slot: u32, customer: &str, agent: &str) {
        self.starts(slot, slot, customer, true);
        self.tell(Event::Hub(HubNote::Arrived {
            call: call(slot),
            leg: leg(slot),
            application: "sales".to_owned(),
            from: party(customer),
            to: party("5000"),
            headers: Vec::new(),
        }));
        self.joins(slot, slot);
        self.starts(slot + 1, slot, agent, false);
        self.joins(slot + 1, slot);
    }

    fn all(&self) -> Vec<Arc<Record>> {
        self.records.all()
    }
}

#[test]
fn a_caller_who_is_moved_alone_stays_one_customer() {
    let mut told = Told::new(9);
    told.starts(1, 1, "customer", true);
    told.joins(1, 1);
    told.starts(5, 5, "agent", false);
    told.joins(5, 5);
    told.joins(1, 5); // into the hub in which the agent waits
    let [record] = &told.all()[..] else {
        panic!("{:#?}", told.all())
    };
    assert_eq!((record.legs.len(), record.joined.len()), (2, 1));
    assert_eq!(record.calls, [call(1), call(5)]);
    assert_eq!(record.from, party("customer"));
}

#[test]
fn a_consult_in_a_hub_of_its_own_is_joined_to_the_customer() {
    let mut told = Told::new(9);
    told.served(1, "customer", "agent");
    told.starts(10, 10, "agent", false);
    told.joins(10, 10);
    told.starts(11, 10, "expert", false);
    told.joins(11, 10);
    assert_eq!(told.all().len(), 2);
    told.joins(11, 1); // the agent's other leg stays behind, and the agent is here too
    let [record] = &told.all()[..] else {
        panic!("{:#?}", told.all())
    };
    assert_eq!(record.legs.len(), 4);
    assert_eq!(
        record.legs.iter().find(|kept| kept.leg == leg(11)).unwrap().came,
        Came::Consulted
    );
}

#[test]
fn an_agent_who_is_moved_to_another_customer_is_in_both_records() {
    let mut told = Told::new(9);
    told.served(1, "one", "ann");
    told.served(11, "other", "bea");
    told.joins(2, 11); // ann, while her customer stays behind
    let [first, second] = &told.all()[..] else {
        panic!("{:#?}", told.all())
    };
    let gone = first.legs.iter().find(|kept| kept.leg == leg(2)).unwrap();
    assert_eq!(
        gone.went,
        Some(Went::Moved {
            record: second.id.clone()
        })
    );
    let come = second.legs.iter().find(|kept| kept.leg == leg(2)).unwrap();
    assert_eq!((come.came, come.ended_at), (Came::Moved, None));
    told.ends(1);
    assert!(
        told.all()
            .iter()
            .any(|record| record.from == party("one") && record.ended_at.is_some())
    );
    for slot in [2, 11, 12] {
        told.ends(slot);
    }
    assert!(told.all().iter().all(|record| record.ended_at.is_some()));
    assert_eq!(told.all().len(), 2);
}

#[test]
fn a_recording_is_waited_for_but_not_for_ever() {
    for finishes in [true, false] {
        let mut told = Told::new(9);
        told.served(1, "customer", "agent");
        let recording = "r1".to_owned();
        told.tell(Event::Media(MediaNote::RecordingStarted {
            leg: leg(1),
            recording: recording.clone(),
        }));
        told.ends(2);
        told.ends(1);
        assert!(told.records.poll_finished().is_none(), "its recording is being written");
        if finishes {
            let milliseconds = 7;
            told.tell(Event::Media(MediaNote::RecordingFinished {
                leg: leg(1),
                recording,
                milliseconds,
            }));
        } else {
            told.records.settle(Moment(told.at + WRITING));
        }
        let record = told.records.poll_finished().expect("complete");
        assert_eq!(record.recordings[0].milliseconds, finishes.then_some(7));
    }
}

#[test]
fn memory_is_bounded_in_every_direction() {
    let mut told = Told::new(3);
    for slot in 0..10 {
        told.starts(slot, slot, "customer", true);
        told.ends(slot);
        told.tell(Event::CallEnded {
            call: call(slot),
            cause: Cause::Party,
        });
    }
    assert_eq!(told.all().len(), 3);
    let nothing = (
        told.records.open.len(),
        told.records.legs.len(),
        told.records.calls.len(),
    );
    assert_eq!(nothing, (0, 0, 0));
    for slot in 100..100 + 2 * u32::try_from(MOST).unwrap() {
        told.starts(slot, 100, &format!("p{slot}"), true);
    }
    let record = told
        .all()
        .into_iter()
        .find(|record| record.ended_at.is_none())
        .expect("it is up");
    assert_eq!((record.legs.len(), record.left_out), (MOST, MOST));
    for slot in 100..100 + 2 * u32::try_from(MOST).unwrap() {
        told.ends(slot);
    }
    told.tell(Event::CallEnded {
        call: call(100),
        cause: Cause::Party,
    });
    assert!(told.records.open.is_empty() && told.records.legs.is_empty());
}

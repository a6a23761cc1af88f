//! Gives the events of a call to the one task that follows it, so that a thousand tasks do not read a thousand calls each.
//!
//! One reader of the event log owns the [`Followers`]; a task has a [`Follower`] as long as it cares.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::events::Stamped;
use crate::engine::{CallHandle, Event, LegHandle};

/// What a follower is told.
#[derive(Clone, Debug)]
pub(crate) enum Followed {
    /// The next event of the call.
    Event(Arc<Stamped>),
    /// Some are lost: the reader was too slow. What is known may be wrong.
    Missed,
}

/// Reads what happens in one call.
pub(crate) type Follower = UnboundedReceiver<Followed>;

/// Who follows which call.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    calls: HashMap<CallHandle, UnboundedSender<Followed>>,
    legs: HashMap<LegHandle, CallHandle>,
}

impl Followers {
    /// Follows a call with this leg in it from now on; legs that are called into it are followed too.
    pub(crate) fn follow(&mut self, call: CallHandle, leg: LegHandle) -> Follower {
        // Few events belong to one call, and its follower reads whatever it does else.
        let (sender, follower) = unbounded_channel();
        self.calls.insert(call, sender);
        self.legs.insert(leg, call);
        follower
    }

    /// How many calls are followed.
    pub(crate) fn count(&self) -> usize {
        self.calls.len()
    }

    /// Hands an event on to whom it concerns.
    pub(crate) fn hand_on(&mut self, stamped: &Arc<Stamped>) {
        let Some(call) = self.call_of(&stamped.event) else {
            return;
        };
        let Some(sender) = self.calls.get(&call) else { return };
        let followed = sender.send(Followed::Event(Arc::clone(stamped))).is_ok();
        let ended = matches!(stamped.event, Event::CallEnded { .. });
        if ended || !followed {
            self.calls.remove(&call);
        }
        if let Event::LegStarted { leg, .. } = &stamped.event {
            self.legs.insert(*leg, call);
        } else if let Event::LegEnded { leg, .. } = &stamped.event {
            self.legs.remove(leg);
        }
    }

    /// Some events are lost for everybody.
    pub(crate) fn missed(&mut self) {
        self.calls.retain(|_, sender| sender.send(Followed::Missed).is_ok());
        let calls = &self.calls;
        self.legs.retain(|_, call| calls.contains_key(call));
    }

    fn call_of(&self, event: &Event) -> Option<CallHandle> {
        match event {
            Event::LegStarted { leg, call, .. } => call.or_else(|| self.legs.get(leg).copied()),
            Event::CallStarted { call, .. }
            | Event::CallConnected { call, .. }
            | Event::CallHeld { call, .. }
            | Event::CallResumed { call, .. }
            | Event::CallForwarded { call, .. }
            | Event::CallRestored { call, .. }
            | Event::CallEnded { call, .. } => Some(*call),
            Event::LegRinging { leg, .. } | Event::LegConfirmed { leg, .. } | Event::LegEnded { leg, .. } => {
                self.legs.get(leg).copied()
            }
            Event::Media(note) => self.legs.get(&note.leg()).copied(),
            Event::Hub(note) => Some(note.call()),
            Event::TransferRequested { transferee, .. } | Event::TransferCompleted { transferee, .. } => {
                self.legs.get(transferee).copied()
            }
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::TransferProgress { .. }
            | Event::TransferFailed { .. }
            | Event::MessageRefused { .. }
            | Event::WebhookFailed { .. }
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Cause;

    fn stamped(event: Event) -> Arc<Stamped> {
        Arc::new(Stamped {
            sequence: 1,
            at: std::time::UNIX_EPOCH,
            event,
        })
    }

    fn leg(slot: u32) -> LegHandle {
        LegHandle { slot, generation: 0 }
    }

    fn call(slot: u32) -> CallHandle {
        CallHandle { slot, generation: 0 }
    }

    fn started(slot: u32, of: u32) -> Event {
        Event::LegStarted {
            leg: leg(slot),
            call: Some(call(of)),
            transfer: None,
            inbound: false,
            party: String::new(),
            call_id: String::new(),
        }
    }

    fn confirmed(number: u32) -> Event {
        Event::LegConfirmed {
            leg: leg(number),
            from_tag: String::new(),
            to_tag: String::new(),
        }
    }

    fn names(follower: &mut Follower) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Ok(followed) = follower.try_recv() {
            names.push(match followed {
                Followed::Event(stamped) => stamped.event.name(),
                Followed::Missed => "missed",
            });
        }
        names
    }

    #[test]
    fn everybody_hears_of_the_own_call_and_of_no_other() {
        let mut followers = Followers::default();
        let mut one = followers.follow(call(1), leg(1));
        let mut other = followers.follow(call(2), leg(2));
        let cause = Cause::Party;
        for event in [
            started(3, 1),
            confirmed(3),
            confirmed(2),
            confirmed(9),
            Event::LegEnded { leg: leg(3), cause },
            Event::CallEnded { call: call(1), cause },
        ] {
            followers.hand_on(&stamped(event));
        }
        followers.missed();
        assert_eq!(
            names(&mut one),
            ["leg.started", "leg.confirmed", "leg.ended", "call.ended"]
        );
        assert_eq!(names(&mut other), ["leg.confirmed", "missed"]);
        assert_eq!((followers.count(), followers.legs.len()), (1, 1));
    }

    #[test]
    fn who_follows_no_more_is_forgotten() {
        let mut followers = Followers::default();
        drop(followers.follow(call(1), leg(1)));
        followers.hand_on(&stamped(confirmed(1)));
        followers.missed();
        assert_eq!((followers.count(), followers.legs.len()), (0, 0));
    }
}

//! The matching itself: callers in their order, users by how long they have been idle.

use std::cmp::Reverse;
use std::time::Instant;

use super::{Action, CallerId, Desk, Order, Overflow, Reservation, ReservationId, Rules, User, UserState};

/// Whether a user may have the callers of a queue.
pub(super) fn serves(rules: &Rules, name: &str, user: &User) -> bool {
    (rules.users.is_empty() || rules.users.contains(name)) && rules.skills.is_subset(&user.skills)
}

impl Desk {
    /// The callers of a queue in the order in which they are served.
    pub(super) fn in_order(&self, queue: &str) -> Vec<CallerId> {
        let lifo = self
            .queues
            .get(queue)
            .is_some_and(|queue| queue.rules.order == Order::Lifo);
        let mut callers: Vec<_> = self
            .callers
            .iter()
            .filter(|(_, waiting)| waiting.queue == queue)
            .collect();
        callers.sort_by_key(|(_, waiting)| {
            let order = if lifo { u64::MAX - waiting.order } else { waiting.order };
            (Reverse(waiting.priority), order)
        });
        callers.into_iter().map(|(caller, _)| *caller).collect()
    }

    /// Offers everybody who can be offered, lets those go for whom nobody is there, and tells the places.
    pub(super) fn settle(&mut self, now: Instant) {
        let names: Vec<String> = self.queues.keys().cloned().collect();
        // Between queues too, priority comes first, and then who came first.
        let mut all: Vec<(Reverse<i64>, u64, CallerId)> = Vec::new();
        for name in &names {
            for (place, caller) in self.in_order(name).into_iter().enumerate() {
                if let Some(waiting) = self.callers.get(&caller) {
                    let order = match self.queues.get(name).map(|queue| queue.rules.order) {
                        Some(Order::Lifo) => u64::try_from(place).unwrap_or(u64::MAX),
                        Some(Order::Fifo) | None => waiting.order,
                    };
                    all.push((Reverse(waiting.priority), order, caller));
                }
            }
        }
        all.sort_unstable();
        for (_, _, caller) in all {
            self.offer(now, caller);
        }
        for name in names {
            for (at, caller) in self.in_order(&name).into_iter().enumerate() {
                if let Some(waiting) = self.callers.get_mut(&caller)
                    && waiting.position != at + 1
                {
                    waiting.position = at + 1;
                    let position = at + 1;
                    self.actions.push_back(Action::Position { caller, position });
                }
            }
        }
    }

    fn offer(&mut self, now: Instant, caller: CallerId) {
        let Some(waiting) = self.callers.get(&caller).filter(|waiting| waiting.offered.is_none()) else {
            return;
        };
        let Some(queue) = self.queues.get(&waiting.queue) else {
            return;
        };
        let mut there = false;
        let mut best: Option<(Instant, &String)> = None;
        for (name, user) in &self.users {
            if waiting.asked.contains(name) || !serves(&queue.rules, name, user) {
                continue;
            }
            there |= user.state != UserState::Away;
            if user.state == UserState::Available && best.is_none_or(|(idle, _)| user.idle < idle) {
                best = Some((user.idle, name));
            }
        }
        let ring = queue.rules.ring;
        match best.map(|(_, name)| name.clone()) {
            Some(user) => self.reserve(now, caller, user, now + ring),
            None if there => {}
            None => self.overflow(now, caller, Overflow::Nobody),
        }
    }

    fn reserve(&mut self, _now: Instant, caller: CallerId, user: String, until: Instant) {
        self.next += 1;
        let reservation = self.next;
        if let Some(waiting) = self.callers.get_mut(&caller) {
            waiting.offered = Some(reservation);
            waiting.asked.insert(user.clone());
        }
        if let Some(known) = self.users.get_mut(&user) {
            known.state = UserState::Reserved;
        }
        self.actions.push_back(Action::Offer {
            reservation,
            caller,
            user: user.clone(),
        });
        self.reservations
            .insert(reservation, Reservation { caller, user, until });
    }

    /// The user did not take the caller: it is the last in line now, and still there.
    pub(super) fn refused(&mut self, now: Instant, reservation: ReservationId) {
        let Some(Reservation { caller, user, .. }) = self.reservations.remove(&reservation) else {
            return;
        };
        if let Some(waiting) = self.callers.get_mut(&caller) {
            waiting.offered = None;
        }
        if let Some(known) = self.users.get_mut(&user)
            && known.state == UserState::Reserved
        {
            (known.state, known.idle) = (UserState::Available, now);
        }
    }

    /// The caller has gone: the user is as idle as it was.
    pub(super) fn withdraw(&mut self, _now: Instant, reservation: ReservationId) {
        if let Some(Reservation { user, .. }) = self.reservations.remove(&reservation)
            && let Some(known) = self.users.get_mut(&user)
            && known.state == UserState::Reserved
        {
            known.state = UserState::Available;
        }
        self.actions.push_back(Action::Withdraw { reservation });
    }

    /// The user does something else by its own will.
    pub(super) fn take_back(&mut self, reservation: ReservationId) {
        if let Some(Reservation { caller, .. }) = self.reservations.remove(&reservation)
            && let Some(waiting) = self.callers.get_mut(&caller)
        {
            waiting.offered = None;
        }
        self.actions.push_back(Action::Withdraw { reservation });
    }

    pub(super) fn overflow(&mut self, now: Instant, caller: CallerId, why: Overflow) {
        let Some(waiting) = self.callers.remove(&caller) else {
            return;
        };
        if let Some(id) = waiting.offered {
            self.withdraw(now, id);
        }
        self.actions.push_back(Action::Overflow { caller, why });
    }
}

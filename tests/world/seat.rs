//! Whoever sits at a phone: the phone's commands without the clock, and without a `Result` to look at.

use std::time::Duration;

use bytes::Bytes;
use warmline::phone::{CallState, Phone, PhoneCall, PhoneConfig, ReinviteAnswer, Script};
use warmline::sip::{HeaderName, Method, Replaces};

use super::{Who, World};

/// One phone of the world, for one command.
pub(crate) struct Seat<'w> {
    world: &'w mut World,
    who: Who,
}

impl<'w> Seat<'w> {
    pub(super) fn new(world: &'w mut World, who: Who) -> Seat<'w> {
        Seat { world, who }
    }

    fn phone(&mut self) -> &mut Phone {
        &mut self.world.phones[self.who as usize]
    }

    /// Does something with the phone at the present moment.
    fn act<T>(mut self, act: impl FnOnce(&mut Phone, std::time::Instant) -> T) -> T {
        let now = self.world.now;
        let done = act(self.phone(), now);
        self.world.pump();
        done
    }

    pub(crate) fn register(self) {
        self.act(Phone::register);
    }

    pub(crate) fn unregister(self) {
        self.act(Phone::unregister);
    }

    pub(crate) fn call(self, whom: Who) -> PhoneCall {
        self.call_uri(&whom.uri())
    }

    pub(crate) fn call_uri(self, uri: &str) -> PhoneCall {
        self.act(|phone, now| phone.call(now, uri))
    }

    pub(crate) fn call_without_offer(self, whom: Who) -> PhoneCall {
        self.act(|phone, now| phone.call_without_offer(now, &whom.uri()))
    }

    /// Answers the call that rings.
    pub(crate) fn pick_up(mut self) -> PhoneCall {
        let call = self.ringing();
        self.act(|phone, now| phone.answer(now, call)).expect("it rings");
        call
    }

    /// The call that rings.
    pub(crate) fn ringing(&mut self) -> PhoneCall {
        let phone = self.phone();
        let ringing = phone
            .live()
            .into_iter()
            .find(|call| phone.state(*call) == Some(CallState::Ringing));
        ringing.unwrap_or_else(|| panic!("{} has no call that rings", self.who.user()))
    }

    pub(crate) fn reject(mut self, status: u16) {
        let call = self.ringing();
        self.act(|phone, now| phone.reject(now, call, status))
            .expect("it rings");
    }

    /// Sends the call that rings on.
    pub(crate) fn forward(mut self, to: Who) {
        let call = self.ringing();
        self.act(|phone, now| phone.forward(now, call, &to.uri()))
            .expect("it rings");
    }

    pub(crate) fn cancel(self, call: PhoneCall) {
        self.act(|phone, now| phone.cancel(now, call))
            .expect("not answered yet");
    }

    pub(crate) fn bye(self, call: PhoneCall) {
        self.act(|phone, now| phone.bye(now, call)).expect("a call that is up");
    }

    pub(crate) fn hold(self, call: PhoneCall) {
        self.act(|phone, now| phone.hold(now, call)).expect("a call that is up");
    }

    pub(crate) fn resume(self, call: PhoneCall) {
        self.act(|phone, now| phone.resume(now, call))
            .expect("a call that is up");
    }

    pub(crate) fn reinvite_without_offer(self, call: PhoneCall) {
        self.act(|phone, now| phone.reinvite_without_offer(now, call))
            .expect("a call that is up");
    }

    /// Blind transfer of the other side of `call`.
    pub(crate) fn refer(self, call: PhoneCall, target: Who) {
        self.act(|phone, now| phone.refer(now, call, &target.uri()))
            .expect("a call that is up");
    }

    /// Attended transfer of the other side of `call` to the other side of `other`.
    pub(crate) fn refer_attended(self, call: PhoneCall, other: PhoneCall) {
        self.act(|phone, now| phone.refer_attended(now, call, other))
            .expect("two calls that are up");
    }

    /// REFER with this Refer-To, right or wrong.
    pub(crate) fn refer_to(self, call: PhoneCall, refer_to: &str) {
        self.act(|phone, now| phone.refer_to(now, call, refer_to))
            .expect("a call that is up");
    }

    pub(crate) fn invite_with_replaces(self, uri: &str, replaces: &Replaces) -> PhoneCall {
        self.act(|phone, now| phone.invite_with_replaces(now, uri, replaces))
    }

    pub(crate) fn invite_with(self, uri: &str, headers: &[(HeaderName, &str)]) -> PhoneCall {
        self.act(|phone, now| phone.invite_with(now, uri, headers))
    }

    pub(crate) fn request(self, call: PhoneCall, method: Method, headers: &[(&str, &str)], body: Option<(&str, &str)>) {
        self.act(|phone, now| phone.request(now, call, method, headers, body))
            .expect("a call that is up");
    }

    pub(crate) fn options(self, uri: &str) {
        self.act(|phone, now| phone.options(now, uri));
    }

    pub(crate) fn request_outside(self, method: Method, uri: &str, headers: &[(&str, &str)]) {
        self.act(|phone, now| phone.request_outside(now, method, uri, headers));
    }

    pub(crate) fn send_octets(self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.act(|phone, now| phone.send_octets(now, bytes));
    }

    pub(crate) fn update(self, call: PhoneCall, holding: bool) {
        self.act(|phone, now| phone.update(now, call, holding))
            .expect("a call that is up");
    }

    // What the phone does by itself.

    pub(crate) fn configure(self, change: impl FnOnce(&mut PhoneConfig)) {
        change(self.world.phones[self.who as usize].configure());
    }

    pub(crate) fn script(self) -> &'w mut Script {
        self.world.phones[self.who as usize].script()
    }

    pub(crate) fn answers_after(self, delay: Duration) {
        self.script().auto_answer = Some(delay);
    }

    pub(crate) fn rejects_with(self, status: u16) {
        self.script().reject_with = Some(status);
    }

    pub(crate) fn forwards_to(self, whom: Who) {
        self.script().forward_to = Some(whom.uri());
    }

    pub(crate) fn answers_reinvite_with(self, status: u16) {
        self.script().reinvites.push_back(ReinviteAnswer::Status(status));
    }

    pub(crate) fn leaves_reinvite_unanswered(self) {
        self.script().reinvites.push_back(ReinviteAnswer::Silence);
    }

    pub(crate) fn ignores_notify(self) {
        self.script().ignore_notify = true;
    }

    /// The cable is out: nothing is heard or said any more.
    pub(crate) fn unplug(self) {
        self.script().unplugged = true;
    }
}

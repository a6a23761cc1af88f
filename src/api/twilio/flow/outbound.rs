//! Calls that the edge makes: each party in a hub of its own, until it has answered and goes where it is wanted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::super::App;
use super::super::call::{Call, Signal, Status};
use super::super::sid::Sid;
use super::super::state::Hub;
use super::{Flow, alone, quiet};
use crate::api::CommandError;
use crate::engine::{Command, NewParty, Reply};
use crate::sip::Uri;

/// Whom to call, and how.
#[derive(Clone, Debug)]
pub(in crate::api::twilio) struct Plan {
    pub(in crate::api::twilio) to: Uri,
    pub(in crate::api::twilio) from: Option<Uri>,
    pub(in crate::api::twilio) timeout: Duration,
    pub(in crate::api::twilio) credentials: Option<(String, String)>,
    /// Keys that are pressed when it has answered.
    pub(in crate::api::twilio) digits: Option<String>,
    /// The call ends after this.
    pub(in crate::api::twilio) longest: Option<Duration>,
}

impl App {
    /// Remembers a call that is to be made; [`App::dial_out`] makes it.
    pub(in crate::api::twilio) fn add_call(&self, mut call: Call) -> (Sid, UnboundedReceiver<Signal>) {
        let (inbox, receiver) = tokio::sync::mpsc::unbounded_channel();
        call.inboxes.push(inbox);
        (self.state().add_call(call), receiver)
    }

    /// Calls a party and waits until it has answered; `None`: it did not, and its call says why.
    pub(in crate::api::twilio) async fn dial_out(
        self: &Arc<App>,
        sid: Sid,
        mut inbox: UnboundedReceiver<Signal>,
        plan: Plan,
    ) -> Option<Flow> {
        if let Err(error) = self.invite(&sid, &plan).await {
            tracing::info!(call = %sid, %error, "a call could not be made");
            self.enter(&sid, Status::Failed);
            return None;
        }
        loop {
            match inbox.recv().await? {
                Signal::Joined => break,
                Signal::Ended => return None,
                Signal::Left(_)
                | Signal::Digit(_)
                | Signal::Played(_)
                | Signal::Redirect(_)
                | Signal::Out
                | Signal::Dequeued(_)
                | Signal::Referred { .. }
                | Signal::Recorded { .. } => {}
            }
        }
        let leg = self.state().leg_of(&sid)?;
        if let Some(longest) = plan.longest {
            let app = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(longest).await;
                app.try_order(Command::HangUpLeg { leg }).await;
            });
        }
        let mut flow = Flow::new(Arc::clone(self), sid, leg, inbox, true);
        if let Some(digits) = &plan.digits
            && flow.digits(digits).await.is_err()
        {
            return None;
        }
        Some(flow)
    }

    async fn invite(&self, sid: &Sid, plan: &Plan) -> Result<(), CommandError> {
        let Reply::Call(view) = self.order(Command::OpenHub { settings: quiet() }).await? else {
            return Err(CommandError::Stopped);
        };
        let call = view.id;
        {
            let mut state = self.state();
            state.hubs.insert(call, Hub::Call(sid.clone()));
            match state.calls.get_mut(sid) {
                // Ended by a client before it was made.
                Some(own) if own.status.is_over() => {}
                Some(own) => own.home = Some(call),
                None => {}
            }
        }
        let party = NewParty {
            to: plan.to.clone(),
            from: plan.from.clone(),
            from_name: None,
            role: alone(),
            ring_timeout: Some(plan.timeout),
            headers: Vec::new(),
            peer: None,
            credentials: plan.credentials.clone(),
        };
        let party = Box::new(party);
        let now = crate::api::time::now();
        if let Some(own) = self.state().calls.get_mut(sid) {
            self.tell_of_call(own, "initiated", now);
        }
        if let Err(error) = self.order(Command::AddParty { call, party }).await {
            self.try_order(Command::HangUpCall { call }).await;
            return Err(error);
        }
        Ok(())
    }

    /// Ends a call, whether it is answered or not.
    pub(in crate::api::twilio) async fn hang_up(&self, sid: &Sid) {
        let legs = {
            let mut state = self.state();
            let Some(call) = state.calls.get_mut(sid) else { return };
            call.canceled = true;
            let mut legs = call.ringing.clone();
            legs.extend(call.leg);
            legs.dedup();
            legs
        };
        for leg in legs {
            self.try_order(Command::HangUpLeg { leg }).await;
        }
    }
}

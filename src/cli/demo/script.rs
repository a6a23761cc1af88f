//! The warm transfer, step by step, as people would tell it.

use std::time::Duration;

use super::stage::{Stage, Stuck, Who};
use super::verdict::Verdict;
use crate::phone::{CallState, Misuse, Phone, PhoneCall, PhoneEvent};

/// How long the phones ring before somebody picks up.
const RINGING: Duration = Duration::from_millis(250);

pub(super) async fn play(stage: &mut Stage, verdict: &mut Verdict, pace: Duration) -> Result<(), Stuck> {
    stage.heading("1. Three phones register");
    for who in Who::ALL {
        stage.act(who, |phone, now| phone.register(now));
        stage
            .until(&format!("the {}'s phone registers", who.name()), |stage| {
                stage.phone(who).is_registered()
            })
            .await?;
    }
    stage.pause(pace).await;

    stage.heading("2. The customer calls the operator");
    let (customer, operator) = connect(stage, Who::Customer, Who::Operator).await?;
    stage.pause(pace).await;

    stage.heading("3. The operator puts the customer on hold");
    stage
        .act(Who::Operator, |phone, now| phone.hold(now, operator))
        .map_err(misuse)?;
    let held = |stage: &Stage| stage.phone(Who::Customer).is_held(customer) && settled(stage, Who::Operator);
    stage
        .until("the customer's phone is told that it is held", held)
        .await?;
    stage.pause(pace).await;

    stage.heading("4. The operator asks the consult");
    let (asking, consult) = connect(stage, Who::Operator, Who::Consult).await?;
    stage.pause(pace).await;

    stage.heading("5. The operator joins the two with REFER and Replaces, and hangs up at once");
    stage
        .act(Who::Operator, |phone, now| phone.refer_attended(now, operator, asking))
        .map_err(misuse)?;
    let answered = |stage: &Stage| stage.phone(Who::Operator).refer_status(operator).is_some();
    stage.until("the edge answers the REFER", answered).await?;
    // LESSONS 3: real phones do not wait for the outcome. The edge may have been faster and have said BYE itself.
    if stage.phone(Who::Operator).state(operator) == Some(CallState::Connected) {
        stage
            .act(Who::Operator, |phone, now| phone.bye(now, operator))
            .map_err(misuse)?;
    }
    let over = |stage: &Stage| stage.events().any(super::verdict::is_outcome);
    stage.until("the transfer comes to its end", over).await?;
    let gone = |stage: &Stage| stage.phone(Who::Operator).live().is_empty() && settled(stage, Who::Operator);
    stage.until("the operator's dialogs end", gone).await?;
    stage.pause(pace).await;

    stage.heading("6. Customer and consult talk");
    let talk = |stage: &Stage| {
        let settled = settled(stage, Who::Customer) && settled(stage, Who::Consult);
        settled
            && stage
                .phone(Who::Customer)
                .talks_with(customer, stage.phone(Who::Consult), consult)
    };
    stage.until("customer and consult send each other audio", talk).await?;
    stage.audio(customer, consult);
    verdict.talking(stage, customer, consult).await;
    stage.pause(pace).await;

    stage.heading("7. The customer hangs up");
    stage
        .act(Who::Customer, |phone, now| phone.bye(now, customer))
        .map_err(misuse)?;
    let ended = |stage: &Stage| {
        Who::ALL
            .iter()
            .all(|who| stage.phone(*who).live().is_empty() && settled(stage, *who))
    };
    stage.until("both phones are on hook", ended).await?;
    verdict.over(stage).await;
    Ok(())
}

/// One phone calls another, which rings and answers. Gives both ends of the call.
async fn connect(stage: &mut Stage, caller: Who, callee: Who) -> Result<(PhoneCall, PhoneCall), Stuck> {
    let (from, to) = (caller.name(), callee.name());
    let outgoing = stage.act(caller, |phone, now| phone.call(now, &callee.uri()));
    let rings = |stage: &Stage| stage.phone(caller).state(outgoing) == Some(CallState::Early);
    stage
        .until(&format!("the {to}'s phone rings, and the {from} hears it"), rings)
        .await?;
    stage.pause(RINGING).await;
    let incoming = stage.happened(callee).iter().rev().find_map(|event| match event {
        PhoneEvent::Incoming { call, .. } => Some(*call),
        PhoneEvent::Registered
        | PhoneEvent::RegistrationFailed { .. }
        | PhoneEvent::RingingThere { .. }
        | PhoneEvent::Connected { .. }
        | PhoneEvent::Changed { .. }
        | PhoneEvent::ReferAnswered { .. }
        | PhoneEvent::Notified { .. }
        | PhoneEvent::Referred { .. }
        | PhoneEvent::Replaced { .. }
        | PhoneEvent::Answered { .. }
        | PhoneEvent::Ended { .. } => None,
    });
    let incoming = incoming.ok_or_else(|| Stuck(format!("no call has come to the {to}'s phone")))?;
    stage
        .act(callee, |phone, now| phone.answer(now, incoming))
        .map_err(misuse)?;
    let connected = |stage: &Stage| {
        let both = stage.phone(caller).state(outgoing) == Some(CallState::Connected);
        let talk = stage.phone(caller).talks_with(outgoing, stage.phone(callee), incoming);
        both && talk && settled(stage, caller) && settled(stage, callee)
    };
    stage
        .until(
            &format!("{from} and {to} are connected with each other's description"),
            connected,
        )
        .await?;
    Ok((outgoing, incoming))
}

/// Whether a phone waits for nothing.
fn settled(stage: &Stage, who: Who) -> bool {
    !Phone::is_busy(stage.phone(who))
}

fn misuse(misuse: Misuse) -> Stuck {
    Stuck(misuse.to_string())
}

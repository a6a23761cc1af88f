//! Subscriptions: who is told what, by webhook or by WebSocket, and for how long.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use axum::http::{Request, header};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::access::{random_hex, random_word};
use super::fault::Fault;
use super::filter::{Filter, Scope, Unusable};
use super::keeper::Keeper;
use super::notice::Notice;
use super::people::Directory;
use crate::api::{Notes, rfc3339, webhook};

/// Of one extension.
const MOST_SUBSCRIPTIONS: usize = 50;
/// In one subscription.
const MOST_FILTERS: usize = 100;
/// What a client that lost its connection gets again.
pub(super) const BUFFERED: usize = 100;
/// For how long it may come back.
pub(super) const RECOVERY: Duration = Duration::from_secs(180);
/// Messages that may wait for a connection to take them.
const WAITING: usize = 256;
const DEFAULT_LIFE: u64 = 604_800;
const LONGEST_LIFE: u64 = 630_720_000;

/// How it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Webhook {
        address: String,
        /// Sent along as `Verification-Token`.
        verification: Option<String>,
    },
    /// By the connection's name.
    Socket(String),
}

/// What a client asked to be told.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) owner: usize,
    pub(super) filters: Vec<Filter>,
    pub(super) disabled: Vec<Value>,
    pub(super) delivery: Delivery,
    pub(super) created: SystemTime,
    pub(super) until: SystemTime,
}

/// A WebSocket, or what is kept of one that broke.
#[derive(Debug)]
struct Channel {
    owner: usize,
    sequence: u64,
    buffer: VecDeque<(u64, String)>,
    outlet: Option<mpsc::Sender<String>>,
    broken: Option<SystemTime>,
}

/// All subscriptions and connections.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    all: BTreeMap<String, Subscription>,
    channels: BTreeMap<String, Channel>,
    /// Webhooks outlive the process; a WebSocket ends with it.
    keeper: Keeper,
}

/// What a request wants: filters that are understood, and those that are not, with why.
pub(super) fn filters(given: &[String], own: usize, directory: &Directory) -> Result<(Vec<Filter>, Vec<Value>), Fault> {
    if given.is_empty() || given.len() > MOST_FILTERS {
        return Err(Fault::parameter("eventFilters", ""));
    }
    let me = directory.extensions.get(own).ok_or_else(Fault::unavailable)?;
    let (mut good, mut disabled) = (Vec::new(), Vec::new());
    let mut foreign = false;
    for text in given {
        let why = match Filter::parse(text, &me.id, directory) {
            Ok(filter) => {
                let own = matches!(&filter.scope, Scope::Extension(id) if *id == me.id);
                if own || me.admin {
                    good.push(filter);
                    continue;
                }
                foreign = true;
                "In order to subscribe to this filter, the extension needs to be an admin"
            }
            Err(Unusable::Malformed) => return Err(Fault::parameter("eventFilters", text)),
            Err(Unusable::Foreign) => return Err(Fault::not_found("eventFilters")),
            Err(Unusable::Unknown) => "This edge has no such events",
        };
        disabled.push(json!({ "filter": text, "reason": "Unavailable", "message": why }));
    }
    match (good.is_empty(), foreign) {
        (false, _) => Ok((good, disabled)),
        (true, true) => Err(Fault::permission("ReadCallControlOfOthers")),
        (true, false) => Err(Fault::parameter(
            "eventFilters",
            given.first().map_or("", String::as_str),
        )),
    }
}

/// How long a subscription lives: as it asks for, within bounds.
pub(super) fn life(asked: Option<u64>) -> Duration {
    Duration::from_secs(asked.unwrap_or(DEFAULT_LIFE).clamp(60, LONGEST_LIFE))
}

impl Subscription {
    /// As clients read it.
    pub(super) fn json(&self, base: &str, now: SystemTime) -> Value {
        let delivery = match &self.delivery {
            Delivery::Webhook { address, .. } => {
                json!({ "transportType": "WebHook", "address": address, "encryption": false })
            }
            Delivery::Socket(_) => json!({ "transportType": "WebSocket", "encryption": false }),
        };
        let filters: Vec<_> = self.filters.iter().map(|filter| filter.text.as_str()).collect();
        json!({
            "uri": format!("{base}/restapi/v1.0/subscription/{}", self.id),
            "id": self.id,
            "eventFilters": filters,
            "disabledFilters": self.disabled,
            "expirationTime": rfc3339(self.until),
            "expiresIn": self.until.duration_since(now).unwrap_or_default().as_secs(),
            "status": "Active",
            "creationTime": rfc3339(self.created),
            "deliveryMode": delivery,
        })
    }
}

impl Subscriptions {
    /// With those of a process before this one.
    pub(super) fn found(notes: Notes, directory: &Directory) -> Subscriptions {
        let (keeper, all) = Keeper::found(notes, directory);
        Subscriptions {
            all,
            channels: BTreeMap::new(),
            keeper,
        }
    }

    /// Keeps a new one.
    pub(super) fn add(&mut self, subscription: Subscription, now: SystemTime) -> Result<(), Fault> {
        self.tidy(now);
        let mine = self
            .all
            .values()
            .filter(|other| other.owner == subscription.owner)
            .count();
        if mine >= MOST_SUBSCRIPTIONS {
            return Err(Fault::parameter("eventFilters", "too many subscriptions"));
        }
        self.keeper.keep(&subscription);
        self.all.insert(subscription.id.clone(), subscription);
        Ok(())
    }

    pub(super) fn get(&self, id: &str, owner: usize, now: SystemTime) -> Result<&Subscription, Fault> {
        let found = self
            .all
            .get(id)
            .filter(|found| found.owner == owner && found.until > now);
        found.ok_or_else(|| Fault::not_found("subscriptionId"))
    }

    pub(super) fn of(&self, owner: usize, now: SystemTime) -> Vec<&Subscription> {
        let all = self.all.values();
        all.filter(|found| found.owner == owner && found.until > now).collect()
    }

    pub(super) fn change(
        &mut self,
        id: &str,
        owner: usize,
        now: SystemTime,
        change: impl FnOnce(&mut Subscription),
    ) -> Result<&Subscription, Fault> {
        let found = self
            .all
            .get_mut(id)
            .filter(|found| found.owner == owner && found.until > now);
        let found = found.ok_or_else(|| Fault::not_found("subscriptionId"))?;
        change(found);
        self.keeper.keep(found);
        Ok(found)
    }

    pub(super) fn remove(&mut self, id: &str, owner: usize, now: SystemTime) -> Result<(), Fault> {
        self.get(id, owner, now)?;
        self.all.remove(id);
        self.keeper.forget(id);
        Ok(())
    }

    /// A new connection; gives its name and where its messages come out.
    pub(super) fn connect(&mut self, owner: usize, now: SystemTime) -> Result<(String, mpsc::Receiver<String>), Fault> {
        self.tidy(now);
        let (outlet, inlet) = mpsc::channel(WAITING);
        let name = random_word()?;
        let channel = Channel {
            owner,
            sequence: 0,
            buffer: VecDeque::new(),
            outlet: Some(outlet),
            broken: None,
        };
        self.channels.insert(name.clone(), channel);
        Ok((name, inlet))
    }

    /// A client comes back: what it missed is the first that it gets. `None`: too late, or somebody else's.
    pub(super) fn recover(
        &mut self,
        token: &str,
        owner: usize,
        now: SystemTime,
    ) -> Option<(String, mpsc::Receiver<String>, Vec<String>)> {
        self.tidy(now);
        let (name, seen) = token.rsplit_once('.')?;
        let seen: u64 = seen.parse().ok()?;
        let channel = self.channels.get_mut(name).filter(|channel| channel.owner == owner)?;
        let oldest = channel
            .buffer
            .front()
            .map_or(channel.sequence + 1, |(number, _)| *number);
        if seen + 1 < oldest {
            return None;
        }
        let missed = channel
            .buffer
            .iter()
            .filter(|(number, _)| *number > seen)
            .map(|(_, text)| text.clone())
            .collect();
        let (outlet, inlet) = mpsc::channel(WAITING);
        (channel.outlet, channel.broken) = (Some(outlet), None);
        Some((name.to_owned(), inlet, missed))
    }

    /// The connection has broken; it may be taken up again. `inlet` tells it from one that took its place.
    pub(super) fn disconnect(&mut self, name: &str, now: SystemTime) {
        if let Some(channel) = self.channels.get_mut(name)
            && channel.outlet.as_ref().is_none_or(mpsc::Sender::is_closed)
        {
            (channel.outlet, channel.broken) = (None, Some(now));
        }
    }

    /// `wsc` of a message on this connection.
    pub(super) fn wsc(&self, name: &str) -> Value {
        let sequence = self.channels.get(name).map_or(0, |channel| channel.sequence);
        json!({ "token": format!("{name}.{sequence}"), "sequence": sequence })
    }

    fn tidy(&mut self, now: SystemTime) {
        let late = |channel: &Channel| channel.broken.is_some_and(|since| since + RECOVERY < now);
        self.channels.retain(|_, channel| !late(channel));
        let (channels, keeper) = (&self.channels, &self.keeper);
        self.all.retain(|id, subscription| {
            let connected = match &subscription.delivery {
                Delivery::Webhook { .. } => true,
                Delivery::Socket(name) => channels.contains_key(name),
            };
            let stays = connected && subscription.until > now;
            if !stays {
                keeper.forget(id);
            }
            stays
        });
    }

    /// Tells everybody who asked for it.
    pub(super) fn deliver(&mut self, notice: &Notice, told: &Told<'_>) {
        for subscription in self.all.values() {
            let mut passing = subscription
                .filters
                .iter()
                .filter(|filter| filter.passes(notice))
                .peekable();
            if passing.peek().is_none() || subscription.until <= notice.at {
                continue;
            }
            let sip_data = passing.any(|filter| filter.sip_data);
            let Ok(uuid) = random_hex(32) else { continue };
            let owner = told.directory.extensions.get(subscription.owner);
            let envelope = json!({
                "uuid": uuid,
                "event": notice.event(told.directory),
                "timestamp": rfc3339(notice.at),
                "subscriptionId": subscription.id,
                "ownerId": owner.map(|owner| owner.id.as_str()),
                "body": notice.body(told.server, sip_data),
            });
            match &subscription.delivery {
                Delivery::Webhook { address, verification } => {
                    post(
                        told.hooks,
                        &subscription.id,
                        address,
                        verification.as_deref(),
                        &envelope,
                    );
                }
                Delivery::Socket(name) => {
                    if let Some(channel) = self.channels.get_mut(name) {
                        channel.send(name, &uuid, &envelope);
                    }
                }
            }
        }
    }
}

/// What a delivery needs.
pub(super) struct Told<'a> {
    pub(super) hooks: &'a webhook::Client,
    pub(super) directory: &'a Directory,
    pub(super) server: &'a str,
}

fn post(hooks: &webhook::Client, lane: &str, address: &str, verification: Option<&str>, envelope: &Value) {
    let mut request = Request::post(address).header(header::CONTENT_TYPE, "application/json;charset=utf-8");
    if let Some(word) = verification {
        request = request.header("Verification-Token", word);
    }
    // Both were proved good by the handshake.
    if let Ok(request) = request.body(Bytes::from(envelope.to_string())) {
        hooks.queue(&format!("ringcentral {lane}"), request);
    }
}

impl Channel {
    fn send(&mut self, name: &str, uuid: &str, envelope: &Value) {
        self.sequence += 1;
        let meta = json!({
            "type": "ServerNotification",
            "messageId": uuid,
            "status": 200,
            "headers": { "RCRequestId": uuid },
            "wsc": { "token": format!("{name}.{}", self.sequence), "sequence": self.sequence },
        });
        let text = json!([meta, envelope]).to_string();
        self.buffer.push_back((self.sequence, text.clone()));
        if self.buffer.len() > BUFFERED {
            self.buffer.pop_front();
        }
        // One that takes nothing is cut off: it may come back and find what it missed.
        if self
            .outlet
            .as_ref()
            .is_some_and(|outlet| outlet.try_send(text).is_err())
        {
            self.outlet = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ringcentral::people::directory;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn only_an_admin_hears_of_others() {
        let directory = directory();
        let ask = |filter: &str, own| filters(&[filter.to_owned()], own, &directory);
        let (account, own) = (
            "/account/~/telephony/sessions",
            "/account/~/extension/~/telephony/sessions",
        );
        assert!(ask(own, 0).is_ok());
        assert_eq!(ask(account, 0).unwrap_err().status(), 403);
        assert_eq!(
            ask("/account/~/extension/1002/telephony/sessions", 0)
                .unwrap_err()
                .status(),
            403
        );
        assert!(ask(account, 2).is_ok() && ask("/account/~/extension/1002/telephony/sessions", 2).is_ok());
        let mixed = [
            own.to_owned(),
            "/restapi/v1.0/account/~/extension/~/presence".to_owned(),
        ];
        let (good, disabled) = filters(&mixed, 0, &directory).unwrap();
        assert_eq!((good.len(), disabled.len()), (1, 1));
        assert_eq!(filters(&[], 0, &directory).unwrap_err().status(), 400);
    }

    #[test]
    fn a_client_that_comes_back_gets_what_it_missed() {
        let mut subscriptions = Subscriptions::default();
        let (name, mut inlet) = subscriptions.connect(0, at(0)).unwrap();
        let send = |subscriptions: &mut Subscriptions, what: &str| {
            let channel = subscriptions.channels.get_mut(&name).unwrap();
            channel.send(&name, "u", &json!(what));
        };
        send(&mut subscriptions, "one");
        assert!(inlet.try_recv().unwrap().contains("one"));
        drop(inlet);
        subscriptions.disconnect(&name, at(1));
        send(&mut subscriptions, "two");
        send(&mut subscriptions, "three");
        assert!(
            subscriptions.recover(&format!("{name}.1"), 1, at(2)).is_none(),
            "somebody else's"
        );
        let (_, _inlet, missed) = subscriptions.recover(&format!("{name}.1"), 0, at(2)).unwrap();
        assert_eq!(missed.len(), 2);
        assert!(missed.first().unwrap().contains("two"));
        for _ in 0..BUFFERED {
            send(&mut subscriptions, "more");
        }
        assert!(
            subscriptions.recover(&format!("{name}.1"), 0, at(3)).is_none(),
            "more than is kept"
        );
        drop(_inlet);
        subscriptions.disconnect(&name, at(4));
        let token = format!("{name}.103");
        assert!(
            subscriptions
                .recover(&token, 0, at(4) + RECOVERY + Duration::from_secs(1))
                .is_none(),
            "too late"
        );
    }
}

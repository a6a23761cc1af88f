//! Subscriptions as requests make, change and end them, over HTTP or over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::random_hex;
use super::ask::{Caller, Named, Octets};
use super::fault::Fault;
use super::state::Shared;
use super::subscribe::{self, Delivery, Subscription};
use crate::api::time;

/// A webhook proves within this time that it wants to be told.
const HANDSHAKE: Duration = Duration::from_secs(3);
const VALIDATION: &str = "Validation-Token";

/// What a client wants to be told, and how.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    /// Paths of events.
    #[serde(default)]
    event_filters: Option<Vec<String>>,
    #[serde(default)]
    delivery_mode: Option<Mode>,
    /// Seconds.
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Mode {
    /// `WebHook` or `WebSocket`.
    transport_type: Option<String>,
    /// Of the webhook.
    address: Option<String>,
    /// Sent along with each notification.
    verification_token: Option<String>,
}

impl Shared {
    /// `socket`: the connection that asks, if one does.
    pub(super) async fn subscribe(&self, owner: usize, wanted: Wanted, socket: Option<&str>) -> Result<Value, Fault> {
        let given = wanted
            .event_filters
            .ok_or_else(|| Fault::parameter("eventFilters", ""))?;
        let (filters, disabled) = subscribe::filters(&given, owner, &self.directory)?;
        let mode = wanted
            .delivery_mode
            .ok_or_else(|| Fault::parameter("deliveryMode", ""))?;
        let delivery = self.delivery(mode, socket).await?;
        let now = time::now();
        let subscription = Subscription {
            id: random_hex(32)?,
            owner,
            filters,
            disabled,
            delivery,
            created: now,
            until: now + subscribe::life(wanted.expires_in),
        };
        let json = subscription.json(&self.base, now);
        self.subscriptions().add(subscription, now)?;
        Ok(json)
    }

    async fn delivery(&self, mode: Mode, socket: Option<&str>) -> Result<Delivery, Fault> {
        let kind = mode.transport_type.unwrap_or_default();
        match (kind.to_ascii_lowercase().as_str(), socket) {
            ("websocket", Some(name)) => Ok(Delivery::Socket(name.to_owned())),
            ("webhook", None) => {
                let address = mode.address.unwrap_or_default();
                self.handshake(&address, mode.verification_token.as_deref()).await?;
                Ok(Delivery::Webhook {
                    address,
                    verification: mode.verification_token,
                })
            }
            _ => Err(Fault::parameter("deliveryMode.transportType", &kind)),
        }
    }

    /// The webhook must answer 200 and give back the token that it is sent.
    async fn handshake(&self, address: &str, verification: Option<&str>) -> Result<(), Fault> {
        let bad = || Fault::parameter("deliveryMode.address", address);
        let uri: Uri = address.parse().map_err(|_| bad())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(bad());
        }
        let token = random_hex(32)?;
        let mut request = Request::post(address).header(VALIDATION, token.as_str());
        if let Some(word) = verification {
            let word =
                HeaderValue::from_str(word).map_err(|_| Fault::parameter("deliveryMode.verificationToken", ""))?;
            request = request.header("Verification-Token", word);
        }
        let request = request.body(Bytes::new()).map_err(|_| bad())?;
        let answer = tokio::time::timeout(HANDSHAKE, self.hooks.send(request)).await;
        let answer = answer.map_err(|_| Fault::webhook("no answer in time"))?;
        let answer = answer.map_err(Fault::webhook)?;
        let back = answer.headers().get(VALIDATION).and_then(|value| value.to_str().ok());
        match (answer.status(), back) {
            (StatusCode::OK, Some(back)) if back == token => Ok(()),
            (StatusCode::OK, _) => Err(Fault::webhook("the Validation-Token header did not come back")),
            (status, _) => Err(Fault::webhook(format_args!("the answer was {}", status.as_u16()))),
        }
    }

    pub(super) fn subscription(&self, owner: usize, id: &str) -> Result<Value, Fault> {
        let now = time::now();
        Ok(self.subscriptions().get(id, owner, now)?.json(&self.base, now))
    }

    /// Renews, and changes what is given.
    pub(super) async fn resubscribe(
        &self,
        owner: usize,
        id: &str,
        wanted: Wanted,
        socket: Option<&str>,
    ) -> Result<Value, Fault> {
        let old = self.subscriptions().get(id, owner, time::now())?.delivery.clone();
        let filters = match &wanted.event_filters {
            Some(given) => Some(subscribe::filters(given, owner, &self.directory)?),
            None => None,
        };
        let delivery = match (wanted.delivery_mode, &old) {
            (Some(mode), Delivery::Webhook { address, .. })
                if mode.address.as_ref().is_some_and(|new| new != address) =>
            {
                Some(self.delivery(mode, socket).await?)
            }
            (Some(_), Delivery::Socket(_)) => socket.map(|name| Delivery::Socket(name.to_owned())),
            (Some(_) | None, _) => None,
        };
        let now = time::now();
        let mut subscriptions = self.subscriptions();
        let changed = subscriptions.change(id, owner, now, |subscription| {
            if let Some((filters, disabled)) = filters {
                (subscription.filters, subscription.disabled) = (filters, disabled);
            }
            if let Some(delivery) = delivery {
                subscription.delivery = delivery;
            }
            subscription.until = now + subscribe::life(wanted.expires_in);
        })?;
        Ok(changed.json(&self.base, now))
    }

    pub(super) fn unsubscribe(&self, owner: usize, id: &str) -> Result<(), Fault> {
        self.subscriptions().remove(id, owner, time::now())
    }
}

/// All of one's own.
#[utoipa::path(get, path = "/restapi/v1.0/subscription", tag = "ringcentral",
    responses((status = 200, description = "Subscriptions"), (status = 401, description = "Not logged in")))]
pub(super) async fn list(State(shared): State<Arc<Shared>>, caller: Caller) -> Result<Json<Value>, Fault> {
    let now = time::now();
    let subscriptions = shared.subscriptions();
    let own = subscriptions.of(caller.extension, now);
    let records: Vec<_> = own
        .iter()
        .map(|subscription| subscription.json(&shared.base, now))
        .collect();
    Ok(Json(
        json!({ "uri": format!("{}/restapi/v1.0/subscription", shared.base), "records": records }),
    ))
}

/// Be told from now on.
#[utoipa::path(post, path = "/restapi/v1.0/subscription", tag = "ringcentral", request_body = Wanted,
    responses((status = 200, description = "The subscription"), (status = 400, description = "Filters, or the webhook"),
        (status = 403, description = "Events of others")))]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    shared.subscribe(caller.extension, octets.json()?, None).await.map(Json)
}

/// One of one's own.
#[utoipa::path(get, path = "/restapi/v1.0/subscription/{subscription}", tag = "ringcentral",
    params(("subscription" = String, Path)),
    responses((status = 200, description = "The subscription"), (status = 404, description = "None of one's own")))]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    shared.subscription(caller.extension, &named.subscription).map(Json)
}

/// Renew it, and change what is given.
#[utoipa::path(put, path = "/restapi/v1.0/subscription/{subscription}", tag = "ringcentral", request_body = Wanted,
    params(("subscription" = String, Path)),
    responses((status = 200, description = "The subscription"), (status = 404, description = "None of one's own")))]
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    shared
        .resubscribe(caller.extension, &named.subscription, octets.json()?, None)
        .await
        .map(Json)
}

/// Renew it.
#[utoipa::path(post, path = "/restapi/v1.0/subscription/{subscription}/renew", tag = "ringcentral",
    params(("subscription" = String, Path)),
    responses((status = 200, description = "The subscription"), (status = 404, description = "None of one's own")))]
pub(super) async fn renew(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<Json<Value>, Fault> {
    let nothing = Wanted {
        event_filters: None,
        delivery_mode: None,
        expires_in: None,
    };
    shared
        .resubscribe(caller.extension, &named.subscription, nothing, None)
        .await
        .map(Json)
}

/// Be told no more.
#[utoipa::path(delete, path = "/restapi/v1.0/subscription/{subscription}", tag = "ringcentral",
    params(("subscription" = String, Path)),
    responses((status = 204, description = "Done"), (status = 404, description = "None of one's own")))]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    named: Named,
) -> Result<StatusCode, Fault> {
    shared.unsubscribe(caller.extension, &named.subscription)?;
    Ok(StatusCode::NO_CONTENT)
}

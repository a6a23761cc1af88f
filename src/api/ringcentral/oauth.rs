//! The token endpoint and its neighbours (RFC 6749, 7009, 7523).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::access::{Pair, SOCKET_LIFE};
use super::ask::{Caller, Octets};
use super::fault::Fault;
use super::filter::unescaped;
use super::state::Shared;
use crate::api::time;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SCOPE: &str = "CallControl ReadAccounts ReadPresence SubscriptionWebhook WebSocketsSubscription";

/// A form's fields; of one that comes twice, the first.
fn form(octets: &Octets) -> Result<BTreeMap<String, String>, Fault> {
    let text = std::str::from_utf8(&octets.0).map_err(|_| Fault::parameter("body", ""))?;
    let mut fields = BTreeMap::new();
    for pair in text.trim().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| unescaped(&text.replace('+', " ")).ok_or_else(|| Fault::parameter("body", ""));
        fields.entry(plain(name)?).or_insert(plain(value)?);
    }
    Ok(fields)
}

/// RFC 6749 §2.3.1: the application proves itself by Basic, or in the form.
fn client(shared: &Shared, headers: &HeaderMap, fields: &BTreeMap<String, String>) -> Result<(), Fault> {
    let basic = headers.get(header::AUTHORIZATION).and_then(|given| {
        let (scheme, word) = given.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then_some(())?;
        let text = String::from_utf8(STANDARD.decode(word.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    });
    let given = basic.or_else(|| Some((fields.get("client_id")?.clone(), fields.get("client_secret")?.clone())));
    let refused = |why| Fault::oauth(StatusCode::UNAUTHORIZED, "OAU-140", "invalid_client", why);
    let (id, secret) = given.ok_or_else(|| refused("Client credentials are missing"))?;
    match shared.access().client(time::now(), &id, &secret)? {
        true => Ok(()),
        false => Err(refused("Invalid client credentials")),
    }
}

/// Log in, or take new tokens for old ones.
#[utoipa::path(post, path = "/restapi/oauth/token", tag = "ringcentral",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Tokens"), (status = 400, description = "Wrong credentials"),
        (status = 401, description = "Wrong application"), (status = 429, description = "Too many wrong passwords")))]
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let fields = form(&octets)?;
    client(&shared, &headers, &fields)?;
    let now = time::now();
    let seconds = |name: &str| fields.get(name).and_then(|text| text.parse().ok());
    let lives = (seconds("access_token_ttl"), seconds("refresh_token_ttl"));
    let field = |name: &'static str| {
        let missing = move || Fault::oauth(StatusCode::BAD_REQUEST, "CMN-101", "invalid_request", name);
        fields.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    };
    let refused = || {
        Fault::oauth(
            StatusCode::BAD_REQUEST,
            "OAU-140",
            "invalid_grant",
            "Invalid resource owner credentials",
        )
    };
    let mut access = shared.access();
    let who = match field("grant_type")?.as_str() {
        JWT_BEARER => access.by_jwt(field("assertion")?),
        "password" => {
            let inner = fields.get("extension").map(String::as_str);
            access.by_password(now, field("username")?, inner, field("password")?)?
        }
        "refresh_token" => {
            let pair = access.refresh(now, field("refresh_token")?, lives)?;
            drop(access);
            return pair.map(|pair| tokens(&shared, &pair)).ok_or_else(refused);
        }
        _ => {
            let what = "Unsupported grant type";
            return Err(Fault::oauth(
                StatusCode::BAD_REQUEST,
                "OAU-250",
                "unsupported_grant_type",
                what,
            ));
        }
    };
    let pair = access.log_in(now, who.ok_or_else(refused)?, lives)?;
    drop(access);
    Ok(tokens(&shared, &pair))
}

fn tokens(shared: &Shared, pair: &Pair) -> Json<Value> {
    let owner = shared.directory.extensions.get(pair.extension);
    Json(json!({
        "access_token": pair.access,
        "token_type": "bearer",
        "expires_in": pair.expires.as_secs(),
        "refresh_token": pair.refresh,
        "refresh_token_expires_in": pair.refresh_expires.as_secs(),
        "scope": SCOPE,
        "owner_id": owner.map(|owner| owner.id.as_str()),
        "endpoint_id": format!("endpoint-{}", pair.login),
        "session_id": format!("login-{}", pair.login),
    }))
}

/// End a login.
#[utoipa::path(post, path = "/restapi/oauth/revoke", tag = "ringcentral",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is good no more"), (status = 401, description = "Wrong application")))]
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    octets: Octets,
) -> Result<Json<Value>, Fault> {
    let fields = form(&octets)?;
    client(&shared, &headers, &fields)?;
    let token = fields.get("token").ok_or_else(|| Fault::parameter("token", ""))?;
    shared.access().revoke(token);
    Ok(Json(json!({})))
}

/// A token for one WebSocket.
#[utoipa::path(post, path = "/restapi/oauth/wstoken", tag = "ringcentral",
    responses((status = 200, description = "Where to connect, and with what"), (status = 401, description = "Not logged in")))]
pub(super) async fn socket_token(State(shared): State<Arc<Shared>>, caller: Caller) -> Result<Json<Value>, Fault> {
    let token = shared
        .access()
        .for_socket(time::now(), caller.extension, caller.login)?;
    let base = shared.base.replacen("http", "ws", 1);
    Ok(Json(json!({
        "uri": format!("{base}/restapi/ws"),
        "ws_access_token": token,
        "expires_in": SOCKET_LIFE.as_secs(),
    })))
}

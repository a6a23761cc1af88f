//! What a bot asks at its start, and what it sends only to be kept: its own channels, and its logs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Bot;

/// A channel as its bot sees it, with the digest of the token that opens it.
struct Known {
    token: [u8; 32],
    shown: Value,
}

pub(super) fn routes(bot: &Bot) -> Router {
    let known = bot.channels.iter().filter_map(|channel| {
        let token = channel.token.as_ref()?;
        let shown = json!({
            "channel": channel.name,
            "accountId": "warmline",
            "channelType": "resterisk",
            "liveChatId": null,
            "botToken": channel.bot_id,
            "fromYml": false,
            "customParameters": {},
            "proxyMode": false,
            "proxyWebhookUrl": null,
            "tariffBlocked": false,
            "phraseCount": 0,
            "knowledgeBasePhraseCount": 0,
            "externalBotToken": token,
        });
        Some(Known {
            token: Sha256::digest(token).into(),
            shown,
        })
    });
    let known: Arc<[Known]> = known.collect();
    if known.is_empty() {
        return Router::new();
    }
    described().split_for_parts().0.with_state(known)
}

fn described() -> OpenApiRouter<Arc<[Known]>> {
    OpenApiRouter::new().routes(routes!(channels)).routes(routes!(logs))
}

/// The description of these paths, for `/openapi.json`.
pub fn openapi() -> OpenApi {
    described().split_for_parts().1
}

/// Those that this token opens. Compared in the same time, however much of it is right.
fn opened<'k>(known: &'k [Known], token: &str) -> Vec<&'k Value> {
    let digest: [u8; 32] = Sha256::digest(token).into();
    let fits = |channel: &&Known| bool::from(channel.token.ct_eq(&digest));
    known.iter().filter(fits).map(|channel| &channel.shown).collect()
}

/// The channels that a bot's token opens, as the bot asks for them at its start.
#[utoipa::path(get, path = "/restapi/external-bot/{token}/channels", tag = "bot",
    params(("token" = String, Path, description = "The channel's token")),
    responses((status = 200, description = "Its channels", body = Vec<Object>), (status = 404)))]
async fn channels(State(known): State<Arc<[Known]>>, Path(token): Path<String>) -> Response {
    match opened(&known, &token).as_slice() {
        [] => StatusCode::NOT_FOUND.into_response(),
        shown => Json(json!(shown)).into_response(),
    }
}

/// Taken and left: the edge has an event log of its own.
#[utoipa::path(post, path = "/restapi/external-bot/{token}/processLogs", tag = "bot",
    params(("token" = String, Path, description = "The channel's token")),
    responses((status = 200), (status = 404)))]
async fn logs(State(known): State<Arc<[Known]>>, Path(token): Path<String>) -> StatusCode {
    match opened(&known, &token).as_slice() {
        [] => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}

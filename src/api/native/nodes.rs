//! The nodes of the cluster, as this one sees them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::problem::Problem;
use super::{Shared, schema};

/// Gives the nodes as JSON; without a cluster: only this one.
pub type NodeSource = Arc<dyn Fn() -> Value + Send + Sync>;

/// Every node number that is known: who serves it, under which token, with how many legs that were taken over.
#[utoipa::path(get, path = "/v1/nodes", tag = "system", responses((status = 200, body = schema::Nodes)))]
pub(super) async fn nodes(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    Ok(Json((shared.nodes)()))
}

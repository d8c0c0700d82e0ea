//! The cluster health of Elasticsearch, written from the documentation of its API: Debian has neither Elasticsearch nor
//! OpenSearch, and no package of PyPI or npm carries one.
//!
//! The folder may hold the file `health`, the whole answer (default: a green cluster), and the file `code`, the status
//! code (default: 200).

use std::{fs, path::PathBuf, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};

/// Returns the answer of a cluster of one node.
#[must_use]
pub fn health(status: &str, unassigned_shards: usize) -> String {
    serde_json::json!({
        "cluster_name": "search",
        "status": status,
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": 5,
        "active_shards": 5,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": unassigned_shards,
        "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 2,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": 100.0,
    })
    .to_string()
}

/// Returns the routes that answer from this folder.
pub fn routes(folder: Arc<PathBuf>) -> Router {
    Router::new().route("/_cluster/health", get(answer)).with_state(folder)
}

async fn answer(State(folder): State<Arc<PathBuf>>, uri: Uri) -> Response {
    // Elasticsearch answers an unknown parameter with an error.
    if uri.query().is_some_and(|query| query.split('&').any(|part| !part.starts_with("timeout="))) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let said = |name: &str| fs::read_to_string(folder.join(name)).ok().filter(|text| !text.is_empty());
    let code = said("code").and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok()).unwrap_or(StatusCode::OK);
    (code, [(CONTENT_TYPE, "application/json")], said("health").unwrap_or_else(|| health("green", 0))).into_response()
}

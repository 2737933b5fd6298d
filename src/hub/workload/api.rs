//! The requests of the workload API: `GET /trust-bundle` and `POST /modules/{module}/genid/{generation}/sign`.

use std::path::PathBuf;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, body::Bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::SasKey;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::HubState;
use crate::hub::entity::{Authentication, SymmetricKeys};
use crate::protocol::identity::IdentityId;

/// Far more than any text to sign.
const LARGEST_BODY: usize = 64 * 1024;

/// Whom the API serves, and what it answers from.
#[derive(Clone)]
pub(in crate::hub) struct Api {
    pub(in crate::hub) hub: HubState,
    pub(in crate::hub) module: IdentityId,
    /// Of the CA that vouches for the gateway.
    pub(in crate::hub) ca_file: PathBuf,
}

impl Api {
    /// What tells the module from an earlier one of its name.
    pub(super) async fn generation_id(&self) -> Result<String> {
        let found = self.identity().await;
        found.map(|(generation_id, _)| generation_id).ok_or_else(|| {
            let text = format!("the hub has no module {} that connects with a key", self.module);
            Error::new(ErrorKind::Service(404), text)
        })
    }

    /// The module's generation and keys; none if it is gone or has no keys, or is a device.
    async fn identity(&self) -> Option<(String, SymmetricKeys)> {
        self.module.module.as_ref()?;
        let entity = self.hub.store.read(|state| state.get(&self.module).cloned()).await.ok()??;
        let Authentication::Sas(keys) = &entity.identity.authentication else { return None };
        Some((entity.identity.generation_id.clone(), keys.clone()))
    }
}

/// Why a request is refused: status and message.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json_response(self.0, &json!({ "message": self.1 }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignRequest {
    key_id: KeyId,
    algo: Algorithm,
    /// Base64.
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum KeyId {
    Primary,
    Secondary,
}

#[derive(Deserialize)]
enum Algorithm {
    #[serde(rename = "HMACSHA256")]
    HmacSha256,
}

pub(super) fn router(api: Api) -> Router {
    Router::new()
        .route("/trust-bundle", get(trust_bundle))
        .route("/modules/{module}/genid/{generation}/sign", post(sign))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "The workload API has no such path.".to_owned()))
        .layer(from_fn(check_api_version))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(api)
}

async fn check_api_version(request: Request, next: Next) -> Result<Response, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    if query.split('&').any(|pair| pair.starts_with("api-version=")) {
        return Ok(next.run(request).await);
    }
    Err(Refusal::bad_request("The query parameter api-version is missing."))
}

async fn trust_bundle(State(api): State<Api>) -> Result<Response, Refusal> {
    let certificate = std::fs::read_to_string(&api.ca_file)
        .map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json_response(StatusCode::OK, &json!({ "certificate": certificate })))
}

async fn sign(
    State(api): State<Api>,
    Path((module, generation)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let known = api.identity().await.filter(|_| Some(&module) == api.module.module.as_ref());
    let (_, keys) = known.filter(|(known, _)| *known == generation).ok_or_else(|| {
        Refusal(StatusCode::NOT_FOUND, format!("There is no module {module} of this generation."))
    })?;
    let request: SignRequest = serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_request(format!("The body can't be used: {error}.")))?;
    let data = STANDARD.decode(&request.data).ok().and_then(|data| String::from_utf8(data).ok());
    let data = data.ok_or_else(|| Refusal::bad_request("The data are no text in base64."))?;
    let Algorithm::HmacSha256 = request.algo;
    let key = match request.key_id {
        KeyId::Primary => &keys.primary,
        KeyId::Secondary => &keys.secondary,
    };
    let key = SasKey::from_base64(key)
        .map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json_response(StatusCode::OK, &json!({ "digest": STANDARD.encode(key.sign(&data)) })))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

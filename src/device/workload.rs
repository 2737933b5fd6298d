//! The workload API of IoT Edge: the runtime on an Edge device signs for its modules, and tells them whom to trust.
//!
//! A module there has no key. It asks over a Unix socket, or over HTTP, at the address in `IOTEDGE_WORKLOADURI`.
//! <https://learn.microsoft.com/azure/iot-edge/iot-edge-security-manager>. Used by `credentials`, and by those who make
//! a module client from the environment.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::auth::{quote_component, quote_plus};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Client, Origin, Request, Response, Settings};
use crate::tls::Roots;

/// For each answer: it comes from this machine.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// The workload API as one module uses it.
#[derive(Clone, Debug)]
pub struct Workload {
    client: Arc<Client>,
    /// The path and query of each request.
    trust_bundle: String,
    sign: String,
}

impl Workload {
    /// The API at this address, `unix:///path` or `http://host[:port]`, for this module. Does no I/O.
    ///
    /// # Errors
    /// `InvalidArgument` if the address has another form.
    pub fn new(
        uri: &str,
        api_version: &str,
        module_id: &str,
        generation_id: &str,
        user_agent: &str,
    ) -> Result<Self> {
        let origin = Origin::parse(uri.trim_end_matches('/'))?;
        let client = Client::new(Settings::new(origin, quote_plus(user_agent), Roots::System))?;
        let version = quote_component(api_version);
        let module = quote_component(module_id);
        Ok(Self {
            client: Arc::new(client),
            trust_bundle: format!("/trust-bundle?api-version={version}"),
            sign: format!("/modules/{module}/genid/{generation_id}/sign?api-version={version}"),
        })
    }

    /// The CA certificates to trust, as PEM.
    ///
    /// # Errors
    /// `Workload`, beginning with the official package's sentence.
    pub async fn trust_bundle(&self) -> Result<String> {
        let sentences = Sentences {
            refused: "Unable to get trust bundle from Edge",
            unreadable: "Unable to decode trust bundle",
            lacking: "No certificate in trust bundle",
        };
        self.ask("GET", &self.trust_bundle, None, "certificate", &sentences).await
    }

    /// The HMAC-SHA256 of a text with the module's key, in base64.
    ///
    /// # Errors
    /// As [`Workload::trust_bundle`].
    pub async fn sign(&self, text: &str) -> Result<String> {
        let body = json!({ "keyId": "primary", "algo": "HMACSHA256", "data": STANDARD.encode(text) });
        let sentences = Sentences {
            refused: "Unable to sign data",
            unreadable: "Unable to decode signed data",
            lacking: "No signed data received",
        };
        self.ask("POST", &self.sign, Some(body), "digest", &sentences).await
    }

    /// The text under this key of the answer.
    async fn ask(
        &self,
        method: &str,
        target: &str,
        body: Option<Value>,
        key: &str,
        sentences: &Sentences,
    ) -> Result<String> {
        let headers = body.iter().map(|_| ("Content-Type".to_owned(), "application/json".to_owned()));
        let headers: Vec<_> = headers.collect();
        let body = body.map(|body| Bytes::from(body.to_string()));
        let request = Request::new(method, target.to_owned(), &headers, body)?;
        let answer = self
            .client
            .ask(request, Some(ANSWER_TIME))
            .await
            .map_err(|error| failed(sentences.refused, &error.to_string()))?;
        if answer.status >= 300 {
            return Err(failed(sentences.refused, &refusal(&answer)));
        }
        let document: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| failed(sentences.unreadable, &error.to_string()))?;
        document[key]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| failed(sentences.lacking, &format!("{} answered without {key:?}", answer.url)))
    }
}

/// What the official package says.
struct Sentences {
    refused: &'static str,
    unreadable: &'static str,
    lacking: &'static str,
}

fn failed(sentence: &str, why: &str) -> Error {
    Error::new(ErrorKind::Workload, format!("{sentence}: {why}"))
}

/// What the answer says: its body is `{"message": …}`.
fn refusal(answer: &Response) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = body["message"].as_str().unwrap_or(&answer.reason);
    format!("{} answered {} {said}", answer.url, answer.status)
}

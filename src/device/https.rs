//! What a device asks its hub over HTTPS: where to upload a file, and, from a module on IoT Edge, calls of direct
//! methods. Needs no connection of the session and makes none.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-file-upload>

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::client::Client;
use super::credentials::Token;
use super::options::{API_VERSION, Options};
use crate::auth::quote_plus;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{self, Origin, Request, Response, Settings, Way};
use crate::protocol::refusal::Refusal;

/// The HTTPS side of a client. Most clients never use it, so that it is made when it is.
#[derive(Default)]
pub(super) struct Https {
    client: OnceLock<Arc<http::Client>>,
    /// The token that the program brought last.
    token: Mutex<Option<Token>>,
}

impl Https {
    fn client(&self, options: &Options) -> Result<Arc<http::Client>> {
        if let Some(client) = self.client.get() {
            return Ok(Arc::clone(client));
        }
        let host = options.gateway_host_name.as_ref().unwrap_or(&options.host_name);
        let model = options.model_id.as_deref().unwrap_or_default();
        let client = http::Client::new(Settings {
            origin: Origin::Https(host.clone()),
            way: options.proxy.clone().map_or(Way::Environment, Way::Proxy),
            user_agent: quote_plus(&format!("{}{model}", options.user_agent)),
            roots: options.roots.clone(),
            identity: options.credentials.identity().cloned(),
            cipher_suites: options.cipher_suites.clone(),
        })?;
        Ok(Arc::clone(self.client.get_or_init(|| Arc::new(client))))
    }

    /// Show this token from now on.
    pub(super) fn replace_token(&self, token: Token) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// End the connections.
    pub(super) fn close(&self) {
        if let Some(client) = self.client.get() {
            client.close();
        }
    }

    /// What to show the hub; nothing beside a certificate.
    async fn authorization(&self, options: &Options) -> Result<Option<String>> {
        let brought = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = match brought {
            Some(token) => token.into_text(),
            None => options.credentials.password(&options.resource(), options.clock.unix_millis()).await?,
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Post JSON and get JSON, within this time.
    async fn post(
        &self,
        options: &Options,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        limit: Option<Duration>,
    ) -> Result<Bytes> {
        let client = self.client(options)?;
        let posting = async {
            let authorization = self.authorization(options).await?;
            let authorization = authorization.as_deref().map(|token| ("Authorization", token));
            let headers = headers.iter().copied().chain(authorization);
            let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let target = format!("/{path}?api-version={API_VERSION}");
            outcome(client.ask(Request::new("POST", target, &headers, Some(body))?, None).await?)
        };
        match limit {
            Some(limit) => timeout(limit, posting).await.unwrap_or_else(|_| Err(client.late(limit))),
            None => posting.await,
        }
    }
}

impl Client {
    /// Where to upload a file, and with which token: a JSON object. `body` is `{"blobName": …}`.
    ///
    /// # Errors
    /// `Service` if the hub refuses, `Timeout` after `limit` (None: never), those of [`http::Client::send`],
    /// `ShutDown` after a shutdown.
    pub async fn get_storage_info(&self, body: Bytes, limit: Option<Duration>) -> Result<Bytes> {
        let json = "application/json";
        let headers = [("Host", &*self.options.host_name), ("Accept", json), ("Content-Type", json)];
        let path = format!("devices/{}/files", quote_plus(&self.options.device_id));
        self.while_alive(self.https.post(&self.options, &path, &headers, body, limit)).await?
    }

    /// Tell the hub how an upload has ended. `body` is `{"correlationId": …, "isSuccess": …, "statusCode": …,
    /// "statusDescription": …}`.
    ///
    /// # Errors
    /// As [`Client::get_storage_info`].
    pub async fn notify_upload(&self, body: Bytes, limit: Option<Duration>) -> Result<()> {
        let headers =
            [("Host", &*self.options.host_name), ("Content-Type", "application/json; charset=utf-8")];
        let path = format!("devices/{}/files/notifications", quote_plus(&self.options.device_id));
        self.while_alive(self.https.post(&self.options, &path, &headers, body, limit)).await?.map(drop)
    }

    /// Call a direct method of a device or module through the gateway of IoT Edge: what it answered, a JSON object.
    /// `body` is `{"methodName": …, …}`. For module clients.
    ///
    /// # Errors
    /// As [`Client::get_storage_info`].
    pub async fn invoke_method(
        &self,
        device_id: &str,
        module_id: Option<&str>,
        body: Bytes,
        limit: Option<Duration>,
    ) -> Result<Bytes> {
        let caller = self.options.client_id();
        let headers = [("Content-Type", "application/json"), ("x-ms-edge-moduleId", &*caller)];
        let module = module_id.map_or_else(String::new, |module| format!("/modules/{}", quote_plus(module)));
        let path = format!("twins/{}{module}/methods", quote_plus(device_id));
        self.while_alive(self.https.post(&self.options, &path, &headers, body, limit)).await?
    }
}

/// The body of a success; else the official package's sentence, and the hub's own.
fn outcome(answer: Response) -> Result<Bytes> {
    if answer.status < 300 {
        return Ok(answer.body);
    }
    let name = error_name(answer.status, &answer.reason);
    let mut text = format!("HTTP operation returned: {} {name}", answer.status);
    if let Some(refusal) = Refusal::read(&answer.body) {
        text = format!("{text}: {refusal}");
    }
    Err(Error::new(ErrorKind::Service(answer.status), text))
}

/// What the official package calls an error of this status.
fn error_name(status: u16, reason: &str) -> String {
    let name = match (status, reason) {
        (400, _) => "ArgumentError",
        (401, _) => "UnauthorizedError",
        (403, _) => "TooManyDevicesError",
        (404, "Device Not Found") => "DeviceNotFoundError",
        (404, "IoTHub Not Found") => "IotHubNotFoundError",
        (404, _) => return "Error('Not found')".to_owned(),
        (408, _) => "DeviceTimeoutError",
        (409, _) => "DeviceAlreadyExistsError",
        (412, _) => "InvalidEtagError",
        (429, _) => "ThrottlingError",
        (500, _) => "InternalServerError",
        (502, _) => "BadDeviceResponseError",
        (503, _) => "ServiceUnavailableError",
        (504, _) => "GatewayTimeoutError",
        _ => "Error",
    };
    format!("{name}(Error: {reason})")
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn refused(status: u16, reason: &str, body: &'static str) -> Error {
        let body = Bytes::from_static(body.as_bytes());
        let answer =
            Response { status, reason: reason.into(), headers: HeaderMap::new(), body, url: String::new() };
        outcome(answer).unwrap_err()
    }

    #[test]
    fn a_refusal_has_the_official_sentence_and_then_the_hubs() {
        let error = refused(403, "Forbidden", r#"{"Message":"ErrorCode:X;too many uploads"}"#);
        assert_eq!(error.kind(), ErrorKind::Service(403));
        assert_eq!(
            error.message(),
            "HTTP operation returned: 403 TooManyDevicesError(Error: Forbidden): X: too many uploads"
        );
        let cases = [
            (300, "Multiple Choices", "Error(Error: Multiple Choices)"),
            (400, "Bad Request", "ArgumentError(Error: Bad Request)"),
            (401, "Unauthorized", "UnauthorizedError(Error: Unauthorized)"),
            (404, "Not Found", "Error('Not found')"),
            (404, "Device Not Found", "DeviceNotFoundError(Error: Device Not Found)"),
            (404, "IoTHub Not Found", "IotHubNotFoundError(Error: IoTHub Not Found)"),
            (408, "Request Timeout", "DeviceTimeoutError(Error: Request Timeout)"),
            (409, "Conflict", "DeviceAlreadyExistsError(Error: Conflict)"),
            (412, "Precondition Failed", "InvalidEtagError(Error: Precondition Failed)"),
            (429, "Too Many", "ThrottlingError(Error: Too Many)"),
            (500, "Oh", "InternalServerError(Error: Oh)"),
            (502, "Bad Gateway", "BadDeviceResponseError(Error: Bad Gateway)"),
            (503, "Busy", "ServiceUnavailableError(Error: Busy)"),
            (504, "Late", "GatewayTimeoutError(Error: Late)"),
            (418, "Teapot", "Error(Error: Teapot)"),
        ];
        for (status, reason, name) in cases {
            let expected = format!("HTTP operation returned: {status} {name}");
            assert_eq!(refused(status, reason, "").message(), expected);
        }
    }
}

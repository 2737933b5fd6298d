//! What the tests share: hubs of their own, REST requests and raw MQTT clients.

mod mqtt_client;
mod random;
mod relay;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ferrohub::auth::{ConnectionString, SasKey};
use ferrohub::clock::Clock;
use ferrohub::hub::entity::Entity;
use ferrohub::hub::twin_document;
use ferrohub::hub::{Hub, HubOptions};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::tls::{self, Identity, Roots};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) use mqtt_client::{MqttClient, SignIn};
pub(crate) use random::Random;
pub(crate) use relay::Relay;

/// The moment at which the tests' clocks begin: milliseconds since 1970.
pub(crate) const START: u64 = 1_700_000_000_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A twin's document as REST gives it.
pub(crate) fn twin_document(id: &IdentityId, entity: &Entity) -> Value {
    twin_document::twin_document(id, entity).to_value()
}

/// Wait for something that must happen soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// A hub of the test's own, on any free port, whose clock stands still.
pub(crate) struct TestHub {
    pub(crate) hub: Hub,
    pub(crate) clock: Clock,
    home: TempDir,
}

impl TestHub {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), false).await
    }

    pub(crate) async fn start_with_data() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), true).await
    }

    async fn start_in(home: TempDir, with_data: bool) -> Self {
        let clock = Clock::manual(START);
        let hub = Hub::start(HubOptions {
            home: Some(home.path().to_owned()),
            data: with_data.then(|| home.path().join("data")),
            clock: clock.clone(),
            ..HubOptions::default()
        });
        Self { hub: hub.await.unwrap(), clock, home }
    }

    /// Stop the hub and start it with the same data on another port.
    pub(crate) async fn restart(self) -> Self {
        self.hub.stop().await;
        Self::start_in(self.home, true).await
    }

    /// Create a device, or a device and a module on it, and return the identity.
    pub(crate) async fn create(&self, id: &str) -> IdentityId {
        let id = IdentityId::parse(id).unwrap();
        let device = json!({ "deviceId": id.device, "status": "enabled" });
        let path = format!("/devices/{}", id.device);
        assert!([200, 409].contains(&self.rest("PUT", &path, Some(device)).await.0));
        if let Some(module) = &id.module {
            let body = json!({ "deviceId": id.device, "moduleId": module });
            let (status, _) = self.rest("PUT", &format!("{path}/modules/{module}"), Some(body)).await;
            assert_eq!(status, 200);
        }
        id
    }

    pub(crate) async fn connection_string(&self, id: &IdentityId) -> ConnectionString {
        ConnectionString::parse(&self.hub.device_connection_string(id).await.unwrap()).unwrap()
    }

    /// Connect an identity with its own key and a clean session.
    pub(crate) async fn connect(&self, id: &str) -> MqttClient {
        let sign_in = SignIn::of(self, &self.create(id).await).await;
        let mut client = sign_in.connect(self).await;
        client.expect_accepted(false).await;
        client
    }

    /// A REST request that creates, reads, patches or deletes, signed with the owner's key: status and body.
    pub(crate) async fn rest(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        // Creating is what a PUT without If-Match means.
        let if_match = if method == "PUT" { "" } else { "If-Match: *\r\n" };
        self.send_rest("iothubowner", method, path, if_match, body).await
    }

    /// The same, for a PUT that changes.
    pub(crate) async fn rest_if_match(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.send_rest("iothubowner", method, path, "If-Match: *\r\n", body).await
    }

    /// The same, signed with another policy's key.
    pub(crate) async fn rest_as(
        &self,
        policy: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        self.send_rest(policy, method, path, "", body).await
    }

    async fn send_rest(
        &self,
        policy: &str,
        method: &str,
        path: &str,
        if_match: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let token = self.policy_key(policy).service_token("localhost", policy, START / 1000 + 60);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path}?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\
             {if_match}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        Self::ask(self.tls(&[]).await, &request).await
    }

    /// The key of a shared access policy: the others' follow from the owner's.
    pub(crate) fn policy_key(&self, policy: &str) -> SasKey {
        let owner = ConnectionString::parse(&self.hub.connection_string()).unwrap();
        let key = SasKey::from_base64(owner.get("SharedAccessKey").unwrap()).unwrap();
        if policy == "iothubowner" { key } else { SasKey::from_bytes(key.sign(policy).to_vec()) }
    }

    /// Send a request that ends its connection: status and body of the answer.
    pub(crate) async fn ask(mut stream: TlsStream<TcpStream>, request: &str) -> (u16, Value) {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("the answer to a REST request", stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Patch a twin's desired properties, as a back end does.
    pub(crate) async fn patch_desired(&self, id: &IdentityId, desired: Value) {
        let module = id.module.as_ref().map_or_else(String::new, |module| format!("/modules/{module}"));
        let path = format!("/twins/{}{module}", id.device);
        let body = json!({ "properties": { "desired": desired } });
        assert_eq!(self.rest("PATCH", &path, Some(body)).await.0, 200);
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.hub.port())).await.unwrap()
    }

    /// A TLS connection that offers these protocols.
    pub(crate) async fn tls(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        self.handshake(tls::client_config("localhost", &self.roots(), protocols).unwrap()).await
    }

    /// A TLS connection that shows this certificate.
    pub(crate) async fn tls_of(&self, identity: &Identity) -> TlsStream<TcpStream> {
        let config = tls::device_config("localhost", &self.roots(), Some(identity), None).unwrap();
        self.handshake(Arc::new(config)).await
    }

    fn roots(&self) -> Roots {
        Roots::Bundle(self.hub.ca_pem_path().to_owned())
    }

    async fn handshake(&self, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        soon("the TLS handshake", TlsConnector::from(config).connect(name, self.tcp().await)).await.unwrap()
    }
}

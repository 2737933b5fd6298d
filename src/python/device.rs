//! Device and module clients for Python: one handle, whose methods wait for the core's operations.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;

use super::answers::{Answer, Outcomes};
use super::edge::EdgeWorkload;
use super::errors::{CoreError, to_python};
use super::mailbox::{Mailbox, kind_name};
use super::operation::Operation;
use super::options::{Certificate, ProxyOptions, SharedAccessKey, identity, key, limit, proxy, seconds};
use super::outbox::{self, Outbox};
use super::outgoing::MessageWriter;
use super::roots::default_roots;
use super::runtime::{self, Threads};
use crate::auth::{ConnectionString, ConnectionStringError};
use crate::device::{Client, Credentials, Kind, Options, Token};
use crate::error::Result;
use crate::tls::{Roots, cipher_suites};

/// What `ferrohub.device.options.ClientOptions` holds, field by field.
#[derive(FromPyObject)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the official package, on its own")]
struct ClientOptions {
    host_name: String,
    gateway_host_name: Option<String>,
    device_id: String,
    module_id: Option<String>,
    shared_access_key: Option<Py<SharedAccessKey>>,
    sastoken_ttl: u64,
    /// Its text, and when it expires.
    sastoken: Option<(String, u64)>,
    certificate: Option<Certificate>,
    /// Who signs, on IoT Edge.
    workload: Option<Py<EdgeWorkload>>,
    /// Names of OpenSSL.
    cipher_suites: Option<Vec<String>>,
    user_agent: String,
    model_id: Option<String>,
    server_verification_cert: Option<String>,
    websockets: bool,
    proxy: Option<ProxyOptions>,
    keep_alive: u16,
    auto_connect: bool,
    connection_retry: bool,
    connection_retry_interval: f64,
    ensure_desired_properties: bool,
    in_flight_window: usize,
    outbox: Option<Outbox>,
}

impl ClientOptions {
    fn into_core(self, default_roots: Roots) -> Result<Options> {
        let credentials = self.credentials()?;
        let mut options = Options::new(self.host_name, self.device_id, self.module_id, credentials);
        options.gateway_host_name = self.gateway_host_name;
        options.user_agent = self.user_agent;
        options.model_id = self.model_id;
        options.roots = self.server_verification_cert.map_or(default_roots, Roots::Pem);
        options.cipher_suites = self.cipher_suites.as_deref().map(cipher_suites).transpose()?;
        options.websockets = self.websockets;
        options.proxy = self.proxy.map(proxy).transpose()?;
        options.keep_alive_seconds = self.keep_alive;
        options.auto_connect = self.auto_connect;
        options.connection_retry = self.connection_retry;
        options.connection_retry_interval = seconds(self.connection_retry_interval)?;
        options.ensure_desired_properties = self.ensure_desired_properties;
        options.window = self.in_flight_window;
        options.outbox = self.outbox.map(Outbox::into_core).transpose()?;
        Ok(options)
    }

    fn credentials(&self) -> Result<Credentials> {
        if let Some(certificate) = &self.certificate {
            return identity(certificate).map(Credentials::Certificate);
        }
        if let Some((text, expires)) = &self.sastoken {
            return Ok(Credentials::Token(Token::new(text.clone(), *expires)));
        }
        let ttl = Duration::from_secs(self.sastoken_ttl);
        if let Some(workload) = &self.workload {
            return Ok(Credentials::Workload { workload: workload.get().workload(), ttl });
        }
        let key = key(self.shared_access_key.as_ref())?;
        Ok(Credentials::Key { key, ttl })
    }
}

/// A device's or module's connection; private to `ferrohub.device`. Times are in seconds, None waits without end.
#[pyclass(frozen, module = "ferrohub._native")]
struct DeviceClient {
    client: Arc<Client>,
    process: u32,
    blocking: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "arguments arrive converted, by value")]
#[pymethods]
impl DeviceClient {
    /// With `blocking`, threads wait for its operations, and drive the connection meanwhile.
    #[new]
    fn new(py: Python<'_>, options: ClientOptions, blocking: bool) -> PyResult<Self> {
        let options = options.into_core(default_roots(py));
        // Opening an outbox reads its file.
        let client = py.detach(|| {
            let runtime = if blocking { runtime::attended()? } else { runtime::of(Threads::Worker)? };
            Client::new(options?, runtime.handle())
        });
        let client = client.map_err(|error| to_python(&error))?;
        Ok(Self { client: Arc::new(client), process: runtime::process(), blocking })
    }

    #[getter]
    fn client_id(&self) -> String {
        self.client.id()
    }

    #[getter]
    fn connected(&self) -> bool {
        self.process == runtime::process() && self.client.is_connected()
    }

    /// (name, number) of each counter.
    #[getter]
    fn statistics(&self) -> Vec<(&'static str, u64)> {
        let (counts, reconnects) = self.client.statistics();
        let mut counters = vec![
            ("sent", counts.sent),
            ("acknowledged", counts.acknowledged),
            ("failed", counts.failed),
            ("queued", counts.queued),
            ("in_flight", counts.in_flight),
            ("reconnects", reconnects),
        ];
        counters.extend(self.client.outbox_counts().into_iter().flat_map(outbox::counters));
        counters
    }

    fn connect(&self, timeout: Option<f64>) -> PyResult<Operation> {
        let timeout = limit(timeout)?;
        Ok(self.operation(move |client| async move { client.connect(timeout).await }))
    }

    fn disconnect(&self, timeout: Option<f64>) -> PyResult<Operation> {
        let timeout = limit(timeout)?;
        Ok(self.operation(move |client| async move { client.disconnect(timeout).await }))
    }

    fn shutdown(&self, timeout: Option<f64>) -> PyResult<Operation> {
        let timeout = limit(timeout)?;
        Ok(self.operation(move |client| async move { client.shutdown(timeout).await }))
    }

    /// A token of the program in place of the last, and when it expires.
    fn update_token(&self, text: String, expires: u64, timeout: Option<f64>) -> PyResult<Operation> {
        let (token, timeout) = (Token::new(text, expires), limit(timeout)?);
        Ok(self.operation(move |client| async move { client.update_token(token, timeout).await }))
    }

    /// Send a message; `unusual` is what the writer asks.
    fn send_message(
        &self,
        message: &Bound<'_, PyAny>,
        writer: &MessageWriter,
        unusual: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let ((properties, payload), timeout) = (writer.write(message, unusual)?, limit(timeout)?);
        let operation = self.operation(|client| client.send_telemetry(&properties, payload, timeout));
        Ok(operation.on(self.callers_or(Threads::None)))
    }

    /// Send one of many, of which the session is told by `release`; and whether that is to be called, as this is the
    /// first.
    fn send_message_with_others(
        &self,
        message: &Bound<'_, PyAny>,
        writer: &MessageWriter,
        unusual: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<(Operation, bool)> {
        let ((properties, payload), timeout) = (writer.write(message, unusual)?, limit(timeout)?);
        let was_holding = self.client.is_holding();
        let operation =
            self.operation(|client| client.send_telemetry_with_others(&properties, payload, timeout));
        Ok((operation.on(Threads::None), !was_holding && self.client.is_holding()))
    }

    /// Tell the session of the messages that were held.
    fn release(&self) {
        self.client.release();
    }

    /// Send many; all are written before the first is sent. A list with None or an error's parts for each.
    fn send_messages(
        &self,
        messages: Vec<Bound<'_, PyAny>>,
        writer: &MessageWriter,
        unusual: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let written =
            messages.iter().map(|message| writer.write(message, unusual)).collect::<PyResult<Vec<_>>>()?;
        let timeout = limit(timeout)?;
        let operation = self.operation(|client| {
            let send =
                |(properties, payload): (String, _)| client.send_telemetry(&properties, payload, timeout);
            let sending: Vec<_> = written.into_iter().map(send).collect();
            async move {
                let mut outcomes = Vec::with_capacity(sending.len());
                // They are on their way together, and the last arrives last: who waits for it is woken once.
                for sent in sending.into_iter().rev() {
                    outcomes.push(sent.await);
                }
                outcomes.reverse();
                Ok(Outcomes(outcomes))
            }
        });
        Ok(operation.on(self.callers_or(Threads::None)))
    }

    /// Wait until what the outbox has accepted has left it.
    fn flush(&self, timeout: Option<f64>) -> PyResult<Operation> {
        let timeout = limit(timeout)?;
        Ok(self.operation(|client| client.flush(timeout)))
    }

    fn get_twin(&self, timeout: Option<f64>) -> PyResult<Operation> {
        let timeout = limit(timeout)?;
        Ok(self.operation(move |client| async move { client.get_twin(timeout).await }))
    }

    fn patch_reported_properties(&self, patch: &[u8], timeout: Option<f64>) -> PyResult<Operation> {
        let (patch, timeout) = (Bytes::copy_from_slice(patch), limit(timeout)?);
        Ok(self
            .operation(move |client| async move { client.patch_reported_properties(patch, timeout).await }))
    }

    fn respond_to_method(
        &self,
        request_id: String,
        status: i64,
        payload: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let (payload, timeout) = (Bytes::copy_from_slice(payload), limit(timeout)?);
        let operation = self.operation(move |client| async move {
            client.respond_to_method(&request_id, status, payload, timeout).await
        });
        // Whoever drives has brought the call, and will bring the next.
        Ok(operation.on(self.stand_in_or(Threads::None)))
    }

    /// Where to upload a file: JSON for JSON.
    fn get_storage_info(&self, body: &[u8], timeout: Option<f64>) -> PyResult<Operation> {
        let (body, timeout) = (Bytes::copy_from_slice(body), limit(timeout)?);
        Ok(self.operation(move |client| async move { client.get_storage_info(body, timeout).await }))
    }

    /// How an upload has ended, as JSON.
    fn notify_upload(&self, body: &[u8], timeout: Option<f64>) -> PyResult<Operation> {
        let (body, timeout) = (Bytes::copy_from_slice(body), limit(timeout)?);
        Ok(self.operation(move |client| async move { client.notify_upload(body, timeout).await }))
    }

    /// Call a direct method through the gateway of IoT Edge: JSON for JSON.
    fn invoke_method(
        &self,
        device_id: String,
        module_id: Option<String>,
        body: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<Operation> {
        let (body, timeout) = (Bytes::copy_from_slice(body), limit(timeout)?);
        Ok(self.operation(move |client| async move {
            client.invoke_method(&device_id, module_id.as_deref(), body, timeout).await
        }))
    }

    /// Ask the hub for what is of this kind.
    fn enable(&self, kind: &str, timeout: Option<f64>) -> PyResult<Operation> {
        let (kind, timeout) = (kind_of(kind)?, limit(timeout)?);
        Ok(self.operation(move |client| async move { client.enable(kind, timeout).await }))
    }

    /// Ask the hub for it no more.
    fn disable(&self, kind: &str, timeout: Option<f64>) -> PyResult<Operation> {
        let (kind, timeout) = (kind_of(kind)?, limit(timeout)?);
        Ok(self.operation(move |client| async move { client.disable(kind, timeout).await }))
    }

    /// The next of this kind (and of this name, for messages on inputs and methods); None after `timeout`.
    fn receive(&self, kind: &str, name: Option<String>, timeout: Option<f64>) -> PyResult<Operation> {
        let (kind, timeout) = (kind_of(kind)?, limit(timeout)?);
        let operation =
            self.operation(move |client| async move { receive(&client, kind, name, timeout).await });
        Ok(operation.on(self.stand_in_or(Threads::Worker)))
    }

    /// Whether something of this kind (and name) is there, at once or within `timeout`: who takes it later may be
    /// cancelled before, and then it stays.
    fn arrival(&self, kind: &str, name: Option<String>, timeout: Option<f64>) -> PyResult<Operation> {
        let (kind, timeout) = (kind_of(kind)?, limit(timeout)?);
        let operation = self.operation(move |client| async move {
            let arrival = async { client.arrival(kind, name.as_deref()).await.map(|()| true) };
            within(timeout, arrival).await.unwrap_or(Ok(false))
        });
        Ok(operation.on(self.stand_in_or(Threads::Worker)))
    }

    /// What is there already of this kind, or None.
    fn take(&self, kind: &str, name: Option<&str>) -> PyResult<Answer> {
        Ok(take(&self.client, kind_of(kind)?, name))
    }

    /// Tell this mailbox, under this number, when something new has come. Events are kept only while one is told.
    fn watch(&self, mailbox: &Mailbox, number: u64) {
        let slot = mailbox.slot();
        self.client.watch(Some(Box::new(move |kind| slot.put_news(number, kind))));
    }
}

impl DeviceClient {
    fn operation<T, F>(&self, start: impl FnOnce(Arc<Client>) -> F) -> Operation
    where
        T: Into<Answer> + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Operation::new(self.process, start(Arc::clone(&self.client))).on(self.callers_or(Threads::Worker))
    }

    fn callers_or(&self, others: Threads) -> Threads {
        if self.blocking { Threads::Callers } else { others }
    }

    fn stand_in_or(&self, others: Threads) -> Threads {
        if self.blocking { Threads::StandIn } else { others }
    }
}

async fn receive(
    client: &Client,
    kind: Kind,
    name: Option<String>,
    timeout: Option<Duration>,
) -> Result<Answer> {
    let name = name.as_deref();
    let next = async {
        match kind {
            Kind::DesiredPatch => client.next_desired_patch().await.map(Into::into),
            Kind::Message => client.next_message(name).await.map(Into::into),
            Kind::Method => client.next_method(name).await.map(Into::into),
            Kind::Event => std::future::pending().await,
        }
    };
    within(timeout, next).await.unwrap_or(Ok(Answer::None))
}

/// What the future gives, or None after this time.
async fn within<T>(time: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match time {
        Some(time) => tokio::time::timeout(time, future).await.ok(),
        None => Some(future.await),
    }
}

fn take(client: &Client, kind: Kind, name: Option<&str>) -> Answer {
    match kind {
        Kind::DesiredPatch => client.desired_patch_now().into(),
        Kind::Message => client.message_now(name).into(),
        Kind::Method => client.method_now(name).into(),
        Kind::Event => client.event_now().into(),
    }
}

fn kind_of(name: &str) -> PyResult<Kind> {
    let kinds = [Kind::DesiredPatch, Kind::Message, Kind::Method, Kind::Event];
    let found = kinds.into_iter().find(|kind| kind_name(*kind) == name);
    found.ok_or_else(|| pyo3::exceptions::PyValueError::new_err(format!("no kind is called {name:?}")))
}

/// The parts of a connection string; `CoreError` with the broken rule's name, and the part's number or key.
#[pyfunction]
fn parse_connection_string(text: &str) -> PyResult<HashMap<&'static str, String>> {
    ConnectionString::parse(text).map(|parsed| parsed.parts().collect()).map_err(|error| {
        let (rule, detail) = match error {
            ConnectionStringError::NoEqualsSign(part) => ("no_equals_sign", part.to_string()),
            ConnectionStringError::DuplicateKey => ("duplicate_key", String::new()),
            ConnectionStringError::UnknownKey { part, meant: None } => ("unknown_key", part.to_string()),
            ConnectionStringError::UnknownKey { meant: Some(key), .. } => ("misspelt_key", key.to_owned()),
            ConnectionStringError::MixedAuthentication => ("mixed_authentication", String::new()),
            ConnectionStringError::Incomplete => ("incomplete", String::new()),
        };
        CoreError::new_err((rule, detail, Vec::<String>::new()))
    })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DeviceClient>()?;
    module.add_function(wrap_pyfunction!(parse_connection_string, module)?)
}

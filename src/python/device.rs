//! Device and module clients for Python: one handle, whose methods wait for the core's operations.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::{CoreError, to_python};
use super::runtime;
use crate::auth::{ConnectionString, ConnectionStringError, SasKey};
use crate::device::{Client, Credentials, Options};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::properties;
use crate::tls::Roots;

/// What `ferrohub.device.options.ClientOptions` holds, field by field.
#[derive(FromPyObject)]
struct ClientOptions {
    host_name: String,
    gateway_host_name: Option<String>,
    device_id: String,
    module_id: Option<String>,
    shared_access_key: String,
    sastoken_ttl: u64,
    user_agent: String,
    model_id: Option<String>,
    server_verification_cert: Option<String>,
    keep_alive: u16,
    auto_connect: bool,
    connection_retry: bool,
    connection_retry_interval: f64,
    ensure_desired_properties: bool,
}

impl ClientOptions {
    fn into_core(self) -> Result<Options> {
        let key = SasKey::from_base64(&self.shared_access_key)?;
        let credentials = Credentials::Key { key, ttl: Duration::from_secs(self.sastoken_ttl) };
        let mut options = Options::new(self.host_name, self.device_id, self.module_id, credentials);
        options.gateway_host_name = self.gateway_host_name;
        options.user_agent = self.user_agent;
        options.model_id = self.model_id;
        options.roots = self.server_verification_cert.map_or(Roots::System, Roots::Pem);
        options.keep_alive_seconds = self.keep_alive;
        options.auto_connect = self.auto_connect;
        options.connection_retry = self.connection_retry;
        options.connection_retry_interval = seconds(self.connection_retry_interval)?;
        options.ensure_desired_properties = self.ensure_desired_properties;
        Ok(options)
    }
}

/// A device's or module's connection; private to `ferrohub.device`.
#[pyclass(frozen, module = "ferrohub._native")]
struct DeviceClient {
    client: Client,
    process: u32,
}

#[expect(clippy::needless_pass_by_value, reason = "arguments arrive converted, by value")]
#[pymethods]
impl DeviceClient {
    #[new]
    fn new(options: ClientOptions) -> PyResult<Self> {
        let client = options.into_core().and_then(|options| Client::new(options, &runtime::handle()?));
        Ok(Self { client: client.map_err(|error| to_python(&error))?, process: std::process::id() })
    }

    #[getter]
    fn connected(&self) -> bool {
        self.process == std::process::id() && self.client.is_connected()
    }

    fn connect(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, self.client.connect())
    }

    fn disconnect(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, self.client.disconnect())
    }

    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, self.client.shutdown())
    }

    fn send_telemetry(
        &self,
        py: Python<'_>,
        message_properties: Vec<(String, String)>,
        payload: &[u8],
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let pairs = message_properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let encoded = properties::encode(pairs);
        let (payload, timeout) = (Bytes::copy_from_slice(payload), limit(timeout)?);
        self.wait(py, self.client.send_telemetry(&encoded, payload, timeout))
    }

    fn get_twin<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyBytes>> {
        let twin = self.wait(py, self.client.get_twin(limit(timeout)?))?;
        Ok(PyBytes::new(py, &twin))
    }

    fn patch_reported_properties(&self, py: Python<'_>, patch: &[u8], timeout: Option<f64>) -> PyResult<()> {
        let (patch, timeout) = (Bytes::copy_from_slice(patch), limit(timeout)?);
        self.wait(py, self.client.patch_reported_properties(patch, timeout))
    }

    fn enable_desired_patches(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.wait(py, self.client.enable_desired_patches(limit(timeout)?))
    }

    fn next_desired_patch<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let timeout = limit(timeout)?;
        if let Some(patch) = self.client.desired_patch_now() {
            return Ok(Some(PyBytes::new(py, &patch)));
        }
        let patch = self.wait(py, async {
            let next = self.client.next_desired_patch();
            match timeout {
                Some(timeout) => Ok(tokio::time::timeout(timeout, next).await.ok()),
                None => Ok(Some(next.await)),
            }
        })?;
        Ok(patch.map(|patch| PyBytes::new(py, &patch)))
    }
}

impl DeviceClient {
    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> PyResult<T> {
        if self.process != std::process::id() {
            let text = "this client was made before a fork; make a new one in the child process";
            return Err(to_python(&Error::new(ErrorKind::ShutDown, text)));
        }
        runtime::block_on(py, operation)?.map_err(|error| to_python(&error))
    }
}

fn limit(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    timeout.map(seconds).transpose().map_err(|error| to_python(&error))
}

fn seconds(number: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{number} s is no time")).caused_by(error)
    })
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

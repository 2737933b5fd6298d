//! Provisioning clients for Python.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::errors::to_python;
use super::operation::Operation;
use super::options::{Certificate, ProxyOptions, SharedAccessKey, identity, key, limit, proxy};
use super::roots::default_roots;
use super::runtime;
use crate::error::Result;
use crate::provisioning::{Attestation, Client, Options};
use crate::tls::{Roots, cipher_suites};

/// What `ferrohub.provisioning.options.ProvisioningOptions` holds, field by field.
#[derive(FromPyObject)]
struct ProvisioningOptions {
    provisioning_host: String,
    gateway_host_name: Option<String>,
    id_scope: String,
    registration_id: String,
    shared_access_key: Option<Py<SharedAccessKey>>,
    sastoken_ttl: u64,
    certificate: Option<Certificate>,
    /// Names of OpenSSL.
    cipher_suites: Option<Vec<String>>,
    user_agent: String,
    server_verification_cert: Option<String>,
    websockets: bool,
    proxy: Option<ProxyOptions>,
    keep_alive: u16,
}

impl ProvisioningOptions {
    fn into_core(self, default_roots: Roots) -> Result<Options> {
        let attestation = self.attestation()?;
        let mut options =
            Options::new(self.provisioning_host, self.id_scope, self.registration_id, attestation);
        options.gateway_host_name = self.gateway_host_name;
        options.user_agent = self.user_agent;
        options.roots = self.server_verification_cert.map_or(default_roots, Roots::Pem);
        options.cipher_suites = self.cipher_suites.as_deref().map(cipher_suites).transpose()?;
        options.websockets = self.websockets;
        options.proxy = self.proxy.map(proxy).transpose()?;
        options.keep_alive_seconds = self.keep_alive;
        Ok(options)
    }

    fn attestation(&self) -> Result<Attestation> {
        if let Some(certificate) = &self.certificate {
            return identity(certificate).map(Attestation::Certificate);
        }
        let key = key(self.shared_access_key.as_ref())?;
        Ok(Attestation::Key { key, ttl: Duration::from_secs(self.sastoken_ttl) })
    }
}

/// A device that asks for its hub; private to `ferrohub.provisioning`.
#[pyclass(frozen, module = "ferrohub._native")]
struct ProvisioningClient {
    client: Arc<Client>,
    process: u32,
}

#[pymethods]
impl ProvisioningClient {
    #[new]
    fn new(py: Python<'_>, options: ProvisioningOptions) -> PyResult<Self> {
        let client = options.into_core(default_roots(py)).and_then(Client::new);
        let client = client.map_err(|error| to_python(&error))?;
        Ok(Self { client: Arc::new(client), process: runtime::process() })
    }

    /// Register with this payload, which is JSON; the service's last answer, JSON too. Seconds; None waits without end.
    fn register(&self, payload: Vec<u8>, timeout: Option<f64>) -> PyResult<Operation> {
        let (client, timeout) = (Arc::clone(&self.client), limit(timeout)?);
        Ok(Operation::new(self.process, async move { client.register(&payload, timeout).await }))
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ProvisioningClient>()
}

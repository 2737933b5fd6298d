//! `ServiceTransport`: the REST transport of the service clients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::errors;
use super::operation::Operation;
use super::roots::default_roots;
use super::runtime::{self, Threads};
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::http::Request;
use crate::service::{self, Credentials, Transport};

/// What `ferrohub.service.retry.RetryPolicy` holds, field by field.
#[derive(FromPyObject)]
struct RetryPolicy {
    attempts: u32,
    backoff: f64,
    longest_pause: f64,
}

impl RetryPolicy {
    fn into_core(self) -> PyResult<service::RetryPolicy> {
        let (backoff, longest_pause) = (seconds(self.backoff)?, seconds(self.longest_pause)?);
        Ok(service::RetryPolicy { attempts: self.attempts, backoff, longest_pause })
    }
}

pub(super) fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A policy's credentials, if there is one.
pub(super) fn credentials(policy: Option<String>, key: Option<&str>) -> PyResult<Option<Credentials>> {
    let credentials =
        policy.zip(key).map(|(policy, key)| SasKey::from_base64(key).map(|key| Credentials { policy, key }));
    credentials.transpose().map_err(|error| errors::to_python(&error))
}

/// One hub's REST endpoint; see `crate::service::Transport`.
#[pyclass(frozen, module = "ferrohub._native")]
struct ServiceTransport {
    transport: Arc<Transport>,
    threads: Threads,
}

#[pymethods]
impl ServiceTransport {
    /// With `blocking`, whoever waits for its operations runs them.
    #[new]
    #[pyo3(signature = (host_name, platform, policy, key, blocking))]
    fn new(
        py: Python<'_>,
        host_name: String,
        platform: &str,
        policy: Option<String>,
        key: Option<&str>,
        blocking: bool,
    ) -> PyResult<Self> {
        let user_agent = format!("ferrohub/{} ({platform})", env!("CARGO_PKG_VERSION"));
        let credentials = credentials(policy, key)?;
        let transport =
            Transport::new(host_name, &user_agent, credentials, default_roots(py), Clock::system());
        let transport = Arc::new(transport.map_err(|error| errors::to_python(&error))?);
        Ok(Self { transport, threads: if blocking { Threads::Callers } else { Threads::Worker } })
    }

    /// Send a request and wait for the answer; `limit` is in seconds, over all attempts.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    #[expect(clippy::too_many_arguments, reason = "what Python's Request holds, one by one")]
    fn request(
        &self,
        method: &str,
        target: String,
        headers: Vec<(String, String)>,
        body: Option<&[u8]>,
        repeatable: bool,
        limit: f64,
        retry: RetryPolicy,
    ) -> PyResult<Operation> {
        let (limit, retry) = (seconds(limit)?, retry.into_core()?);
        let request = Request::new(method, target, &headers, body.map(Bytes::copy_from_slice));
        let request = request.map_err(|error| errors::to_python(&error))?;
        let transport = Arc::clone(&self.transport);
        let sending = async move { transport.request(request, repeatable, limit, retry).await };
        // After a fork the child's pool is its own: an operation may begin in any process.
        Ok(Operation::new(runtime::process(), sending).on(self.threads))
    }

    /// End the connections; a request afterwards opens new ones.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            self.transport.close();
            self.settle();
        });
    }
}

impl ServiceTransport {
    fn settle(&self) {
        if self.threads == Threads::Callers {
            runtime::settle_callers();
        }
    }
}

impl Drop for ServiceTransport {
    fn drop(&mut self) {
        self.transport.close();
        self.settle();
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ServiceTransport>()
}

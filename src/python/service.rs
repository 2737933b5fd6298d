//! `ServiceTransport`: the REST transport of the service clients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::task::JoinSet;

use super::roots::default_roots;
use super::{errors, runtime};
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{self, Request};
use crate::service::{Credentials, Response, Transport};

/// Status, reason phrase, headers, body, address, number of attempts, whether the hub was given up.
type Answer = (u16, String, Vec<(String, String)>, Py<PyBytes>, String, u32, bool);

/// One hub's REST endpoint; see `crate::service::Transport`.
#[pyclass(frozen, module = "ferrohub._native")]
struct ServiceTransport(Arc<Transport>);

#[pymethods]
impl ServiceTransport {
    #[new]
    #[pyo3(signature = (host_name, platform, policy=None, key=None))]
    fn new(
        py: Python<'_>,
        host_name: String,
        platform: &str,
        policy: Option<String>,
        key: Option<&str>,
    ) -> PyResult<Self> {
        let user_agent = format!("ferrohub/{} ({platform})", env!("CARGO_PKG_VERSION"));
        let credentials = policy
            .zip(key)
            .map(|(policy, key)| SasKey::from_base64(key).map(|key| Credentials { policy, key }));
        let transport = credentials.transpose().and_then(|credentials| {
            Transport::new(host_name, &user_agent, credentials, default_roots(py), Clock::system())
        });
        Ok(Self(Arc::new(transport.map_err(|error| errors::to_python(&error))?)))
    }

    /// Send a request and wait for the answer; `limit` is in seconds, over all attempts.
    #[expect(clippy::needless_pass_by_value, reason = "arguments from Python are owned")]
    #[pyo3(signature = (method, target, headers, body=None, limit=100.0))]
    fn request(
        &self,
        py: Python<'_>,
        method: &str,
        target: String,
        headers: Vec<(String, String)>,
        body: Option<&[u8]>,
        limit: f64,
    ) -> PyResult<Answer> {
        let limit = Duration::try_from_secs_f64(limit)
            .map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
        let request = Request::new(method, target, &headers, body.map(Bytes::copy_from_slice));
        let request = request.map_err(|error| errors::to_python(&error))?;
        let response = self.send(py, request, limit)?.map_err(|error| errors::to_python(&error))?;
        let Response { answer, attempts, given_up } = response;
        let body = PyBytes::new(py, &answer.body).unbind();
        let http::Response { status, reason, headers, url, .. } = answer;
        Ok((status, reason, headers, body, url, attempts, given_up))
    }
}

impl ServiceTransport {
    /// On the runtime's own thread, where the connections live: the caller's thread is woken once, and by then the
    /// connection is back in the pool for the next call. A signal drops the set, which ends the request.
    fn send(&self, py: Python<'_>, request: Request, limit: Duration) -> PyResult<Result<Response>> {
        let handle = runtime::handle().map_err(|error| errors::to_python(&error))?;
        let transport = Arc::clone(&self.0);
        let mut task = JoinSet::new();
        task.spawn_on(async move { transport.request(request, limit).await }, &handle);
        let ended = runtime::block_on(py, async move { task.join_next().await })?;
        Ok(ended.and_then(std::result::Result::ok).unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Cancelled, "the request was ended by the end of the program"))
        }))
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ServiceTransport>()
}

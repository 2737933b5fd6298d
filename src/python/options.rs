//! What the options of all clients have in common, in the plain Python values that facades give.

use std::time::Duration;

use pyo3::prelude::*;

use super::errors::to_python;
use crate::auth::SasKey;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Proxy, ProxyKind};
use crate::tls::{self, Identity};

/// A shared access key that has been read; what stands in it is never shown.
#[pyclass(frozen, module = "ferrohub._native")]
pub(super) struct SharedAccessKey(SasKey);

#[pymethods]
impl SharedAccessKey {
    #[new]
    fn new(base64: &str) -> PyResult<Self> {
        SasKey::from_base64(base64).map(Self).map_err(|error| to_python(&error))
    }
}

/// What a facade gives that has neither token nor certificate.
pub(super) fn key(given: Option<&Py<SharedAccessKey>>) -> Result<SasKey> {
    let missing = || Error::new(ErrorKind::InvalidArgument, "a client needs credentials");
    given.map(|key| key.get().0.clone()).ok_or_else(missing)
}

/// See that this PEM text holds certificates to trust.
#[pyfunction]
fn check_trusted_certificates(pem: &str) -> PyResult<()> {
    tls::check_pem(pem).map_err(|error| to_python(&error))
}

/// Certificate chain and key as PEM, and the key's pass phrase.
pub(super) type Certificate = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

pub(super) fn identity((certificate, key, pass_phrase): &Certificate) -> Result<Identity> {
    Identity::from_pem(certificate, key, pass_phrase.as_deref())
}

/// A proxy's type, host, port, user name and password, as `ferrohub.device.connection_options` takes them
/// from a `ProxyOptions`.
pub(super) type ProxyOptions = (String, String, i64, Option<String>, Option<String>);

pub(super) fn proxy((kind, host, port, user_name, password): ProxyOptions) -> Result<Proxy> {
    let invalid = |text: String| Error::new(ErrorKind::InvalidArgument, text);
    let kind = match kind.as_str() {
        "HTTP" => ProxyKind::Http,
        "SOCKS4" => ProxyKind::Socks4,
        "SOCKS5" => ProxyKind::Socks5,
        other => return Err(invalid(format!("there is no proxy of the type {other:?}"))),
    };
    let port = u16::try_from(port)
        .map_err(|error| invalid(format!("a proxy can't have the port {port}")).caused_by(error))?;
    Ok(Proxy { kind, host, port, user_name, password })
}

/// How long a call may take; None: without end.
pub(super) fn limit(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let refuse = |error: Error| pyo3::exceptions::PyValueError::new_err(error.message().to_owned());
    timeout.map(seconds).transpose().map_err(refuse)
}

pub(super) fn seconds(number: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("a time of {number:?} s is not possible"))
            .caused_by(error)
    })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SharedAccessKey>()?;
    module.add_function(wrap_pyfunction!(check_trusted_certificates, module)?)
}

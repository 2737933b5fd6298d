//! What the options of all clients have in common, in the plain Python values that facades give.

use std::time::Duration;

use pyo3::PyResult;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{Proxy, ProxyKind};
use crate::tls::Identity;

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

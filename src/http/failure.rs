//! Why no answer came: from an HTTP library's error to the kind, what happened, and what to do.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;

use super::{Origin, Way};
use crate::error::{Error, ErrorKind};
use crate::tls;

/// What to tell the caller, and whether asking again may help.
#[derive(Debug)]
pub struct Failure {
    /// `ConnectionFailed`, `ConnectionDropped`, `Tls`, `Proxy`, `InvalidArgument` or `System`.
    pub error: Error,
    /// How far the request came.
    pub stage: Stage,
}

/// How far a request came that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No connection came about: the server has seen nothing.
    NeverSent,
    /// The connection broke before the answer was complete.
    Lost,
    /// Asking again would not help: the certificate is not trusted, the request can't be built.
    Hopeless,
}

impl Failure {
    /// A failure that asking again does not mend.
    #[must_use]
    pub fn hopeless(error: Error) -> Self {
        Self { error, stage: Stage::Hopeless }
    }

    fn new(kind: ErrorKind, text: String, stage: Stage) -> Self {
        Self { error: Error::new(kind, text), stage }
    }
}

/// Explain a failed attempt to ask this server.
pub(super) fn explain(error: &reqwest::Error, origin: &Origin, way: &Way) -> Failure {
    let place = origin.place();
    if let Some(certificate) = find::<rustls::Error>(error) {
        let advice = match certificate {
            rustls::Error::InvalidCertificate(reason) => what_to_do(reason, origin),
            _ => "Check the port: what listens there may speak no TLS",
        };
        let text = format!("the TLS handshake with {place} failed: {certificate}. {advice}");
        return Failure::new(ErrorKind::Tls, text, Stage::Hopeless);
    }
    if error.is_builder() {
        return Failure::new(ErrorKind::InvalidArgument, innermost(error), Stage::Hopeless);
    }
    if error.is_connect() {
        return no_connection(&innermost(error), origin, way);
    }
    let mut text = format!("{place} closed the connection before it answered");
    if !was_closed(error) {
        text = format!("the connection to {place} failed: {}", innermost(error));
    }
    Failure::new(ErrorKind::ConnectionDropped, text, Stage::Lost)
}

fn no_connection(cause: &str, origin: &Origin, way: &Way) -> Failure {
    let place = origin.place();
    if let Way::Proxy(proxy) = way {
        let text = format!(
            "the proxy {proxy} opened no way to {place}: {cause}. Check its type and address, and its user's name and password"
        );
        return Failure::new(ErrorKind::Proxy, text, Stage::NeverSent);
    }
    // reqwest's word for a proxy that answered, and opened no way.
    if cause.starts_with("tunnel error") {
        let text = format!(
            "the proxy that HTTPS_PROXY names opened no way to {place}: {cause}. Check its user's name and password, and whether NO_PROXY should name this host"
        );
        return Failure::new(ErrorKind::Proxy, text, Stage::NeverSent);
    }
    let text = format!("could not connect to {place}: {cause}. {}", how_to_connect(origin));
    Failure::new(ErrorKind::ConnectionFailed, text, Stage::NeverSent)
}

fn how_to_connect(origin: &Origin) -> &'static str {
    match origin {
        Origin::Https(host) if tls::is_loopback(host) => {
            "No hub listens there: start one with `ferrohub up`, and check the port in the connection string"
        }
        Origin::Https(_) if proxy_is_named() => {
            "Check HostName in the connection string, the network, and the proxy that HTTPS_PROXY names"
        }
        Origin::Https(_) => {
            "Check HostName in the connection string, the network, and whether a proxy is needed (HTTPS_PROXY)"
        }
        Origin::Http(_) | Origin::Unix(_) => "Check the address, and whether the service runs",
    }
}

fn proxy_is_named() -> bool {
    let mut names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].iter();
    names.any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn what_to_do(reason: &CertificateError, origin: &Origin) -> &'static str {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext};
    match reason {
        Expired | ExpiredContext { .. } => "Renew the server's certificate, or check this computer's clock",
        NotValidForName | NotValidForNameContext { .. } => {
            "Check HostName in the connection string: the certificate is another host's"
        }
        _ => how_to_trust(origin),
    }
}

fn how_to_trust(origin: &Origin) -> &'static str {
    if origin.is_local() {
        "If this is a local hub of another user or machine, name its ca.pem in SSL_CERT_FILE"
    } else {
        "If a proxy or gateway has its own CA, name its PEM file in REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    }
}

/// The first error of a type among an error and its causes, also inside an `io::Error`.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whether the peer ended the connection, orderly or not.
fn was_closed(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let ends = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof];
    find::<io::Error>(error).is_some_and(|error| ends.contains(&error.kind()))
        || find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message)
}

/// The last cause says best what happened; the ones above name the library's layers.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    if let Some(refused) = find::<io::Error>(error).filter(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
        return refused.kind().to_string();
    }
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

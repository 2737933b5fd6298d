//! Why no answer came: from an HTTP library's error to the kind, what happened, and what to do.

use std::error::Error as StdError;
use std::io;

use super::retry::Outcome;
use crate::error::{Error, ErrorKind};
use crate::tls;

/// What to tell the caller, and whether trying again may help.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) outcome: Outcome,
}

/// Explain a failed attempt to ask this host.
pub(super) fn explain(error: &reqwest::Error, host: &str) -> Failure {
    let address = with_port(host);
    if let Some(certificate) = find::<rustls::Error>(error) {
        let advice = match certificate {
            rustls::Error::InvalidCertificate(_) => how_to_trust(host),
            _ => "Check the port: what listens there may speak no TLS",
        };
        let text = format!("the TLS handshake with {address} failed: {certificate}. {advice}");
        return failure(ErrorKind::Tls, text, Outcome::Hopeless);
    }
    if error.is_builder() {
        return failure(ErrorKind::InvalidArgument, innermost(error), Outcome::Hopeless);
    }
    if error.is_connect() {
        let text = format!("could not connect to {address}: {}. {}", innermost(error), how_to_connect(host));
        return failure(ErrorKind::ConnectionFailed, text, Outcome::NeverSent);
    }
    let mut text = format!("{address} closed the connection before it answered");
    if !was_closed(error) {
        text = format!("the connection to {address} failed: {}", innermost(error));
    }
    failure(ErrorKind::ConnectionDropped, text, Outcome::Lost)
}

/// The hub asks to look elsewhere, again and again.
pub(super) fn too_many_redirects(host: &str) -> Failure {
    let text = format!("{} redirected too many times", with_port(host));
    failure(ErrorKind::Protocol, text, Outcome::Hopeless)
}

fn failure(kind: ErrorKind, text: String, outcome: Outcome) -> Failure {
    Failure { error: Error::new(kind, text), outcome }
}

fn with_port(host: &str) -> String {
    let (name, port) = tls::split_port(host);
    format!("{name}:{}", port.unwrap_or(443))
}

fn how_to_connect(host: &str) -> &'static str {
    if tls::is_loopback(host) {
        "No hub listens there: start one with `ferrohub up`, and check the port in the connection string"
    } else {
        "Check HostName in the connection string, the network, and whether a proxy is needed (HTTPS_PROXY)"
    }
}

fn how_to_trust(host: &str) -> &'static str {
    if tls::is_loopback(host) {
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

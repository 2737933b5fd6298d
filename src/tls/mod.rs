//! TLS for every client and the hub: one provider (ring), one way to decide whom to trust.
//!
//! Roots are the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` count on every platform), or the PEM text
//! or bundle the user names instead. For loopback host names, and for those only, the local hub's own
//! CA is trusted too, so that a script needs nothing but its connection string; but not beside a PEM text:
//! a program that names certificates means those.
//!
//! - `identity`: the certificate that a device shows; `cipher`: which suites are offered
//! - `system`: the system's certificates
//! - `trusted`: certificates to trust, and a server's held against them
//! - `verifiers`: shared by clients that trust the same

mod cipher;
mod identity;
mod system;
mod trusted;
mod verifiers;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, SupportedCipherSuite};

use crate::error::{Error, ErrorKind, Result};
use crate::home;
use system::SystemRoots;
use trusted::{Trusted, Verifier};
use verifiers::Trust;

pub use cipher::cipher_suites;
pub use identity::Identity;

/// What rustls counts for one server: a configuration is for one host.
const TICKETS: usize = 8;

/// Whom a client trusts besides the local CA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The certificates of the system.
    #[default]
    System,
    /// Only those in this PEM text (`server_verification_cert`).
    Pem(String),
    /// Only those in this file, or in the files of this folder (`REQUESTS_CA_BUNDLE`).
    Bundle(std::path::PathBuf),
}

/// The one crypto provider; nothing relies on a process-wide default.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// A client's TLS configuration for a host: TLS 1.2 and 1.3, server certificate and host name checked.
///
/// `protocols` is what ALPN offers: `http/1.1` for REST, nothing for MQTT and AMQP.
///
/// # Errors
/// `TlsOption` if the PEM text holds no certificate, `InvalidArgument` if the bundle holds none, `System` if
/// it can't be read.
pub fn client_config(host: &str, roots: &Roots, protocols: &[&str]) -> Result<Arc<ClientConfig>> {
    let mut config = device_config(host, roots, None, None)?;
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// The same for a device, which may show a certificate, and may offer these suites only.
///
/// # Errors
/// As [`client_config`].
pub fn device_config(
    host: &str,
    roots: &Roots,
    identity: Option<&Identity>,
    suites: Option<&[SupportedCipherSuite]>,
) -> Result<ClientConfig> {
    let provider = match suites {
        Some(suites) => Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), ..(*provider()).clone() }),
        None => provider(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls_setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(host, roots)?);
    let mut config = match identity {
        Some(identity) => config.with_client_cert_resolver(identity.resolver()),
        None => config.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(TICKETS);
    Ok(config)
}

/// For a client that never speaks TLS, of a library that asks for a configuration all the same: it trusts nobody.
///
/// # Errors
/// `System` if TLS could not be set up.
pub fn unused_config() -> Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config.map_err(tls_setup)?.with_root_certificates(RootCertStore::empty());
    Ok(Arc::new(config.with_no_client_auth()))
}

fn verifier(host: &str, roots: &Roots) -> Result<Arc<dyn ServerCertVerifier>> {
    let vouched_for = is_loopback(host) && !matches!(roots, Roots::Pem(_));
    let local_ca = vouched_for.then(local_ca).unwrap_or_default();
    let system = if *roots == Roots::System { SystemRoots::named() } else { SystemRoots::default() };
    let trust = Trust { roots: roots.clone(), system, local_ca };
    Ok(match roots {
        Roots::System | Roots::Pem(_) => verifiers::shared(trust, new_verifier)?,
        // What the files hold may have changed.
        Roots::Bundle(_) => new_verifier(&trust)?,
    })
}

fn new_verifier(trust: &Trust) -> Result<Arc<Verifier>> {
    let mut trusted = match &trust.roots {
        Roots::System => trust.system.certificates(),
        Roots::Pem(text) => trusted_in_pem(text)?,
        Roots::Bundle(path) => {
            let origin = path.display().to_string();
            trusted_in(&bundle_certificates(path)?, &origin, ErrorKind::InvalidArgument)?
        }
    };
    trusted.add(&pem_certificates(&trust.local_ca));
    if trusted.is_empty() {
        return Err(Error::new(
            ErrorKind::System,
            "this system has no CA certificates: install its ca-certificates package, or set SSL_CERT_FILE to a PEM file",
        ));
    }
    trusted.verifier().map(Arc::new)
}

fn tls_setup(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::System, "TLS could not be set up").caused_by(error)
}

/// Whether this system has roots; slim containers have none, and another bundle has to be named.
#[must_use]
pub fn system_has_roots() -> bool {
    !SystemRoots::named().certificates().is_empty()
}

/// Its PEM text, read anew for each client: the hub may have made it a moment ago.
fn local_ca() -> Vec<u8> {
    let path = home::data_dir().map(|folder| folder.join(home::CA_CERTIFICATE));
    path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default()
}

fn pem_certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(std::result::Result::ok).collect()
}

fn bundle_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error| {
        let text =
            format!("could not find a suitable TLS CA certificate bundle, invalid path: {}", path.display());
        Error::new(ErrorKind::System, text).caused_by(error)
    };
    if !path.is_dir() {
        return Ok(pem_certificates(&std::fs::read(path).map_err(unreadable)?));
    }
    let files = std::fs::read_dir(path).map_err(unreadable)?.filter_map(std::result::Result::ok);
    Ok(files
        .filter_map(|file| std::fs::read(file.path()).ok())
        .flat_map(|pem| pem_certificates(&pem))
        .collect())
}

/// See that a PEM text holds certificates that can be trusted, before a client is made that trusts them.
///
/// # Errors
/// `TlsOption` if it does not.
pub fn check_pem(text: &str) -> Result<()> {
    trusted_in_pem(text).map(drop)
}

fn trusted_in_pem(text: &str) -> Result<Trusted> {
    trusted_in(&pem_certificates(text.as_bytes()), "server_verification_cert", ErrorKind::TlsOption)
}

fn trusted_in(certificates: &[CertificateDer<'static>], origin: &str, kind: ErrorKind) -> Result<Trusted> {
    let trusted = Trusted::new(certificates);
    if trusted.is_empty() {
        let text = format!("{origin} holds no PEM certificate that can be used");
        return Err(Error::new(kind, text));
    }
    Ok(trusted)
}

/// Whether a host name (with or without a port or brackets) means this machine: only such names may be
/// vouched for by the local CA, and they never use a proxy from the environment.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let (name, _) = split_port(host);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Split `host:port`; the brackets of an IPv6 address are taken off.
#[must_use]
pub fn split_port(host: &str) -> (&str, Option<u16>) {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (name, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LocalHost:8443", "127.0.0.1", "127.8.9.1:443", "::1", "[::1]:8443"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["myhub.azure-devices.net", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", ""]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_port_is_split_off_names_and_addresses() {
        assert_eq!(split_port("h:8443"), ("h", Some(8443)));
        assert_eq!(split_port("h"), ("h", None));
        assert_eq!(split_port("[::1]:8443"), ("::1", Some(8443)));
        assert_eq!(split_port("::1"), ("::1", None));
    }

    #[test]
    fn clients_that_trust_the_same_share_one_verifier() {
        let certificate = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap().cert;
        let pem = Roots::Pem(certificate.pem());
        let (one, same) = (verifier("h", &pem).unwrap(), verifier("other", &pem).unwrap());
        assert!(Arc::ptr_eq(&one, &same));
    }

    #[test]
    fn a_text_without_certificates_is_refused() {
        let error = client_config("h", &Roots::Pem("nonsense".into()), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TlsOption);
        let error = client_config("h", &Roots::Bundle("/does/not/exist".into()), &[]).unwrap_err();
        assert!(error.to_string().contains("/does/not/exist"));
    }
}

//! The certificates of the local hub: a CA of this user's own, made once, and a server certificate per start.
//!
//! Clients on this machine trust the CA for loopback host names only, and its critical name constraints
//! (RFC 5280, section 4.2.1.10) let it vouch for nothing else, so a stolen key is worth little. A hub with
//! another host name gets a CA of its own that nothing trusts by default. Python 3.13 checks strictly:
//! key identifiers, key usage and basic constraints are all there. Used by the server.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::private_file::{self, Readers};
use crate::error::{Error, ErrorKind, Result};
use crate::home;

const CA_LIFETIME: Duration = Duration::days(3650);
/// Apple's limit for a server certificate is 398 days; a hub hardly runs that long.
const SERVER_LIFETIME: Duration = Duration::days(397);
/// Clocks of containers and virtual machines may lag.
const BACKDATED: Duration = Duration::days(1);
/// The line of the key file that says when the CA ends, so that nothing here has to parse certificates.
const VALID_UNTIL: &str = "Valid until: ";
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What the server shows, and what its clients need in order to trust it.
pub(super) struct ServerCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The CA's certificate as a PEM file, for `SSL_CERT_FILE` and its like.
    pub(super) ca_file: PathBuf,
    /// Set if the CA could not be kept where clients look for it.
    pub(super) note: Option<String>,
}

/// Make the certificate of a hub on this machine, or of one that others reach by `host_name`. The CA is
/// kept in the folder, in a temporary one if that can't be.
pub(super) fn server_certificate(
    folder: Option<&Path>,
    host_name: Option<&str>,
) -> Result<ServerCertificate> {
    let kept = match folder {
        Some(folder) => ensure_authority(folder, host_name),
        None => Err(Error::new(ErrorKind::System, "this system names no home folder")),
    };
    let (authority, ca_file, note) = match kept {
        Ok((authority, ca_file)) => (authority, ca_file, None),
        Err(error) => {
            let (authority, ca_file) = ensure_authority(&temporary_folder()?, host_name)?;
            let note = format!(
                "The hub's CA is kept in {} for this time only ({error}). Set FERROHUB_HOME, for the hub and its \
                 clients alike, to a folder that can be written to.",
                ca_file.display()
            );
            (authority, ca_file, Some(note))
        }
    };
    let (certificate, key) = authority.issue().map_err(cannot_make)?;
    Ok(ServerCertificate { chain: vec![certificate], key, ca_file, note })
}

fn cannot_make(error: rcgen::Error) -> Error {
    Error::new(ErrorKind::System, "the hub's certificates could not be made").caused_by(error)
}

/// A CA that can sign; its certificate and key live in one file, so that no reader sees a mixed pair.
struct Authority {
    key: KeyPair,
    certificate_pem: String,
    host_name: Option<String>,
}

impl Authority {
    fn generate(host_name: Option<&str>, now: OffsetDateTime) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut parameters = authority_parameters(&key, host_name);
        parameters.not_before = now - BACKDATED;
        parameters.not_after = now + CA_LIFETIME;
        let certificate_pem = parameters.self_signed(&key)?.pem();
        Ok(Self { key, certificate_pem, host_name: host_name.map(str::to_owned) })
    }

    /// Write the key file: when it ends, the key, the certificate.
    fn keep(self, key_file: &Path, now: OffsetDateTime) -> io::Result<Self> {
        let end = (now + CA_LIFETIME).format(&Rfc3339).map_err(io::Error::other)?;
        let text = format!("{VALID_UNTIL}{end}\n{}{}", self.key.serialize_pem(), self.certificate_pem);
        private_file::write(key_file, text.as_bytes(), Readers::Owner)?;
        Ok(self)
    }

    fn is_published(&self, ca_file: &Path) -> bool {
        fs::read_to_string(ca_file).is_ok_and(|published| published == self.certificate_pem)
    }

    /// Read the key file; `None` if it is broken, or ends before a server certificate made now would.
    fn from_text(text: &str, host_name: Option<&str>, now: OffsetDateTime) -> Option<Self> {
        let end = text.lines().next()?.strip_prefix(VALID_UNTIL)?;
        let end = OffsetDateTime::parse(end, &Rfc3339).ok()?;
        let certificate = text.find("-----BEGIN CERTIFICATE-----")?;
        let key = KeyPair::from_pem(&text[..certificate]).ok()?;
        let usable = now + SERVER_LIFETIME < end;
        usable.then(|| Self {
            key,
            certificate_pem: text[certificate..].to_owned(),
            host_name: host_name.map(str::to_owned),
        })
    }

    /// A server certificate for the names of this machine, and for the hub's own if it has one.
    fn issue(self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
        let host_name = self.host_name.as_deref();
        let key = KeyPair::generate()?;
        let names: Vec<String> = LOCAL_NAMES.into_iter().chain(host_name).map(str::to_owned).collect();
        let now = OffsetDateTime::now_utc();
        let mut parameters = CertificateParams::new(names)?;
        parameters.not_before = now - BACKDATED;
        parameters.not_after = now + SERVER_LIFETIME;
        parameters.distinguished_name.push(DnType::CommonName, host_name.unwrap_or("localhost"));
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(authority_parameters(&self.key, host_name), self.key);
        let certificate = parameters.signed_by(&key, &issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.into(), key.into()))
    }
}

/// What the CA's certificate says, apart from its dates. The name is made from the key, so that a CA
/// can be used again without parsing its certificate, and no two CAs share a name.
fn authority_parameters(key: &KeyPair, host_name: Option<&str>) -> CertificateParams {
    let fingerprint = Sha256::digest(key.public_key_raw());
    let number = u32::from_be_bytes([fingerprint[0], fingerprint[1], fingerprint[2], fingerprint[3]]);
    let mut parameters = CertificateParams::default();
    let name = &mut parameters.distinguished_name;
    *name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, format!("FerroHub local CA {number:08x}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.use_authority_key_identifier_extension = true;
    let mut permitted_subtrees = vec![
        GeneralSubtree::DnsName("localhost".to_owned()),
        GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
        GeneralSubtree::IpAddress(CidrSubnet::V6(std::net::Ipv6Addr::LOCALHOST.octets(), [0xff; 16])),
    ];
    permitted_subtrees.extend(host_name.map(subtree_of));
    parameters.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    parameters
}

fn subtree_of(host_name: &str) -> GeneralSubtree {
    match host_name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => GeneralSubtree::IpAddress(CidrSubnet::V4(address.octets(), [0xff; 4])),
        Ok(IpAddr::V6(address)) => GeneralSubtree::IpAddress(CidrSubnet::V6(address.octets(), [0xff; 16])),
        Err(_) => GeneralSubtree::DnsName(host_name.to_owned()),
    }
}

/// Load the CA of a folder, or make it. Several hubs may start at once: a lock lets one of them make it,
/// and files appear whole or not at all.
fn ensure_authority(folder: &Path, host_name: Option<&str>) -> Result<(Authority, PathBuf)> {
    let (ca_file, key_file) = file_names(folder, host_name);
    let now = OffsetDateTime::now_utc();
    let load = || Authority::from_text(&fs::read_to_string(&key_file).ok()?, host_name, now);
    if let Some(authority) = load().filter(|authority| authority.is_published(&ca_file)) {
        return Ok((authority, ca_file));
    }
    let make = || -> io::Result<Authority> {
        private_file::create_folder(folder)?;
        let _lock = private_file::lock(&key_file.with_extension("lock"))?;
        let authority = match load() {
            Some(authority) => authority,
            None => Authority::generate(host_name, now).map_err(io::Error::other)?.keep(&key_file, now)?,
        };
        if !authority.is_published(&ca_file) {
            private_file::write(&ca_file, authority.certificate_pem.as_bytes(), Readers::Everyone)?;
        }
        Ok(authority)
    };
    match make() {
        Ok(authority) => Ok((authority, ca_file)),
        Err(error) => Err(cannot_write(folder, error)),
    }
}

fn cannot_write(folder: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::System, format!("{} can't be written to", folder.display())).caused_by(error)
}

fn file_names(folder: &Path, host_name: Option<&str>) -> (PathBuf, PathBuf) {
    match host_name {
        None => (folder.join(home::CA_CERTIFICATE), folder.join(home::CA_KEY)),
        Some(name) => {
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
            (folder.join(format!("ca-of-{name}.pem")), folder.join(format!("ca-of-{name}-key.pem")))
        }
    }
}

/// A new folder each time: one with a known name could have been laid there by somebody else.
fn temporary_folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("ferrohub-{}", uuid::Uuid::new_v4().simple()));
    private_file::create_folder(&folder).map_err(|error| cannot_write(&folder, error))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn hubs_that_start_at_once_share_one_ca() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("not/yet/there");
        let start = || server_certificate(Some(&home), None).map(|certificate| certificate.note);
        std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            for start in starts {
                assert_eq!(start.join().unwrap().unwrap(), None);
            }
        });
        let published = read(&home, home::CA_CERTIFICATE);
        assert!(read(&home, home::CA_KEY).ends_with(&published));
        assert_eq!(start().unwrap(), None);
        assert_eq!(read(&home, home::CA_CERTIFICATE), published, "the next start uses it again");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_the_cas_key() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        server_certificate(Some(folder.path()), None).unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(home::CA_KEY), mode(home::CA_CERTIFICATE)), (0o600, 0o644));
    }

    #[test]
    fn a_lost_certificate_is_published_again_and_a_broken_or_ending_ca_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        server_certificate(Some(home), None).unwrap();
        let first = read(home, home::CA_CERTIFICATE);
        fs::remove_file(home.join(home::CA_CERTIFICATE)).unwrap();
        server_certificate(Some(home), None).unwrap();
        assert_eq!(read(home, home::CA_CERTIFICATE), first);

        let key_file = read(home, home::CA_KEY);
        let (first_line, rest) = key_file.split_once('\n').unwrap();
        let soon = (OffsetDateTime::now_utc() + SERVER_LIFETIME).format(&Rfc3339).unwrap();
        assert!(first_line > &*format!("{VALID_UNTIL}{soon}"));
        for broken in [String::new(), rest.to_owned(), format!("{VALID_UNTIL}{soon}\n{rest}")] {
            fs::write(home.join(home::CA_KEY), broken).unwrap();
            let before = read(home, home::CA_CERTIFICATE);
            server_certificate(Some(home), None).unwrap();
            assert_ne!(read(home, home::CA_CERTIFICATE), before);
        }
    }

    #[test]
    fn without_a_folder_that_can_be_written_to_the_ca_is_temporary_and_a_note_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for home in [Some(file.path().join("home")), None] {
            let certificate = server_certificate(home.as_deref(), None).unwrap();
            assert!(certificate.ca_file.exists());
            assert!(certificate.note.unwrap().contains("Set FERROHUB_HOME"));
            fs::remove_dir_all(certificate.ca_file.parent().unwrap()).unwrap();
        }
    }

    #[test]
    fn a_hub_of_another_name_leaves_the_trusted_ca_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["hub.example.test", "192.0.2.1", "2001:db8::1"] {
            let certificate = server_certificate(Some(folder.path()), Some(name)).unwrap();
            assert!(certificate.ca_file.exists());
            assert_ne!(certificate.ca_file, folder.path().join(home::CA_CERTIFICATE));
        }
        assert!(!folder.path().join(home::CA_CERTIFICATE).exists());
    }
}

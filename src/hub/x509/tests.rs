use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{ClientCertificate, ca_certificates};
use crate::clock::Clock;
use crate::hub::access::Denied;
use crate::hub::registry::IfMatch;
use crate::hub::{HubSettings, HubState};
use crate::protocol::identity::IdentityId;

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;
const DAY_AND_A_SECOND: i64 = 86_401_000;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// What a certificate says: this name, and that it is valid for a day around now.
fn parameters(common_name: &str) -> CertificateParams {
    let moment = |seconds: u64| OffsetDateTime::from_unix_timestamp(seconds.try_into().unwrap()).unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    (parameters.not_before, parameters.not_after) = (moment(NOW - DAY), moment(NOW + DAY));
    parameters
}

fn ca_parameters(name: &str) -> CertificateParams {
    let mut parameters = parameters(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
}

fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(ca_parameters(name), KeyPair::generate().unwrap()).unwrap()
}

fn signed(parameters: &CertificateParams, by: &Authority) -> CertificateDer<'static> {
    parameters.signed_by(&KeyPair::generate().unwrap(), by).unwrap().into()
}

fn shown(chain: &[CertificateDer<'static>]) -> ClientCertificate {
    ClientCertificate::read(chain).unwrap()
}

fn hub() -> HubState {
    let settings = HubSettings { clock: Clock::manual(NOW * 1000), ..HubSettings::default() };
    HubState::open(&settings).unwrap()
}

/// What the hub says to this certificate from an identity that authenticates so.
async fn verdict(
    hub: &HubState,
    id: &str,
    authentication: serde_json::Value,
    certificate: &ClientCertificate,
) -> Result<(), Denied> {
    let id = IdentityId::parse(id).unwrap();
    let put = async |id: &IdentityId, body: serde_json::Value| {
        let body = || serde_json::from_value(body.clone()).unwrap();
        match hub.put_identity(id, body(), None).await {
            Ok(entity) => entity,
            Err(_) => hub.put_identity(id, body(), Some(IfMatch::Any)).await.unwrap(),
        }
    };
    put(&id.parent(), json!({})).await;
    let entity = put(&id, json!({ "authentication": authentication })).await;
    hub.check_certificate(certificate, &id, &entity.identity)
}

#[tokio::test]
async fn either_thumbprint_lets_a_certificate_in_whatever_its_case_and_hash() {
    let hub = hub();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateDer::from(parameters("anything").self_signed(&key).unwrap());
    let sha1 = format!("{:X}", Bytes::copy_from_slice(&Sha1::digest(&certificate)));
    let sha256 = format!("{:X}", Bytes::copy_from_slice(&Sha256::digest(&certificate)));
    let certificate = shown(&[certificate]);
    let other = "ab".repeat(20);
    for (primary, secondary) in
        [(sha1.as_str(), ""), (&sha1.to_lowercase(), &other), (&other, &sha256), ("", &sha256.to_lowercase())]
    {
        let thumbprints = json!({ "primaryThumbprint": primary, "secondaryThumbprint": secondary });
        let authentication = json!({ "type": "selfSigned", "x509Thumbprint": thumbprints });
        for id in ["d", "d2/m"] {
            assert_eq!(
                verdict(&hub, id, authentication.clone(), &certificate).await,
                Ok(()),
                "{primary} {id}"
            );
        }
    }
    for thumbprint in [other.as_str(), ""] {
        let authentication =
            json!({ "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": thumbprint } });
        let refusal = Err(Denied("the certificate has neither of the identity's thumbprints"));
        assert_eq!(verdict(&hub, "d", authentication, &certificate).await, refusal);
    }
    let thumbprint = json!({ "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": sha1 } });
    hub.clock.shift(DAY_AND_A_SECOND);
    let refusal = Err(Denied("the certificate has expired"));
    assert_eq!(verdict(&hub, "d", thumbprint.clone(), &certificate).await, refusal);
    hub.clock.shift(-2 * DAY_AND_A_SECOND);
    let refusal = Err(Denied("the certificate is not valid yet"));
    assert_eq!(verdict(&hub, "d", thumbprint, &certificate).await, refusal);
}

#[tokio::test]
async fn a_registered_ca_vouches_for_the_identity_of_the_common_name_also_through_a_chain() {
    let hub = hub();
    let by_ca = json!({ "type": "certificateAuthority" });
    let (root, stranger) = (authority("root"), authority("stranger"));
    let between = {
        let key = KeyPair::generate().unwrap();
        CertifiedIssuer::signed_by(ca_parameters("between"), key, &root).unwrap()
    };
    let chain = [signed(&parameters("d"), &between), between.der().clone()];
    let nobody = Err(Denied("no CA that is registered with the hub has signed the certificate"));
    assert_eq!(verdict(&hub, "d", by_ca.clone(), &shown(&chain)).await, nobody, "none is registered");
    let certificates = ca_certificates(&root.pem()).unwrap();
    hub.add_ca_certificates(&certificates).await.unwrap();
    hub.add_ca_certificates(&certificates).await.unwrap();
    assert_eq!(hub.registered_authorities(), certificates);

    for (id, chain, expected) in [
        ("d", vec![signed(&parameters("d"), &root)], Ok(())),
        ("d/m", vec![signed(&parameters("d/m"), &root)], Ok(())),
        ("d", chain.to_vec(), Ok(())),
        ("d", chain[..1].to_vec(), nobody),
        ("d", vec![signed(&parameters("d"), &stranger)], nobody),
        (
            "d",
            vec![signed(&parameters("D"), &root)],
            Err(Denied("the certificate's common name is not the identity's name")),
        ),
        (
            "d/m",
            vec![signed(&parameters("d"), &root)],
            Err(Denied("the certificate's common name is not the identity's name")),
        ),
    ] {
        assert_eq!(verdict(&hub, id, by_ca.clone(), &shown(&chain)).await, expected);
    }

    let mut for_servers = parameters("d");
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let refusal = Err(Denied("the certificate is not for clients: its extended key usage lacks clientAuth"));
    assert_eq!(verdict(&hub, "d", by_ca.clone(), &shown(&[signed(&for_servers, &root)])).await, refusal);
    hub.clock.shift(DAY_AND_A_SECOND);
    let refusal = Err(Denied("the certificate has expired"));
    assert_eq!(verdict(&hub, "d", by_ca, &shown(&[signed(&parameters("d"), &root)])).await, refusal);
}

#[tokio::test]
async fn an_identity_with_keys_takes_no_certificate() {
    let hub = hub();
    let root = authority("root");
    hub.add_ca_certificates(&[root.der().clone()]).await.unwrap();
    let certificate = shown(&[signed(&parameters("d"), &root)]);
    let refusal = Err(Denied("the identity uses keys, and has shown a certificate only"));
    assert_eq!(verdict(&hub, "d", json!({ "type": "sas" }), &certificate).await, refusal);
}

#[test]
fn only_certificates_of_cas_can_be_registered() {
    let leaf = parameters("leaf").self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let two = authority("one").pem() + &authority("two").pem();
    assert_eq!(ca_certificates(&two).unwrap().len(), 2);
    for (text, why) in [
        ("", "no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\nnothing", "can't be read"),
        (leaf.as_str(), "CA:TRUE"),
        (&(two + &leaf), "CA:TRUE"),
    ] {
        let error = ca_certificates(text).unwrap_err();
        assert!(error.message().contains(why), "{error}");
    }
}

//! Devices that show a certificate: at the MQTT endpoint, and at the paths of devices.

use std::time::Duration;

use ferrohub::hub::x509::ca_certificates;
use ferrohub::tls::Identity;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rumqttc::mqttbytes::v4::ConnectReturnCode;
use serde_json::json;
use time::OffsetDateTime;

use crate::support::{MqttClient, START, SignIn, TestHub};

const DAY: time::Duration = time::Duration::days(1);

fn parameters(common_name: &str) -> CertificateParams {
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(START / 1000).unwrap()).unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    (parameters.not_before, parameters.not_after) = (now - DAY, now + DAY);
    parameters
}

/// A CA that a hub has registered.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    async fn of(hub: &TestHub) -> Self {
        let mut parameters = parameters("the owner's CA");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let certificates = ca_certificates(&issuer.pem()).unwrap();
        hub.hub.state().add_ca_certificates(&certificates).await.unwrap();
        Self(issuer)
    }

    fn issue(&self, common_name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters(common_name).signed_by(&key, &self.0).unwrap();
        Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), None).unwrap()
    }
}

async fn create(hub: &TestHub, device: &str, kind: &str) {
    let body = json!({ "deviceId": device, "authentication": { "type": kind } });
    assert_eq!(hub.rest("PUT", &format!("/devices/{device}"), Some(body)).await.0, 200);
}

/// What a device without a token sends.
fn sign_in(id: &str, password: &str) -> SignIn {
    SignIn {
        client_id: id.to_owned(),
        username: format!("localhost/{id}/?api-version=2021-04-12"),
        password: password.to_owned(),
        clean_session: true,
        keep_alive: 60,
        will: None,
    }
}

async fn connect(hub: &TestHub, id: &str, identity: &Identity) -> MqttClient {
    sign_in(id, "").connect_over(hub.tls_of(identity).await).await
}

#[tokio::test]
async fn a_certificate_is_enough_until_it_expires() {
    let hub = TestHub::start().await;
    let authority = Authority::of(&hub).await;
    create(&hub, "d", "certificateAuthority").await;
    let identity = authority.issue("d");
    let mut client = connect(&hub, "d", &identity).await;
    client.expect_accepted(false).await;
    client.settle().await;
    hub.clock.advance(Duration::from_secs(86_400));
    client.expect_end().await;
    hub.clock.advance(Duration::from_secs(1));
    connect(&hub, "d", &identity).await.expect_refusal(ConnectReturnCode::NotAuthorized).await;
}

#[tokio::test]
async fn who_shows_something_else_than_the_identity_asks_for_is_refused() {
    let hub = TestHub::start().await;
    let authority = Authority::of(&hub).await;
    create(&hub, "by-ca", "certificateAuthority").await;
    let with_keys = hub.create("with-keys").await;
    let refused = ConnectReturnCode::NotAuthorized;
    connect(&hub, "with-keys", &authority.issue("with-keys")).await.expect_refusal(refused).await;
    connect(&hub, "by-ca", &authority.issue("other")).await.expect_refusal(refused).await;
    connect(&hub, "nobody", &authority.issue("nobody")).await.expect_refusal(refused).await;
    sign_in("by-ca", "").expect_refused(&hub, refused).await;
    // A token counts before a certificate.
    let token = SignIn::of(&hub, &with_keys).await.password;
    let stream = hub.tls_of(&authority.issue("by-ca")).await;
    sign_in("by-ca", &token).connect_over(stream).await.expect_refusal(refused).await;
    let stream = hub.tls_of(&authority.issue("anything")).await;
    sign_in("with-keys", &token).connect_over(stream).await.expect_accepted(false).await;
}

#[tokio::test]
async fn a_disabled_device_and_a_changed_one_lose_their_connection() {
    let hub = TestHub::start().await;
    let authority = Authority::of(&hub).await;
    create(&hub, "d", "certificateAuthority").await;
    let identity = authority.issue("d");
    for (change, code) in [
        (
            json!({ "status": "disabled", "authentication": { "type": "certificateAuthority" } }),
            ConnectReturnCode::ServiceUnavailable,
        ),
        (json!({ "authentication": { "type": "selfSigned" } }), ConnectReturnCode::NotAuthorized),
    ] {
        let mut client = connect(&hub, "d", &identity).await;
        client.expect_accepted(false).await;
        assert_eq!(hub.rest_if_match("PUT", "/devices/d", Some(change)).await.0, 200);
        client.expect_end().await;
        connect(&hub, "d", &identity).await.expect_refusal(code).await;
        let back = json!({ "status": "enabled", "authentication": { "type": "certificateAuthority" } });
        assert_eq!(hub.rest_if_match("PUT", "/devices/d", Some(back)).await.0, 200);
    }
}

#[tokio::test]
async fn the_paths_of_devices_take_a_certificate_in_place_of_a_token() {
    let hub = TestHub::start().await;
    let authority = Authority::of(&hub).await;
    create(&hub, "d", "certificateAuthority").await;
    hub.create("with-keys").await;
    let request = |device: &str| {
        format!(
            "GET /devices/{device}/messages/devicebound?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\n\r\n"
        )
    };
    let status = async |device: &str, identity: Option<&Identity>| {
        let stream = match identity {
            Some(identity) => hub.tls_of(identity).await,
            None => hub.tls(&[]).await,
        };
        TestHub::ask(stream, &request(device)).await.0
    };
    let identity = authority.issue("d");
    assert_eq!(status("d", Some(&identity)).await, 501, "let in, to what is not built yet");
    for (device, identity) in
        [("d", None), ("d", Some(authority.issue("e"))), ("with-keys", Some(authority.issue("with-keys")))]
    {
        assert_eq!(status(device, identity.as_ref()).await, 401, "{device}");
    }
}

#[tokio::test]
async fn cas_are_kept_with_the_data() {
    let hub = TestHub::start_with_data().await;
    let authority = Authority::of(&hub).await;
    create(&hub, "d", "certificateAuthority").await;
    let hub = hub.restart().await;
    connect(&hub, "d", &authority.issue("d")).await.expect_accepted(false).await;
}

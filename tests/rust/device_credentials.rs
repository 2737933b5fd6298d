//! What a client shows the hub: tokens of the program, certificates, and which cipher suites it offers.

use std::sync::Arc;
use std::time::Duration;

use ferrohub::clock::Clock;
use ferrohub::device::{Client, ConnectionEvent, Credentials, Token};
use ferrohub::error::{ErrorKind, Result};
use ferrohub::tls::{Identity, cipher_suites, provider};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, Packet};
use rustls::server::WebPkiClientVerifier;
use rustls::{CipherSuite, RootCertStore};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::device_session::{client, connect, connected, send, soon};
use crate::scripted_hub::{Connection, LIMIT, ScriptedHub};

const NOW: u64 = 1_700_000_000;

fn token(text: &str) -> Token {
    Token::new(text.into(), NOW + 3600)
}

fn update(client: &Arc<Client>, text: &'static str) -> JoinHandle<Result<()>> {
    let client = Arc::clone(client);
    tokio::spawn(async move { client.update_token(token(text), None).await })
}

/// The next connection's password; not yet answered.
async fn accept_password(hub: &ScriptedHub) -> (Connection, String) {
    let (connection, connect) = hub.accept().await;
    (connection, connect.login.unwrap().password)
}

async fn answer(connection: &mut Connection, code: ConnectReturnCode) {
    connection.send(Packet::ConnAck(ConnAck::new(code, true))).await;
}

#[tokio::test]
async fn a_token_of_the_program_is_sent_as_it_is() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.credentials = Credentials::Token(token("SharedAccessSignature made elsewhere"));
    let connecting = connect(&client(options));
    let (mut connection, password) = accept_password(&hub).await;
    assert_eq!(password, "SharedAccessSignature made elsewhere");
    answer(&mut connection, ConnectReturnCode::Success).await;
    soon(connecting).await.unwrap();
}

#[tokio::test]
async fn a_new_token_makes_a_new_connection_at_once_and_nothing_in_flight_is_sent_twice() {
    let (hub, client, mut connection) =
        connected(|options| options.credentials = Credentials::Token(token("first"))).await;
    let sent = send(&client, "x");
    let publish = connection.publish().await;
    let updating = update(&client, "second");
    connection.acknowledge(&publish).await;
    soon(sent).await.unwrap();
    assert_eq!(connection.next().await, Packet::Disconnect);
    let (mut connection, password) = accept_password(&hub).await;
    assert_eq!(password, "second");
    assert!(!updating.is_finished(), "the new connection is not there yet");
    answer(&mut connection, ConnectReturnCode::Success).await;
    soon(updating).await.unwrap();
    assert!(client.is_connected());
}

#[tokio::test]
async fn a_new_token_connects_a_client_that_is_not_connected() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.credentials = Credentials::Token(token("first"));
    let client = client(options);
    let updating = update(&client, "second");
    let (mut connection, password) = accept_password(&hub).await;
    assert_eq!(password, "second");
    answer(&mut connection, ConnectReturnCode::Success).await;
    soon(updating).await.unwrap();
}

#[tokio::test]
async fn an_attempt_with_the_old_token_gives_way_to_one_with_the_new() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.credentials = Credentials::Token(token("first"));
    let client = client(options);
    let connecting = connect(&client);
    let (_abandoned, password) = accept_password(&hub).await;
    assert_eq!(password, "first");
    let updating = update(&client, "second");
    let (mut connection, password) = accept_password(&hub).await;
    assert_eq!(password, "second");
    answer(&mut connection, ConnectReturnCode::Success).await;
    soon(updating).await.unwrap();
    soon(connecting).await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_an_error_and_not_tried_again() {
    let (hub, client, mut connection) =
        connected(|options| options.credentials = Credentials::Token(token("first"))).await;
    let updating = update(&client, "second");
    assert_eq!(connection.next().await, Packet::Disconnect);
    hub.refuse(ConnectReturnCode::NotAuthorized).await;
    assert_eq!(soon(updating).await.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert!(!client.is_connected());
    let third = update(&client, "third");
    let (mut connection, password) = accept_password(&hub).await;
    assert_eq!(password, "third", "there was no attempt in between");
    answer(&mut connection, ConnectReturnCode::Success).await;
    soon(third).await.unwrap();
}

#[tokio::test]
async fn the_program_is_told_once_that_its_token_expires_connected_or_not() {
    let clock = Clock::manual(NOW * 1000);
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.clock = clock.clone();
    options.credentials = Credentials::Token(token("first"));
    let client = client(options);
    let (arrived, mut arrivals) = unbounded_channel();
    client.watch(Some(Box::new(move |_| {
        let _ = arrived.send(());
    })));
    let told = async |arrivals: &mut tokio::sync::mpsc::UnboundedReceiver<()>| {
        timeout(LIMIT, arrivals.recv()).await.expect("nobody was told").unwrap();
        client.event_now().unwrap()
    };
    clock.advance(Duration::from_secs(3480));
    assert!(matches!(told(&mut arrivals).await, ConnectionEvent::TokenExpiring));
    clock.advance(Duration::from_secs(60));
    let updating = update(&client, "second");
    hub.admit(true).await;
    soon(updating).await.unwrap();
    assert!(matches!(told(&mut arrivals).await, ConnectionEvent::Connected), "it is told once");
}

/// A CA and a device's certificate signed by it, with its key.
pub(crate) fn authority_and_device() -> (Certificate, Certificate, KeyPair) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let device = CertificateParams::new(vec!["dev1".to_owned()]).unwrap();
    let certificate = device.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    (authority_certificate, certificate, key)
}

pub(crate) async fn hub_that_asks(authority: &Certificate) -> ScriptedHub {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    ScriptedHub::start_with(verifier.build().unwrap()).await
}

#[tokio::test]
async fn a_certificate_is_shown_in_the_handshake_and_there_is_no_password() {
    let (authority, certificate, key) = authority_and_device();
    let hub = hub_that_asks(&authority).await;
    let chain = certificate.pem() + &authority.pem();
    let identity = Identity::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes(), None).unwrap();
    let mut options = hub.options();
    options.credentials = Credentials::Certificate(identity);
    let connecting = connect(&client(options));
    let (mut connection, connect) = hub.accept().await;
    assert_eq!(connection.certificates(), [certificate.der().clone(), authority.der().clone()]);
    let login = connect.login.unwrap();
    assert!(login.username.contains("/dev1/mod1/?api-version="));
    assert_eq!(login.password, "");
    answer(&mut connection, ConnectReturnCode::Success).await;
    soon(connecting).await.unwrap();
}

#[test]
fn an_unusable_certificate_or_key_says_what_is_wrong() {
    let (_, certificate, key) = authority_and_device();
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let cases = [
        ("", &*key, None, "no PEM certificate"),
        (&certificate, "", None, "no PEM private key"),
        (&certificate, &other_key, None, "do not belong together"),
        (&certificate, encrypted, None, "no pass phrase"),
        (&certificate, encrypted, Some("p"), "can't be decrypted"),
        (&certificate, legacy, Some("p"), "openssl pkcs8 -topk8"),
    ];
    for (certificate, key, pass_phrase, text) in cases {
        let pass_phrase = pass_phrase.map(str::as_bytes);
        let error = Identity::from_pem(certificate.as_bytes(), key.as_bytes(), pass_phrase).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TlsOption);
        assert!(error.message().contains(text), "{error}");
    }
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap();
    assert_eq!(format!("{identity:?}"), "Identity(…)");
}

#[tokio::test]
async fn only_the_suites_that_are_named_are_offered() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    let names = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"].map(str::to_owned);
    options.cipher_suites = Some(cipher_suites(&names).unwrap());
    let _connecting = connect(&client(options));
    let (connection, _) = hub.accept().await;
    assert_eq!(connection.cipher_suite(), CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
}

//! A hub that does what a test tells it, packet by packet: for what a real hub does rarely.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ferrohub::auth::SasKey;
use ferrohub::device::{Credentials, Options};
use ferrohub::tls::{Roots, provider};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use rumqttc::mqttbytes::{self, QoS};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CipherSuite, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// No test waits longer than this for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Listens on a free port with a certificate of its own.
pub(crate) struct ScriptedHub {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: String,
}

/// One client's connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    input: BytesMut,
}

impl ScriptedHub {
    pub(crate) async fn start() -> Self {
        Self::start_with(WebPkiClientVerifier::no_client_auth()).await
    }

    /// A hub that asks its clients for certificates.
    pub(crate) async fn start_with(verifier: Arc<dyn ClientCertVerifier>) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), certificate: made.cert.pem() }
    }

    /// Its name, for clients.
    pub(crate) fn host_name(&self) -> String {
        format!("localhost:{}", self.listener.local_addr().unwrap().port())
    }

    /// Whom its clients trust.
    pub(crate) fn roots(&self) -> Roots {
        Roots::Pem(self.certificate.clone())
    }

    /// Options of a module client of this hub.
    pub(crate) fn options(&self) -> Options {
        let host = self.host_name();
        let credentials = Credentials::key(SasKey::from_bytes(b"foobar".to_vec()));
        let mut options = Options::new(host, "dev1".into(), Some("mod1".into()), credentials);
        options.roots = self.roots();
        options
    }

    /// The next connection, whatever is spoken on it.
    pub(crate) async fn accept_stream(&self) -> TlsStream<TcpStream> {
        let (tcp, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connected").unwrap();
        timeout(LIMIT, self.acceptor.accept(tcp)).await.expect("no TLS").unwrap()
    }

    /// The next connection, with the CONNECT it began with; not yet answered.
    pub(crate) async fn accept(&self) -> (Connection, Connect) {
        let mut connection = Connection { stream: self.accept_stream().await, input: BytesMut::new() };
        match connection.next().await {
            Packet::Connect(connect) => (connection, connect),
            other => panic!("{other:?} instead of CONNECT"),
        }
    }

    /// The next connection, let in.
    pub(crate) async fn admit(&self, session_present: bool) -> Connection {
        let (mut connection, _) = self.accept().await;
        connection.send(Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, session_present))).await;
        connection
    }

    /// The next connection, refused.
    pub(crate) async fn refuse(&self, code: ConnectReturnCode) {
        let (mut connection, _) = self.accept().await;
        connection.send(Packet::ConnAck(ConnAck::new(code, false))).await;
    }
}

impl Connection {
    /// The next packet; a closed connection is a DISCONNECT.
    pub(crate) async fn next(&mut self) -> Packet {
        loop {
            match Packet::read(&mut self.input, 1 << 20) {
                Ok(packet) => return packet,
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            let read = timeout(LIMIT, self.stream.read_buf(&mut self.input)).await.expect("nothing was sent");
            if read.unwrap_or(0) == 0 {
                return Packet::Disconnect;
            }
        }
    }

    /// The certificates the client has shown, its own first.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.stream.get_ref().1.peer_certificates().unwrap_or_default()
    }

    /// The cipher suite that was agreed on.
    pub(crate) fn cipher_suite(&self) -> CipherSuite {
        self.stream.get_ref().1.negotiated_cipher_suite().unwrap().suite()
    }

    pub(crate) async fn publish(&mut self) -> Publish {
        match self.next().await {
            Packet::Publish(publish) => publish,
            other => panic!("{other:?} instead of PUBLISH"),
        }
    }

    /// The next packet must subscribe to this filter; answered with success.
    pub(crate) async fn grant(&mut self, filter: &str) {
        let Packet::Subscribe(subscribe) = self.next().await else { panic!("no SUBSCRIBE to {filter}") };
        assert_eq!(subscribe.filters[0].path, filter);
        assert_eq!(subscribe.filters[0].qos, QoS::AtLeastOnce);
        let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
        self.send(Packet::SubAck(SubAck::new(subscribe.pkid, granted))).await;
    }

    /// The next packet must ask for the twin; answered with this body.
    pub(crate) async fn answer_twin(&mut self, body: &str) {
        let publish = self.publish().await;
        let request_id = publish.topic.strip_prefix("$iothub/twin/GET/?$rid=").unwrap().to_owned();
        self.acknowledge(&publish).await;
        self.tell(&format!("$iothub/twin/res/200/?$rid={request_id}"), body).await;
    }

    pub(crate) async fn acknowledge(&mut self, publish: &Publish) {
        self.send(Packet::PubAck(PubAck::new(publish.pkid))).await;
    }

    /// Publish to the client with QoS 0.
    pub(crate) async fn tell(&mut self, topic: &str, body: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.send(Packet::Publish(Publish::from_bytes(topic, QoS::AtMostOnce, body))).await;
    }

    pub(crate) async fn send(&mut self, packet: Packet) {
        let mut output = BytesMut::new();
        packet.write(&mut output, 1 << 20).unwrap();
        self.stream.write_all(&output).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

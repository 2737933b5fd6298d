//! One TCP connection: TLS, then the protocol that its first byte shows.
//!
//! MQTT begins with 0x10, AMQP with `AMQP`, everything else is HTTP/1.1, which may become a WebSocket with either in it.
//! A client that does not speak TLS at all is told so. No client can hold anything up but its own connection.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::BytesMut;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::ServerCertificate;
use super::x509::{AnyClient, ClientCertificate};
use super::{FIRST_BYTES_DEADLINE, HubState, amqp, https, mqtt};
use crate::error::{Error, ErrorKind, Result};
use crate::net::WebSocketStream;
use crate::tls;

const PROTOCOLS: [&[u8]; 3] = [b"http/1.1", b"mqtt", b"amqp"];
/// First byte of a TLS record that holds a handshake.
const TLS_HANDSHAKE: u8 = 0x16;
const MQTT_CONNECT: u8 = 0x10;
/// How long an HTTP connection may be idle: longer than clients keep theirs, so that none sends a request
/// into a connection that is just being closed.
const HTTP_IDLE: Duration = Duration::from_secs(240);
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
    Content-Length: 72\r\n\r\nThis port speaks TLS: use https:// for REST, and MQTT with TLS enabled.\n";

/// What all connections share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Endpoint {
    hub: HubState,
    router: Router,
    with_alpn: Arc<ServerConfig>,
    without_alpn: Arc<ServerConfig>,
    stopping: watch::Receiver<bool>,
}

impl Endpoint {
    pub(super) fn new(
        hub: HubState,
        certificate: &ServerCertificate,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self> {
        let without_alpn = tls_config(certificate)?;
        let mut with_alpn = without_alpn.clone();
        with_alpn.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(Self {
            router: https::router(hub.clone()),
            hub,
            with_alpn: Arc::new(with_alpn),
            without_alpn: Arc::new(without_alpn),
            stopping,
        })
    }

    /// Serve a connection to its end.
    pub(super) async fn serve(self, tcp: TcpStream) {
        // Fails only for a socket that is closed already.
        let _ = tcp.set_nodelay(true);
        let opening = tokio::time::timeout(FIRST_BYTES_DEADLINE, self.open(tcp)).await;
        let Ok(Some((stream, first))) = opening else { return };
        let certificate = stream.get_ref().1.peer_certificates().and_then(ClientCertificate::read);
        match first[0] {
            MQTT_CONNECT => mqtt::serve(stream, first, certificate, self.hub).await,
            b'A' if first.starts_with(b"AMQP") => amqp::serve(stream, first, self.hub, self.stopping).await,
            _ => self.serve_http(stream, first, certificate).await,
        }
    }

    /// Do the TLS handshake and wait for the first bytes. `None` if the client goes or speaks no TLS.
    async fn open(&self, tcp: TcpStream) -> Option<(TlsStream<TcpStream>, BytesMut)> {
        let mut first = [0];
        if tcp.peek(&mut first).await.ok()? == 0 {
            return None;
        }
        if first[0] != TLS_HANDSHAKE {
            refuse_plain_text(tcp).await;
            return None;
        }
        let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await.ok()?;
        // rustls ends a handshake without a common protocol; the real hub does not care.
        let offers_ours = hello
            .client_hello()
            .alpn()
            .is_some_and(|mut offered| offered.any(|name| PROTOCOLS.contains(&name)));
        let config = if offers_ours { &self.with_alpn } else { &self.without_alpn };
        let mut stream = hello.into_stream(Arc::clone(config)).await.ok()?;
        let mut first = BytesMut::with_capacity(4096);
        // Four bytes tell AMQP from the HTTP methods that begin with A.
        while first.is_empty() || (first.len() < 4 && b"AMQP".starts_with(&first)) {
            if stream.read_buf(&mut first).await.ok()? == 0 {
                return None;
            }
        }
        Some((stream, first))
    }

    async fn serve_http(
        mut self,
        stream: TlsStream<TcpStream>,
        first: BytesMut,
        certificate: Option<ClientCertificate>,
    ) {
        let (reader, writer) = tokio::io::split(stream);
        let stream = tokio::io::join(std::io::Cursor::new(first).chain(reader), writer);
        let upgrade = https::Upgrade::default();
        let (router, slot, shown) =
            (TowerToHyperService::new(self.router), upgrade.clone(), certificate.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let extensions = request.extensions_mut();
            extensions.insert(slot.clone());
            shown.clone().map(|certificate| extensions.insert(certificate));
            router.call(request)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HTTP_IDLE)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        // How it ends is the client's affair: every request has been answered or the client is gone.
        let stopped = tokio::select! {
            _ = connection.as_mut() => false,
            _ = self.stopping.wait_for(|stopping| *stopping) => true,
        };
        if stopped {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
            return;
        }
        if let Some((upgrade, subprotocol)) = upgrade.take()
            && let Ok(upgraded) = upgrade.await
        {
            let stream = WebSocketStream::server(TokioIo::new(upgraded)).await;
            match subprotocol {
                https::Subprotocol::Mqtt => {
                    mqtt::serve(stream, BytesMut::new(), certificate, self.hub).await;
                }
                https::Subprotocol::Amqp => {
                    amqp::serve(stream, BytesMut::new(), self.hub, self.stopping).await;
                }
            }
        }
    }
}

fn tls_config(certificate: &ServerCertificate) -> Result<ServerConfig> {
    let failed =
        |error: rustls::Error| Error::new(ErrorKind::System, "TLS could not be set up").caused_by(error);
    ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_client_cert_verifier(Arc::new(AnyClient::new()))
        .with_single_cert(certificate.chain.clone(), certificate.key.clone_key())
        .map_err(failed)
}

/// Tell a client without TLS so, and take what it sent: a reset would take the answer away from it.
async fn refuse_plain_text(mut tcp: TcpStream) {
    let answer = async {
        tcp.write_all(NOT_TLS).await?;
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await
    };
    // Whether it listens is its own affair.
    let _ = tokio::time::timeout(Duration::from_secs(1), answer).await;
}

//! The HTTP client of the ground floor, against servers that answer by script: the ways it takes to them.

use std::sync::Arc;
use std::time::Duration;

use ferrohub::error::ErrorKind;
use ferrohub::http::{Client, Origin, Request, Response, Settings, Stage, Way};
use ferrohub::net::{Proxy, ProxyKind};
use ferrohub::tls::Roots;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use Until::{EndOfHead, Length};

use crate::device_session::soon;
use crate::proxies::port_of;
use crate::scripted_hub::{LIMIT, ScriptedHub};

pub(crate) const NO_CONTENT: &str = "HTTP/1.1 204 Nothing To Say\r\n\r\n";

/// The next request on a connection: head and body as they came.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let read = timeout(LIMIT, stream.read_buf(&mut request)).await.expect("nothing was sent").unwrap();
        assert_ne!(read, 0, "the connection was closed within a request");
    }
    String::from_utf8(request).unwrap()
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// The next request, answered with this text.
pub(crate) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, response: &str) -> String {
    let request = read_request(stream).await;
    stream.write_all(response.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    request
}

fn get() -> Request {
    Request::new("GET", "/trust-bundle?api-version=2019-01-30".into(), &[], None).unwrap()
}

async fn ask(settings: Settings) -> Result<Response, ferrohub::http::Failure> {
    let client = Arc::new(Client::new(settings).unwrap());
    soon(tokio::spawn(async move { client.send(&get()).await })).await
}

fn settings(origin: Origin) -> Settings {
    Settings::new(origin, "test".into(), Roots::System)
}

/// What a proxy reads before it answers.
#[derive(Clone, Copy)]
enum Until {
    Length(usize),
    EndOfHead,
}

type Steps = &'static [(Until, &'static [u8])];

/// A proxy for one connection, which reads and answers these steps and then opens the way to this port.
async fn proxy(kind: ProxyKind, steps: Steps, way: Option<u16>) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for (until, answer) in steps {
            match until {
                Until::Length(length) => drop(stream.read_exact(&mut vec![0; *length]).await.unwrap()),
                Until::EndOfHead => drop(read_request(&mut stream).await),
            }
            stream.write_all(answer).await.unwrap();
        }
        if let Some(port) = way {
            let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            // It ends with the client, in whatever way.
            let _ = copy_bidirectional(&mut stream, &mut target).await;
        }
    });
    let user_name = Some("Aladdin".to_owned());
    Proxy { kind, host: "127.0.0.1".into(), port, user_name, password: Some("open sesame".into()) }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_asked_as_localhost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("workload.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&mut stream, "HTTP/1.1 200 Well Done\r\nContent-Length: 2\r\n\r\n{}").await
    });
    let answer = ask(settings(Origin::parse(&format!("unix://{}", path.display())).unwrap())).await.unwrap();
    assert_eq!((answer.status, &*answer.reason, &answer.body[..]), (200, "Well Done", &b"{}"[..]));
    let request = soon(serving).await;
    assert!(request.starts_with("GET /trust-bundle?api-version=2019-01-30 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nHost: localhost\r\n"), "{request}");

    let failure = ask(settings(Origin::Unix(folder.path().join("nobody")))).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.stage), (ErrorKind::ConnectionFailed, Stage::NeverSent));
    assert!(failure.error.message().contains("nobody"), "{}", failure.error);
}

#[tokio::test]
async fn a_service_without_tls_is_asked_in_plain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        answer(&mut stream, NO_CONTENT).await
    });
    let answer = ask(settings(Origin::Http(host.clone()))).await.unwrap();
    assert_eq!((answer.status, &*answer.reason), (204, "Nothing To Say"));
    assert!(soon(serving).await.contains(&format!("\r\nHost: {host}\r\n")));
}

#[tokio::test]
async fn each_kind_of_proxy_opens_the_way() {
    let socks_5: Steps =
        &[(Length(3), &[5, 2]), (Length(21), &[1, 0]), (Length(16), &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])];
    let cases: [(ProxyKind, Steps); 3] = [
        (ProxyKind::Http, &[(EndOfHead, b"HTTP/1.1 200 Connection established\r\n\r\n")]),
        (ProxyKind::Socks4, &[(Length(19), &[0, 90, 0, 0, 0, 0, 0, 0])]),
        (ProxyKind::Socks5, socks_5),
    ];
    for (kind, steps) in cases {
        let hub = ScriptedHub::start().await;
        let options = hub.options();
        let proxy = proxy(kind, steps, Some(port_of(&options))).await;
        let mut settings = settings(Origin::Https(options.host_name.clone()));
        settings.roots = options.roots;
        settings.way = Way::Proxy(proxy);
        let asking = tokio::spawn(ask(settings));
        let request = answer(&mut hub.accept_stream().await, NO_CONTENT).await;
        assert!(request.contains(&format!("\r\nHost: {}\r\n", options.host_name)), "{request}");
        assert_eq!(soon(asking).await.unwrap().status, 204);
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_is_the_proxys_error() {
    let who: Steps = &[(EndOfHead, b"HTTP/1.1 407 Who Are You\r\n\r\n")];
    let cases: [(ProxyKind, Steps, &str); 3] = [
        (ProxyKind::Http, who, "proxy authorization required"),
        (ProxyKind::Socks5, &[(Length(3), &[5, 2]), (Length(21), &[1, 1])], "SOCKS"),
        (ProxyKind::Http, &[(EndOfHead, b"")], "unexpected end of file"),
    ];
    for (kind, steps, told) in cases {
        let proxy = proxy(kind, steps, None).await;
        let mut settings = settings(Origin::Https("hub.example.com".into()));
        settings.way = Way::Proxy(proxy);
        let failure = ask(settings).await.unwrap_err();
        assert_eq!((failure.error.kind(), failure.stage), (ErrorKind::Proxy, Stage::NeverSent));
        let text = failure.error.to_string();
        assert!(text.contains(told) && text.contains("hub.example.com:443"), "{text}");
        assert!(!text.contains("sesame"));
    }
}

#[tokio::test]
async fn a_server_that_closes_the_connection_may_have_seen_the_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
    });
    let failure = ask(settings(Origin::Http(host))).await.unwrap_err();
    assert_eq!((failure.error.kind(), failure.stage), (ErrorKind::ConnectionDropped, Stage::Lost));
    let late =
        Client::new(settings(Origin::Https("h:8443".into()))).unwrap().late(Duration::from_millis(500));
    assert_eq!(late.message(), "h:8443 did not answer within 0.5 s");
}

//! Clients behind proxies of the tests' own: what the proxy is asked, and what its refusals become.

use ferrohub::device::Options;
use ferrohub::error::{Error, ErrorKind};
use ferrohub::net::{Proxy, ProxyKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::device_session::{client, connect, soon};
use crate::scripted_hub::{LIMIT, ScriptedHub};

const PASSWORD: &str = "open sesame";

/// How much a proxy reads, and what it answers then; again and again.
type Steps = &'static [(usize, &'static [u8])];
/// How long a request of CONNECT is here: "CONNECT localhost:12345 HTTP/1.1", "Host: localhost:12345", credentials.
const CONNECT: usize = 34 + 23 + 59;

/// Start the proxy, for one connection; its task resolves with what it was asked.
async fn proxy(kind: ProxyKind, steps: Steps, way: Option<u16>) -> (Proxy, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        for (length, answer) in steps {
            let mut request = vec![0; *length];
            stream.read_exact(&mut request).await.unwrap();
            asked.extend(request);
            stream.write_all(answer).await.unwrap();
        }
        if let Some(port) = way {
            let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            // It ends with the client.
            tokio::spawn(async move { copy_bidirectional(&mut stream, &mut target).await });
        }
        asked
    });
    let user_name = Some("Aladdin".to_owned());
    let proxy = Proxy { kind, host: "localhost".into(), port, user_name, password: Some(PASSWORD.into()) };
    (proxy, serving)
}

pub(crate) fn port_of(options: &Options) -> u16 {
    options.route().target().unwrap().port
}

/// A client connects through a proxy of this kind; what the proxy was asked, and the port.
async fn passes(kind: ProxyKind, steps: Steps) -> (Vec<u8>, u16) {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    let port = port_of(&options);
    let (proxy, serving) = proxy(kind, steps, Some(port)).await;
    options.proxy = Some(proxy);
    let client = client(options);
    let connecting = connect(&client);
    let _connection = hub.admit(false).await;
    soon(connecting).await.unwrap();
    (soon(serving).await, port)
}

/// The error of a client whose proxy says this.
async fn refused(kind: ProxyKind, steps: Steps) -> Error {
    let mut options = ScriptedHub::start().await.options();
    let (proxy, _serving) = proxy(kind, steps, None).await;
    assert!(!format!("{proxy:?} {proxy}").contains(PASSWORD));
    options.proxy = Some(proxy);
    let error = soon(connect(&client(options))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
    assert!(!error.to_string().contains(PASSWORD));
    error
}

#[tokio::test]
async fn an_http_proxy_opens_a_way_even_to_this_machine_if_the_program_names_it() {
    let steps: Steps = &[(CONNECT, b"HTTP/1.1 200 Connection established\r\n\r\n")];
    let (asked, port) = passes(ProxyKind::Http, steps).await;
    assert_eq!(
        String::from_utf8(asked).unwrap(),
        format!(
            "CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn a_socks_5_proxy_is_told_the_user_and_the_name() {
    let steps: Steps = &[(4, &[5, 2]), (21, &[1, 0]), (16, &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])];
    let (asked, port) = passes(ProxyKind::Socks5, steps).await;
    let port = port.to_be_bytes();
    let expected =
        [&b"\x05\x02\0\x02\x01\x07Aladdin\x0bopen sesame\x05\x01\0\x03\x09localhost"[..], &port].concat();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_socks_4_proxy_is_told_the_name() {
    let steps: Steps = &[(26, &[0, 90, 0, 0, 0, 0, 0, 0])];
    let (asked, port) = passes(ProxyKind::Socks4, steps).await;
    let port = port.to_be_bytes();
    assert_eq!(asked, [&[4, 1][..], &port, b"\0\0\0\x01Aladdin\0localhost\0"].concat());
}

#[tokio::test]
async fn a_refusal_is_the_proxys_error_with_its_answer() {
    let cases: [(ProxyKind, Steps, &str); 6] = [
        (
            ProxyKind::Http,
            &[(CONNECT, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")],
            "refused this user (HTTP/1.1 407 Proxy Authentication Required); check proxy_username",
        ),
        (ProxyKind::Http, &[(CONNECT, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")], "502 Bad Gateway"),
        (ProxyKind::Http, &[(CONNECT, b"")], "is it a proxy of this type?"),
        (ProxyKind::Socks5, &[(4, &[5, 2]), (21, &[1, 1])], "refused this user (authentication failed)"),
        (ProxyKind::Socks5, &[(4, &[5, 0]), (16, &[5, 5, 0, 1])], "connection refused (5)"),
        (ProxyKind::Socks4, &[(26, &[0, 91, 0, 0, 0, 0, 0, 0])], "rejected or failed (91)"),
    ];
    for (kind, steps, told) in cases {
        let error = refused(kind, steps).await;
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_not_taken_for_a_hub_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut options = ScriptedHub::start().await.options();
    let (kind, host) = (ProxyKind::Http, "localhost".to_owned());
    options.proxy = Some(Proxy { kind, host, port, user_name: None, password: None });
    let error = soon(connect(&client(options))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert_eq!(error.message(), format!("the proxy localhost:{port} can't be reached"));
}

#[tokio::test]
async fn a_websocket_passes_a_proxy() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.websockets = true;
    let steps: Steps = &[(CONNECT, b"HTTP/1.1 200 OK\r\n\r\n")];
    let (proxy, serving) = proxy(ProxyKind::Http, steps, Some(port_of(&options))).await;
    options.proxy = Some(proxy);
    let client = client(options);
    let connecting = connect(&client);
    let mut stream = hub.accept_stream().await;
    let mut start = [0; 22];
    timeout(LIMIT, stream.read_exact(&mut start)).await.expect("nothing passed").unwrap();
    assert_eq!(&start, b"GET /$iothub/websocket");
    soon(serving).await;
    drop(stream);
    assert_eq!(soon(connecting).await.unwrap_err().kind(), ErrorKind::ConnectionFailed);
}

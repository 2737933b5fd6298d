//! What device clients ask over HTTPS, as it stands on the wire, and how such calls end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferrohub::clock::Clock;
use ferrohub::device::{Client, Credentials, Options, Token};
use ferrohub::error::{ErrorKind, Result};
use ferrohub::tls::Identity;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::device_credentials::{authority_and_device, hub_that_asks};
use crate::device_session::{client, soon};
use crate::http::{NO_CONTENT, answer, read_request};
use crate::scripted_hub::{LIMIT, ScriptedHub};

const FOUND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"blobName\": \"b\"}";
const BODY: &[u8] = br#"{"blobName": "b"}"#;

fn device(hub: &ScriptedHub) -> Options {
    let mut options = hub.options();
    options.module_id = None;
    options.clock = Clock::manual(1_700_000_000_000);
    options.user_agent = "agent/1 (é)".into();
    options
}

fn ask<F: Future<Output = Result<Bytes>> + Send + 'static>(
    options: Options,
    call: impl FnOnce(Arc<Client>) -> F,
) -> JoinHandle<Result<Bytes>> {
    tokio::spawn(call(client(options)))
}

async fn storage_info(client: Arc<Client>) -> Result<Bytes> {
    client.get_storage_info(Bytes::from_static(BODY), None).await
}

/// The lines of a request, and its body; those of the HTTP library left out.
fn parts(request: &str) -> (Vec<&str>, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let lines = head.lines().filter(|line| !line.starts_with("Connection: ") && *line != "Accept: */*");
    (lines.collect(), body)
}

#[tokio::test]
async fn the_place_for_a_file_is_asked_for_with_a_token() {
    let hub = ScriptedHub::start().await;
    let options = device(&hub);
    let host = options.host_name.clone();
    let asking = ask(options, storage_info);
    let request = answer(&mut hub.accept_stream().await, FOUND).await;
    assert_eq!(soon(asking).await.unwrap(), BODY);
    let (lines, body) = parts(&request);
    let (token, lines): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.starts_with("Authorization: "));
    let mut expected = [
        "POST /devices/dev1/files?api-version=2019-10-01 HTTP/1.1".to_owned(),
        format!("Host: {host}"),
        "Accept: application/json".to_owned(),
        "Content-Type: application/json".to_owned(),
        "Content-Length: 17".to_owned(),
        "User-Agent: agent%2F1+%28%C3%A9%29".to_owned(),
    ];
    let mut lines: Vec<_> = lines.into_iter().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), expected[0]);
    lines.sort();
    expected[1..].sort();
    assert_eq!(lines, expected[1..]);
    let resource = host.replace(':', "%3A");
    let start = format!("Authorization: SharedAccessSignature sr={resource}%2Fdevices%2Fdev1&sig=");
    assert!(token[0].starts_with(&start) && token[0].ends_with("&se=1700003600"), "{token:?}");
    assert_eq!(body.as_bytes(), BODY);
}

#[tokio::test]
async fn the_end_of_an_upload_is_told_through_a_gateway_in_the_hubs_name() {
    let hub = ScriptedHub::start().await;
    let mut options = device(&hub);
    options.gateway_host_name = Some(std::mem::replace(&mut options.host_name, "hub.example.com".into()));
    options.credentials = Credentials::Token(Token::new("SharedAccessSignature a".into(), u64::MAX));
    let client = client(options);
    let telling = {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.notify_upload(Bytes::from_static(b"{}"), None).await })
    };
    let mut stream = hub.accept_stream().await;
    let request = answer(&mut stream, NO_CONTENT).await;
    soon(telling).await.unwrap();
    let (lines, _) = parts(&request);
    assert_eq!(lines[0], "POST /devices/dev1/files/notifications?api-version=2019-10-01 HTTP/1.1");
    for line in [
        "Host: hub.example.com",
        "Content-Type: application/json; charset=utf-8",
        "Authorization: SharedAccessSignature a",
    ] {
        assert!(lines.contains(&line), "{line} is not in {lines:?}");
    }

    // A token that the program has brought meanwhile is shown, and the connection is used again.
    let updating = {
        let client = Arc::clone(&client);
        tokio::spawn(async move {
            client.update_token(Token::new("SharedAccessSignature b".into(), u64::MAX), None).await
        })
    };
    let _mqtt = hub.admit(false).await;
    soon(updating).await.unwrap();
    let asking = tokio::spawn(storage_info(client));
    let request = answer(&mut stream, FOUND).await;
    assert!(request.contains("\r\nAuthorization: SharedAccessSignature b\r\n"), "{request}");
    soon(asking).await.unwrap();
}

#[tokio::test]
async fn a_device_with_a_certificate_shows_it_and_no_token() {
    let (authority, certificate, key) = authority_and_device();
    let hub = hub_that_asks(&authority).await;
    let key = key.serialize_pem();
    let identity = Identity::from_pem(certificate.pem().as_bytes(), key.as_bytes(), None).unwrap();
    let mut options = device(&hub);
    options.credentials = Credentials::Certificate(identity);
    let asking = ask(options, storage_info);
    let mut stream = hub.accept_stream().await;
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap(), [certificate.der().clone()]);
    let request = answer(&mut stream, FOUND).await;
    assert!(!request.contains("Authorization"), "{request}");
    soon(asking).await.unwrap();
}

#[tokio::test]
async fn a_method_is_called_through_the_gateway_in_the_modules_name() {
    let hub = ScriptedHub::start().await;
    let mut options = hub.options();
    options.gateway_host_name = Some(std::mem::replace(&mut options.host_name, "hub.example.com".into()));
    let gateway = options.gateway_host_name.clone().unwrap();
    let asking = ask(options, |client| async move {
        client.invoke_method("other d", Some("m/1"), Bytes::from_static(b"{}"), None).await
    });
    let request = answer(&mut hub.accept_stream().await, FOUND).await;
    assert_eq!(soon(asking).await.unwrap(), BODY);
    let (lines, _) = parts(&request);
    assert_eq!(lines[0], "POST /twins/other+d/modules/m%2F1/methods?api-version=2019-10-01 HTTP/1.1");
    let host = format!("Host: {gateway}");
    for line in [&*host, "Content-Type: application/json"] {
        assert!(lines.contains(&line), "{line} is not in {lines:?}");
    }
    assert!(request.to_lowercase().contains("\r\nx-ms-edge-moduleid: dev1/mod1\r\n"), "{request}");
}

#[tokio::test]
async fn a_call_ends_at_its_time_and_with_its_client() {
    let hub = ScriptedHub::start().await;
    let late = ask(device(&hub), |client| async move {
        client.get_storage_info(Bytes::new(), Some(Duration::from_millis(50))).await
    });
    let mut silent = hub.accept_stream().await;
    let error = soon(late).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().ends_with("did not answer within 0.05 s"), "{error}");
    // The connection of a request that nobody waits for is closed.
    read_request(&mut silent).await;
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);

    let client = client(device(&hub));
    let asking = tokio::spawn(storage_info(Arc::clone(&client)));
    read_request(&mut hub.accept_stream().await).await;
    client.shutdown(None).await.unwrap();
    assert_eq!(soon(asking).await.unwrap_err().kind(), ErrorKind::ShutDown);
    assert_eq!(storage_info(client).await.unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn a_shutdown_ends_the_connection_that_is_kept() {
    let hub = ScriptedHub::start().await;
    let client = client(device(&hub));
    let asking = tokio::spawn(storage_info(Arc::clone(&client)));
    let mut stream = hub.accept_stream().await;
    answer(&mut stream, FOUND).await;
    soon(asking).await.unwrap();
    client.shutdown(None).await.unwrap();
    let closed = timeout(LIMIT, stream.read(&mut [0])).await.expect("the connection is open");
    assert_eq!(closed.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_refusal_is_the_services_and_one_is_never_asked_again() {
    let hub = ScriptedHub::start().await;
    let asking = ask(device(&hub), storage_info);
    let mut stream = hub.accept_stream().await;
    let body = r#"{"Message":"ErrorCode:DeviceNotFound;dev1"}"#;
    let refusal = format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    answer(&mut stream, &refusal).await;
    let error = soon(asking).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service(404));
    assert_eq!(error.message(), "HTTP operation returned: 404 Error('Not found'): DeviceNotFound: dev1");
    // The client is gone, and its connection with it.
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}

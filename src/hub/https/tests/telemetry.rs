//! What devices send over HTTPS.

use super::*;

const PATH: &str = "/devices/d/messages/events?api-version=2021-04-12";

async fn hub() -> Hub {
    let hub = Hub::start();
    hub.create("/devices/d").await;
    hub
}

/// Properties and body of each message that came.
fn came(hub: &Hub) -> Vec<(String, String)> {
    let messages = hub.state.events.newest().into_iter();
    let read =
        messages.map(|event| (event.properties.clone(), String::from_utf8(event.body.to_vec()).unwrap()));
    read.collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(properties, body)| ((*properties).to_owned(), (*body).to_owned())).collect()
}

#[tokio::test]
async fn a_message_has_its_properties_in_headers() {
    let hub = hub().await;
    let headers = [
        ("authorization", hub.token.as_str()),
        ("IoTHub-MessageId", "m 1"),
        ("iothub-contenttype", "application/json"),
        ("iothub-app-floor", "2nd"),
        ("content-type", "text/plain"),
    ];
    assert_eq!(hub.send("POST", PATH, &headers, "hello").await.status, 204);
    assert_eq!(came(&hub), owned(&[("%24.mid=m%201&%24.ct=application%2Fjson&floor=2nd", "hello")]));
    let sender = hub.state.events.newest()[0].sender.clone();
    assert!(sender.auth_method.contains(r#""scope":"hub","type":"sas""#), "{}", sender.auth_method);
    assert!(!sender.generation_id.is_empty());
}

#[tokio::test]
async fn a_batch_is_several_messages_or_none() {
    let hub = hub().await;
    let headers =
        [("authorization", hub.token.as_str()), ("content-type", "application/vnd.microsoft.iothub.json")];
    let batch = json!([
        { "body": "aGVsbG8=", "properties": { "iothub-app-a": "1" } },
        { "body": "plain", "base64Encoded": false },
    ]);
    assert_eq!(hub.send("POST", PATH, &headers, &batch.to_string()).await.status, 204);
    assert_eq!(came(&hub), owned(&[("a=1", "hello"), ("", "plain")]));
    for bad in ["{}", "[{}]", r#"[{"body":"aGVsbG8="},{"body":"!"}]"#] {
        assert_eq!(hub.send("POST", PATH, &headers, bad).await.status, 400, "{bad}");
    }
    assert_eq!(came(&hub).len(), 2);
}

#[tokio::test]
async fn what_is_too_large_and_who_is_disabled_is_refused() {
    let hub = hub().await;
    let headers = [("authorization", hub.token.as_str())];
    let large = "x".repeat((256 << 10) + 1);
    let refused = hub.send("POST", PATH, &headers, &large).await;
    assert_eq!((refused.status, refused.header("iothub-errorcode")), (413, "MessageTooLarge"));
    let disabled = hub.ask("PUT", "/devices/d", Some("*"), r#"{"deviceId":"d","status":"disabled"}"#).await;
    assert_eq!(disabled.status, 200);
    let refused = hub.send("POST", PATH, &headers, "x").await;
    assert_eq!((refused.status, refused.header("iothub-errorcode")), (403, "DeviceDisabled"));
    assert_eq!(came(&hub), []);
}

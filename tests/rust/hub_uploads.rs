//! File upload on the local hub: what devices are told, and which rules the hub holds.

use std::time::Duration;

use ferrohub::hub::uploads::CompletionBody;
use ferrohub::protocol::error_code::ErrorCode;
use serde_json::{Value, json};

use crate::support::TestHub;

async fn start(hub: &TestHub, device: &str) -> Value {
    let path = format!("/devices/{device}/files");
    let (status, place) = hub.rest("POST", &path, Some(json!({ "blobName": "a b.txt" }))).await;
    assert_eq!(status, 200, "{place}");
    place
}

async fn finish(hub: &TestHub, path: &str, body: Value) -> (u16, String) {
    let (status, answer) = hub.rest("POST", path, Some(body)).await;
    let message = answer["Message"].as_str().unwrap_or_default();
    (status, message.split(';').next().unwrap_or_default().to_owned())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, format!("ErrorCode:{code}"))
}

#[tokio::test]
async fn a_device_is_told_where_to_upload_to() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let place = start(&hub, "d").await;
    let keys: Vec<_> = place.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["correlationId", "hostName", "containerName", "blobName", "sasToken"]);
    assert_eq!((&place["hostName"], &place["blobName"]), (&json!("localhost"), &json!("d/a b.txt")));
    let token = place["sasToken"].as_str().unwrap();
    assert!(token.starts_with("?sv=2018-03-28&sr=b&sig="), "{token}");
    assert!(token.ends_with("&se=2023-11-14T23%3A13%3A20Z&sp=rw"), "{token}");
}

#[tokio::test]
async fn an_upload_ends_once_by_its_own_device_and_in_its_time() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    hub.create("other").await;
    let path = "/devices/d/files/notifications";
    let told = |id: &Value| json!({ "correlationId": id, "isSuccess": true, "statusCode": 200 });
    let place = start(&hub, "d").await;
    let id = &place["correlationId"];
    let unknown = refusal(400, "InvalidFileUploadCorrelationId");
    assert_eq!(finish(&hub, "/devices/other/files/notifications", told(id)).await, unknown);
    for (key, value) in
        [("isSuccess", json!("yes")), ("statusCode", json!("200")), ("statusDescription", json!(1))]
    {
        let mut body = told(id);
        body[key] = value;
        assert_eq!(
            finish(&hub, path, body).await,
            refusal(400, "InvalidFileUploadCompletionStatus"),
            "{key}"
        );
    }
    assert_eq!(finish(&hub, path, told(id)).await, (204, String::new()));
    assert_eq!(finish(&hub, path, told(id)).await, unknown);

    let place = start(&hub, "d").await;
    let by_path = format!("{path}/{}", place["correlationId"].as_str().unwrap());
    assert_eq!(finish(&hub, &by_path, json!({ "isSuccess": false })).await, (204, String::new()));

    let notifications = hub.hub.state().uploads.notifications();
    let told: Vec<_> = notifications.iter().map(|told| (told.is_success, told.status_code)).collect();
    assert_eq!(told, [(true, Some(200)), (false, None)]);
}

#[tokio::test]
async fn an_hour_later_it_is_over_and_makes_room_for_others() {
    let hub = TestHub::start().await;
    let device = hub.create("d").await;
    let state = hub.hub.state();
    let mut places = Vec::new();
    for _ in 0..10 {
        places.push(state.start_upload(&device, Some("a")).await.unwrap());
    }
    let refused = state.start_upload(&device, Some("a")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TOO_MANY_UPLOADS);
    hub.clock.advance(Duration::from_secs(3600));
    state.start_upload(&device, Some("a")).await.unwrap();
    let body: CompletionBody = serde_json::from_value(json!({ "isSuccess": true })).unwrap();
    let late = state.finish_upload(&device, Some(&places[0].correlation_id), &body).await.unwrap_err();
    assert_eq!(late.code(), ErrorCode::EXPIRED_UPLOAD);
    hub.clock.advance(Duration::from_secs(24 * 3600));
    state.start_upload(&device, Some("a")).await.unwrap();
    let forgotten = state.finish_upload(&device, Some(&places[0].correlation_id), &body).await.unwrap_err();
    assert_eq!(forgotten.code(), ErrorCode::INVALID_UPLOAD);
}

#[tokio::test]
async fn a_disabled_or_unknown_device_uploads_nothing() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    let disabled = json!({ "deviceId": "d", "status": "disabled" });
    assert_eq!(hub.rest_if_match("PUT", "/devices/d", Some(disabled)).await.0, 200);
    let body = json!({ "blobName": "a" });
    assert_eq!(finish(&hub, "/devices/d/files", body.clone()).await, refusal(403, "DeviceDisabled"));
    assert_eq!(finish(&hub, "/devices/nobody/files", body).await, refusal(404, "DeviceNotFound"));
}

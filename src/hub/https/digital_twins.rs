//! `/digitaltwins`: twins and direct methods as IoT Plug and Play sees them. Their errors have the nested form.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;

use super::answers::{Document, etag};
use super::requests::{Condition, DigitalTarget, query};
use crate::hub::HubState;
use crate::hub::digital_twins::Operation;
use crate::hub::error::{Form, HubError};
use crate::hub::json_body;
use crate::hub::methods::MethodBody;
use crate::protocol::error_code::ErrorCode;

const COMMAND_STATUS: HeaderName = HeaderName::from_static("x-ms-command-statuscode");

pub(super) async fn get(
    State(hub): State<HubState>,
    target: Result<DigitalTarget, HubError>,
) -> Result<Document, HubError> {
    let reading = async { hub.digital_twin(&target?.id).await };
    let (body, etag) = reading.await.map_err(nested)?;
    Ok(Document::with_etag(body, etag))
}

/// 202 without a body.
pub(super) async fn patch(
    State(hub): State<HubState>,
    target: Result<DigitalTarget, HubError>,
    Condition(condition): Condition,
    uri: Uri,
    body: Bytes,
) -> Result<Response, HubError> {
    let patching = async { hub.patch_digital_twin(&target?.id, &operations(&body)?, condition).await };
    let entity = patching.await.map_err(nested)?;
    let mut response = StatusCode::ACCEPTED.into_response();
    let location = format!("https://{}{}", hub.address, uri.path());
    let headers = [(ETAG, etag(&entity.twin_etag())), (LOCATION, HeaderValue::from_str(&location).ok())];
    for (name, value) in headers {
        response.headers_mut().extend(value.map(|value| (name, value)));
    }
    Ok(response)
}

/// The body is what the device responds, its status a header.
pub(super) async fn invoke(
    State(hub): State<HubState>,
    target: Result<DigitalTarget, HubError>,
    uri: Uri,
    body: Bytes,
) -> Result<Response, HubError> {
    let calling = async {
        let target = target?;
        let call = MethodBody::new(
            target.method(),
            payload(&body)?,
            seconds(&uri, "responseTimeoutInSeconds")?,
            seconds(&uri, "connectTimeoutInSeconds")?,
        );
        hub.invoke_method(&target.id, call).await
    };
    let result = calling.await.map_err(nested)?;
    let mut response = Document::new(result.payload).into_response();
    response.headers_mut().insert(COMMAND_STATUS, result.status.into());
    Ok(response)
}

fn nested(error: HubError) -> HubError {
    error.in_form(Form::Nested)
}

fn operations(body: &[u8]) -> Result<Vec<Operation>, HubError> {
    json_body::read(body).map_err(|error| {
        let message = format!(
            "{} It has to be a JSON Patch of the operations add, replace and remove.",
            error.message()
        );
        HubError::new(ErrorCode::INVALID_DIGITAL_TWIN_JSON_PATCH, message)
    })
}

/// None, if there is no body.
fn payload(body: &[u8]) -> Result<Option<Box<RawValue>>, HubError> {
    if body.trim_ascii().is_empty() { Ok(None) } else { json_body::read(body).map(Some) }
}

fn seconds(uri: &Uri, name: &str) -> Result<Option<u64>, HubError> {
    let text = query(uri, name);
    let number =
        |text: String| text.parse().map_err(|_| HubError::invalid(format!("{name} is not a number.")));
    text.map(number).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::hub::https::tests::{Answer, Hub};

    /// Status, code and text of the nested form.
    fn refusal(answer: &Answer) -> (u16, u64, String) {
        let inner: Value = serde_json::from_str(answer.body["Message"].as_str().unwrap()).unwrap();
        let text = inner["message"].as_str().unwrap().to_owned();
        (answer.status, inner["errorCode"].as_u64().unwrap(), text)
    }

    #[tokio::test]
    async fn a_patch_is_accepted_with_the_etag_and_the_place_of_the_digital_twin() {
        let hub = Hub::start();
        hub.create("/devices/d").await;
        let body = r#"[{"op": "replace", "path": "/a", "value": 1.0}]"#;
        let patched = hub.ask("PATCH", "/digitaltwins/d", None, body).await;
        assert_eq!((patched.status, &patched.body), (202, &Value::Null));
        let read = hub.get("/digitaltwins/d").await;
        let etag = "\"AAAAAAAAAAI=\"";
        assert_eq!((patched.header("etag"), read.header("etag")), (etag, etag));
        assert_eq!(patched.header("location"), "https://localhost/digitaltwins/d");
        let expected = json!({ "desiredValue": 1.0, "desiredVersion": 2 });
        assert_eq!(read.body["$metadata"]["a"].to_string(), expected.to_string());
        let stale = hub.ask("PATCH", "/digitaltwins/d", Some("\"AAAAAAAAAAE=\""), body).await;
        assert_eq!((refusal(&stale).0, stale.header("iothub-errorcode")), (412, "PreconditionFailed"));
        for if_match in [etag, "AAAAAAAAAAM=", "*"] {
            assert_eq!(hub.ask("PATCH", "/digitaltwins/d", Some(if_match), body).await.status, 202);
        }
    }

    #[tokio::test]
    async fn modules_have_digital_twins_of_their_own() {
        let hub = Hub::start();
        hub.create("/devices/d").await;
        hub.create("/devices/d/modules/m").await;
        let body = r#"[{"op": "add", "path": "/a", "value": 1}]"#;
        assert_eq!(hub.ask("PATCH", "/digitaltwins/d~m", None, body).await.status, 202);
        assert_eq!(hub.get("/twins/d/modules/m").await.body["properties"]["desired"]["a"], 1);
        assert_eq!(hub.get("/digitaltwins/d~m").await.body["$dtId"], "d~m");
        assert_eq!(refusal(&hub.get("/digitaltwins/d~n").await), (404, 404_010, "d/n".to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_json_patch_is_refused_in_the_nested_form() {
        let hub = Hub::start();
        hub.create("/devices/d").await;
        for body in [
            "",
            "{}",
            "[1]",
            r#"[{"op": "add", "path": "/a"}]"#,
            r#"[{"op": "move", "path": "/a", "from": "/b"}]"#,
            r#"[{"op": "test", "path": "/a", "value": 1}]"#,
        ] {
            let (status, code, text) = refusal(&hub.ask("PATCH", "/digitaltwins/d", None, body).await);
            assert_eq!((status, code), (400, 400_505), "{body}");
            assert!(text.contains("add, replace and remove"), "{text}");
        }
        let (status, code, _) = refusal(&hub.get("/digitaltwins/nobody").await);
        assert_eq!((status, code), (404, 404_001));
    }

    #[tokio::test]
    async fn a_command_ends_as_a_direct_method_does() {
        let hub = Hub::start();
        hub.create("/devices/d").await;
        let call = |path: &'static str, body: &'static str| hub.ask("POST", path, None, body);
        for (path, body, status, code) in [
            ("/digitaltwins/d/commands/c", "", 404, 404_103),
            ("/digitaltwins/d/components/t/commands/c", "{}", 404, 404_103),
            ("/digitaltwins/nobody/commands/c", "null", 404, 404_001),
            ("/digitaltwins/d/commands/c", "{", 400, 400_004),
            ("/digitaltwins/d/commands/c?responseTimeoutInSeconds=4", "1", 400, 400_004),
            ("/digitaltwins/d/commands/c?connectTimeoutInSeconds=31", "1", 400, 400_004),
            ("/digitaltwins/d/commands/c?connectTimeoutInSeconds=x", "1", 400, 400_004),
        ] {
            let (found_status, found_code, _) = refusal(&call(path, body).await);
            assert_eq!((found_status, found_code), (status, code), "{path} {body}");
        }
    }
}

//! The MQTT interface of the Device Provisioning Service: how devices name themselves, and its topics.
//!
//! <https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-dps>

use super::topics::{query_value, unquote};
use crate::auth::quote_component;

/// The version that the official Python package speaks.
const API_VERSION: &str = "2019-03-31";
/// What every device subscribes to: the answers to its requests.
pub const RESPONSES: &str = "$dps/registrations/res/#";

const RESPONSE: &str = "$dps/registrations/res/";
const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/";
const QUERY: &str = "$dps/registrations/GET/iotdps-get-operationstatus/";

/// What the token of a device is for: `{id scope}/registrations/{registration id}`.
#[must_use]
pub fn resource(id_scope: &str, registration_id: &str) -> String {
    format!("{id_scope}/registrations/{registration_id}")
}

/// The user name of a device's CONNECT; no question mark stands before the version.
#[must_use]
pub fn user_name(id_scope: &str, registration_id: &str, user_agent: &str) -> String {
    let (resource, agent) = (resource(id_scope, registration_id), quote_component(user_agent));
    format!("{resource}/api-version={API_VERSION}&ClientVersion={agent}")
}

/// The id scope and registration id in a user name; None if it is not one of this service.
#[must_use]
pub fn parse_user_name(user_name: &str) -> Option<(&str, &str)> {
    let mut parts = user_name.splitn(4, '/');
    let (id_scope, registrations, registration_id) = (parts.next()?, parts.next()?, parts.next()?);
    let version = parts.next()?.trim_start_matches('?');
    let ours = registrations == "registrations" && version.starts_with("api-version=");
    (ours && !id_scope.is_empty() && !registration_id.is_empty()).then_some((id_scope, registration_id))
}

/// A device's request to be registered.
#[must_use]
pub fn register(request_id: &str) -> String {
    format!("{REGISTER}?$rid={}", quote_component(request_id))
}

/// A device's question how far its registration is.
#[must_use]
pub fn query(request_id: &str, operation_id: &str) -> String {
    format!("{QUERY}?$rid={}&operationId={}", quote_component(request_id), quote_component(operation_id))
}

/// What a device asks, as the service reads it off a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Register me.
    Register {
        /// Chosen by the device; the answer carries it.
        request_id: String,
    },
    /// How far is this operation?
    Query {
        /// Chosen by the device; the answer carries it.
        request_id: String,
        /// As the answer to the first request had it.
        operation_id: String,
    },
}

/// Parse the topic of a device's request.
#[must_use]
pub fn parse_request(topic: &str) -> Option<Request> {
    if let Some(query) = topic.strip_prefix(REGISTER) {
        return Some(Request::Register { request_id: query_value(query, "$rid")? });
    }
    let query = topic.strip_prefix(QUERY)?;
    Some(Request::Query {
        request_id: query_value(query, "$rid")?,
        operation_id: query_value(query, "operationId")?,
    })
}

/// The service's answer; with the seconds after which to ask again, if there is a reason to.
#[must_use]
pub fn response(status: u16, request_id: &str, retry_after: Option<u32>) -> String {
    let retry_after = retry_after.map_or_else(String::new, |seconds| format!("&retry-after={seconds}"));
    format!("{RESPONSE}{status}/?$rid={}{retry_after}", quote_component(request_id))
}

/// What the service answered, as the device reads it off a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// As in HTTP: 200, 202, 401, 429 …
    pub status: u16,
    /// The request it answers.
    pub request_id: String,
    /// Seconds after which to ask again.
    pub retry_after: Option<u32>,
}

/// Parse the topic of an answer.
#[must_use]
pub fn parse_response(topic: &str) -> Option<Response> {
    let (status, query) = topic.strip_prefix(RESPONSE)?.split_once('/')?;
    Some(Response {
        status: unquote(status)?.parse().ok()?,
        request_id: query_value(query, "$rid")?,
        retry_after: query_value(query, "retry-after").and_then(|seconds| seconds.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_topics_equal_those_on_the_official_wire() {
        let user_name = user_name("0ne0000", "reg1", "azure-iot-device-provisioning-py/2.14.0(3.11.7;L)");
        assert_eq!(
            user_name,
            "0ne0000/registrations/reg1/api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.14.0%283.11.7%3BL%29"
        );
        assert_eq!(register("1"), "$dps/registrations/PUT/iotdps-register/?$rid=1");
        assert_eq!(
            query("1", "4.d0a6.b"),
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=4.d0a6.b"
        );
        assert_eq!(response(202, "1", Some(3)), "$dps/registrations/res/202/?$rid=1&retry-after=3");
        assert_eq!(response(401, "1", None), "$dps/registrations/res/401/?$rid=1");
    }

    #[test]
    fn each_side_reads_what_the_other_builds() {
        assert_eq!(parse_user_name(&user_name("0ne1", "r:1", "agent/1")), Some(("0ne1", "r:1")));
        for other in
            ["localhost/dev1/?api-version=2019-10-01", "s/registrations/r", "/registrations/r/api-version=1"]
        {
            assert_eq!(parse_user_name(other), None, "{other}");
        }
        let request_id = "a/b".to_owned();
        assert_eq!(
            parse_request(&register("a/b")),
            Some(Request::Register { request_id: request_id.clone() })
        );
        let query = query("a/b", "4.x&y");
        assert_eq!(
            parse_request(&query),
            Some(Request::Query { request_id: request_id.clone(), operation_id: "4.x&y".into() })
        );
        assert_eq!(parse_request("$iothub/twin/GET/?$rid=1"), None);
        let throttled = Response { status: 429, request_id, retry_after: Some(7) };
        assert_eq!(parse_response(&response(429, "a/b", Some(7))), Some(throttled));
        assert_eq!(
            parse_response("$dps/registrations/res/200/?$rid=1&retry-after=x").unwrap().retry_after,
            None
        );
        assert_eq!(parse_response("$iothub/twin/res/200/?$rid=1"), None);
    }
}

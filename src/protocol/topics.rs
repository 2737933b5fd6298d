//! The MQTT topics of IoT Hub: built and parsed here, by clients and hub alike.
//!
//! <https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub>

use crate::auth::quote_component;

/// Answers to twin requests; every client that reads or writes its twin subscribes to it.
pub const TWIN_RESPONSES: &str = "$iothub/twin/res/#";
/// Patches of desired properties.
pub const DESIRED_PATCHES: &str = "$iothub/twin/PATCH/properties/desired/#";
/// Calls of direct methods.
pub const METHODS: &str = "$iothub/methods/POST/#";

const TWIN_RESPONSE: &str = "$iothub/twin/res/";
const DESIRED_PATCH: &str = "$iothub/twin/PATCH/properties/desired/";
const REPORTED_PATCH: &str = "$iothub/twin/PATCH/properties/reported/";
const METHOD_REQUEST: &str = "$iothub/methods/POST/";
const METHOD_RESPONSE: &str = "$iothub/methods/res/";
const TWIN_GET: &str = "$iothub/twin/GET/";

/// `devices/{device}[/modules/{module}]/messages/events/`: telemetry, followed by its properties.
#[must_use]
pub fn telemetry(device: &str, module: Option<&str>) -> String {
    format!("{}/messages/events/", party(device, module))
}

/// `devices/{device}/messages/devicebound/#`: the cloud-to-device messages of a device.
#[must_use]
pub fn cloud_to_device_filter(device: &str) -> String {
    format!("devices/{device}/messages/devicebound/#")
}

/// `devices/{device}/modules/{module}/inputs/#`: messages routed to a module.
#[must_use]
pub fn inputs_filter(device: &str, module: &str) -> String {
    format!("{}/inputs/#", party(device, Some(module)))
}

fn party(device: &str, module: Option<&str>) -> String {
    match module {
        Some(module) => format!("devices/{device}/modules/{module}"),
        None => format!("devices/{device}"),
    }
}

/// A device's request for its twin.
#[must_use]
pub fn twin_get(request_id: &str) -> String {
    format!("{TWIN_GET}?$rid={}", quote_component(request_id))
}

/// A device's patch of its reported properties.
#[must_use]
pub fn reported_patch(request_id: &str) -> String {
    format!("{REPORTED_PATCH}?$rid={}", quote_component(request_id))
}

/// The hub's answer to a twin request; a write's answer carries the section's new version.
#[must_use]
pub fn twin_response(status: u16, request_id: &str, version: Option<u64>) -> String {
    let version = version.map_or_else(String::new, |version| format!("&$version={version}"));
    format!("{TWIN_RESPONSE}{status}/?$rid={}{version}", quote_component(request_id))
}

/// The hub's notification of a change of desired properties.
#[must_use]
pub fn desired_patch(version: u64) -> String {
    format!("{DESIRED_PATCH}?$version={version}")
}

/// What a device asks of its twin, as the hub reads it off a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwinRequest {
    /// Send me my twin.
    Get {
        /// Chosen by the device; the answer carries it.
        request_id: String,
    },
    /// Merge this into my reported properties.
    PatchReported {
        /// Chosen by the device; the answer carries it.
        request_id: String,
        /// Only if the reported properties are still at this version.
        expected_version: Option<u64>,
    },
}

/// Parse the topic of a device's twin request.
#[must_use]
pub fn parse_twin_request(topic: &str) -> Option<TwinRequest> {
    if let Some(query) = topic.strip_prefix(TWIN_GET) {
        return Some(TwinRequest::Get { request_id: query_value(query, "$rid")? });
    }
    let query = topic.strip_prefix(REPORTED_PATCH)?;
    let expected_version = query_value(query, "$version").map(|version| version.parse()).transpose().ok()?;
    Some(TwinRequest::PatchReported { request_id: query_value(query, "$rid")?, expected_version })
}

/// What the hub answered to a twin request, as the client reads it off a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwinResponse {
    /// As in HTTP: 200, 204, 400, 429 …
    pub status: u16,
    /// The request it answers.
    pub request_id: String,
}

/// Parse the topic of an answer to a twin request.
#[must_use]
pub fn parse_twin_response(topic: &str) -> Option<TwinResponse> {
    let (status, query) = topic.strip_prefix(TWIN_RESPONSE)?.split_once('/')?;
    Some(TwinResponse { status: status.parse().ok()?, request_id: query_value(query, "$rid")? })
}

/// Whether this is the topic of a patch of desired properties.
#[must_use]
pub fn is_desired_patch(topic: &str) -> bool {
    topic.starts_with(DESIRED_PATCH)
}

/// `$iothub/methods/POST/{name}/#`: calls of one direct method.
#[must_use]
pub fn method_filter(name: &str) -> String {
    format!("{METHOD_REQUEST}{}/#", quote_method(name))
}

/// The hub's call of a direct method.
#[must_use]
pub fn method_request(name: &str, request_id: &str) -> String {
    format!("{METHOD_REQUEST}{}/?$rid={}", quote_method(name), quote_component(request_id))
}

/// The star of `component*command` stays, as on the official wire: not every client decodes names.
fn quote_method(name: &str) -> String {
    quote_component(name).replace("%2A", "*")
}

/// A direct method's name and the id its response has to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRequest {
    /// As the back end called it.
    pub name: String,
    /// Chosen by the hub.
    pub request_id: String,
}

/// Parse the topic of a call of a direct method.
#[must_use]
pub fn parse_method_request(topic: &str) -> Option<MethodRequest> {
    let (name, query) = topic.strip_prefix(METHOD_REQUEST)?.split_once('/')?;
    Some(MethodRequest { name: unquote(name)?, request_id: query_value(query, "$rid")? })
}

/// A device's response to a direct method.
#[must_use]
pub fn method_response(status: i64, request_id: &str) -> String {
    format!("{METHOD_RESPONSE}{}/?$rid={}", quote_component(&status.to_string()), quote_component(request_id))
}

/// Parse the topic of a response: status and request id.
#[must_use]
pub fn parse_method_response(topic: &str) -> Option<(i64, String)> {
    let (status, query) = topic.strip_prefix(METHOD_RESPONSE)?.split_once('/')?;
    Some((unquote(status)?.parse().ok()?, query_value(query, "$rid")?))
}

/// A cloud-to-device message, its properties encoded.
#[must_use]
pub fn cloud_to_device(device: &str, properties: &str) -> String {
    format!("devices/{device}/messages/devicebound/{properties}")
}

/// The encoded properties of a cloud-to-device message to this device.
#[must_use]
pub fn parse_cloud_to_device<'a>(topic: &'a str, device: &str) -> Option<&'a str> {
    topic.strip_prefix("devices/")?.strip_prefix(device)?.strip_prefix("/messages/devicebound/")
}

/// A message on one of a module's inputs, its properties encoded.
#[must_use]
pub fn input(device: &str, module: &str, name: &str, properties: &str) -> String {
    format!("{}/inputs/{}/{properties}", party(device, Some(module)), quote_component(name))
}

/// The input's name and the encoded properties of a message to this module.
#[must_use]
pub fn parse_input<'a>(topic: &'a str, device: &str, module: &str) -> Option<(String, &'a str)> {
    let rest = topic.strip_prefix(&format!("{}/inputs/", party(device, Some(module))))?;
    let (name, properties) = rest.split_once('/').unwrap_or((rest, ""));
    Some((unquote(name)?, properties))
}

pub(super) fn unquote(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// The decoded value of a key in `?key=value&key=value`.
pub(super) fn query_value(query: &str, key: &str) -> Option<String> {
    let pairs = query.strip_prefix('?')?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == key)?;
    unquote(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_equal_those_on_the_official_wire() {
        assert_eq!(telemetry("dev1", Some("mod1")), "devices/dev1/modules/mod1/messages/events/");
        assert_eq!(telemetry("dev1", None), "devices/dev1/messages/events/");
        assert_eq!(
            twin_get("ef9a18cf-07c3-402b-9740-a76985849845"),
            "$iothub/twin/GET/?$rid=ef9a18cf-07c3-402b-9740-a76985849845"
        );
        assert_eq!(twin_response(204, "ho", Some(88)), "$iothub/twin/res/204/?$rid=ho&$version=88");
        assert_eq!(desired_patch(15), "$iothub/twin/PATCH/properties/desired/?$version=15");
    }

    #[test]
    fn each_side_reads_what_the_other_builds() {
        let get = TwinRequest::Get { request_id: "a/b".into() };
        assert_eq!(parse_twin_request(&twin_get("a/b")), Some(get));
        let patch = TwinRequest::PatchReported { request_id: "7".into(), expected_version: Some(3) };
        assert_eq!(
            parse_twin_request("$iothub/twin/PATCH/properties/reported/?$rid=7&$version=3"),
            Some(patch)
        );
        let response = TwinResponse { status: 429, request_id: "a/b".into() };
        assert_eq!(parse_twin_response(&twin_response(429, "a/b", None)), Some(response));
        assert!(is_desired_patch(&desired_patch(2)));
    }

    #[test]
    fn calls_and_messages_are_read_as_they_are_built() {
        assert_eq!(method_request("get Max", "1f"), "$iothub/methods/POST/get%20Max/?$rid=1f");
        assert_eq!(method_request("part*get", "1"), "$iothub/methods/POST/part*get/?$rid=1");
        assert_eq!(method_filter("part*get"), "$iothub/methods/POST/part*get/#");
        let request = MethodRequest { name: "get Max".into(), request_id: "1f".into() };
        assert_eq!(parse_method_request("$iothub/methods/POST/get%20Max/?$rid=1f"), Some(request));
        assert_eq!(method_response(200, "1"), "$iothub/methods/res/200/?$rid=1");
        assert_eq!(parse_method_response("$iothub/methods/res/-7/?$rid=1f"), Some((-7, "1f".into())));
        let topic = cloud_to_device("d", "%24.mid=1&a=b");
        assert_eq!(topic, "devices/d/messages/devicebound/%24.mid=1&a=b");
        assert_eq!(parse_cloud_to_device(&topic, "d"), Some("%24.mid=1&a=b"));
        assert_eq!(parse_cloud_to_device(&topic, "dd"), None);
        let topic = input("d", "m", "in 1", "a=b");
        assert_eq!(topic, "devices/d/modules/m/inputs/in%201/a=b");
        assert_eq!(parse_input(&topic, "d", "m"), Some(("in 1".into(), "a=b")));
        assert_eq!(parse_input("devices/d/modules/m/inputs/x", "d", "m"), Some(("x".into(), "")));
    }

    #[test]
    fn malformed_topics_are_none_of_ours() {
        for topic in
            ["$iothub/twin/res/", "$iothub/twin/res/x/?$rid=1", "$iothub/twin/res/200/?x=1", "devices/d"]
        {
            assert_eq!(parse_twin_response(topic), None, "{topic}");
        }
        assert_eq!(parse_twin_request("$iothub/twin/PATCH/properties/reported/?$rid=7&$version=x"), None);
    }
}

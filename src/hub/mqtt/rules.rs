//! What an identity may subscribe and publish to. Everything else ends its connection.

use crate::protocol::identity::IdentityId;
use crate::protocol::topics;

/// Most topic filters of one session.
pub(super) const MOST_FILTERS: usize = 5;

/// Whether the identity may subscribe to a filter.
pub(super) fn may_subscribe(id: &IdentityId, filter: &str) -> bool {
    let common = [topics::TWIN_RESPONSES, topics::DESIRED_PATCHES, topics::METHODS];
    if common.contains(&filter) || is_one_method(filter) {
        return true;
    }
    message_filters(id).iter().any(|allowed| allowed == filter)
}

/// The filters, any of which brings an identity its messages: cloud-to-device ones, or those of a module's
/// inputs.
pub(super) fn message_filters(id: &IdentityId) -> Vec<String> {
    match &id.module {
        None => vec![topics::cloud_to_device_filter(&id.device)],
        Some(module) => {
            let all = format!("devices/{}/modules/{module}/#", id.device);
            vec![topics::inputs_filter(&id.device, module), all]
        }
    }
}

/// `$iothub/methods/POST/{name}/#`: calls of one direct method.
fn is_one_method(filter: &str) -> bool {
    let all = topics::METHODS.trim_end_matches('#');
    let name = filter.strip_prefix(all).and_then(|rest| rest.strip_suffix("/#"));
    name.is_some_and(|name| !name.is_empty() && !name.contains(['/', '+', '#']))
}

/// The topic on which an identity sends telemetry, without what may follow it: `/` and properties.
pub(super) fn telemetry_topic(id: &IdentityId) -> String {
    let mut topic = topics::telemetry(&id.device, id.module.as_deref());
    topic.truncate(topic.trim_end_matches('/').len());
    topic
}

/// The properties of a message in a telemetry topic; `None` for another topic.
pub(super) fn telemetry_properties<'a>(topic: &'a str, telemetry_topic: &str) -> Option<&'a str> {
    match topic.strip_prefix(telemetry_topic)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// Properties and one more, of which either may be missing.
pub(super) fn joined(properties: &str, more: &str) -> String {
    let separator = if properties.is_empty() || more.is_empty() { "" } else { "&" };
    format!("{properties}{separator}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_filters_are_allowed() {
        let device = IdentityId::parse("d").unwrap();
        let module = IdentityId::parse("d/m").unwrap();
        for id in [&device, &module] {
            for filter in [
                "$iothub/twin/res/#",
                "$iothub/twin/PATCH/properties/desired/#",
                "$iothub/methods/POST/#",
                "$iothub/methods/POST/reboot/#",
            ] {
                assert!(may_subscribe(id, filter), "{filter}");
            }
            for filter in
                ["#", "+/+", "$iothub/#", "$iothub/methods/POST/+/#", "devices/e/messages/devicebound/#"]
            {
                assert!(!may_subscribe(id, filter), "{filter}");
            }
        }
        assert!(may_subscribe(&device, "devices/d/messages/devicebound/#"));
        assert!(!may_subscribe(&device, "devices/d/modules/m/inputs/#"));
        assert!(may_subscribe(&module, "devices/d/modules/m/inputs/#"));
        assert!(may_subscribe(&module, "devices/d/modules/m/#"));
        assert!(!may_subscribe(&module, "devices/d/messages/devicebound/#"));
    }

    #[test]
    fn telemetry_goes_out_on_ones_own_topic_with_or_without_properties() {
        let own = telemetry_topic(&IdentityId::parse("d/m").unwrap());
        let properties = |topic| telemetry_properties(topic, &own);
        assert_eq!(properties("devices/d/modules/m/messages/events"), Some(""));
        assert_eq!(properties("devices/d/modules/m/messages/events/"), Some(""));
        assert_eq!(properties("devices/d/modules/m/messages/events/a=b"), Some("a=b"));
        assert_eq!(properties("devices/d/modules/m/messages/eventsx"), None);
        assert_eq!(properties("devices/d/messages/events/"), None);
    }
}

//! A message to a device as a back end sends it: whom it is for, and what the device will see of it.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct>

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use percent_encoding::percent_decode_str;

use crate::hub::HubState;
use crate::hub::error::HubError;
use crate::hub::messages::NewMessage;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;
use crate::protocol::timestamp::timestamp;

/// A message and the device that it is for.
pub(super) struct Addressed {
    pub(super) device: IdentityId,
    pub(super) message: NewMessage,
}

/// Read a message.
///
/// # Errors
/// 400 if it is for no device or has a property without a text form, 501 for a body that is neither bytes nor text.
pub(super) fn read(message: Message<Body<Value>>, hub: &HubState) -> Result<Addressed, HubError> {
    let properties = message.properties.unwrap_or_default();
    let device = receiver(properties.to.as_deref().unwrap_or_default(), hub)?;
    let mut named = system_properties(properties)?;
    for (name, value) in
        message.application_properties.unwrap_or_else(|| ApplicationProperties::builder().build()).0
    {
        let text = text(&value).ok_or_else(|| {
            HubError::invalid(format!("The application property '{name}' has a type that has no text form."))
        })?;
        named.push((name, text));
    }
    Ok(Addressed { device, message: NewMessage { properties: named, body: body(message.body)? } })
}

/// The device of `/devices/{device}/messages/devicebound`. Some clients percent-encode its name and some don't, and a name
/// may hold a percent sign: as it stands it counts first.
fn receiver(to: &str, hub: &HubState) -> Result<IdentityId, HubError> {
    let segments: Vec<&str> = to.trim_matches('/').split('/').collect();
    let [devices, device, messages, devicebound] = segments[..] else {
        let message = format!(
            "The property 'to' is '{to}', and has to be /devices/{{device}}/messages/devicebound: modules have no such queue."
        );
        return Err(HubError::invalid(message));
    };
    let words = [(devices, "devices"), (messages, "messages"), (devicebound, "devicebound")];
    if words.iter().any(|(word, wanted)| !word.eq_ignore_ascii_case(wanted)) {
        let message =
            format!("The property 'to' is '{to}', and has to be /devices/{{device}}/messages/devicebound.");
        return Err(HubError::invalid(message));
    }
    let as_it_stands = IdentityId::device(device);
    match as_it_stands {
        Ok(id) if hub.store.peek(|state| state.get(&id).is_some()) => Ok(id),
        _ => Ok(IdentityId::device(percent_decode_str(device).decode_utf8_lossy())?),
    }
}

/// Under the names that they have in MQTT topics.
fn system_properties(properties: Properties) -> Result<Vec<(String, String)>, HubError> {
    let user = properties.user_id.map(|user| String::from_utf8(user.into_vec()));
    let user = user.transpose().map_err(|_| HubError::invalid("The property 'user-id' is not UTF-8."))?;
    let expiry = properties.absolute_expiry_time.map(|time| {
        let before_1970 = |_| HubError::new(ErrorCode::INVALID_EXPIRY, "The message expired before 1970.");
        u64::try_from(time.milliseconds()).map(timestamp).map_err(before_1970)
    });
    let pairs = [
        ("$.mid", properties.message_id.as_ref().map(id_text)),
        ("$.exp", expiry.transpose()?),
        ("$.to", properties.to),
        ("$.cid", properties.correlation_id.as_ref().map(id_text)),
        ("$.uid", user),
        ("$.ct", properties.content_type.map(|symbol| symbol.0)),
        ("$.ce", properties.content_encoding.map(|symbol| symbol.0)),
    ];
    Ok(pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn id_text(id: &MessageId) -> String {
    match id {
        MessageId::Ulong(number) => number.to_string(),
        MessageId::Uuid(uuid) => uuid::Uuid::from_bytes(*uuid.as_inner()).to_string(),
        MessageId::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        MessageId::String(text) => text.clone(),
    }
}

/// A device sees properties as text.
fn text(value: &SimpleValue) -> Option<String> {
    Some(match value {
        SimpleValue::Null => String::new(),
        SimpleValue::Bool(value) => value.to_string(),
        SimpleValue::Ubyte(number) => number.to_string(),
        SimpleValue::Ushort(number) => number.to_string(),
        SimpleValue::Uint(number) => number.to_string(),
        SimpleValue::Ulong(number) => number.to_string(),
        SimpleValue::Byte(number) => number.to_string(),
        SimpleValue::Short(number) => number.to_string(),
        SimpleValue::Int(number) => number.to_string(),
        SimpleValue::Long(number) => number.to_string(),
        SimpleValue::Float(number) => number.to_string(),
        SimpleValue::Double(number) => number.to_string(),
        SimpleValue::Char(character) => character.to_string(),
        SimpleValue::Timestamp(time) => timestamp(u64::try_from(time.milliseconds()).ok()?),
        SimpleValue::Uuid(uuid) => uuid::Uuid::from_bytes(*uuid.as_inner()).to_string(),
        SimpleValue::Binary(bytes) => std::str::from_utf8(bytes).ok()?.to_owned(),
        SimpleValue::String(text) => text.clone(),
        SimpleValue::Symbol(symbol) => symbol.0.clone(),
        SimpleValue::Decimal32(_)
        | SimpleValue::Decimal64(_)
        | SimpleValue::Decimal128(_)
        | SimpleValue::Described(_) => return None,
    })
}

/// The bytes of all data sections, or those of a text.
fn body(body: Body<Value>) -> Result<Bytes, HubError> {
    match body {
        Body::Data(sections) => {
            let mut sections = sections.into_iter();
            let first = sections.next().map(|section| Bytes::from(section.0.into_vec())).unwrap_or_default();
            let mut bytes = BytesMut::from(first);
            sections.for_each(|section| bytes.extend_from_slice(&section.0));
            Ok(bytes.freeze())
        }
        Body::Empty | Body::Value(AmqpValue(Value::Null)) => Ok(Bytes::new()),
        Body::Value(AmqpValue(Value::String(text))) => Ok(text.into()),
        Body::Value(AmqpValue(Value::Binary(bytes))) => Ok(bytes.into_vec().into()),
        Body::Value(_) | Body::Sequence(_) => {
            let message = "The local hub takes bodies of data sections, and values that are text or bytes: what devices \
                           get of others is documented nowhere.";
            Err(HubError::new(ErrorCode::NOT_IMPLEMENTED, message))
        }
    }
}

//! Claims-based security: a token comes as a request to `$cbs`.
//!
//! AMQP Claims-based Security 1.0 (OASIS, working draft), as Service Bus and IoT Hub speak it:
//! <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide#claims-based-authorization>

use fe2o3_amqp::types::messaging::{AmqpValue, Body};
use fe2o3_amqp::types::primitives::Value;

use super::claims::Claims;
use super::requests::{Answer, Request, text};
use crate::auth::SasToken;
use crate::hub::HubState;

const PUT_TOKEN: &str = "put-token";
const SAS_TYPE: &str = "servicebus.windows.net:sastoken";

/// Take a token.
pub(super) fn put_token(request: &Request, hub: &HubState, claims: &Claims) -> Answer {
    if text(request, "operation") != PUT_TOKEN {
        return Answer::new(501, "The local hub knows no other operation of $cbs than put-token.");
    }
    if text(request, "type") != SAS_TYPE {
        return Answer::new(
            501,
            "The local hub takes shared access signatures only, no tokens of Microsoft Entra ID.",
        );
    }
    let Body::Value(AmqpValue(Value::String(token))) = &request.body else {
        return Answer::new(
            400,
            "The token has to be the body of the message, an amqp-value that is a string.",
        );
    };
    match SasToken::parse(token) {
        Ok(token) if token.policy.is_none() => {
            Answer::new(501, "The local hub has no AMQP endpoint for devices.")
        }
        Ok(token) => match claims.add(token, hub) {
            Ok(()) => Answer::new(200, "OK"),
            Err(denied) => {
                hub.notices.tell(|| format!("a token of a back end was refused: {}", denied.0));
                Answer::new(401, "Unauthorized")
            }
        },
        Err(_) => Answer::new(400, "The token is no shared access signature."),
    }
}

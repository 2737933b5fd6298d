//! Claims-based security: a token comes as a message to `$cbs`, and its answer leaves from there.
//!
//! AMQP Claims-based Security 1.0 (OASIS, working draft), as Service Bus and IoT Hub speak it:
//! <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide#claims-based-authorization>

use std::sync::Arc;

use fe2o3_amqp::link::{Receiver, RecvError, Sender};
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use tokio::sync::{Mutex, mpsc};

use super::claims::Claims;
use crate::auth::SasToken;
use crate::hub::HubState;

/// Answers that wait for the client to take them; it gets no more tokens in before.
pub(super) const MOST_ANSWERS: usize = 16;
const PUT_TOKEN: &str = "put-token";
const SAS_TYPE: &str = "servicebus.windows.net:sastoken";

/// What became of a request.
pub(super) struct Answer {
    to: Option<MessageId>,
    status: i32,
    description: &'static str,
}

/// Take tokens until the link ends.
pub(super) async fn take_tokens(
    mut link: Receiver,
    hub: HubState,
    claims: Claims,
    answers: mpsc::Sender<Answer>,
) {
    loop {
        let request = match link.recv::<Body<Value>>().await {
            Ok(request) => request,
            Err(RecvError::MessageDecode(error)) => {
                if link.reject(error.info, None).await.is_err() {
                    return;
                }
                continue;
            }
            Err(_) => return,
        };
        let (status, description) = put_token(request.message(), &hub, &claims);
        let properties = request.message().properties.as_ref();
        let to = properties.and_then(|properties| properties.message_id.clone());
        if link.accept(&request).await.is_err()
            || answers.send(Answer { to, status, description }).await.is_err()
        {
            return;
        }
    }
}

fn put_token(message: &Message<Body<Value>>, hub: &HubState, claims: &Claims) -> (i32, &'static str) {
    let text = |name: &str| {
        let value = message.application_properties.as_ref().and_then(|properties| properties.0.get(name));
        match value {
            Some(SimpleValue::String(text)) => text.as_str(),
            _ => "",
        }
    };
    if text("operation") != PUT_TOKEN {
        return (501, "The local hub knows no other operation of $cbs than put-token.");
    }
    if text("type") != SAS_TYPE {
        return (501, "The local hub takes shared access signatures only, no tokens of Microsoft Entra ID.");
    }
    let Body::Value(AmqpValue(Value::String(token))) = &message.body else {
        return (400, "The token has to be the body of the message, an amqp-value that is a string.");
    };
    match SasToken::parse(token) {
        Ok(token) if token.policy.is_none() => (501, "The local hub has no AMQP endpoint for devices."),
        Ok(token) => match claims.add(token, hub) {
            Ok(()) => (200, "OK"),
            Err(denied) => {
                hub.notices.tell(|| format!("a token of a back end was refused: {}", denied.0));
                (401, "Unauthorized")
            }
        },
        Err(_) => (400, "The token is no shared access signature."),
    }
}

/// Send the session's answers until the link ends. Of several such links the next has its turn then.
pub(super) async fn send_answers(mut link: Sender, answers: Arc<Mutex<mpsc::Receiver<Answer>>>) {
    let mut answers = answers.lock().await;
    loop {
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            _ = link.on_detach() => return,
        };
        let Some(answer) = answer else { return };
        if link.send(answer.into_message()).await.is_err() {
            return;
        }
    }
}

impl Answer {
    fn into_message(self) -> Message<AmqpValue<Value>> {
        let properties = ApplicationProperties::builder()
            .insert("status-code", self.status)
            .insert("status-description", self.description)
            .build();
        let answered = Properties { correlation_id: self.to, ..Properties::default() };
        Message::builder()
            .properties(answered)
            .application_properties(properties)
            .body(AmqpValue(Value::Null))
            .build()
    }
}

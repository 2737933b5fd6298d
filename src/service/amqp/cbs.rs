//! Showing a token: a request to `$cbs`, and its answer.

use fe2o3_amqp::link::{CreditMode, Receiver, Sender};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Outcome, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};

use super::refusal;
use crate::error::{Error, ErrorKind, Result};

const NODE: &str = "$cbs";
/// Answers that the hub may send ahead, as in the official package.
const CREDIT: u32 = 10_000;

/// A token, as it is shown.
#[derive(Clone)]
pub(super) struct Token {
    /// What kind of token it is.
    pub(super) kind: &'static str,
    /// Whom it is for.
    pub(super) audience: String,
    pub(super) text: String,
}

/// The two links to `$cbs`.
pub(super) struct Cbs {
    requests: Sender,
    answers: Receiver,
    next_id: u64,
}

impl Cbs {
    pub(super) async fn attach(session: &mut SessionHandle<()>) -> Result<Self> {
        let source = || Source::builder().address(NODE).build();
        let target = || Target::builder().address(NODE).build();
        let requests = Sender::builder()
            .name("$cbs-sender")
            .source(source())
            .target(target())
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .attach(session)
            .await
            .map_err(|error| refusal::attach(&error))?;
        let answers = Receiver::builder()
            .name("$cbs-receiver")
            .source(source())
            .target(target())
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .credit_mode(CreditMode::Auto(CREDIT))
            .attach(session)
            .await
            .map_err(|error| refusal::link("the hub has no $cbs for its answers", error))?;
        Ok(Self { requests, answers, next_id: 0 })
    }

    /// Show a token.
    ///
    /// # Errors
    /// `Unauthorized` if the hub does not take it.
    pub(super) async fn put_token(&mut self, token: &Token) -> Result<()> {
        let id = MessageId::Ulong(self.next_id);
        self.next_id += 1;
        let properties = ApplicationProperties::builder()
            .insert("name", token.audience.as_str())
            .insert("operation", "put-token")
            .insert("type", token.kind)
            .build();
        let request = Message::builder()
            .properties(Properties { message_id: Some(id.clone()), ..Properties::default() })
            .application_properties(properties)
            .body(AmqpValue(Value::String(token.text.clone())))
            .build();
        match self.requests.send(request).await {
            Ok(Outcome::Accepted(_)) => {}
            Ok(outcome) => return Err(refused(&format!("it was not accepted: {outcome:?}"))),
            Err(error) => return Err(refusal::lost(error)),
        }
        loop {
            let answer = self.answers.recv::<Body<Value>>().await;
            let answer =
                answer.map_err(|error| refusal::link("the hub ended $cbs instead of answering", error))?;
            self.answers
                .accept(&answer)
                .await
                .map_err(|error| refusal::link("the hub ended $cbs instead of answering", error))?;
            let message = answer.into_message();
            // An answer to a request whose caller went away is for nobody.
            if message.properties.and_then(|properties| properties.correlation_id).as_ref() == Some(&id) {
                return outcome(&message.application_properties.unwrap_or_else(empty));
            }
        }
    }
}

fn empty() -> ApplicationProperties {
    ApplicationProperties::builder().build()
}

/// 200 is what Azure's hubs answer, 202 what Service Bus does.
fn outcome(properties: &ApplicationProperties) -> Result<()> {
    let status = match properties.0.get("status-code") {
        Some(SimpleValue::Int(status)) => i64::from(*status),
        Some(SimpleValue::Long(status)) => *status,
        _ => {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the hub's answer about the token has no status-code",
            ));
        }
    };
    if [200, 202].contains(&status) {
        return Ok(());
    }
    let description = match properties.0.get("status-description") {
        Some(SimpleValue::String(text)) => text,
        _ => "",
    };
    Err(refused(&format!("{status} {description}")))
}

fn refused(why: &str) -> Error {
    let text = format!("CBS Token authentication failed: the hub refuses the token: {}", why.trim_end());
    Error::new(ErrorKind::Unauthorized, text)
}

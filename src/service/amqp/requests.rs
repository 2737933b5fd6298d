//! Nodes that are asked something, such as `$cbs` and `$management`: requests leave on one link, answers come on another.
//!
//! AMQP Management 1.0 (OASIS, working draft) has this form.

use fe2o3_amqp::link::{CreditMode, Receiver, Sender};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Outcome, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};

use super::refusal;
use crate::error::{Error, ErrorKind, Result};

/// Answers that the hub may send ahead, as in the official package.
const CREDIT: u32 = 10_000;

/// The two links to a node.
pub(super) struct Node {
    name: &'static str,
    requests: Sender,
    answers: Receiver,
    reply_to: Option<String>,
    next_id: u64,
}

/// What a node says to a request.
pub(super) struct Answer {
    /// An HTTP status.
    pub(super) status: i64,
    pub(super) description: String,
    pub(super) body: Body<Value>,
}

impl Node {
    /// Attach the links. `reply_to` is where answers go, if the node wants to be told.
    pub(super) async fn attach(
        session: &mut SessionHandle<()>,
        name: &'static str,
        reply_to: Option<String>,
    ) -> Result<Self> {
        let here = reply_to.as_deref().unwrap_or(name);
        let requests = Sender::builder()
            .name(format!("{name}-sender"))
            .source(Source::builder().address(here).build())
            .target(Target::builder().address(name).build())
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .attach(session)
            .await
            .map_err(|error| refusal::attach(&error))?;
        let answers = Receiver::builder()
            .name(format!("{name}-receiver"))
            .source(Source::builder().address(name).build())
            .target(Target::builder().address(here).build())
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .credit_mode(CreditMode::Auto(CREDIT))
            .attach(session)
            .await
            .map_err(|error| refusal::link(&format!("the hub has no {name} for its answers"), error))?;
        Ok(Self { name, requests, answers, reply_to, next_id: 0 })
    }

    /// Ask, and wait for the answer.
    ///
    /// # Errors
    /// `ConnectionDropped` or `Protocol` if there is none.
    pub(super) async fn ask(&mut self, properties: ApplicationProperties, body: Value) -> Result<Answer> {
        let id = MessageId::Ulong(self.next_id);
        self.next_id += 1;
        let request = Message::builder()
            .properties(Properties {
                message_id: Some(id.clone()),
                reply_to: self.reply_to.clone(),
                ..Properties::default()
            })
            .application_properties(properties)
            .body(AmqpValue(body))
            .build();
        match self.requests.send(request).await {
            Ok(Outcome::Accepted(_)) => {}
            Ok(outcome) => {
                let text = format!("{} did not accept a request: {outcome:?}", self.name);
                return Err(Error::new(ErrorKind::Protocol, text));
            }
            Err(error) => return Err(refusal::lost(error)),
        }
        self.answer(&id).await
    }

    async fn answer(&mut self, id: &MessageId) -> Result<Answer> {
        let ended = |error: &dyn ToString| {
            refusal::link(&format!("the hub ended {} instead of answering", self.name), error.to_string())
        };
        loop {
            let answer = self.answers.recv::<Body<Value>>().await.map_err(|error| ended(&error))?;
            self.answers.accept(&answer).await.map_err(|error| ended(&error))?;
            let message = answer.into_message();
            // An answer to a request whose caller went away is for nobody.
            if message.properties.and_then(|properties| properties.correlation_id).as_ref() == Some(id) {
                let properties = message.application_properties.map(|properties| properties.0);
                let property = |name| properties.as_ref().and_then(|properties| properties.get(name));
                let status = match property("status-code") {
                    Some(SimpleValue::Int(status)) => i64::from(*status),
                    Some(SimpleValue::Long(status)) => *status,
                    _ => {
                        let text = format!("an answer of {} has no status-code", self.name);
                        return Err(Error::new(ErrorKind::Protocol, text));
                    }
                };
                let description = match property("status-description") {
                    Some(SimpleValue::String(text)) => text.trim_end().to_owned(),
                    _ => String::new(),
                };
                return Ok(Answer { status, description, body: message.body });
            }
        }
    }
}

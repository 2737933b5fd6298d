//! Nodes that are asked something: a request comes as a message, and its answer leaves on another link of the session, with
//! a status of HTTP's.
//!
//! AMQP Management 1.0 (OASIS, working draft) has this form; tokens and metadata are asked for in it.

use std::sync::Arc;

use fe2o3_amqp::link::{Receiver, RecvError, Sender};
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Body, Message, MessageId, Properties};
use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use tokio::sync::{Mutex, mpsc};

/// Answers that wait for the client to take them; it gets no more requests in before.
const MOST_ANSWERS: usize = 16;

/// A request.
pub(super) type Request = Message<Body<Value>>;

/// What became of a request.
pub(super) struct Answer {
    pub(super) status: i32,
    pub(super) description: String,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn new(status: i32, description: impl Into<String>) -> Self {
        Self { status, description: description.into(), body: Value::Null }
    }
}

/// An application property of a request; empty if it has none of this name that is a text.
pub(super) fn text<'request>(request: &'request Request, name: &str) -> &'request str {
    let value = request.application_properties.as_ref().and_then(|properties| properties.0.get(name));
    match value {
        Some(SimpleValue::String(text)) => text,
        _ => "",
    }
}

/// A node of one session. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Node {
    answers: mpsc::Sender<Addressed>,
    outgoing: Arc<Mutex<mpsc::Receiver<Addressed>>>,
}

struct Addressed {
    to: Option<MessageId>,
    answer: Answer,
}

impl Node {
    pub(super) fn new() -> Self {
        let (answers, outgoing) = mpsc::channel(MOST_ANSWERS);
        Self { answers, outgoing: Arc::new(Mutex::new(outgoing)) }
    }

    /// Take requests and answer them, until the link ends.
    pub(super) async fn take(self, mut link: Receiver, answer: impl Fn(&Request) -> Answer) {
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
            let answer = answer(request.message());
            let properties = request.message().properties.as_ref();
            let to = properties.and_then(|properties| properties.message_id.clone());
            if link.accept(&request).await.is_err()
                || self.answers.send(Addressed { to, answer }).await.is_err()
            {
                return;
            }
        }
    }

    /// Send the session's answers until the link ends. Of several such links the next has its turn then.
    pub(super) async fn send(self, mut link: Sender) {
        let mut answers = self.outgoing.lock().await;
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
}

impl Addressed {
    fn into_message(self) -> Message<AmqpValue<Value>> {
        let properties = ApplicationProperties::builder()
            .insert("status-code", self.answer.status)
            .insert("status-description", self.answer.description)
            .build();
        let answered = Properties { correlation_id: self.to, ..Properties::default() };
        Message::builder()
            .properties(answered)
            .application_properties(properties)
            .body(AmqpValue(self.answer.body))
            .build()
    }
}

//! Receiving over AMQP, from a hub that does what a test tells it.

use std::time::Duration;

use fe2o3_amqp::acceptor::sasl_acceptor::SaslServerFrame;
use fe2o3_amqp::acceptor::{
    ConnectionAcceptor, LinkAcceptor, LinkEndpoint, ListenerConnectionHandle, ListenerSessionHandle,
    SaslAcceptor, SessionAcceptor,
};
use fe2o3_amqp::link::{Receiver, SendError, Sender};
use fe2o3_amqp::types::definitions::{AmqpError, Error as AmqpReason};
use fe2o3_amqp::types::messaging::{ApplicationProperties, Body, Data, Message, Outcome, Properties};
use fe2o3_amqp::types::primitives::{Array, Binary, Symbol, Value};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit, SaslOutcome, SaslResponse};
use ferrohub::auth::SasKey;
use ferrohub::clock::Clock;
use ferrohub::error::ErrorKind;
use ferrohub::service::Credentials;
use ferrohub::service::amqp::{Endpoint, MessageReceiver, Queue, Received};
use tokio::time::timeout;

use crate::scripted_hub::ScriptedHub;
use crate::support::soon;

const PREFETCH: u32 = 10;
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(10);

fn inbox(hub: &ScriptedHub) -> MessageReceiver<Queue> {
    inbox_at(hub, Clock::system())
}

fn inbox_at(hub: &ScriptedHub, clock: Clock) -> MessageReceiver<Queue> {
    let credentials = Credentials { policy: "service".into(), key: SasKey::from_bytes(b"foobar".to_vec()) };
    let endpoint = Endpoint::hub(hub.host_name(), false, Some(credentials), hub.roots(), clock);
    MessageReceiver::new(Queue::new(endpoint, "/messages/servicebound/feedback"), PREFETCH)
}

#[derive(Clone)]
struct Anyone;

impl SaslAcceptor for Anyone {
    fn mechanisms(&self) -> Array<Symbol> {
        Array::from(vec![Symbol::from("ANONYMOUS")])
    }

    fn on_init(&mut self, _: SaslInit) -> SaslServerFrame {
        SaslServerFrame::Outcome(SaslOutcome { code: SaslCode::Ok, additional_data: None })
    }

    fn on_response(&mut self, _: SaslResponse) -> SaslServerFrame {
        SaslServerFrame::Outcome(SaslOutcome { code: SaslCode::Sys, additional_data: None })
    }
}

/// A back end that has shown its token and receives.
struct BackEnd {
    connection: ListenerConnectionHandle,
    _session: ListenerSessionHandle,
    tokens: Receiver,
    answers: Sender,
    link: Sender,
}

/// The next back end.
async fn admit(hub: &ScriptedHub) -> BackEnd {
    let acceptor = ConnectionAcceptor::builder().container_id("hub").sasl_acceptor(Anyone).build();
    let mut connection = acceptor.accept(hub.accept_stream().await).await.unwrap();
    let incoming = connection.next_incoming_session().await.unwrap();
    let acceptor = SessionAcceptor::builder().build();
    let mut session = acceptor.accept_incoming_session(incoming, &mut connection).await.unwrap();
    let mut tokens = next_link(&mut session).await.0.unwrap();
    let mut answers = next_link(&mut session).await.1.unwrap();
    take_token(&mut tokens, &mut answers).await;
    let link = next_link(&mut session).await.1.unwrap();
    BackEnd { connection, _session: session, tokens, answers, link }
}

/// The next link: one by which the hub receives, or one by which it sends.
async fn next_link(session: &mut ListenerSessionHandle) -> (Option<Receiver>, Option<Sender>) {
    let attach = session.next_incoming_attach().await.unwrap();
    match LinkAcceptor::builder().build().accept_incoming_attach(attach, session).await.unwrap() {
        LinkEndpoint::Receiver(link) => (Some(link), None),
        LinkEndpoint::Sender(link) => (None, Some(link)),
    }
}

async fn take_token(tokens: &mut Receiver, answers: &mut Sender) {
    let request = tokens.recv::<Body<Value>>().await.unwrap();
    tokens.accept(&request).await.unwrap();
    let id = request.message().properties.as_ref().unwrap().message_id.clone().unwrap();
    let answer = Message::builder()
        .properties(Properties::builder().correlation_id(id).build())
        .application_properties(ApplicationProperties::builder().insert("status-code", 200).build())
        .value(Value::Null)
        .build();
    answers.send(answer).await.unwrap().accepted_or("refused").unwrap();
}

impl BackEnd {
    async fn send(&mut self, text: &str) -> Result<Outcome, SendError> {
        self.link.send(data(text)).await
    }

    async fn close(mut self) {
        drop((self.link, self.tokens, self.answers));
        // The client may close it as well.
        let _ = soon("the end", self.connection.close()).await;
    }
}

fn data(text: &str) -> Message<Data> {
    Message::builder().data(Binary::from(text.as_bytes().to_vec())).build()
}

fn text(received: &Received) -> String {
    let Body::Data(sections) = &received.message.body else { panic!("no data") };
    sections.iter().map(|section| String::from_utf8(section.0.to_vec()).unwrap()).collect()
}

/// A receiver, and the back end that it is to the hub.
async fn connected(hub: &ScriptedHub) -> (MessageReceiver<Queue>, BackEnd) {
    let inbox = inbox(hub);
    let greeting = async {
        let mut back_end = admit(hub).await;
        drop(back_end.link.send_batchable(data("hello")).await.unwrap());
        back_end
    };
    let (back_end, received) = tokio::join!(soon("the link", greeting), next(&inbox));
    assert_eq!(text(&received), "hello");
    received.ticket.unwrap().accept().await.unwrap();
    (inbox, back_end)
}

/// The next message.
async fn next(inbox: &MessageReceiver<Queue>) -> Received {
    assert!(soon("a message", inbox.wait(None, Some(LONG))).await.unwrap());
    inbox.take(1).pop().unwrap()
}

#[tokio::test]
async fn messages_come_in_order_and_the_hub_hears_what_became_of_each() {
    let hub = ScriptedHub::start().await;
    let inbox = inbox(&hub);
    let sending = async {
        let mut back_end = admit(&hub).await;
        for number in 0..40 {
            let outcome = soon("an outcome", back_end.send(&number.to_string())).await.unwrap();
            let accepted = matches!(outcome, Outcome::Accepted(_));
            assert_eq!(accepted, number % 2 == 0, "{number}: {outcome:?}");
            assert_eq!(matches!(outcome, Outcome::Released(_)), !accepted);
        }
    };
    let taking = async {
        for number in 0..40 {
            let received = next(&inbox).await;
            assert_eq!(text(&received), number.to_string());
            let ticket = received.ticket.unwrap();
            if number % 2 == 0 { ticket.accept().await.unwrap() } else { ticket.release().await.unwrap() }
        }
    };
    tokio::join!(sending, taking);
}

#[tokio::test]
async fn a_caller_who_takes_nothing_is_sent_no_more_than_its_credit() {
    let hub = ScriptedHub::start().await;
    let (inbox, mut back_end) = Box::pin(connected(&hub)).await;
    let mut sent = 0;
    let mut outcomes = Vec::new();
    while let Ok(outcome) = timeout(SHORT, back_end.link.send_batchable(data("x"))).await {
        outcomes.push(outcome.unwrap());
        sent += 1;
        assert!(soon("a message", inbox.wait(None, Some(LONG))).await.unwrap());
    }
    assert!((PREFETCH / 2..=2 * PREFETCH).contains(&sent), "{sent}");
    // What was taken makes room.
    assert_ne!(inbox.take(usize::MAX).len(), 0);
    let ((), waited) = tokio::join!(
        async { outcomes.push(soon("room", back_end.link.send_batchable(data("y"))).await.unwrap()) },
        inbox.wait(None, Some(LONG))
    );
    assert!(waited.unwrap());
}

#[tokio::test]
async fn who_stops_waiting_loses_nothing() {
    let hub = ScriptedHub::start().await;
    let (inbox, mut back_end) = Box::pin(connected(&hub)).await;
    let mut outcomes = Vec::new();
    for number in 0..100 {
        outcomes.push(back_end.link.send_batchable(data(&number.to_string())).await.unwrap());
        // Not once is it polled to the end that way.
        while timeout(Duration::ZERO, inbox.wait(None, None)).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(text(&next(&inbox).await), number.to_string());
    }
}

#[tokio::test]
async fn waits_that_are_too_short_to_connect_get_there_all_the_same() {
    let hub = ScriptedHub::start().await;
    let inbox = inbox(&hub);
    let greeting = async {
        let mut back_end = admit(&hub).await;
        drop(back_end.link.send_batchable(data("hello")).await.unwrap());
        back_end
    };
    let waiting = async {
        // Not one of them goes on.
        while timeout(Duration::ZERO, inbox.wait(None, None)).await.is_err() {
            tokio::task::yield_now().await;
        }
        inbox.take_one()
    };
    let (_back_end, received) = tokio::join!(soon("the link", greeting), soon("a message", waiting));
    assert_eq!(text(&received.unwrap()), "hello");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_what_was_not_settled_comes_again() {
    let hub = ScriptedHub::start().await;
    let inbox = inbox(&hub);
    let first = async {
        let mut back_end = admit(&hub).await;
        let sent = [
            back_end.link.send_batchable(data("a")).await.unwrap(),
            back_end.link.send_batchable(data("b")).await.unwrap(),
        ];
        (back_end, sent)
    };
    let ((back_end, _sent), received) = tokio::join!(first, next(&inbox));
    assert_eq!(text(&received), "a");
    back_end.close().await;
    let again = async {
        let mut back_end = admit(&hub).await;
        drop(back_end.link.send_batchable(data("again")).await.unwrap());
        back_end
    };
    // "b" may wait here still; if so it is void once the loss was noticed.
    let taking = async {
        loop {
            let received = next(&inbox).await;
            if text(&received) == "again" {
                return;
            }
        }
    };
    tokio::join!(again, taking);
    let void = received.ticket.unwrap().accept().await.unwrap_err();
    assert_eq!(void.kind(), ErrorKind::ConnectionDropped);
}

#[tokio::test]
async fn a_wait_ends_with_its_limit_or_says_why_there_is_no_connection() {
    let hub = ScriptedHub::start().await;
    let (inbox, back_end) = Box::pin(connected(&hub)).await;
    assert!(!inbox.wait(None, Some(SHORT)).await.unwrap());
    back_end.close().await;
    drop(hub);
    let late = soon("the limit", inbox.wait(None, Some(SHORT * 10))).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(late.to_string().contains("refused"), "{late}");
}

#[tokio::test]
async fn the_hubs_reason_is_told() {
    let hub = ScriptedHub::start().await;
    for (condition, kind) in [
        (AmqpError::NotFound, ErrorKind::Service(404)),
        (AmqpError::UnauthorizedAccess, ErrorKind::Unauthorized),
        (AmqpError::NotAllowed, ErrorKind::Protocol),
    ] {
        let inbox = inbox(&hub);
        let refusing = async {
            let back_end = admit(&hub).await;
            let reason = AmqpReason::new(condition, "not for you".to_owned(), None);
            let _ = back_end.link.close_with_error(reason).await;
        };
        let ((), refused) = tokio::join!(refusing, inbox.wait(None, Some(LONG)));
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), kind);
        assert!(refused.to_string().contains("not for you"), "{refused}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_while_nothing_comes() {
    let hub = ScriptedHub::start().await;
    let clock = Clock::manual(1_700_000_000_000);
    let inbox = inbox_at(&hub, clock.clone());
    let hub_side = async {
        let mut back_end = admit(&hub).await;
        for _ in 0..3 {
            clock.advance(Duration::from_secs(3300));
            soon("another token", take_token(&mut back_end.tokens, &mut back_end.answers)).await;
        }
        drop(back_end.link.send_batchable(data("x")).await.unwrap());
        back_end
    };
    let (_back_end, received) = tokio::join!(hub_side, next(&inbox));
    assert_eq!(text(&received), "x");
}

#[tokio::test]
async fn a_close_ends_the_wait_of_others() {
    let hub = ScriptedHub::start().await;
    let inbox = inbox(&hub);
    let closing = async {
        let _back_end = admit(&hub).await;
        inbox.close().await;
    };
    let ((), waited) = tokio::join!(closing, soon("the end", inbox.wait(None, None)));
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::ShutDown);
}

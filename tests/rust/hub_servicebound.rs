//! Feedback and notifications of files: who gets them over AMQP and REST, and what settling them does.

use std::time::Duration;

use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{LinkStateError, RecvError};
use fe2o3_amqp::types::definitions::AmqpError;
use fe2o3_amqp::types::messaging::{Body, Modified};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use fe2o3_amqp::{Delivery, Receiver};
use ferrohub::hub::messages::NewMessage;
use serde_json::{Value as Json, json};

use crate::hub_amqp::{BackEnd, NOW, token};
use crate::support::{TestHub, soon};

const FEEDBACK: &str = "/messages/serviceBound/feedback";
const FILES: &str = "/messages/serviceBound/filenotifications";
const BATCH: Duration = Duration::from_secs(15);

type Message = Delivery<Body<Value>>;

/// A hub with so many batches of feedback, each of which tells of one message: that with the batch's number as its id.
async fn hub_with_feedback(batches: usize) -> TestHub {
    let hub = TestHub::start().await;
    let device = hub.create("d").await;
    for number in 0..batches {
        let properties = vec![("$.mid".into(), number.to_string()), ("iothub-ack".into(), "full".into())];
        let message = NewMessage { properties, ..NewMessage::default() };
        hub.hub.state().send_to_device(&device, message).await.unwrap();
        assert_eq!(hub.rest("DELETE", "/devices/d/commands", None).await.0, 200);
        hub.clock.advance(BATCH);
        let is_batched =
            || hub.hub.state().store.peek(|state| state.records("feedback-record/").count() == 0);
        soon("the batch", async {
            while !is_batched() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    hub
}

/// A receiver that takes one message after another.
async fn receiver(back_end: &mut BackEnd, address: &str) -> Receiver {
    let receiver = Receiver::builder().name(format!("from {address}")).source(address);
    let attaching = receiver.credit_mode(CreditMode::Auto(1)).attach(&mut back_end.session);
    soon("ATTACH", attaching).await.unwrap()
}

async fn next(receiver: &mut Receiver) -> Message {
    soon("a message", receiver.recv()).await.unwrap()
}

fn body(message: &Message) -> Json {
    let Body::Data(sections) = message.body() else { panic!("no bytes") };
    serde_json::from_slice(&sections.iter().next().unwrap().0).unwrap()
}

/// Which message a batch tells of, and how often the batch was given back.
fn told(batch: &Message) -> (String, u32) {
    let deliveries = batch.message().header.as_ref().map_or(0, |header| header.delivery_count);
    (body(batch)[0]["originalMessageId"].as_str().unwrap().to_owned(), deliveries)
}

async fn assert_empty(hub: &TestHub, queue: &str) {
    assert_eq!(hub.rest("GET", queue, None).await.0, 204);
}

#[tokio::test]
async fn a_batch_of_feedback_has_the_documented_form_whatever_the_case_of_the_address() {
    let hub = hub_with_feedback(1).await;
    let mut back_end = BackEnd::admitted(&hub).await;
    let mut link = receiver(&mut back_end, "amqps://localhost/messages/SERVICEBOUND/Feedback").await;
    let batch = next(&mut link).await;
    let properties = batch.message().properties.as_ref().unwrap();
    assert_eq!(properties.content_type, Some(Symbol::from("application/vnd.microsoft.iothub.feedback.json")));
    assert_eq!(properties.user_id.as_ref().unwrap().as_slice(), b"localhost");
    for (name, value) in [("originalMessageId", "0"), ("statusCode", "Purged"), ("deviceId", "d")] {
        assert_eq!(body(&batch)[0][name], value);
    }
    link.accept(&batch).await.unwrap();
    link.close().await.unwrap();
    assert_empty(&hub, FEEDBACK).await;
}

#[tokio::test]
async fn what_is_released_or_modified_comes_again_and_what_is_rejected_does_not() {
    let hub = hub_with_feedback(2).await;
    let mut back_end = BackEnd::admitted(&hub).await;
    let mut link = receiver(&mut back_end, FEEDBACK).await;
    let batch = next(&mut link).await;
    assert_eq!(told(&batch), ("0".into(), 0));
    // The next one is on its way already.
    link.release(&batch).await.unwrap();
    let second = next(&mut link).await;
    assert_eq!(told(&second), ("1".into(), 0));
    link.accept(&second).await.unwrap();
    let batch = next(&mut link).await;
    assert_eq!(told(&batch), ("0".into(), 1));
    let modified =
        Modified { delivery_failed: Some(true), undeliverable_here: None, message_annotations: None };
    link.modify(&batch, modified).await.unwrap();
    let batch = next(&mut link).await;
    assert_eq!(told(&batch), ("0".into(), 2));
    link.reject(&batch, None).await.unwrap();
    link.close().await.unwrap();
    assert_empty(&hub, FEEDBACK).await;
}

#[tokio::test]
async fn what_a_receiver_has_not_settled_when_it_goes_the_next_one_gets() {
    let hub = hub_with_feedback(1).await;
    let mut back_end = BackEnd::admitted(&hub).await;
    let mut link = receiver(&mut back_end, FEEDBACK).await;
    next(&mut link).await;
    // Others do not get it meanwhile.
    assert_empty(&hub, FEEDBACK).await;
    drop((link, back_end));
    let mut back_end = BackEnd::admitted(&hub).await;
    let mut link = receiver(&mut back_end, FEEDBACK).await;
    let batch = next(&mut link).await;
    assert_eq!(told(&batch), ("0".into(), 0));
}

#[tokio::test]
async fn a_receiver_without_credit_keeps_no_message_from_others() {
    let hub = hub_with_feedback(1).await;
    let mut idle = BackEnd::admitted(&hub).await;
    let silent = Receiver::builder().name("silent").source(FEEDBACK).credit_mode(CreditMode::Manual);
    let _silent = soon("ATTACH", silent.attach(&mut idle.session)).await.unwrap();
    let mut back_end = BackEnd::admitted(&hub).await;
    let mut link = receiver(&mut back_end, FEEDBACK).await;
    assert_eq!(told(&next(&mut link).await), ("0".into(), 0));
}

#[tokio::test]
async fn over_rest_a_message_is_settled_by_its_etag_once() {
    let hub = hub_with_feedback(1).await;
    let lock = async || {
        let held = hub.hub.state().next_for_service(&hub.hub.state().feedback.queue).await.unwrap();
        format!("{FEEDBACK}/{}", held.unwrap().kept().token)
    };
    let first = lock().await;
    assert_eq!(hub.rest("POST", &format!("{first}/abandon"), None).await.0, 204);
    assert_eq!(hub.rest("DELETE", &first, None).await.0, 412);
    assert_eq!(hub.rest("DELETE", &lock().await, None).await.0, 204);
    for stale in [first, format!("{FEEDBACK}/nonsense")] {
        let (status, body) = hub.rest("DELETE", &stale, None).await;
        assert_eq!(status, 412);
        assert!(body["Message"].as_str().unwrap().starts_with("ErrorCode:DeviceMessageLockLost;"));
    }
    assert_empty(&hub, FEEDBACK).await;
}

#[tokio::test]
async fn only_those_who_may_connect_as_a_service_receive_and_only_as_long_as_they_may() {
    let hub = hub_with_feedback(1).await;
    for queue in [FEEDBACK, FILES] {
        let mut back_end = BackEnd::anonymous(&hub).await;
        assert_eq!(back_end.put_token(token(&hub, "registryRead", NOW + 60)).await, 200);
        let mut link = receiver(&mut back_end, queue).await;
        assert_eq!(refusal(&mut link).await, AmqpError::UnauthorizedAccess.into());
    }
    let mut back_end = BackEnd::anonymous(&hub).await;
    assert_eq!(back_end.put_token(token(&hub, "service", NOW + 30)).await, 200);
    let mut link = receiver(&mut back_end, FEEDBACK).await;
    let batch = next(&mut link).await;
    hub.clock.advance(BATCH);
    link.release(&batch).await.unwrap();
    assert_eq!(refusal(&mut link).await, AmqpError::UnauthorizedAccess.into());
}

async fn refusal(link: &mut Receiver) -> fe2o3_amqp::types::definitions::ErrorCondition {
    match soon("DETACH", link.recv::<Body<Value>>()).await.unwrap_err() {
        RecvError::LinkStateError(LinkStateError::RemoteClosedWithError(error)) => error.condition,
        other => panic!("it ended otherwise: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_was_uploaded_is_told_with_its_size_and_place_and_a_failure_is_not() {
    let hub = TestHub::start().await;
    hub.create("d").await;
    for (name, is_success) in [("failed.txt", false), ("log.txt", true)] {
        let (_, place) = hub.rest("POST", "/devices/d/files", Some(json!({ "blobName": name }))).await;
        let state = hub.hub.state();
        state.put_blob(place["blobName"].as_str().unwrap(), b"12345".to_vec()).unwrap();
        let outcome = json!({ "correlationId": place["correlationId"], "isSuccess": is_success });
        assert_eq!(hub.rest("POST", "/devices/d/files/notifications", Some(outcome)).await.0, 204);
    }
    let mut back_end = BackEnd::admitted(&hub).await;
    let mut link = receiver(&mut back_end, FILES).await;
    let message = next(&mut link).await;
    let moment = "2023-11-14T22:13:20.0000000Z";
    assert_eq!(
        body(&message),
        json!({
            "deviceId": "d",
            "blobUri": format!("https://{}/uploads/d/log.txt", hub.hub.address()),
            "blobName": "d/log.txt",
            "lastUpdatedTime": moment,
            "blobSizeInBytes": 5,
            "enqueuedTimeUtc": moment,
        })
    );
    link.accept(&message).await.unwrap();
    link.close().await.unwrap();
    assert_empty(&hub, FILES).await;
}

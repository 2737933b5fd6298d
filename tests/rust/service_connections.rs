//! What becomes of messages to devices when their connection is lost, held up, or shown a new token.

use std::sync::Arc;
use std::time::Duration;

use ferrohub::error::{Error, ErrorKind};
use ferrohub::protocol::identity::IdentityId;
use ferrohub::service::amqp::MessageSender;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::service_messages::{LIMIT, message, message_to, sender_to};
use crate::support::{Relay, TestHub, soon};

/// Less than anything takes that has to wait for something.
const SHORT: Duration = Duration::from_millis(300);

/// A hub with the device `d`, a relay to it, and a sender that has sent a message through it.
struct Scene {
    hub: TestHub,
    relay: Relay,
    sender: Arc<MessageSender>,
}

impl Scene {
    async fn start() -> Self {
        let hub = TestHub::start().await;
        hub.create("d").await;
        let relay = Relay::to(&hub).await;
        let sender = Arc::new(sender_to(relay.address(), &hub, "service", hub.policy_key("service")));
        let scene = Self { hub, relay, sender };
        scene.send(LIMIT).await.unwrap();
        scene
    }

    async fn send(&self, limit: Duration) -> Result<(), Error> {
        soon("the outcome", self.sender.send(message("x"), None, limit)).await
    }

    fn start_sending(&self, limit: Duration) -> JoinHandle<Result<(), Error>> {
        let sender = Arc::clone(&self.sender);
        tokio::spawn(async move { sender.send(message("x"), None, limit).await })
    }

    /// The first call after a cut may still hand its message to the lost connection.
    async fn notice_loss(&self) {
        let error = self.send(SHORT).await.unwrap_err();
        assert!(
            [ErrorKind::ConnectionDropped, ErrorKind::ConnectionFailed].contains(&error.kind()),
            "{error}"
        );
    }

    /// How many messages wait for a device.
    fn waiting(&self, device: &str) -> usize {
        let (id, state) = (IdentityId::parse(device).unwrap(), self.hub.hub.state());
        state.store.peek(|state| state.get(&id).unwrap().messages.len())
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_arrives_costs_one_call_its_time_and_the_next_makes_a_new_one() {
    let scene = Scene::start().await;
    scene.relay.hold();
    let late = scene.send(SHORT).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NoAnswer, "{late}");
    assert!(late.to_string().contains("sent, not acknowledged"), "{late}");
    scene.send(LIMIT).await.unwrap();
    assert_eq!((scene.waiting("d"), scene.relay.accepted()), (2, 2));
}

#[tokio::test]
async fn who_waits_for_an_outcome_is_told_at_once_that_the_connection_was_lost() {
    let scene = Scene::start().await;
    scene.relay.hold();
    let waiting = scene.start_sending(LIMIT);
    scene.relay.wait_held().await;
    let begun = Instant::now();
    scene.relay.cut();
    let lost = soon("the outcome", waiting).await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::ConnectionDropped, "{lost}");
    assert!(begun.elapsed() < LIMIT / 2);
}

#[tokio::test]
async fn a_call_that_gave_up_takes_the_connection_from_nobody_who_waits_on_it() {
    let scene = Scene::start().await;
    scene.relay.hold();
    let patient = scene.start_sending(LIMIT);
    scene.send(SHORT).await.unwrap_err();
    scene.send(LIMIT).await.unwrap();
    scene.relay.release();
    soon("the patient one's outcome", patient).await.unwrap().unwrap();
    // That of the other one came, too: it said that it may.
    assert_eq!(scene.waiting("d"), 4);
}

#[tokio::test]
async fn a_token_that_is_not_answered_costs_one_call_its_time_and_no_message() {
    let scene = Scene::start().await;
    scene.hub.clock.advance(Duration::from_secs(3500));
    scene.relay.hold();
    let late = scene.send(SHORT).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
    assert!(late.to_string().contains("never sent"), "{late}");
    scene.send(LIMIT).await.unwrap();
    assert_eq!((scene.waiting("d"), scene.relay.accepted()), (2, 2));
}

#[tokio::test]
async fn tokens_are_renewed_while_many_send() {
    let scene = Scene::start().await;
    for device in 0..8 {
        scene.hub.create(&format!("d{device}")).await;
    }
    let senders: Vec<_> = (0..8)
        .map(|device| {
            let sender = Arc::clone(&scene.sender);
            tokio::spawn(async move {
                for _ in 0..40 {
                    sender.send(message_to(&format!("d{device}"), "x"), None, LIMIT).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    // What the hub knows is good for an hour: a message more comes in time only with a new token.
    for _ in 0..20 {
        scene.hub.clock.advance(Duration::from_secs(355));
        scene.send(LIMIT).await.unwrap();
    }
    for sending in senders {
        soon("all outcomes", sending).await.unwrap().unwrap();
    }
    assert_eq!(scene.relay.accepted(), 1);
}

#[tokio::test]
async fn a_lost_connection_is_waited_for_and_one_that_never_was_is_not() {
    let scene = Scene::start().await;
    scene.relay.refuse(true);
    scene.relay.cut();
    scene.notice_loss().await;
    let attempts = scene.relay.accepted();
    let waiting = scene.start_sending(LIMIT);
    scene.relay.wait_accepted(attempts + 2).await;
    scene.relay.refuse(false);
    soon("the outcome", waiting).await.unwrap().unwrap();

    scene.relay.refuse(true);
    scene.relay.cut();
    scene.notice_loss().await;
    let begun = Instant::now();
    let refused = scene.send(SHORT).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionFailed, "{refused}");
    assert!(begun.elapsed() <= SHORT * 3);
    let other = sender_to(scene.relay.address(), &scene.hub, "service", scene.hub.policy_key("service"));
    let begun = Instant::now();
    let refused = soon("the refusal", other.send(message("x"), None, LIMIT)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionFailed, "{refused}");
    assert!(begun.elapsed() < LIMIT / 2);
}

#[tokio::test]
async fn of_many_messages_each_has_its_outcome_when_the_connection_is_lost_and_the_rest_takes_a_new_one() {
    let scene = Scene::start().await;
    let mut names = Vec::new();
    for device in 0..10 {
        names.push(scene.hub.create(&format!("d{device}")).await.device);
    }
    let messages: Vec<_> = (0..500).map(|number| message_to(&names[number % names.len()], "x")).collect();
    scene.relay.hold();
    let sender = Arc::clone(&scene.sender);
    let sending = tokio::spawn(async move { sender.send_all(messages, None, LIMIT).await });
    // The hub gives credit for fewer: some are on their way, the others wait.
    scene.relay.wait_held().await;
    scene.relay.cut();
    let outcomes = soon("all outcomes", sending).await.unwrap();
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(error.kind(), ErrorKind::ConnectionDropped, "{error}");
    }
    let first_accepted = outcomes.iter().position(Result::is_ok).unwrap();
    assert!(first_accepted > 0);
    assert!(
        outcomes[first_accepted..].iter().all(Result::is_ok),
        "a message was sent after one that never left"
    );
    let waiting: usize = names.iter().map(|name| scene.waiting(name)).sum();
    assert_eq!(waiting, accepted);
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_a_sender_that_sends() {
    let scene = Scene::start().await;
    scene.relay.hold();
    let gone = scene.start_sending(LIMIT);
    scene.relay.wait_held().await;
    gone.abort();
    scene.relay.release();
    scene.send(LIMIT).await.unwrap();
    assert_eq!(scene.relay.accepted(), 1);
}

//! The links of a session: what each is for is said by the address of its far end, and who may have it by the tokens
//! that the connection has shown.

use fe2o3_amqp::acceptor::{
    LinkAcceptor, LinkEndpoint, ListenerSessionHandle, SupportedReceiverSettleModes,
    SupportedSenderSettleModes,
};
use fe2o3_amqp::types::definitions::{Error, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::{Source, Target, TargetArchetype};
use fe2o3_amqp::types::performatives::Attach;
use tokio::task::JoinSet;

use super::Peer;
use super::claims::Claims;
use super::events::{self, Reading};
use super::refusal::refusal;
use super::requests::{Node, Request};
use super::servicebound::{self, ServiceBound};
use super::{cbs, devicebound, management};
use crate::hub::HubState;
use crate::hub::access::Right;
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;

/// Larger than any message that the hub takes: what is a little too large is refused, and the link stays.
const LARGEST_MESSAGE: u64 = 1 << 20;

type Acceptor = LinkAcceptor<fn(Source) -> Option<Source>, fn(Target) -> Option<Target>>;

/// What a link is for.
enum Purpose {
    /// Tokens come in.
    Tokens,
    /// Answers to them go out.
    TokenAnswers,
    /// Messages to devices come in.
    DeviceBound,
    /// Messages to back ends go out.
    ServiceBound(ServiceBound),
    /// Questions about the built-in endpoint come in.
    Questions,
    /// Answers to them go out.
    QuestionAnswers,
    /// Events go out.
    Events(Box<Reading>),
}

/// Why a link is refused.
pub(super) enum Refusal {
    Hub(HubError),
    /// For a reason that only links have.
    Link(Box<Error>),
}

impl From<HubError> for Refusal {
    fn from(error: HubError) -> Self {
        Self::Hub(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Link(Box::new(error))
    }
}

/// Serve the links of a session to its end.
pub(super) async fn serve(mut session: ListenerSessionHandle, peer: Peer) {
    let acceptor = acceptor(SupportedSenderSettleModes::All, SenderSettleMode::Mixed);
    // Clients of Event Hubs don't settle what they get, whatever they ask for.
    let settled = self::acceptor(SupportedSenderSettleModes::Settled, SenderSettleMode::Settled);
    let (tokens, questions) = (Node::new(), Node::new());
    let mut links = JoinSet::new();
    loop {
        let attach = tokio::select! {
            attach = session.next_incoming_attach() => attach,
            Some(_) = links.join_next() => continue,
        };
        let Some(attach) = attach else { return };
        let purpose = purpose(&attach, &peer.hub, &peer.claims);
        let acceptor = if matches!(purpose, Ok(Purpose::Events(_))) { &settled } else { &acceptor };
        let Ok(link) = acceptor.accept_incoming_attach(attach, &mut session).await else { continue };
        let Peer { hub, claims, .. } = peer.clone();
        match (purpose, link) {
            (Ok(Purpose::Tokens), LinkEndpoint::Receiver(link)) => {
                let put = move |request: &Request| cbs::put_token(request, &hub, &claims);
                links.spawn(tokens.clone().take(link, put));
            }
            (Ok(Purpose::Questions), LinkEndpoint::Receiver(link)) => {
                let answer = move |request: &Request| management::answer(request, &hub, &claims);
                links.spawn(questions.clone().take(link, answer));
            }
            (Ok(Purpose::TokenAnswers), LinkEndpoint::Sender(link)) => {
                links.spawn(tokens.clone().send(link));
            }
            (Ok(Purpose::QuestionAnswers), LinkEndpoint::Sender(link)) => {
                links.spawn(questions.clone().send(link));
            }
            (Ok(Purpose::DeviceBound), LinkEndpoint::Receiver(link)) => {
                links.spawn(devicebound::serve(link, hub, claims));
            }
            (Ok(Purpose::Events(reading)), LinkEndpoint::Sender(link)) => {
                links.spawn(events::serve(link, *reading, peer.clone()));
            }
            (Ok(Purpose::ServiceBound(kind)), LinkEndpoint::Sender(link)) => {
                links.spawn(servicebound::serve(link, kind, hub, claims));
            }
            (Ok(_), link) => drop(link),
            (Err(Refusal::Link(error)), link) => {
                links.spawn(refuse(link, *error));
            }
            (Err(Refusal::Hub(error)), link) => {
                hub.notices.tell(|| format!("an AMQP link was refused: {error}"));
                links.spawn(refuse(link, refusal(&error, &hub)));
            }
        }
    }
}

/// uamqp asks for settlement in two steps (receiver's mode second) and then waits for ever for the second one.
fn acceptor(modes: SupportedSenderSettleModes, fallback: SenderSettleMode) -> Acceptor {
    LinkAcceptor::builder()
        .supported_sender_settle_modes(modes)
        .fallback_sender_settle_mode(fallback)
        .supported_receiver_settle_modes(SupportedReceiverSettleModes::First)
        .fallback_receiver_settle_mode(ReceiverSettleMode::First)
        .max_message_size(LARGEST_MESSAGE)
        .build()
}

/// What a link is for, if the connection has shown a token for that.
fn purpose(attach: &Attach, hub: &HubState, claims: &Claims) -> Result<Purpose, Refusal> {
    let address = match (&attach.role, &attach.target, &attach.source) {
        (Role::Sender, Some(target), _) => match &**target {
            TargetArchetype::Target(target) => target.address.clone(),
        },
        (Role::Receiver, _, Some(source)) => source.address.clone(),
        _ => None,
    };
    let address = address.unwrap_or_default();
    let path = path(&address);
    let may = |resource: &[&str]| -> Result<(), HubError> {
        Ok(claims.check(Right::ServiceConnect, resource, hub)?)
    };
    match (&attach.role, path.to_ascii_lowercase().as_str()) {
        (Role::Sender, "$cbs") => Ok(Purpose::Tokens),
        (Role::Receiver, "$cbs") => Ok(Purpose::TokenAnswers),
        (Role::Sender, "$management") => Ok(Purpose::Questions),
        (Role::Receiver, "$management") => Ok(Purpose::QuestionAnswers),
        (Role::Sender, "messages/devicebound") => {
            may(&devicebound::RESOURCE)?;
            Ok(Purpose::DeviceBound)
        }
        (Role::Receiver, "messages/servicebound/feedback") => {
            may(&ServiceBound::Feedback.resource())?;
            Ok(Purpose::ServiceBound(ServiceBound::Feedback))
        }
        (Role::Receiver, "messages/servicebound/filenotifications") => {
            may(&ServiceBound::FileNotifications.resource())?;
            Ok(Purpose::ServiceBound(ServiceBound::FileNotifications))
        }
        (Role::Receiver, "messages/events" | "messages/events/$management") => {
            may(&["messages", "events"])?;
            Err(events::redirect(path, hub).into())
        }
        (Role::Receiver, _) if events::is_partition(path, hub) => {
            let reading = events::open(path, attach, hub, claims)?;
            Ok(Purpose::Events(Box::new(reading)))
        }
        _ => {
            let message = format!("The local hub has no AMQP link to or from '{address}'.");
            Err(HubError::new(ErrorCode::NOT_IMPLEMENTED, message).into())
        }
    }
}

/// Addresses may be whole URLs: `amqps://hub/messages/devicebound`.
fn path(address: &str) -> &str {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.trim_matches('/')
}

/// Close a link with the reason. How it ends is the peer's affair.
async fn refuse(link: LinkEndpoint, error: Error) {
    match link {
        LinkEndpoint::Sender(link) => drop(link.close_with_error(error).await),
        LinkEndpoint::Receiver(link) => drop(link.close_with_error(error).await),
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn addresses_are_paths_or_whole_urls() {
        for address in [
            "/messages/devicebound",
            "messages/devicebound",
            "/messages/devicebound/",
            "amqps://localhost/messages/devicebound",
            "amqps://localhost:8443/messages/devicebound",
        ] {
            assert_eq!(path(address), "messages/devicebound");
        }
        assert_eq!(path("$cbs"), "$cbs");
        assert_eq!(path("amqps://localhost"), "");
    }
}

//! The links of a session: what each is for is said by the address of its far end, and who may have it by the tokens
//! that the connection has shown.

use std::sync::Arc;

use fe2o3_amqp::acceptor::{LinkAcceptor, LinkEndpoint, ListenerSessionHandle, SupportedReceiverSettleModes};
use fe2o3_amqp::types::definitions::{Error, ReceiverSettleMode, Role};
use fe2o3_amqp::types::messaging::TargetArchetype;
use fe2o3_amqp::types::performatives::Attach;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::claims::Claims;
use super::refusal::refusal;
use super::servicebound::{self, ServiceBound};
use super::{cbs, devicebound};
use crate::hub::HubState;
use crate::hub::access::Right;
use crate::hub::error::HubError;
use crate::protocol::error_code::ErrorCode;

/// Larger than any message that the hub takes: what is a little too large is refused, and the link stays.
const LARGEST_MESSAGE: u64 = 1 << 20;

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
}

/// Serve the links of a session to its end.
pub(super) async fn serve(mut session: ListenerSessionHandle, hub: HubState, claims: Claims) {
    // uamqp asks for settlement in two steps (mode second) and then waits for ever for the second one.
    let acceptor = LinkAcceptor::builder()
        .supported_receiver_settle_modes(SupportedReceiverSettleModes::First)
        .fallback_receiver_settle_mode(ReceiverSettleMode::First)
        .max_message_size(LARGEST_MESSAGE)
        .build();
    let (answers, outgoing) = mpsc::channel(cbs::MOST_ANSWERS);
    let outgoing = Arc::new(Mutex::new(outgoing));
    let mut links = JoinSet::new();
    loop {
        let attach = tokio::select! {
            attach = session.next_incoming_attach() => attach,
            Some(_) = links.join_next() => continue,
        };
        let Some(attach) = attach else { return };
        let purpose = purpose(&attach).and_then(|purpose| admit(purpose, &hub, &claims));
        let Ok(link) = acceptor.accept_incoming_attach(attach, &mut session).await else { continue };
        match (purpose, link) {
            (Ok(Purpose::Tokens), LinkEndpoint::Receiver(link)) => {
                links.spawn(cbs::take_tokens(link, hub.clone(), claims.clone(), answers.clone()));
            }
            (Ok(Purpose::TokenAnswers), LinkEndpoint::Sender(link)) => {
                links.spawn(cbs::send_answers(link, Arc::clone(&outgoing)));
            }
            (Ok(Purpose::DeviceBound), LinkEndpoint::Receiver(link)) => {
                links.spawn(devicebound::serve(link, hub.clone(), claims.clone()));
            }
            (Ok(Purpose::ServiceBound(kind)), LinkEndpoint::Sender(link)) => {
                links.spawn(servicebound::serve(link, kind, hub.clone(), claims.clone()));
            }
            (Ok(_), link) => drop(link),
            (Err(error), link) => {
                hub.notices.tell(|| format!("an AMQP link was refused: {error}"));
                links.spawn(refuse(link, refusal(&error, &hub)));
            }
        }
    }
}

fn purpose(attach: &Attach) -> Result<Purpose, HubError> {
    let address = match (&attach.role, &attach.target, &attach.source) {
        (Role::Sender, Some(target), _) => match &**target {
            TargetArchetype::Target(target) => target.address.clone(),
        },
        (Role::Receiver, _, Some(source)) => source.address.clone(),
        _ => None,
    };
    let address = address.unwrap_or_default();
    let path = path(&address).to_ascii_lowercase();
    match (&attach.role, path.as_str()) {
        (Role::Sender, "$cbs") => Ok(Purpose::Tokens),
        (Role::Receiver, "$cbs") => Ok(Purpose::TokenAnswers),
        (Role::Sender, "messages/devicebound") => Ok(Purpose::DeviceBound),
        (Role::Receiver, "messages/servicebound/feedback") => {
            Ok(Purpose::ServiceBound(ServiceBound::Feedback))
        }
        (Role::Receiver, "messages/servicebound/filenotifications") => {
            Ok(Purpose::ServiceBound(ServiceBound::FileNotifications))
        }
        _ => {
            let message = format!("The local hub has no AMQP link to or from '{address}'.");
            Err(HubError::new(ErrorCode::NOT_IMPLEMENTED, message))
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

fn admit(purpose: Purpose, hub: &HubState, claims: &Claims) -> Result<Purpose, HubError> {
    match purpose {
        Purpose::Tokens | Purpose::TokenAnswers => {}
        Purpose::DeviceBound => claims.check(Right::ServiceConnect, &devicebound::RESOURCE, hub)?,
        Purpose::ServiceBound(kind) => claims.check(Right::ServiceConnect, &kind.resource(), hub)?,
    }
    Ok(purpose)
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

//! A connection with links to receive from, and what they are attached to.

use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::ReceiverAttachError;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::types::definitions::{ReceiverSettleMode, SenderSettleMode};
use fe2o3_amqp::types::messaging::{FilterSet, Source, Target};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use uuid::Uuid;

use super::connection::HubConnection;
use super::endpoint::{BearerToken, Endpoint};
use super::receiver::{IncomingMessage, Settlement, Subscription};
use super::refusal;
use crate::error::Result;

/// A hub that is silent for so long has gone.
const IDLE: Duration = Duration::from_secs(60);
const SELECTOR: &str = "apache.org:selector-filter:string";

/// A connection and the links to receive from.
pub struct Attached {
    pub(super) connection: HubConnection,
    pub(super) links: Vec<Receiver>,
}

/// A node to receive from, and how.
pub(super) struct Origin {
    address: String,
    filter: Option<FilterSet>,
    settled: SenderSettleMode,
}

impl Origin {
    /// All that is in a queue, to be settled.
    pub(super) fn queue(address: String) -> Self {
        Self { address, filter: None, settled: SenderSettleMode::Unsettled }
    }

    /// What a selector of SQL-92 lets through of a log, where nothing is to be settled.
    pub(super) fn selected(address: String, selector: &str) -> Self {
        let described = Described {
            descriptor: Descriptor::Name(Symbol::from(SELECTOR)),
            value: Value::String(selector.to_owned()),
        };
        let mut filter = FilterSet::new();
        filter.insert(Symbol::from(SELECTOR), Value::Described(Box::new(described)));
        Self { address, filter: Some(filter), settled: SenderSettleMode::Settled }
    }
}

/// One address of a hub whose messages callers settle.
pub struct Queue {
    endpoint: Endpoint,
    path: &'static str,
}

impl Queue {
    /// The messages of a path such as `/messages/servicebound/feedback`.
    #[must_use]
    pub fn new(hub: Endpoint, path: &'static str) -> Self {
        Self { endpoint: hub, path }
    }
}

impl Subscription for Queue {
    const SETTLEMENT: Settlement = Settlement::ByCaller;

    async fn attach(&self, bearer: Option<&BearerToken>) -> Result<Attached> {
        let mut attached = Attached::open(&self.endpoint, bearer).await?;
        let address = format!("amqps://{}{}", attached.connection.host, self.path);
        let adding = attached.add(Origin::queue(address));
        adding.await.map_err(|error| refusal::receiver_attach(&error))?;
        Ok(attached)
    }

    fn arrived(&self, _: usize, _: &IncomingMessage) {}
}

impl Attached {
    /// A connection without links.
    pub(super) async fn open(endpoint: &Endpoint, bearer: Option<&BearerToken>) -> Result<Self> {
        let connection = HubConnection::open(endpoint, bearer, Some(IDLE)).await?;
        Ok(Self { connection, links: Vec::new() })
    }

    pub(super) fn connection(&mut self) -> &mut HubConnection {
        &mut self.connection
    }

    /// Attach another link.
    pub(super) async fn add(&mut self, origin: Origin) -> Result<(), ReceiverAttachError> {
        let mut source = Source::builder().address(origin.address);
        if let Some(filter) = origin.filter {
            source = source.filter(filter);
        }
        let attaching = Receiver::builder()
            .name(format!("receiver-link-{}", Uuid::new_v4()))
            .source(source.build())
            .target(Target::builder().address(self.connection.container.as_str()).build())
            .sender_settle_mode(origin.settled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .credit_mode(CreditMode::Manual)
            .attach(&mut self.connection.session);
        self.links.push(attaching.await?);
        Ok(())
    }
}

//! One connection to the service: one question at a time, and silence in between.

use std::convert::Infallible;
use std::task::Context;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use rumqttc::mqttbytes::v4::Packet;
use tokio::time::sleep;

use super::options::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::mqtt::{
    Dialogue, Link, Operation, Outbound, Reply, Request, acknowledge, dial, receipt as new_receipt,
};
use crate::net::{BoxedStream, Target};
use crate::protocol::provisioning::{self, Response};

/// A connection on which answers are heard.
pub(super) struct Conversation {
    link: Link<BoxedStream>,
    exchange: Exchange,
}

/// What the service said: status and pause in the topic, the rest in the body.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) body: Bytes,
}

/// The question under way.
struct Exchange {
    outbound: Outbound<Infallible>,
    response: Option<Response>,
}

impl Conversation {
    /// Connect and log in.
    pub(super) async fn open(target: &Target, options: &Options) -> Result<Self> {
        let connect = options.connect_packet();
        let (link, _) = Box::pin(dial(target, &connect)).await?;
        Ok(Self { link, exchange: Exchange { outbound: Outbound::new(1), response: None } })
    }

    /// Subscribe to the answers.
    pub(super) async fn listen(&mut self) -> Result<()> {
        self.carry_out(Operation::Subscribe(provisioning::RESPONSES.to_owned())).await.map(drop)
    }

    /// Ask; `topic` makes a topic for a request id.
    pub(super) async fn ask(&mut self, topic: impl FnOnce(&str) -> String, body: Bytes) -> Result<Answer> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let body = self.carry_out(Operation::call(topic(&request_id), body, request_id)?).await?;
        let response = self.exchange.response.take();
        let response = response.ok_or_else(|| Error::new(ErrorKind::Protocol, "an answer had no topic"))?;
        Ok(Answer { response, body })
    }

    async fn carry_out(&mut self, operation: Operation) -> Result<Bytes> {
        let (promise, mut receipt) = new_receipt();
        self.exchange.outbound.push(Request { operation, reply: Reply::Caller(promise), deadline: None });
        tokio::select! {
            biased;
            outcome = &mut receipt => outcome,
            // The answer may have been the last that came.
            ended = self.link.run(&mut self.exchange) => receipt.now_or_never().unwrap_or(Err(ended)),
        }
    }

    /// Say nothing for this long, and keep the connection.
    pub(super) async fn rest(&mut self, pause: Duration) -> Result<()> {
        tokio::select! {
            () = sleep(pause) => Ok(()),
            ended = self.link.run(&mut self.exchange) => Err(ended),
        }
    }

    /// Say goodbye.
    pub(super) async fn close(self) {
        self.link.disconnect().await;
    }
}

impl Dialogue for Exchange {
    fn receive(&mut self, packet: Packet, output: &mut BytesMut) -> Result<()> {
        match packet {
            Packet::PubAck(ack) => self.outbound.published(ack.pkid),
            Packet::SubAck(ack) => self.outbound.subscribed(&ack),
            Packet::Publish(publish) => {
                acknowledge(&publish, output)?;
                if let Some(response) = provisioning::parse_response(&publish.topic)
                    && self.outbound.answered(&response.request_id, Ok(publish.payload))
                {
                    self.response = Some(response);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, _context: &mut Context<'_>, output: &mut BytesMut, limit: usize) -> Result<()> {
        self.outbound.fill(output, limit)
    }
}

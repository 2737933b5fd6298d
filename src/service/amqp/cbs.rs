//! Showing a token: a request to `$cbs`, and its answer.

use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::ApplicationProperties;
use fe2o3_amqp::types::primitives::Value;

use super::requests::Node;
use crate::error::{Error, ErrorKind, Result};

/// 200 is what Azure's hubs answer, 202 what Service Bus does.
const TAKEN: [i64; 2] = [200, 202];

/// A token, as it is shown.
#[derive(Clone)]
pub(super) struct Token {
    /// What kind of token it is.
    pub(super) kind: &'static str,
    /// Whom it is for.
    pub(super) audience: String,
    pub(super) text: String,
}

/// The way to `$cbs`.
pub(super) struct Cbs(Node);

impl Cbs {
    pub(super) async fn attach(session: &mut SessionHandle<()>) -> Result<Self> {
        Node::attach(session, "$cbs", None).await.map(Self)
    }

    /// Show a token.
    ///
    /// # Errors
    /// `Unauthorized` if the hub does not take it.
    pub(super) async fn put_token(&mut self, token: &Token) -> Result<()> {
        let properties = ApplicationProperties::builder()
            .insert("name", token.audience.as_str())
            .insert("operation", "put-token")
            .insert("type", token.kind)
            .build();
        let answer = self.0.ask(properties, Value::String(token.text.clone())).await?;
        if TAKEN.contains(&answer.status) {
            return Ok(());
        }
        let why = format!("{} {}", answer.status, answer.description);
        let text = format!("CBS Token authentication failed: the hub refuses the token: {}", why.trim_end());
        Err(Error::new(ErrorKind::Unauthorized, text))
    }
}

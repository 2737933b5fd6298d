//! How a connection begins: MSSBCBS and ANONYMOUS ask for nothing, as a token is shown at `$cbs` then; PLAIN has it with it.

use fe2o3_amqp::acceptor::SaslAcceptor;
use fe2o3_amqp::acceptor::sasl_acceptor::SaslServerFrame;
use fe2o3_amqp::types::primitives::{Array, Symbol};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit, SaslOutcome, SaslResponse};

use super::claims::Claims;
use crate::auth::SasToken;
use crate::hub::HubState;

const MECHANISMS: [&str; 3] = ["MSSBCBS", "ANONYMOUS", "PLAIN"];
/// Between a policy's name and the hub's in the user name of PLAIN.
const POLICY_SCOPE: &str = "@sas.root.";

/// The SASL exchange of one connection.
#[derive(Clone)]
pub(super) struct Sasl {
    pub(super) hub: HubState,
    pub(super) claims: Claims,
}

impl SaslAcceptor for Sasl {
    fn mechanisms(&self) -> Array<Symbol> {
        Array::from(MECHANISMS.map(Symbol::from).to_vec())
    }

    fn on_init(&mut self, init: SaslInit) -> SaslServerFrame {
        outcome(match init.mechanism.as_str() {
            "MSSBCBS" | "ANONYMOUS" => SaslCode::Ok,
            "PLAIN" if self.take_plain(init.initial_response.as_deref()).is_some() => SaslCode::Ok,
            _ => SaslCode::Auth,
        })
    }

    /// No mechanism asks the client anything.
    fn on_response(&mut self, _: SaslResponse) -> SaslServerFrame {
        outcome(SaslCode::Sys)
    }
}

impl Sasl {
    /// `[authorization id] NUL policy@sas.root.hub NUL token` (RFC 4616).
    fn take_plain(&self, response: Option<&Vec<u8>>) -> Option<()> {
        let text = std::str::from_utf8(response?).ok()?;
        let (user, token) = text.split_once('\0')?.1.split_once('\0')?;
        let (policy, _) = user.split_once(POLICY_SCOPE)?;
        let token = SasToken::parse(token).ok().filter(|token| token.policy.as_deref() == Some(policy))?;
        self.claims.add(token, &self.hub).ok()
    }
}

fn outcome(code: SaslCode) -> SaslServerFrame {
    SaslServerFrame::Outcome(SaslOutcome { code, additional_data: None })
}

//! Digital twins: twins as IoT Plug and Play sees them, by properties, components and commands.
//!
//! Nothing is kept for them: `document` makes one of a twin, `patch` turns a change of it into desired properties, and a
//! command is a direct method. A component is an object with `"__t": "c"` in either section of the twin. The hub knows
//! no models, so it takes every name and every value that DTDL allows.
//! <https://learn.microsoft.com/azure/iot/concepts-digital-twin>

mod document;
mod patch;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::HubState;
use super::entity::Entity;
use super::error::HubError;
use super::registry::IfMatch;
use super::twins::{TwinWrite, missing};
use crate::protocol::identity::IdentityId;

pub use patch::Operation;

/// What marks a component in a twin, and how.
const MARK: (&str, &str) = ("__t", "c");

impl HubState {
    /// A digital twin, and its `ETag`, which is the twin's.
    ///
    /// # Errors
    /// 404 if the device or module doesn't exist.
    pub async fn digital_twin(&self, id: &IdentityId) -> Result<(Value, String), HubError> {
        let entity = self.twin(id).await?;
        Ok((document::document(id, &entity), entity.twin_etag()))
    }

    /// Change the desired values of properties and components, and send what changed to the device if it listens.
    ///
    /// # Errors
    /// 400 if an operation breaks a rule, and nothing is done; 404 if the device or module doesn't exist, 412 if the
    /// `ETag` is stale.
    pub async fn patch_digital_twin(
        &self,
        id: &IdentityId,
        operations: &[Operation],
        if_match: Option<IfMatch>,
    ) -> Result<Arc<Entity>, HubError> {
        let change = self.store.write(|transaction| {
            let before = transaction.before();
            let entity = before.get(id).ok_or_else(|| missing(before, id))?;
            let desired = patch::desired(&entity.twin, operations)?;
            // Removing what isn't set changes nothing.
            let body =
                if desired.is_empty() { json!({}) } else { json!({ "properties": { "desired": desired } }) };
            let body = body.as_object().cloned().unwrap_or_default();
            self.write_twin_in(transaction, id, TwinWrite::Patch, &body, if_match.as_ref())
        });
        change.await
    }
}

/// The component of this name in a section of a twin.
fn component<'twin>(section: &'twin Map<String, Value>, name: &str) -> Option<&'twin Map<String, Value>> {
    section.get(name)?.as_object().filter(|object| is_component(object))
}

fn is_component(object: &Map<String, Value>) -> bool {
    object.get(MARK.0).is_some_and(|mark| mark == MARK.1)
}

/// `device`, or `device~module`.
///
/// # Errors
/// 400 if it can be no name of either.
pub fn parse_id(text: &str) -> Result<IdentityId, HubError> {
    Ok(match text.split_once('~') {
        Some((device, module)) => IdentityId::module(device, module)?,
        None => IdentityId::device(text)?,
    })
}

//! What IoT Edge adds to the registry: the two modules of its runtime, and scopes, which say who is whose parent.
//!
//! The scope of an Edge device is made by the hub and never changes. A device's parent is named by the parent's scope: a leaf device has it
//! for a scope of its own, an Edge device has it beside its own.
//! <https://learn.microsoft.com/azure/iot-edge/how-to-connect-downstream-iot-edge-device>

use super::HubState;
use super::entity::{Authentication, Entity, Identity};
use super::error::HubError;
use super::identity_body::IdentityBody;
use super::registry::{new_generation, newborn};
use super::store::{State, Transaction};
use crate::protocol::identity::IdentityId;

/// The modules that every Edge device has: the hub makes them and takes them away.
pub(super) const RUNTIME_MODULES: [&str; 2] = ["$edgeAgent", "$edgeHub"];
/// Who manages the modules of an Edge device.
pub(super) const MANAGED_BY: &str = "iotEdge";

/// The scopes that a device has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scopes {
    /// Its own, or its parent's if it is a leaf.
    pub(super) own: Option<String>,
    /// Its parent's; one at most.
    pub(super) parents: Vec<String>,
}

impl Scopes {
    /// Those that a device gets by a body, given what it was before.
    ///
    /// # Errors
    /// 400 if an Edge device would get another scope, or two parents.
    pub(super) fn of(
        body: &IdentityBody,
        device: &str,
        generation_id: &str,
        before: Option<&Identity>,
    ) -> Result<Self, HubError> {
        let asked = body.device_scope.as_deref().unwrap_or_default();
        let before_edge = before.is_some_and(|identity| identity.iot_edge);
        if !body.iot_edge() {
            // As on Azure: who stops being an Edge device has no parent until the next write.
            let scope = (!asked.is_empty() && !before_edge).then(|| asked.to_owned());
            return Ok(Self { parents: scope.iter().cloned().collect(), own: scope });
        }
        let parents: Vec<String> = body.parent_scopes.clone().unwrap_or_default();
        if parents.len() > 1 {
            return Err(HubError::invalid(
                "A device has at most one parent: parentScopes holds more than one scope.",
            ));
        }
        let own = match before {
            None => format!("ms-azure-iot-edge://{device}-{generation_id}"),
            Some(before) => {
                let kept = before.device_scope.as_deref().filter(|_| before_edge).unwrap_or_default();
                if asked != kept {
                    return Err(HubError::invalid("Device scope is immutable"));
                }
                if before_edge { kept.to_owned() } else { format!("ms-azure-iot-edge://{device}-") }
            }
        };
        Ok(Self { own: Some(own), parents })
    }
}

/// Refuse to touch the modules of the runtime in the registry; their twins are for everyone.
pub(super) fn check_not_of_runtime(id: &IdentityId) -> Result<(), HubError> {
    if id.module.as_ref().is_some_and(|module| module.starts_with('$')) {
        return Err(HubError::invalid("Module ids that begin with '$' are the hub's own."));
    }
    Ok(())
}

/// The modules of the runtime that are still to be made for a device.
pub(super) fn missing_modules(state: &State, device: &IdentityId, identity: &Identity) -> Vec<IdentityId> {
    let modules = RUNTIME_MODULES.iter().filter(|_| identity.iot_edge);
    let modules = modules.filter_map(|name| IdentityId::module(&device.device, *name).ok());
    modules.filter(|module| state.get(module).is_none()).collect()
}

impl HubState {
    /// Take the modules of the runtime away from a device that is no Edge device any more.
    pub(super) fn remove_runtime_modules(
        &self,
        transaction: &mut Transaction<'_>,
        device: &IdentityId,
    ) -> Result<(), HubError> {
        for name in RUNTIME_MODULES {
            let module = IdentityId::module(&device.device, name)?;
            self.close_connections(transaction, &module, "the device is no IoT Edge device any more");
            transaction.remove(module);
        }
        Ok(())
    }
}

/// A new one. It can't connect: nobody has a key for it.
pub(super) fn runtime_module(now: u64) -> Entity {
    let identity = Identity::new(new_generation(now), Authentication::None);
    newborn(Identity { managed_by: Some(MANAGED_BY.to_owned()), ..identity }, now)
}

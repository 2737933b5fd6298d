//! What is particular to IoT Edge: modules that come into being with a deployment, and content for a single device.
//!
//! <https://learn.microsoft.com/rest/api/iothub/service/configuration/apply-on-edge-device>

use super::content::{Content, Settings};
use crate::hub::HubState;
use crate::hub::edge::MANAGED_BY;
use crate::hub::error::HubError;
use crate::hub::registry::IdentityBody;
use crate::hub::store::Transaction;
use crate::hub::twins::missing;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::identity::IdentityId;

impl HubState {
    /// Set the desired properties of modules on an IoT Edge device. Modules that aren't there are made.
    ///
    /// # Errors
    /// 404 if the device doesn't exist, 400 if it is no IoT Edge device or the content breaks a rule, 413 above the limit
    /// of modules.
    pub async fn apply_on_edge_device(&self, device: &IdentityId, content: &Content) -> Result<(), HubError> {
        let settings = content.edge_settings()?;
        let change = self.store.write(|transaction| {
            let state = transaction.before();
            let entity = state.get(device).ok_or_else(|| missing(state, device))?;
            if !entity.identity.iot_edge {
                return Err(HubError::invalid("Not an Azure IoT Edge device"));
            }
            self.add_modules(transaction, device, &settings)?;
            for (id, module) in transaction.modules(device) {
                let Some(settings) = settings.of(&id) else { continue };
                let mut desired = module.twin.desired.values().clone();
                for setting in settings {
                    setting.set(&mut desired);
                }
                let mut module = (*module).clone();
                self.put_desired(transaction, &id, &mut module, &desired).map_err(|error| {
                    HubError::new(ErrorCode::INVALID_CONFIGURATION_CONTENT, error.to_string())
                })?;
                transaction.put(id, module);
            }
            Ok(())
        });
        change.await
    }

    /// Make the modules that the settings are for, where they aren't there.
    ///
    /// # Errors
    /// 413 above the limit of modules.
    pub(super) fn add_modules(
        &self,
        transaction: &mut Transaction<'_>,
        device: &IdentityId,
        settings: &Settings,
    ) -> Result<(), HubError> {
        for module in settings.modules() {
            let id = IdentityId::module(&device.device, module)?;
            if transaction.copy(&id).is_none() {
                let body =
                    IdentityBody { managed_by: Some(MANAGED_BY.to_owned()), ..IdentityBody::default() };
                self.create_in(transaction, &id, body, self.clock.unix_millis())?;
            }
        }
        Ok(())
    }
}

//! How configurations get into twins: shortly after a configuration changed, or something that target conditions see.
//!
//! A twin is written when the configurations that target it are others than those that were applied to it last. What
//! back ends write over it stays until then, as IoT Hub was seen to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::HubState;
use super::configuration::Active;
use super::content::{Kind, Setting};
use crate::hub::entity::{ConfigurationMark, Entity};
use crate::hub::error::HubError;
use crate::hub::store::Transaction;
use crate::hub::touched::Touched;
use crate::protocol::identity::IdentityId;

/// Devices that are looked at before the disk is waited for, and others get their turn.
const BATCH: usize = 256;

impl HubState {
    /// Apply configurations whenever something calls for it; without end.
    pub(in crate::hub) async fn keep_configurations_applied(self) {
        loop {
            self.store.watch().changed().await;
            // What the disk refuses, every request is told.
            let _ = self.apply_configurations().await;
        }
    }

    /// Apply configurations to everything that changed since this was done last.
    ///
    /// # Errors
    /// 500 or 503 if the data file can't be written.
    pub async fn apply_configurations(&self) -> Result<(), HubError> {
        match self.store.watch().take() {
            Touched::All => self.apply_to_all().await?,
            Touched::Some(devices) => {
                let devices: Vec<_> = devices.into_iter().collect();
                for batch in devices.chunks(BATCH) {
                    self.apply_to_each(batch.iter()).await?;
                }
            }
        }
        // Under the store's lock, so that no configuration comes in between.
        self.store.peek(|_| {
            if self.configurations.is_empty() {
                self.store.watch().turn_off_if_idle();
            }
        });
        Ok(())
    }

    async fn apply_to_all(&self) -> Result<(), HubError> {
        let mut after: Option<IdentityId> = None;
        loop {
            let batch: Vec<_> = self
                .store
                .peek(|state| state.after(after.as_ref()).take(BATCH).map(|(id, _)| id.clone()).collect());
            self.apply_to_each(batch.iter().filter(|id| id.module.is_none())).await?;
            let Some(last) = batch.into_iter().next_back() else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn apply_to_each<'d>(&self, devices: impl Iterator<Item = &'d IdentityId>) -> Result<(), HubError> {
        for device in devices {
            self.store.write_behind(|transaction| {
                self.apply_to(transaction, device);
                Ok(())
            })?;
        }
        self.store.read(|_| ()).await?;
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Apply them to a device and its modules.
    fn apply_to(&self, transaction: &mut Transaction<'_>, device: &IdentityId) {
        let (state, table) = (transaction.before(), self.configurations.by_precedence());
        let Some(entity) = state.get(device) else { return };
        let on_edge = table.iter().filter(|active| active.settings.kind == Kind::Edge);
        for active in on_edge.filter(|active| active.target.selects(device, entity)) {
            if let Err(error) = self.add_modules(transaction, device, &active.settings) {
                self.tell_of(transaction, device, &error);
            }
        }
        let owner = (device, &**entity);
        self.bring(transaction, device, entity, &targeting(&table, owner, None));
        for (id, module) in transaction.modules(device) {
            let wanted = targeting(&table, owner, Some((&id, &module)));
            self.bring(transaction, &id, &module, &wanted);
        }
    }

    /// Bring these configurations, those with precedence last, into a twin, unless they were applied last.
    fn bring(
        &self,
        transaction: &mut Transaction<'_>,
        id: &IdentityId,
        entity: &Entity,
        wanted: &[&Arc<Active>],
    ) {
        let last = &entity.configurations;
        let is_last = |active: &&Arc<Active>| {
            let mark = last.get(&active.configuration.id);
            mark.is_some_and(|mark| active.is(mark) && active.configuration.revision == mark.revision)
        };
        if last.len() == wanted.len() && wanted.iter().all(is_last) {
            return;
        }
        let mut entity = entity.clone();
        let (desired, applied) = self.overlay(id, &entity, wanted);
        let refused = self.put_desired(transaction, id, &mut entity, &desired).err();
        let marks = wanted.iter().zip(applied).map(|(active, applied)| {
            let this = &active.configuration;
            let applied = applied && refused.is_none();
            (this.id.clone(), ConfigurationMark { number: this.number, revision: this.revision, applied })
        });
        entity.configurations = marks.collect::<BTreeMap<_, _>>();
        transaction.put(id.clone(), entity);
        if let Some(error) = refused {
            self.tell_of(transaction, id, &error.into());
        }
    }

    /// The desired properties with these configurations, and of which of them something stands there.
    fn overlay(
        &self,
        id: &IdentityId,
        entity: &Entity,
        wanted: &[&Arc<Active>],
    ) -> (Map<String, Value>, Vec<bool>) {
        let mut desired = entity.twin.desired.values().clone();
        let was_applied = |active: &Active| {
            let mark = entity.configurations.get(&active.configuration.id);
            mark.is_some_and(|mark| active.is(mark) && mark.applied)
        };
        for left in entity.configurations.keys() {
            if wanted.iter().all(|active| active.configuration.id != *left) {
                // What a configuration that was deleted has set stays.
                let left = self.configurations.get(left).filter(|left| was_applied(left));
                let left = left.iter().flat_map(|left| left.settings_of(id));
                left.for_each(|setting| setting.withdraw(&mut desired));
            }
        }
        let hides = |later: &[&Arc<Active>], setting: &Setting| {
            later.iter().any(|later| later.settings_of(id).iter().any(|later| later.hides(setting)))
        };
        let mut visible: Vec<Vec<&Setting>> = Vec::new();
        for (index, active) in wanted.iter().enumerate() {
            let (hidden, shown): (Vec<_>, Vec<_>) =
                active.settings_of(id).iter().partition(|setting| hides(&wanted[index + 1..], setting));
            if was_applied(active) {
                for setting in hidden {
                    setting.withdraw(&mut desired);
                }
            }
            visible.push(shown);
        }
        for setting in visible.iter().flatten() {
            setting.set(&mut desired);
        }
        let applied = visible.iter().zip(wanted);
        let applied =
            applied.map(|(visible, active)| !visible.is_empty() || active.settings_of(id).is_empty());
        (desired, applied.collect())
    }

    fn tell_of(&self, transaction: &mut Transaction<'_>, id: &IdentityId, error: &HubError) {
        let (notices, id, error) = (self.notices.clone(), id.clone(), error.clone());
        transaction.then(move |_| {
            notices.tell(|| format!("{id}: a configuration can't be applied: {}", error.message()));
        });
    }
}

/// Those of the configurations that target a device, or a module on it, in their order.
fn targeting<'t>(
    table: &'t [Arc<Active>],
    (device, owner): (&IdentityId, &Entity),
    module: Option<(&IdentityId, &Entity)>,
) -> Vec<&'t Arc<Active>> {
    let targets = |active: &&Arc<Active>| match (active.settings.kind, module) {
        (Kind::Device, None) => active.target.selects(device, owner),
        (Kind::Edge, Some((id, _))) => {
            active.settings.of(id).is_some() && active.target.selects(device, owner)
        }
        (Kind::Module, Some((id, module))) => active.target.selects(id, module),
        (Kind::Device, Some(_)) | (Kind::Module | Kind::Edge, None) => false,
    };
    table.iter().filter(targets).collect()
}

//! How much a hub holds.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling>

use super::error::HubError;
use crate::protocol::error_code::ErrorCode;

/// What there may be at most. The default is what an Azure hub has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Devices and modules of the hub, together.
    pub identities: usize,
    /// Modules of one device.
    pub modules: usize,
    /// Scheduled jobs that have not ended. Here the default is that of the smallest hubs.
    pub active_jobs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { identities: 1_000_000, modules: 50, active_jobs: 1 }
    }
}

impl Limits {
    /// Whether the hub may come to hold so many devices and modules.
    ///
    /// # Errors
    /// 413.
    pub(super) fn check_identities(self, identities: usize) -> Result<(), HubError> {
        if identities <= self.identities {
            return Ok(());
        }
        let message = format!("The hub holds at most {} devices and modules.", self.identities);
        Err(HubError::new(ErrorCode::TOO_MANY_DEVICES, message))
    }

    /// Whether a device may come to hold so many modules.
    ///
    /// # Errors
    /// 413.
    pub(super) fn check_modules(self, device: &str, modules: usize) -> Result<(), HubError> {
        if modules <= self.modules {
            return Ok(());
        }
        let message = format!("Device {device} holds at most {} modules.", self.modules);
        Err(HubError::new(ErrorCode::TOO_MANY_MODULES, message))
    }
    /// Whether so many jobs may be active.
    ///
    /// # Errors
    /// 429.
    pub(super) fn check_active_jobs(self, jobs: usize) -> Result<(), HubError> {
        if jobs <= self.active_jobs {
            return Ok(());
        }
        let message =
            format!("The hub has room for {} active jobs, scheduled ones included.", self.active_jobs);
        Err(HubError::new(ErrorCode::TOO_MANY_JOBS, message))
    }
}

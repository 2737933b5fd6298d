//! How much a hub holds.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling>

use std::time::Duration;

use super::error::HubError;
use super::events::Retention;
use crate::error::{Error, ErrorKind, Result};
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
    /// For how long feedback on messages waits until it is sent, if there is no batch of it before.
    pub feedback_seconds: usize,
    /// Events of devices that are kept for back ends to read. Azure's hubs keep them for their time, however many they are.
    pub events: usize,
    /// MiB of them: properties, bodies, and what each takes beside.
    pub event_megabytes: usize,
    /// Hours for which they are kept.
    pub event_hours: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            identities: 1_000_000,
            modules: 50,
            active_jobs: 1,
            feedback_seconds: 15,
            events: 500_000,
            event_megabytes: 128,
            event_hours: 24,
        }
    }
}

impl Limits {
    /// Set one of them by its name, as in `active_jobs=10`.
    ///
    /// # Errors
    /// `InvalidArgument` if none has this name, or no number follows.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let (name, number) = text.split_once('=').unwrap_or((text, ""));
        let limit = match name {
            "identities" => Some(&mut self.identities),
            "modules" => Some(&mut self.modules),
            "active_jobs" => Some(&mut self.active_jobs),
            "feedback_seconds" => Some(&mut self.feedback_seconds),
            "events" => Some(&mut self.events),
            "event_megabytes" => Some(&mut self.event_megabytes),
            "event_hours" => Some(&mut self.event_hours),
            _ => None,
        };
        let (Some(limit), Ok(number)) = (limit, number.parse()) else {
            let text = format!(
                "'{text}' is no limit: identities, modules, active_jobs, feedback_seconds, events, event_megabytes \
                 or event_hours, with a number"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        };
        *limit = number;
        Ok(())
    }

    /// How long events are kept.
    pub(super) fn retention(self) -> Retention {
        let hour: u64 = 3600;
        Retention {
            events: self.events,
            bytes: self.event_megabytes.saturating_mul(1 << 20),
            age: Duration::from_secs(hour.saturating_mul(self.event_hours as u64)),
        }
    }

    /// Whether the hub may come to hold so many devices and modules.
    ///
    /// # Errors
    /// 413.
    pub(super) fn check_identities(self, identities: usize) -> std::result::Result<(), HubError> {
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
    pub(super) fn check_modules(self, device: &str, modules: usize) -> std::result::Result<(), HubError> {
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
    pub(super) fn check_active_jobs(self, jobs: usize) -> std::result::Result<(), HubError> {
        if jobs <= self.active_jobs {
            return Ok(());
        }
        let message =
            format!("The hub has room for {} active jobs, scheduled ones included.", self.active_jobs);
        Err(HubError::new(ErrorCode::TOO_MANY_JOBS, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_name_and_nothing_else_is_one() {
        let mut limits = Limits::default();
        let texts = [
            "identities=2",
            "modules=0",
            "active_jobs=10",
            "feedback_seconds=0",
            "events=3",
            "event_megabytes=4",
            "event_hours=5",
        ];
        texts.into_iter().try_for_each(|text| limits.set(text)).unwrap();
        let set = Limits {
            identities: 2,
            modules: 0,
            active_jobs: 10,
            feedback_seconds: 0,
            events: 3,
            event_megabytes: 4,
            event_hours: 5,
        };
        assert_eq!(limits, set);
        for text in ["", "modules", "modules=", "modules=-1", "modules=many", "devices=1", "=1"] {
            let error = limits.set(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().starts_with(&format!("'{text}' is no limit")), "{error}");
        }
    }
}

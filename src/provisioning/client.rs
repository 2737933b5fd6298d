//! A device that asks for its hub.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::options::Options;
use super::registration::{Registration, within};
use crate::error::{Error, ErrorKind, Result};
use crate::net::Target;

/// A provisioning client. It is connected only while it registers, and holds nothing in between.
pub struct Client {
    options: Options,
    target: Target,
    /// Whether the device has been assigned; locked while it registers, one call after the other.
    assigned: Mutex<bool>,
}

impl Client {
    /// A client that isn't connected.
    ///
    /// # Errors
    /// Those of [`crate::mqtt::Route::target`].
    pub fn new(options: Options) -> Result<Self> {
        let target = options.route().target()?;
        Ok(Self { options, target, assigned: Mutex::new(false) })
    }

    /// Register the device; resolves with the service's last answer when a hub is assigned: JSON with
    /// `operationId`, `status` and `registrationState`. `payload` is JSON for a custom allocation policy.
    ///
    /// A client that has been assigned is done: it registers no second time. After an error it may try again.
    /// A dropped call closes its connection.
    ///
    /// # Errors
    /// Those of [`crate::mqtt::dial`]; `ConnectionDropped` if the connection is lost before the service is at work,
    /// or again and again for a minute; `Service` with the status of an answer that refuses, or that says the registration has
    /// failed or is disabled; `NoAnswer` without an answer for 30 s, `Timeout` after `timeout` (None: as long as it
    /// takes); `ShutDown` once it has been assigned.
    pub async fn register(&self, payload: &[u8], timeout: Option<Duration>) -> Result<Bytes> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut assigned = within(deadline, async { Ok(self.assigned.lock().await) }).await?;
        if *assigned {
            return Err(Error::new(
                ErrorKind::ShutDown,
                "Cannot execute method - Pipeline is not running: this device has been assigned; make another client \
                 to register again",
            ));
        }
        let answer = Registration::new(&self.options, &self.target, payload, deadline)?.run().await?;
        *assigned = true;
        Ok(answer)
    }
}

//! Faults to order: what goes wrong between devices and hubs in the real world, at the moment a test wants it.
//!
//! A switch stays on until it is cleared, for one identity or for all. The MQTT endpoint asks for them at
//! each step they may spoil. Facade: `LocalHub.faults`.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use super::HubState;
use super::error::HubError;
use crate::protocol::identity::IdentityId;

/// Why a connection that a fault ended has ended.
const ORDERED: &str = "a fault was ordered";

/// What goes wrong as long as a switch is on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The hub reads and writes nothing more, and connections stay open: a cable is cut.
    Freeze,
    /// CONNECT is answered with this return code, 1 to 5.
    RefuseConnects {
        /// As in CONNACK.
        code: u8,
    },
    /// Tokens are no longer good: connections end, CONNECT is answered with 5.
    RejectTokens,
    /// What devices send arrives, and they are not told.
    WithholdPubacks,
    /// What devices send arrives, and they are told so later.
    DelayPubacks {
        /// How much later.
        seconds: f64,
    },
    /// What devices send arrives, and they are told so twice.
    DuplicatePubacks,
    /// SUBSCRIBE is answered with 0x80 for every filter.
    RefuseSubscriptions,
    /// Devices that ask the provisioning service for their hub get none. They are named by their registration ids.
    Registrations(RegistrationFault),
}

/// What becomes of registrations.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RegistrationFault {
    /// Nothing is said to requests.
    Unanswered,
    /// Every request is answered with 429, and these seconds as the pause before the next.
    Throttled {
        /// Seconds.
        retry_after: u32,
    },
    /// The service is at work and goes on being so.
    Assigning {
        /// Seconds.
        retry_after: u32,
    },
    /// They fail.
    Failed {
        /// The error code in the state of the registration.
        code: u32,
        /// The reason there.
        message: String,
    },
}

/// What becomes of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledgement {
    Sent,
    SentTwice,
    SentAfter(Duration),
    Withheld,
}

/// The switches that are on. Who waits for a change of them is woken by it.
#[derive(Default)]
pub struct Faults(watch::Sender<Switches>);

#[derive(Default)]
struct Switches {
    last: u64,
    on: Vec<Switch>,
}

struct Switch {
    number: u64,
    /// All, if nobody is named.
    who: Option<IdentityId>,
    fault: Fault,
}

impl HubState {
    /// Switch a fault on, for one identity or for all; the number is for [`Faults::clear`].
    ///
    /// # Errors
    /// 400 for a return code or a time that can't be.
    pub fn order_fault(&self, fault: Fault, who: Option<&IdentityId>) -> Result<u64, HubError> {
        match fault {
            Fault::RefuseConnects { code } if !(1..=5).contains(&code) => {
                return Err(HubError::invalid("The return codes of CONNACK that refuse are 1 to 5."));
            }
            Fault::DelayPubacks { seconds } if Duration::try_from_secs_f64(seconds).is_err() => {
                return Err(HubError::invalid("A delay is a number of seconds that is not negative."));
            }
            _ => {}
        }
        let ends_connections = fault == Fault::RejectTokens;
        let number = self.faults.switch_on(fault, who.cloned());
        if ends_connections {
            self.drop_connections(who);
        }
        Ok(number)
    }

    /// End the connection of one identity, or all connections.
    pub fn drop_connections(&self, who: Option<&IdentityId>) {
        match who {
            Some(id) => self.connections.close_one(id, ORDERED),
            None => self.connections.close_all(ORDERED),
        }
    }

    /// Forget the sessions that one identity or all have left, and end their connections.
    ///
    /// # Errors
    /// 404 if the identity does not exist; 500 or 503 if the data file can't be written.
    pub async fn lose_sessions(&self, who: Option<&IdentityId>) -> Result<(), HubError> {
        self.drop_connections(who);
        let change = self.store.write(|transaction| {
            let ids: Vec<IdentityId> = match who {
                Some(id) => vec![id.clone()],
                None => transaction.before().ids().cloned().collect(),
            };
            for id in ids {
                let mut entity = transaction.copy(&id).ok_or_else(|| HubError::not_found(&id))?;
                if !entity.subscriptions.is_empty() {
                    entity.subscriptions.clear();
                    transaction.put(id, entity);
                }
            }
            Ok(())
        });
        change.await
    }
}

impl Faults {
    fn switch_on(&self, fault: Fault, who: Option<IdentityId>) -> u64 {
        let mut number = 0;
        self.0.send_modify(|switches| {
            switches.last += 1;
            number = switches.last;
            switches.on.push(Switch { number, who, fault });
        });
        number
    }

    /// Switch one off, or all.
    pub fn clear(&self, number: Option<u64>) {
        self.0.send_modify(|switches| {
            switches.on.retain(|switch| number.is_some_and(|number| switch.number != number));
        });
    }

    /// Whether nothing is to be read from the identity or written to it.
    pub(super) fn is_frozen(&self, id: &IdentityId) -> bool {
        self.0.borrow().is_frozen(id)
    }

    /// Resolve when it isn't frozen.
    pub(super) async fn thawed(&self, id: &IdentityId) {
        // The sender lives in `self`, so the wait can't fail.
        let _ = self.0.subscribe().wait_for(|switches| !switches.is_frozen(id)).await;
    }

    /// The return code to refuse it with.
    pub(super) fn refusal(&self, id: &IdentityId) -> Option<u8> {
        self.0.borrow().newest(id, |fault| match fault {
            Fault::RefuseConnects { code } => Some(*code),
            Fault::RejectTokens => Some(5),
            _ => None,
        })
    }

    pub(super) fn acknowledgement(&self, id: &IdentityId) -> Acknowledgement {
        let ordered = self.0.borrow().newest(id, |fault| match fault {
            Fault::WithholdPubacks => Some(Acknowledgement::Withheld),
            Fault::DuplicatePubacks => Some(Acknowledgement::SentTwice),
            Fault::DelayPubacks { seconds } => {
                Duration::try_from_secs_f64(*seconds).ok().map(Acknowledgement::SentAfter)
            }
            _ => None,
        });
        ordered.unwrap_or(Acknowledgement::Sent)
    }

    /// What becomes of the registration with this id.
    pub(super) fn of_registration(&self, registration_id: &str) -> Option<RegistrationFault> {
        let id = IdentityId::device(registration_id).ok()?;
        self.0.borrow().newest(&id, |fault| match fault {
            Fault::Registrations(outcome) => Some(outcome.clone()),
            _ => None,
        })
    }

    pub(super) fn refuses_subscriptions(&self, id: &IdentityId) -> bool {
        self.0.borrow().newest(id, |fault| (*fault == Fault::RefuseSubscriptions).then_some(())).is_some()
    }
}

impl Switches {
    fn is_frozen(&self, id: &IdentityId) -> bool {
        self.newest(id, |fault| (*fault == Fault::Freeze).then_some(())).is_some()
    }

    /// What the newest switch says that says something to this identity.
    fn newest<T>(&self, id: &IdentityId, says: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let covers = |switch: &&Switch| switch.who.as_ref().is_none_or(|who| who == id);
        self.on.iter().rev().filter(covers).find_map(|switch| says(&switch.fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::HubSettings;

    fn id(text: &str) -> IdentityId {
        IdentityId::parse(text).unwrap()
    }

    #[test]
    fn the_newest_switch_for_an_identity_counts_until_it_is_cleared() {
        let faults = Faults::default();
        let all = faults.switch_on(Fault::DelayPubacks { seconds: 1.5 }, None);
        let one = faults.switch_on(Fault::WithholdPubacks, Some(id("d/m")));
        let delayed = Acknowledgement::SentAfter(Duration::from_millis(1500));
        assert_eq!(faults.acknowledgement(&id("d/m")), Acknowledgement::Withheld);
        assert_eq!(faults.acknowledgement(&id("d")), delayed);
        faults.clear(Some(one));
        assert_eq!(faults.acknowledgement(&id("d/m")), delayed);
        faults.clear(Some(all));
        assert_eq!(faults.acknowledgement(&id("d/m")), Acknowledgement::Sent);
        faults.switch_on(Fault::RefuseSubscriptions, None);
        faults.switch_on(Fault::RejectTokens, None);
        assert!(faults.refuses_subscriptions(&id("d")));
        assert_eq!(faults.refusal(&id("d")), Some(5));
        faults.clear(None);
        assert!(!faults.refuses_subscriptions(&id("d")) && faults.refusal(&id("d")).is_none());
    }

    #[tokio::test]
    async fn who_waits_for_the_thaw_is_woken_by_it() {
        let faults = Faults::default();
        faults.thawed(&id("d")).await;
        let number = faults.switch_on(Fault::Freeze, Some(id("d")));
        assert!(faults.is_frozen(&id("d")) && !faults.is_frozen(&id("d/m")));
        let thaw = async { faults.clear(Some(number)) };
        let id = id("d");
        tokio::join!(faults.thawed(&id), thaw);
    }

    #[test]
    fn what_can_not_be_ordered_is_refused() {
        let hub = HubState::open(&HubSettings::default()).unwrap();
        for fault in [
            Fault::RefuseConnects { code: 0 },
            Fault::RefuseConnects { code: 6 },
            Fault::DelayPubacks { seconds: -1.0 },
            Fault::DelayPubacks { seconds: f64::NAN },
        ] {
            assert_eq!(hub.order_fault(fault, None).unwrap_err().code().status(), 400);
        }
    }
}

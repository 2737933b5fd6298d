//! Messages that were sent to a client and that it has not acknowledged.

use std::collections::BTreeMap;

/// Most of them: more wait in the hub until one is acknowledged.
const MOST: usize = 50;

/// Packet ids and the numbers of the messages sent with them.
#[derive(Default)]
pub(super) struct InFlight(BTreeMap<u16, u64>);

impl InFlight {
    /// How many more may be sent.
    pub(super) fn room(&self) -> usize {
        MOST.saturating_sub(self.0.len())
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.contains_key(&packet_id(number))
    }

    /// The id to send a message with.
    pub(super) fn add(&mut self, number: u64) -> u16 {
        let id = packet_id(number);
        self.0.insert(id, number);
        id
    }

    /// The message that an acknowledgement is for; none if it is for none, or a second one.
    pub(super) fn remove(&mut self, packet_id: u16) -> Option<u64> {
        self.0.remove(&packet_id)
    }
}

/// The same for the same message whenever it is sent, also on a later connection, as MQTT 3.1.1 has it
/// (section 4.4). No two of one queue share one: their numbers are close together.
fn packet_id(number: u64) -> u16 {
    u16::try_from(number % u64::from(u16::MAX)).unwrap_or_default() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_valid_packet_id_and_neighbours_have_different_ones() {
        let mut in_flight = InFlight::default();
        for number in 65_500..65_550 {
            assert_ne!(in_flight.add(number), 0);
        }
        assert_eq!(in_flight.room(), 0);
        assert_eq!(in_flight.remove(packet_id(65_540)), Some(65_540));
        assert_eq!((in_flight.remove(packet_id(65_540)), in_flight.room()), (None, 1));
    }
}

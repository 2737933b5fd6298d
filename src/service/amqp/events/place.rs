//! Places in a partition.

use std::collections::BTreeMap;

/// The offset of the place before the oldest event.
pub(super) const EARLIEST: &str = "-1";

/// A place in a partition: what is behind it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the end: only what comes.
    Latest,
    /// Behind the event of this offset; `-1`: before all.
    Offset(String),
    /// Behind the event of this sequence number.
    Sequence(i64),
    /// Before the first event of this moment or later, milliseconds since 1970.
    Time(i64),
}

impl Place {
    /// Before all that is kept.
    #[must_use]
    pub fn earliest() -> Self {
        Self::Offset(EARLIEST.to_owned())
    }

    /// The filter of a link.
    pub(super) fn selector(&self) -> String {
        let (name, operator, value) = match self {
            Self::Latest => ("offset", ">", "@latest".to_owned()),
            Self::Offset(offset) => ("offset", ">", offset.clone()),
            Self::Sequence(number) => ("sequence-number", ">", number.to_string()),
            Self::Time(unix_millis) => ("enqueued-time", ">=", unix_millis.to_string()),
        };
        format!("amqp.annotation.x-opt-{name} {operator} '{}'", value.replace('\'', "''"))
    }
}

/// Where a reader begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the same place in each partition.
    Everywhere(Place),
    /// At a place of its own in each partition; those that are not named begin with their oldest event.
    At(BTreeMap<String, Place>),
}

impl Start {
    pub(super) fn of(&self, partition: &str) -> Place {
        match self {
            Self::Everywhere(place) => place.clone(),
            Self::At(places) => places.get(partition).cloned().unwrap_or_else(Place::earliest),
        }
    }
}

/// Whether an offset lies behind the last one, as far as they are numbers.
pub(super) fn is_behind(offset: &str, last: &str) -> bool {
    matches!((offset.parse::<i64>(), last.parse::<i64>()), (Ok(offset), Ok(last)) if offset > last)
}

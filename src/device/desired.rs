//! Which desired properties are news to the program.
//!
//! A change reaches the program once, in the order of versions: as the hub's patch, or, if that came while
//! the connection was lost, as the whole desired section read after the reconnect. Nothing is made up at
//! the first connect.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What has been seen of the desired properties.
#[derive(Debug, Default)]
pub(super) struct DesiredProperties {
    /// The version that stood when the client began to listen, or that it was last reset to.
    baseline: Option<u64>,
    /// The version last given to the program.
    delivered: Option<u64>,
}

#[derive(Deserialize)]
struct Versioned {
    #[serde(rename = "$version")]
    version: Option<u64>,
}

#[derive(Deserialize)]
struct Twin<'a> {
    #[serde(borrow)]
    desired: &'a RawValue,
}

impl DesiredProperties {
    /// A patch came: what to give to the program, if it is not a duplicate.
    pub(super) fn patched(&mut self, patch: Bytes) -> Option<Bytes> {
        let version = version_of(&patch);
        if let (Some(version), Some(delivered)) = (version, self.delivered)
            && version <= delivered
        {
            return None;
        }
        self.delivered = version.or(self.delivered);
        Some(patch)
    }

    /// The twin was read after a (re)connect: what the program has missed, if anything.
    pub(super) fn refreshed(&mut self, twin: &[u8]) -> Option<Bytes> {
        let desired = serde_json::from_slice::<Twin<'_>>(twin).ok()?.desired.get();
        let version = version_of(desired.as_bytes())?;
        let Some(known) = self.delivered.max(self.baseline) else {
            self.baseline = Some(version);
            return None;
        };
        if version < known {
            // The identity was made anew: its versions start over.
            *self = Self { baseline: Some(version), delivered: None };
        }
        if version <= known {
            return None;
        }
        self.delivered = Some(version);
        Some(Bytes::copy_from_slice(desired.as_bytes()))
    }
}

fn version_of(section: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Versioned>(section).ok()?.version
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(version: u64) -> Bytes {
        Bytes::from(format!("{{\"a\":1,\"$version\":{version}}}"))
    }

    fn twin(version: u64) -> Vec<u8> {
        format!("{{\"desired\":{{\"a\": 1.0,\"$version\":{version}}},\"reported\":{{\"$version\":1}}}}")
            .into_bytes()
    }

    #[test]
    fn nothing_is_made_up_at_the_first_connect() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.refreshed(&twin(7)), None);
        assert_eq!(desired.refreshed(&twin(7)), None);
    }

    #[test]
    fn a_change_missed_while_the_connection_was_lost_is_delivered_once() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.refreshed(&twin(1)), None);
        assert_eq!(desired.refreshed(&twin(2)).unwrap(), r#"{"a": 1.0,"$version":2}"#);
        assert_eq!(desired.patched(patch(2)), None);
        assert_eq!(desired.refreshed(&twin(2)), None);
        assert_eq!(desired.patched(patch(3)), Some(patch(3)));
    }

    #[test]
    fn a_patch_that_races_the_first_look_is_delivered() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.refreshed(&twin(2)), None);
        assert_eq!(desired.patched(patch(2)), Some(patch(2)));
        assert_eq!(desired.patched(patch(2)), None);
    }

    #[test]
    fn versions_start_over_with_a_new_identity() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.patched(patch(9)), Some(patch(9)));
        assert_eq!(desired.refreshed(&twin(1)), None);
        assert_eq!(desired.patched(patch(2)), Some(patch(2)));
    }

    #[test]
    fn a_patch_without_a_version_is_delivered() {
        let mut desired = DesiredProperties::default();
        let odd = Bytes::from_static(b"not json");
        assert_eq!(desired.patched(odd.clone()), Some(odd));
    }
}

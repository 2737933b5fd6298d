//! Which desired properties are news to the program.
//!
//! A change reaches the program once, in the order of versions: as the hub's patch, or, if that came while
//! the connection was lost, as the whole desired section read after the reconnect. Nothing is made up at
//! the first connect.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What has been seen of the desired properties.
#[derive(Debug, Default)]
pub(super) struct DesiredProperties {
    /// The newest version of which nothing before is missing: delivered, or standing when the client began to listen.
    known: Option<u64>,
    /// The version last given to the program.
    delivered: Option<u64>,
    /// What was known when the twin was asked for: an answer older than that is of another identity of the same name.
    asked_at: Option<u64>,
    /// Whether something may have been missed of which no version tells: the twin is being read after a reconnect.
    is_unsure: bool,
    /// Patches that came after a gap, until the twin has been read.
    held: BTreeMap<u64, Bytes>,
}

/// What follows from something that came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// What to give to the program, in this order.
    pub(super) deliver: Vec<Bytes>,
    /// Whether versions are missing: the twin has to be read.
    pub(super) ask: bool,
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
    /// A patch came. With `ensure`, one after a gap, or after what may be one, waits until the twin has been read: the
    /// hub may send it before the client has caught up with what it missed.
    pub(super) fn patched(&mut self, patch: Bytes, ensure: bool) -> Outcome {
        let Some(version) = version_of(&patch) else { return Outcome { deliver: vec![patch], ask: false } };
        if self.delivered.is_some_and(|delivered| version <= delivered) {
            return Outcome::default();
        }
        if ensure && self.known.map_or(self.is_unsure, |known| version > known + 1) {
            self.held.insert(version, patch);
            return Outcome { deliver: Vec::new(), ask: true };
        }
        self.delivered = Some(version);
        self.known = self.known.max(self.delivered);
        Outcome { deliver: vec![patch], ask: false }
    }

    /// The twin is being asked for.
    pub(super) fn asked(&mut self) {
        self.asked_at = self.known;
    }

    /// The twin is being asked for after a reconnect. If no version is known, nobody knows what was missed.
    pub(super) fn asked_again(&mut self) {
        self.asked();
        self.is_unsure = self.known.is_none();
    }

    /// The twin was read: deliver what the program has missed, then what had to wait for it.
    pub(super) fn refreshed(&mut self, twin: &[u8]) -> Outcome {
        let Some((section, version)) = desired_section(twin) else {
            return Outcome { deliver: self.not_refreshed(), ask: false };
        };
        let mut deliver = Vec::new();
        match self.known {
            Some(known) if version > known => self.deliver_section(section, version, &mut deliver),
            // The identity was made anew, and its versions start over: with 1, in which nothing is desired yet.
            Some(_) if self.asked_at.is_some_and(|asked_at| version < asked_at) => {
                self.known = Some(version);
                self.delivered = None;
                if version > 1 {
                    self.deliver_section(section, version, &mut deliver);
                }
            }
            // Overtaken by a patch.
            Some(_) => {}
            // Better told twice than never; version 1 is the empty section of a new identity.
            None if self.is_unsure && version > 1 => self.deliver_section(section, version, &mut deliver),
            None => self.known = Some(version),
        }
        self.is_unsure = false;
        self.release(&mut deliver);
        Outcome { deliver, ask: !self.held.is_empty() }
    }

    fn deliver_section(&mut self, section: &str, version: u64, deliver: &mut Vec<Bytes>) {
        deliver.push(Bytes::copy_from_slice(section.as_bytes()));
        self.delivered = Some(version);
        self.known = Some(version);
    }

    /// The twin could not be read: patches after a gap are better than none.
    pub(super) fn not_refreshed(&mut self) -> Vec<Bytes> {
        self.is_unsure = false;
        if let Some((version, _)) = self.held.last_key_value() {
            self.known = Some(*version);
            self.delivered = self.known;
        }
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// Move held patches that follow without a gap to `deliver`, and drop those that are known by now.
    fn release(&mut self, deliver: &mut Vec<Bytes>) {
        while let Some(next) = self.held.first_entry() {
            let known = self.known.unwrap_or(0);
            if *next.key() > known + 1 {
                return;
            }
            let (version, patch) = next.remove_entry();
            if version > known {
                self.known = Some(version);
                self.delivered = Some(version);
                deliver.push(patch);
            }
        }
    }
}

/// The desired section of a twin, as it stands there, and its version.
fn desired_section(twin: &[u8]) -> Option<(&str, u64)> {
    let section = serde_json::from_slice::<Twin<'_>>(twin).ok()?.desired.get();
    Some((section, version_of(section.as_bytes())?))
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

    fn delivered(texts: &[&str]) -> Outcome {
        Outcome {
            deliver: texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect(),
            ask: false,
        }
    }

    const NOTHING: Outcome = Outcome { deliver: Vec::new(), ask: false };
    const ASK: Outcome = Outcome { deliver: Vec::new(), ask: true };

    fn patch_text(version: u64) -> String {
        String::from_utf8(patch(version).to_vec()).unwrap()
    }

    #[test]
    fn nothing_is_made_up_at_the_first_connect() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.refreshed(&twin(7)), NOTHING);
        assert_eq!(desired.refreshed(&twin(7)), NOTHING);
    }

    #[test]
    fn a_connection_lost_before_the_first_look_hides_no_change() {
        let mut desired = DesiredProperties::default();
        desired.asked();
        desired.asked_again();
        assert_eq!(desired.refreshed(&twin(2)), delivered(&[r#"{"a": 1.0,"$version":2}"#]));
        let mut unchanged = DesiredProperties::default();
        unchanged.asked_again();
        assert_eq!(unchanged.refreshed(&twin(1)), NOTHING);
    }

    #[test]
    fn without_a_known_version_a_reconnect_delivers_what_stands_and_then_the_patches_that_overtook_it() {
        let mut desired = DesiredProperties::default();
        desired.asked_again();
        assert_eq!(desired.patched(patch(6), true), ASK);
        assert_eq!(desired.refreshed(&twin(5)), delivered(&[r#"{"a": 1.0,"$version":5}"#, &patch_text(6)]));
        desired.asked_again();
        assert_eq!(desired.refreshed(&twin(6)), NOTHING);
    }

    #[test]
    fn patches_that_wait_for_a_twin_that_cannot_be_read_are_delivered() {
        for answer in [b"not json".as_slice(), b"{}"] {
            let mut desired = DesiredProperties::default();
            desired.asked_again();
            assert_eq!(desired.patched(patch(6), true), ASK);
            assert_eq!(desired.refreshed(answer), delivered(&[&patch_text(6)]));
            assert_eq!(desired.patched(patch(7), true), delivered(&[&patch_text(7)]));
        }
    }

    #[test]
    fn a_change_missed_while_the_connection_was_lost_is_delivered_once() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.refreshed(&twin(1)), NOTHING);
        assert_eq!(desired.refreshed(&twin(2)), delivered(&[r#"{"a": 1.0,"$version":2}"#]));
        assert_eq!(desired.patched(patch(2), true), NOTHING);
        assert_eq!(desired.refreshed(&twin(2)), NOTHING);
        assert_eq!(desired.patched(patch(3), true), delivered(&[&patch_text(3)]));
    }

    #[test]
    fn a_patch_that_overtakes_the_look_after_a_reconnect_waits_for_it() {
        let mut desired = DesiredProperties::default();
        desired.refreshed(&twin(1));
        assert_eq!(desired.patched(patch(5), true), ASK);
        assert_eq!(desired.patched(patch(6), true), ASK);
        assert_eq!(desired.refreshed(&twin(5)), delivered(&[r#"{"a": 1.0,"$version":5}"#, &patch_text(6)]));
        assert_eq!(desired.patched(patch(7), true), delivered(&[&patch_text(7)]));
    }

    #[test]
    fn a_gap_that_stays_is_asked_about_again_and_given_up_when_there_is_no_answer() {
        let mut desired = DesiredProperties::default();
        desired.refreshed(&twin(1));
        assert_eq!(desired.patched(patch(9), true), ASK);
        let seen = desired.refreshed(&twin(4));
        assert_eq!((seen.deliver.len(), seen.ask), (1, true));
        assert_eq!(desired.not_refreshed(), [patch(9)]);
        assert_eq!(desired.patched(patch(9), true), NOTHING);
        assert_eq!(desired.patched(patch(10), true), delivered(&[&patch_text(10)]));
    }

    #[test]
    fn without_a_look_a_patch_after_a_gap_is_delivered_at_once() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.patched(patch(2), false), delivered(&[&patch_text(2)]));
        assert_eq!(desired.patched(patch(9), false), delivered(&[&patch_text(9)]));
    }

    #[test]
    fn a_patch_that_races_the_first_look_is_delivered() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.refreshed(&twin(2)), NOTHING);
        assert_eq!(desired.patched(patch(2), true), delivered(&[&patch_text(2)]));
        assert_eq!(desired.patched(patch(2), true), NOTHING);
    }

    #[test]
    fn versions_start_over_with_a_new_identity() {
        let mut desired = DesiredProperties::default();
        desired.patched(patch(9), true);
        desired.asked();
        assert_eq!(desired.refreshed(&twin(1)), NOTHING);
        assert_eq!(desired.patched(patch(2), true), delivered(&[&patch_text(2)]));
    }

    #[test]
    fn what_a_new_identity_was_given_before_the_client_was_back_is_delivered() {
        let mut desired = DesiredProperties::default();
        desired.patched(patch(9), true);
        desired.asked();
        assert_eq!(desired.refreshed(&twin(2)), delivered(&[r#"{"a": 1.0,"$version":2}"#]));
        assert_eq!(desired.patched(patch(3), true), delivered(&[&patch_text(3)]));
    }

    #[test]
    fn an_answer_that_a_patch_has_overtaken_changes_nothing() {
        let mut desired = DesiredProperties::default();
        desired.refreshed(&twin(4));
        desired.asked();
        assert_eq!(desired.patched(patch(5), true), delivered(&[&patch_text(5)]));
        assert_eq!(desired.refreshed(&twin(4)), NOTHING);
        assert_eq!(desired.patched(patch(5), true), NOTHING);
        assert_eq!(desired.patched(patch(6), true), delivered(&[&patch_text(6)]));
    }

    #[test]
    fn a_patch_without_a_version_is_delivered() {
        let mut desired = DesiredProperties::default();
        assert_eq!(desired.patched(Bytes::from_static(b"not json"), true), delivered(&["not json"]));
    }
}

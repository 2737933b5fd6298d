//! Who talks: a device or a module on it, and which names they may have.
//!
//! <https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry>

use std::fmt;

/// Longest name of a device or module, in characters.
const LONGEST_NAME: usize = 128;
/// What names may hold beside ASCII letters and digits.
const SPECIAL_CHARACTERS: &str = "-:.+%_#*?!(),=@;$'";

/// A device, or a module on it.
///
/// Ordered so that a device stands right before its modules. `Display` is `device` or
/// `device/module`, as in MQTT client ids; no name holds a slash, so the text is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId {
    /// The device's name, case-sensitive.
    pub device: String,
    /// The module's name; none for the device itself.
    pub module: Option<String>,
}

/// A name that no device or module can have. The text is what the hub answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a valid identifier: 1 to 128 ASCII letters, digits or any of - : . + % _ # * ? ! ( ) , = @ ; $ '"
)]
pub struct InvalidName(String);

impl IdentityId {
    /// A device.
    ///
    /// # Errors
    /// [`InvalidName`] if it is empty, too long or holds another character.
    pub fn device(name: impl Into<String>) -> Result<Self, InvalidName> {
        Ok(Self { device: checked(name.into())?, module: None })
    }

    /// A module on a device.
    ///
    /// # Errors
    /// [`InvalidName`] if either name is empty, too long or holds another character.
    pub fn module(device: impl Into<String>, module: impl Into<String>) -> Result<Self, InvalidName> {
        Ok(Self { device: checked(device.into())?, module: Some(checked(module.into())?) })
    }

    /// Read `device` or `device/module`.
    ///
    /// # Errors
    /// [`InvalidName`] as above; a second slash is part of no name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        match text.split_once('/') {
            Some((device, module)) => Self::module(device, module),
            None => Self::device(text),
        }
    }

    /// The device that a module is on; of a device, itself.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self { device: self.device.clone(), module: None }
    }

    /// The segments of the resource that a token for this identity is made for, after the host.
    #[must_use]
    pub fn resource(&self) -> Vec<&str> {
        let device = ["devices", &self.device];
        let module = self.module.iter().flat_map(|module| ["modules", module]);
        device.into_iter().chain(module).collect()
    }
}

impl fmt::Display for IdentityId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.device)?;
        match &self.module {
            Some(module) => write!(formatter, "/{module}"),
            None => Ok(()),
        }
    }
}

fn checked(name: String) -> Result<String, InvalidName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || SPECIAL_CHARACTERS.contains(c);
    let valid = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(allowed);
    if valid { Ok(name) } else { Err(InvalidName(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_up_to_128_allowed_characters_are_valid() {
        for name in ["d", "Az09-:.+%_#*?!(),=@;$'", &"x".repeat(128)] {
            assert_eq!(IdentityId::parse(name).unwrap().to_string(), name);
        }
        for name in ["", " ", "a b", "é", "a\"b", "a\\b", "a\n", &"x".repeat(129)] {
            assert!(IdentityId::device(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_client_id_names_a_device_or_one_of_its_modules() {
        let module = IdentityId::parse("d/m").unwrap();
        assert_eq!(module, IdentityId::module("d", "m").unwrap());
        assert_eq!(module.resource(), ["devices", "d", "modules", "m"]);
        assert_eq!(module.parent(), IdentityId::device("d").unwrap());
        for text in ["d/", "/m", "d/m/n"] {
            assert!(IdentityId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_device_stands_right_before_its_modules() {
        let mut ids: Vec<_> =
            ["d/m", "d.x", "e", "d", "d/a"].iter().map(|text| IdentityId::parse(text).unwrap()).collect();
        ids.sort();
        let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["d", "d/a", "d/m", "d.x", "e"]);
    }
}

//! `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`: the text that names a hub and how to get in.
//!
//! The grammar is the one of the official Python packages: parts split on `;`, each on its first `=`,
//! keys case-sensitive, nothing trimmed.

use std::fmt;

const KEYS: [&str; 8] = [
    "HostName",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "SharedAccessSignature",
    "DeviceId",
    "ModuleId",
    "GatewayHostName",
    "x509",
];

/// Why a text is no connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// Part number `0` (from zero) has no `=`.
    #[error("part {0} has no '='")]
    NoEqualsSign(usize),
    /// This key stands twice.
    #[error("the key {0:?} stands twice")]
    DuplicateKey(String),
    /// No such key exists.
    #[error("unknown key {0:?}")]
    UnknownKey(String),
    /// Both a shared access key and x509.
    #[error("both SharedAccessKey and x509 are given")]
    MixedAuthentication,
    /// A part that is needed is missing or empty.
    #[error("a part is missing or empty")]
    Incomplete,
}

/// A parsed connection string. `Debug` and `Display` never show the key.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    parts: Vec<(&'static str, String)>,
}

impl ConnectionString {
    /// Parse a connection string of any kind: service, device, module or X.509.
    ///
    /// # Errors
    /// [`ConnectionStringError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let mut parts: Vec<(&'static str, String)> = Vec::new();
        for (number, part) in text.split(';').enumerate() {
            let (key, value) = part.split_once('=').ok_or(ConnectionStringError::NoEqualsSign(number))?;
            if parts.iter().any(|(known, _)| *known == key) {
                return Err(ConnectionStringError::DuplicateKey(key.to_owned()));
            }
            let known = KEYS.iter().find(|known| **known == key);
            let known = known.ok_or_else(|| ConnectionStringError::UnknownKey(key.to_owned()))?;
            parts.push((known, value.to_owned()));
        }
        let parsed = Self { parts };
        parsed.check_complete()?;
        Ok(parsed)
    }

    fn check_complete(&self) -> Result<(), ConnectionStringError> {
        let has = |key| self.get(key).is_some();
        if has("SharedAccessKey") && has("x509") {
            return Err(ConnectionStringError::MixedAuthentication);
        }
        let device = has("DeviceId") && (has("SharedAccessKey") || has("x509"));
        let service = has("SharedAccessKeyName") && has("SharedAccessKey");
        if has("HostName") && (device || service) { Ok(()) } else { Err(ConnectionStringError::Incomplete) }
    }

    /// The value of a key; empty counts as missing.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let part = self.parts.iter().find(|(known, _)| *known == key);
        part.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The hub's host name, with its port if one is given.
    #[must_use]
    pub fn host_name(&self) -> &str {
        self.get("HostName").unwrap_or_default()
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            self.parts.iter().filter(|(key, _)| !key.starts_with("SharedAccess") || key.ends_with("Name"));
        formatter.debug_map().entries(shown.map(|(key, value)| (key, value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionStringError::{
        DuplicateKey, Incomplete, MixedAuthentication, NoEqualsSign, UnknownKey,
    };
    use super::*;

    #[test]
    fn service_device_and_module_strings_parse() {
        let service = "HostName=h:8443;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5==";
        assert_eq!(ConnectionString::parse(service).unwrap().get("SharedAccessKey"), Some("a2V5=="));
        let module =
            ConnectionString::parse("HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=a2V5").unwrap();
        assert_eq!((module.host_name(), module.get("ModuleId")), ("h", Some("m")));
        assert!(ConnectionString::parse("HostName=h;DeviceId=d;x509=true").is_ok());
    }

    #[test]
    fn each_broken_rule_is_named() {
        let cases = [
            ("YourIotHubConnectionString", NoEqualsSign(0)),
            ("HostName=h;", NoEqualsSign(1)),
            ("HostName=h;HostName=i", DuplicateKey("HostName".into())),
            ("HostName=h; SharedAccessKeyName=n", UnknownKey(" SharedAccessKeyName".into())),
            ("hostname=h", UnknownKey("hostname".into())),
            ("HostName=;SharedAccessKeyName=n;SharedAccessKey=k", Incomplete),
            ("HostName=h;SharedAccessSignature=s", Incomplete),
            ("HostName=h;DeviceId=d;SharedAccessKey=k;x509=true", MixedAuthentication),
        ];
        for (text, expected) in cases {
            assert_eq!(ConnectionString::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let parsed = ConnectionString::parse("HostName=h;DeviceId=d;SharedAccessKey=c2VjcmV0").unwrap();
        assert!(!format!("{parsed:?}").contains("c2VjcmV0"));
    }
}

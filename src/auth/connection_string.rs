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
    /// A key stands twice.
    #[error("a key stands twice")]
    DuplicateKey,
    /// Part number `part` (from zero) begins with no key; never shown, it may be a piece of a secret.
    #[error("part {part} begins with no known key")]
    UnknownKey {
        /// Which part, from zero.
        part: usize,
        /// The key it would be with other capitals or without spaces.
        meant: Option<&'static str>,
    },
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
        let split = |(number, part): (usize, &str)| {
            let (key, value) = part.split_once('=').ok_or(ConnectionStringError::NoEqualsSign(number))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let pairs = text.split(';').enumerate().map(split).collect::<Result<Vec<(String, String)>, _>>()?;
        let twice = |at: usize| pairs[..at].iter().any(|(key, _)| *key == pairs[at].0);
        if (0..pairs.len()).any(twice) {
            return Err(ConnectionStringError::DuplicateKey);
        }
        let named = |(part, (key, value)): (usize, (String, String))| Ok((known_key(&key, part)?, value));
        let parts = pairs.into_iter().enumerate().map(named).collect::<Result<_, _>>()?;
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

    /// All parts that are not empty.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.parts.iter().filter(|(_, value)| !value.is_empty()).cloned()
    }

    /// The hub's host name, with its port if one is given.
    #[must_use]
    pub fn host_name(&self) -> &str {
        self.get("HostName").unwrap_or_default()
    }
}

fn known_key(key: &str, part: usize) -> Result<&'static str, ConnectionStringError> {
    let find = |same: &dyn Fn(&str) -> bool| KEYS.iter().find(|known| same(known)).copied();
    let meant = || find(&|known| known.eq_ignore_ascii_case(key.trim()));
    find(&|known| known == key).ok_or_else(|| ConnectionStringError::UnknownKey { part, meant: meant() })
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
            ("HostName=h;HostName=i", DuplicateKey),
            ("HostName=h; SharedAccessKeyName=n", UnknownKey { part: 1, meant: Some("SharedAccessKeyName") }),
            ("hostname=h", UnknownKey { part: 0, meant: Some("HostName") }),
            ("HostName=h;c2VjcmV0==", UnknownKey { part: 1, meant: None }),
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

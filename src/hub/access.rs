//! Who may do what: shared access policies, and the tokens that are checked on every request and CONNECT.
//!
//! <https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas>

use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use super::entity::{Authentication, Identity};
use crate::auth::{SasKey, SasToken};
use crate::error::{Error, ErrorKind, Result};

/// The policy that may do everything.
pub const OWNER_POLICY: &str = "iothubowner";

/// What a shared access policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read identities.
    RegistryRead,
    /// Create, change and delete identities.
    RegistryWrite,
    /// Twins, direct methods, and what else a back end does.
    ServiceConnect,
    /// The endpoints of devices, in the name of any of them.
    DeviceConnect,
}

/// The policies of every IoT Hub.
const POLICIES: [(&str, &[Right]); 5] = [
    (OWNER_POLICY, &[Right::RegistryRead, Right::RegistryWrite, Right::ServiceConnect, Right::DeviceConnect]),
    ("service", &[Right::ServiceConnect]),
    ("device", &[Right::DeviceConnect]),
    ("registryRead", &[Right::RegistryRead]),
    ("registryReadWrite", &[Right::RegistryRead, Right::RegistryWrite]),
];

/// Why a token does not open what it was shown for: a reason for logs, not for the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied(pub &'static str);

/// The hub's names and policies: everything that tokens are checked against.
#[derive(Clone)]
pub struct Access {
    host_name: String,
    owner_key: String,
    policies: Vec<Policy>,
}

#[derive(Clone)]
struct Policy {
    name: &'static str,
    rights: &'static [Right],
    key: SasKey,
    /// The characters of the key in base64: what clients of Event Hubs sign with.
    characters: SasKey,
}

impl Policy {
    /// Whether it signed a token. That clients of Event Hubs made it is seen by the scheme of its resource.
    fn signed(&self, token: &SasToken) -> bool {
        token.signed_by(&self.key) || token.resource.contains("://") && token.signed_by(&self.characters)
    }
}

impl Access {
    /// The access rules of a hub with this host name (no port) and key of `iothubowner` (base64).
    /// The keys of the other policies follow from it.
    ///
    /// # Errors
    /// `InvalidKey` if the key is not base64, or empty.
    pub fn new(host_name: &str, owner_key: &str) -> Result<Self> {
        let owner = SasKey::from_base64(owner_key)?;
        if owner == SasKey::from_bytes(Vec::new()) {
            return Err(Error::new(ErrorKind::InvalidKey, "the key of iothubowner is empty"));
        }
        let policies = POLICIES.into_iter().map(|(name, rights)| {
            let owners = name == OWNER_POLICY;
            let key = if owners { owner.clone() } else { SasKey::from_bytes(owner.sign(name).to_vec()) };
            let text = if owners { owner_key.to_owned() } else { key.to_base64() };
            Policy { name, rights, key, characters: SasKey::from_bytes(text.into_bytes()) }
        });
        let policies = policies.collect();
        Ok(Self { host_name: host_name.to_owned(), owner_key: owner_key.to_owned(), policies })
    }

    /// The hub's host name, without a port.
    #[must_use]
    pub fn host_name(&self) -> &str {
        &self.host_name
    }

    /// The first label of the host name: what Azure calls the hub's name.
    #[must_use]
    pub fn hub_name(&self) -> &str {
        self.host_name.split('.').next().unwrap_or_default()
    }

    /// The key of `iothubowner`, base64.
    #[must_use]
    pub fn owner_key(&self) -> &str {
        &self.owner_key
    }

    /// Whether a host name stands for this hub: its own, or any that means this machine. A port is
    /// ignored, since clients put theirs into the name.
    #[must_use]
    pub fn is_this_hub(&self, host: &str) -> bool {
        let host = without_port(host);
        host.eq_ignore_ascii_case(&self.host_name)
            || host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Check a token of a shared access policy.
    ///
    /// # Errors
    /// [`Denied`] if the policy is unknown or lacks the right, the signature is wrong, the resource is
    /// not in its scope, or it has expired.
    pub fn check_policy(
        &self,
        token: &SasToken,
        right: Right,
        resource: &[&str],
        unix_seconds: u64,
    ) -> Result<(), Denied> {
        if !self.policy(token)?.rights.contains(&right) {
            return Err(Denied("the policy lacks the right"));
        }
        self.check_scope(token, resource, unix_seconds)
    }

    /// Check that a policy of this hub has signed a token for it, whatever it opens.
    ///
    /// # Errors
    /// [`Denied`] if the policy is unknown, the signature is wrong, the token is for another host, or it has expired.
    pub fn check_signature(&self, token: &SasToken, unix_seconds: u64) -> Result<(), Denied> {
        self.policy(token)?;
        self.scope(token, unix_seconds).map(drop)
    }

    /// The policy that has signed a token.
    fn policy(&self, token: &SasToken) -> Result<&Policy, Denied> {
        let name = token.policy.as_deref().ok_or(Denied("the token names no policy"))?;
        let policy = self.policies.iter().find(|policy| policy.name == name);
        let policy = policy.ok_or(Denied("there is no such policy"))?;
        if policy.signed(token) { Ok(policy) } else { Err(Denied("the signature is not the policy's")) }
    }

    /// Check a token that a device or module signed with one of its own keys.
    ///
    /// # Errors
    /// [`Denied`] if it has no keys or the signature is by neither, the resource is not in the token's
    /// scope, or it has expired.
    pub fn check_own_key(
        &self,
        token: &SasToken,
        identity: &Identity,
        resource: &[&str],
        unix_seconds: u64,
    ) -> Result<(), Denied> {
        let Authentication::Sas(keys) = &identity.authentication else {
            return Err(Denied("the identity doesn't use keys"));
        };
        let signed = [&keys.primary, &keys.secondary]
            .into_iter()
            .any(|key| SasKey::from_base64(key).is_ok_and(|key| token.signed_by(&key)));
        if !signed {
            return Err(Denied("the signature is by neither key"));
        }
        self.check_scope(token, resource, unix_seconds)
    }

    fn check_scope(&self, token: &SasToken, resource: &[&str], unix_seconds: u64) -> Result<(), Denied> {
        let scope = self.scope(token, unix_seconds)?;
        let covered = scope.len() <= resource.len()
            && scope.iter().zip(resource).all(|(scope, segment)| covers(scope, segment));
        if covered { Ok(()) } else { Err(Denied("the token is for another resource")) }
    }

    /// The segments of what a token is for, after the host.
    fn scope<'a>(&self, token: &'a SasToken, unix_seconds: u64) -> Result<Vec<&'a str>, Denied> {
        if token.expires_unix_seconds <= unix_seconds {
            return Err(Denied("the token has expired"));
        }
        let resource = token.resource.split_once("://").map_or(&*token.resource, |(_scheme, rest)| rest);
        let mut segments = resource.trim_end_matches('/').split('/');
        if !segments.next().is_some_and(|host| self.is_this_hub(host)) {
            return Err(Denied("the token is for another host"));
        }
        Ok(segments.collect())
    }
}

/// Clients differ in whether they encode a name before they encode the resource it is part of.
fn covers(scope: &str, segment: &str) -> bool {
    let decoded_again = percent_decode_str(scope).decode_utf8_lossy();
    scope.eq_ignore_ascii_case(segment) || decoded_again.eq_ignore_ascii_case(segment)
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::hub::entity::SymmetricKeys;

    const NOW: u64 = 1_700_000_000;

    fn access() -> Access {
        Access::new("myhub.azure-devices.net", &crate::hub::OwnerKey::WellKnown.choose()).unwrap()
    }

    fn token(access: &Access, policy: &str, host: &str, expires: u64) -> SasToken {
        let key = &access.policies.iter().find(|known| known.name == policy).unwrap().key;
        SasToken::parse(&key.service_token(host, policy, expires)).unwrap()
    }

    #[test]
    fn each_policy_opens_what_it_is_for() {
        use Right::{DeviceConnect, RegistryRead, RegistryWrite, ServiceConnect};
        let access = access();
        for (policy, _) in POLICIES {
            let token = token(&access, policy, "localhost:8443", NOW + 60);
            let rights: Vec<_> = [RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect]
                .into_iter()
                .filter(|right| access.check_policy(&token, *right, &["devices", "d"], NOW).is_ok())
                .collect();
            let expected = match policy {
                "iothubowner" => vec![RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect],
                "service" => vec![ServiceConnect],
                "device" => vec![DeviceConnect],
                "registryRead" => vec![RegistryRead],
                _ => vec![RegistryRead, RegistryWrite],
            };
            assert_eq!(rights, expected, "{policy}");
        }
    }

    #[test]
    fn a_token_counts_until_it_expires_and_only_with_its_own_signature() {
        let access = access();
        let mut token = token(&access, "service", "localhost", NOW);
        let check =
            |token: &SasToken, now| access.check_policy(token, Right::ServiceConnect, &["twins"], now);
        assert_eq!(check(&token, NOW - 1), Ok(()));
        assert_eq!(check(&token, NOW), Err(Denied("the token has expired")));
        token.policy = Some("registryRead".to_owned());
        assert_eq!(check(&token, NOW - 1), Err(Denied("the signature is not the policy's")));
        token.policy = Some("nobody".to_owned());
        assert_eq!(check(&token, NOW - 1), Err(Denied("there is no such policy")));
    }

    #[test]
    fn clients_of_event_hubs_sign_with_the_characters_of_the_key() {
        let access = access();
        let characters = SasKey::from_bytes(access.owner_key().as_bytes().to_vec());
        let check = |resource: &str| {
            let token = SasToken::parse(&characters.service_token(resource, OWNER_POLICY, NOW + 1)).unwrap();
            access.check_policy(&token, Right::ServiceConnect, &["events", "consumergroups", "g"], NOW)
        };
        assert_eq!(check("sb://localhost:8443/events"), Ok(()));
        assert_eq!(check("sb://localhost/other"), Err(Denied("the token is for another resource")));
        assert_eq!(check("localhost/events"), Err(Denied("the signature is not the policy's")));
    }

    #[test]
    fn any_name_of_this_machine_and_the_hubs_own_stand_for_the_hub() {
        let access = access();
        for host in [
            "localhost",
            "LOCALHOST:8443",
            "127.0.0.1:1",
            "127.0.0.88",
            "[::1]:8443",
            "::1",
            "MyHub.azure-devices.net",
        ] {
            assert!(access.is_this_hub(host), "{host}");
        }
        for host in ["", "example.com", "myhub", "10.0.0.1:8443", "localhost.example.com"] {
            assert!(!access.is_this_hub(host), "{host}");
        }
    }

    #[test]
    fn a_scope_covers_whole_segments_whatever_their_case_and_encoding() {
        let access = access();
        let keys = SymmetricKeys { primary: "Zm9vYmFy".into(), secondary: STANDARD.encode("other") };
        let identity = Identity::new("1".into(), Authentication::Sas(keys));
        let resource = ["devices", "dev#1", "modules", "m"];
        let check = |key: &str, scope: &str| {
            let text = SasKey::from_base64(key).unwrap().device_token(scope, NOW + 1);
            access.check_own_key(&SasToken::parse(&text).unwrap(), &identity, &resource, NOW)
        };
        for scope in [
            "localhost",
            "localhost/",
            "localhost/devices/dev#1",
            "localhost:1/DEVICES/Dev#1/modules/M",
            "localhost/devices/dev%231/modules/m",
            "sb://localhost:1/devices/dev#1/",
        ] {
            assert_eq!(check("Zm9vYmFy", scope), Ok(()), "{scope}");
        }
        assert_eq!(check(&STANDARD.encode("other"), "localhost/devices/dev#1"), Ok(()));
        for scope in
            ["localhost/devices/dev", "localhost/devices/dev#1/modules/m/x", "example.com/devices/dev#1", ""]
        {
            assert!(check("Zm9vYmFy", scope).is_err(), "{scope}");
        }
        assert_eq!(check("YmFy", "localhost"), Err(Denied("the signature is by neither key")));
    }

    #[test]
    fn a_key_that_is_no_base64_or_empty_is_refused() {
        for key in ["", "!", "a2V5Z"] {
            assert!(Access::new("localhost", key).is_err_and(|error| error.kind() == ErrorKind::InvalidKey));
        }
    }
}

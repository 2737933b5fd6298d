//! Shared access signatures: made by clients, parsed and checked by the hub.
//!
//! <https://learn.microsoft.com/azure/iot-hub/authenticate-authorize-sas>

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;

use crate::error::{Error, ErrorKind, Result};

const PREFIX: &str = "SharedAccessSignature ";
/// What Python's `quote(text, safe="")` leaves as it is: letters, digits and `_.-~`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
/// The same with `/` left too: Python's `quote(text)`.
const WITH_SLASH: &AsciiSet = &COMPONENT.remove(b'/');

/// Percent-encode everything but letters, digits and `_.-~` (upper-case hex, UTF-8).
#[must_use]
pub fn quote_component(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

/// Percent-encode as in forms: like [`quote_component`], but a space becomes `+`.
#[must_use]
pub fn quote_plus(text: &str) -> String {
    quote_component(text).replace("%20", "+")
}

/// A decoded shared access key; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SasKey(Vec<u8>);

impl SasKey {
    /// Decode a key from base64 as leniently as Python's `b64decode`, which skips characters outside
    /// the alphabet: keys that work with the official packages work here.
    ///
    /// # Errors
    /// `InvalidKey` if the padding does not fit; the message never shows the key.
    pub fn from_base64(text: &str) -> Result<Self> {
        let kept: String =
            text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')).collect();
        let end = kept.find('=').map_or(kept.len(), |first| first + (4 - first % 4) % 4);
        let decoded = kept.get(..end).and_then(|kept| lenient_trailing_bits().decode(kept).ok());
        decoded.map(Self).ok_or_else(|| {
            Error::new(ErrorKind::InvalidKey, "the shared access key is not valid base64; copy it as a whole")
        })
    }

    /// A key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The key of a device in an enrollment group: the HMAC-SHA256 of its registration id with the group's key.
    ///
    /// <https://learn.microsoft.com/azure/iot-dps/concepts-symmetric-key-attestation#group-enrollments>
    #[must_use]
    pub fn derive(&self, registration_id: &str) -> Self {
        Self(self.sign(registration_id).to_vec())
    }

    /// The key in base64, for those who are to have it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The HMAC-SHA256 of a text.
    #[must_use]
    pub fn sign(&self, text: &str) -> [u8; 32] {
        self.mac(text).finalize().into_bytes().into()
    }

    /// Whether a signature is this key's over the text, compared in constant time.
    #[must_use]
    pub fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        self.mac(text).verify_slice(signature).is_ok()
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        // HMAC takes keys of any length, so this default is never used.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        mac.update(text.as_bytes());
        mac
    }

    /// The token of a service client: `sr` is the host name quoted as in forms, `/` stays in `sig`,
    /// the policy's name goes in as it is.
    #[must_use]
    pub fn service_token(&self, host_name: &str, policy: &str, expires_unix_seconds: u64) -> String {
        let resource = quote_plus(host_name);
        let signature = STANDARD.encode(self.sign(&format!("{resource}\n{expires_unix_seconds}")));
        let signature = utf8_percent_encode(&signature, WITH_SLASH);
        format!("{PREFIX}sr={resource}&sig={signature}&se={expires_unix_seconds}&skn={policy}")
    }

    /// The token of a device, module or provisioning client for a resource such as
    /// `host/devices/device/modules/module`.
    #[must_use]
    pub fn device_token(&self, resource: &str, expires_unix_seconds: u64) -> String {
        let token = UnsignedToken::new(resource, expires_unix_seconds);
        let signature = STANDARD.encode(self.sign(&token.text_to_sign()));
        token.signed(&signature)
    }
}

/// The token of a device, module or provisioning client, before it is signed: by a key, or by someone who has it.
#[derive(Clone, Debug)]
pub struct UnsignedToken {
    quoted_resource: String,
    expires_unix_seconds: u64,
}

impl UnsignedToken {
    /// A token for a resource such as `host/devices/device/modules/module`.
    #[must_use]
    pub fn new(resource: &str, expires_unix_seconds: u64) -> Self {
        Self { quoted_resource: quote_component(resource), expires_unix_seconds }
    }

    /// What the signature is over.
    #[must_use]
    pub fn text_to_sign(&self) -> String {
        format!("{}\n{}", self.quoted_resource, self.expires_unix_seconds)
    }

    /// The token with its signature, here in base64.
    #[must_use]
    pub fn signed(&self, signature: &str) -> String {
        let (resource, signature) = (&self.quoted_resource, quote_component(signature));
        format!("{PREFIX}sr={resource}&sig={signature}&se={}", self.expires_unix_seconds)
    }
}

/// Python accepts a last character whose unused bits are not zero.
fn lenient_trailing_bits() -> base64::engine::GeneralPurpose {
    use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
}

impl fmt::Debug for SasKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SasKey(…)")
    }
}

/// A parsed token, as the hub checks it. Fields may come in any order.
#[derive(Clone, PartialEq, Eq)]
pub struct SasToken {
    /// The resource exactly as sent: the signature is over this text, however it was encoded.
    pub raw_resource: String,
    /// The resource, percent-decoded.
    pub resource: String,
    /// The signature's bytes.
    pub signature: Vec<u8>,
    /// When it expires, seconds since 1970.
    pub expires_unix_seconds: u64,
    /// The policy's name; none for a device's own key.
    pub policy: Option<String>,
}

impl SasToken {
    /// Parse a token.
    ///
    /// # Errors
    /// `InvalidArgument`, saying which part is missing or can't be read; never with the token.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |what: &str| Error::new(ErrorKind::InvalidArgument, format!("not a SAS token: {what}"));
        let fields = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| refuse("it does not begin with SharedAccessSignature"))?;
        let field = |name: &str| {
            let found =
                fields.split('&').filter_map(|field| field.split_once('=')).find(|(key, _)| *key == name);
            found.map(|(_, value)| value)
        };
        let raw_resource = field("sr").ok_or_else(|| refuse("sr is missing"))?.to_owned();
        let signature = decode(field("sig").ok_or_else(|| refuse("sig is missing"))?);
        let expiry = field("se").ok_or_else(|| refuse("se is missing"))?;
        Ok(Self {
            resource: decode(&raw_resource),
            raw_resource,
            signature: STANDARD.decode(signature).map_err(|_| refuse("sig is not base64"))?,
            expires_unix_seconds: expiry.parse().map_err(|_| refuse("se is not a number of seconds"))?,
            policy: field("skn").filter(|name| !name.is_empty()).map(decode),
        })
    }

    /// Whether the token was signed with this key. Says nothing about its scope or expiry.
    #[must_use]
    pub fn signed_by(&self, key: &SasKey) -> bool {
        key.verifies(&format!("{}\n{}", self.raw_resource, self.expires_unix_seconds), &self.signature)
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl fmt::Debug for SasToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("SasToken");
        shown.field("resource", &self.resource).field("policy", &self.policy);
        shown.field("expires_unix_seconds", &self.expires_unix_seconds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "c2VjcmV0LWtleS1mb3ItdGVzdGluZy1vbmx5LTAwMDE=";

    #[test]
    fn service_tokens_equal_those_of_the_official_package() {
        let key = SasKey::from_base64(KEY).unwrap();
        assert_eq!(
            key.service_token("contoso-hub.azure-devices.net", "iothubowner", 1_700_003_600),
            "SharedAccessSignature sr=contoso-hub.azure-devices.net&sig=BT6zwVoIo6c4H/fiC9nyDB3nhqF0ZIxOMGIPFphUAXE%3D&se=1700003600&skn=iothubowner"
        );
        assert_eq!(
            key.service_token("Contoso Hub/ü:8443", "k&n=é", 1_700_003_600),
            "SharedAccessSignature sr=Contoso+Hub%2F%C3%BC%3A8443&sig=IJZPNro6ZI9LK5dTmwhIvMWSeWIlU8Jw5%2Bppi/ozPDc%3D&se=1700003600&skn=k&n=é"
        );
    }

    #[test]
    fn device_tokens_equal_those_of_the_official_package() {
        let key = SasKey::from_base64("Zm9vYmFy").unwrap();
        assert_eq!(
            key.device_token("myhub.test-devices.net/devices/dev1/modules/mod1", 1_795_421_850),
            "SharedAccessSignature sr=myhub.test-devices.net%2Fdevices%2Fdev1%2Fmodules%2Fmod1&sig=yjxGa5W8QQrdxgVa0yxFxS0ixDt1LlpPQ5Ov%2Fsu%2B5fc%3D&se=1795421850"
        );
    }

    #[test]
    fn a_key_is_derived_from_its_groups_as_documented() {
        let group =
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let device = SasKey::from_base64(group).unwrap().derive("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
        assert_eq!(device.to_base64(), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
    }

    #[test]
    fn a_key_is_decoded_as_leniently_as_by_python() {
        let plain = SasKey::from_base64("Zm9vYmFy").unwrap();
        assert_eq!(SasKey::from_base64("Zm9v!!YmFy\n").unwrap(), plain);
        assert_eq!(SasKey::from_base64("!!!").unwrap(), SasKey::from_bytes(Vec::new()));
        assert!(SasKey::from_base64("Zm9vY").is_err());
    }

    #[test]
    fn a_parsed_token_is_signed_by_its_own_key_only() {
        let key = SasKey::from_base64(KEY).unwrap();
        for text in [key.service_token("h:8443", "owner", 17), key.device_token("h/devices/d", 17)] {
            let token = SasToken::parse(&text).unwrap();
            assert!(token.signed_by(&key));
            assert!(!token.signed_by(&SasKey::from_base64("Zm9vYmFy").unwrap()));
            assert_eq!(token.expires_unix_seconds, 17);
        }
        let lower_case_hex = SasToken::parse("SharedAccessSignature se=9&sr=h%2fdevices&sig=Zm9v").unwrap();
        assert_eq!((&*lower_case_hex.raw_resource, &*lower_case_hex.resource), ("h%2fdevices", "h/devices"));
    }

    #[test]
    fn broken_tokens_are_refused_without_showing_them() {
        for text in
            ["", "Bearer x", "SharedAccessSignature sr=h&se=1", "SharedAccessSignature sr=h&sig=*&se=1"]
        {
            let error = SasToken::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}

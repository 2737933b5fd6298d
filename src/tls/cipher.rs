//! Cipher suites by the names OpenSSL has for them, for programs that restrict what is offered.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite;

use crate::error::{Error, ErrorKind, Result};

/// TLS 1.2: the `cipher` option of programs has never reached TLS 1.3.
const SUITES: [(&str, SupportedCipherSuite); 6] = [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES256-GCM-SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-AES128-GCM-SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The suites of these names, in their order; those that aren't built in are left out.
///
/// # Errors
/// `TlsOption` if none is left.
pub fn cipher_suites(openssl_names: &[String]) -> Result<Vec<SupportedCipherSuite>> {
    let find = |name: &String| SUITES.iter().find(|(known, _)| known == name).map(|(_, suite)| *suite);
    let found: Vec<_> = openssl_names.iter().filter_map(find).collect();
    if found.is_empty() {
        let known = SUITES.map(|(name, _)| name).join(", ");
        let text = format!("No cipher can be selected. There are {known}");
        return Err(Error::new(ErrorKind::TlsOption, text));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_found_by_openssls_names_in_the_order_given() {
        let names = ["ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-GCM-SHA384"];
        let found = cipher_suites(&names.map(str::to_owned)).unwrap();
        let expected = [
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn names_without_a_suite_are_refused() {
        let error = cipher_suites(&["AES128-SHA".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TlsOption);
        assert!(error.message().starts_with("No cipher can be selected."));
    }
}

//! What is asked, and what is answered.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::error::{Error, ErrorKind, Result};

/// What to ask; the client adds host and user agent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<Bytes>,
}

impl Request {
    /// A request from text.
    ///
    /// # Errors
    /// `InvalidArgument` if a header can't be sent, for instance because it holds a line break.
    pub fn new(
        method: &str,
        target: String,
        headers: &[(String, String)],
        body: Option<Bytes>,
    ) -> Result<Self> {
        let refuse = |text: String| Error::new(ErrorKind::InvalidArgument, text);
        let method = method.parse().map_err(|_| refuse(format!("{method:?} is no HTTP method")))?;
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let key: HeaderName = name.parse().map_err(|_| refuse(format!("{name:?} is no header name")))?;
            let value = HeaderValue::from_bytes(value.as_bytes());
            let mut value = value.map_err(|_| refuse(format!("the header {name} can't hold this value")))?;
            value.set_sensitive(key == AUTHORIZATION);
            map.append(key, value);
        }
        Ok(Self { method, target, headers: map, body })
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase as it was sent.
    pub reason: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The address that was asked.
    pub url: String,
}

impl Response {
    /// How long to wait before asking again, if the server says so: in seconds, or until a time (RFC 9110, 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let time = httpdate::parse_http_date(text).ok()?;
        Some(time.duration_since(SystemTime::now()).unwrap_or_default())
    }

    pub(super) async fn read(mut answer: reqwest::Response, url: String) -> reqwest::Result<Self> {
        let status = answer.status();
        let reason = answer.extensions().get::<hyper::ext::ReasonPhrase>().map_or_else(
            || status.canonical_reason().unwrap_or_default().to_owned(),
            |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        );
        let headers = std::mem::take(answer.headers_mut());
        Ok(Self { status: status.as_u16(), reason, headers, body: answer.bytes().await?, url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_names_seconds_or_a_time() {
        let after = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            let reason = String::new();
            Response { status: 429, reason, headers, body: Bytes::new(), url: String::new() }.retry_after()
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!((58..=60).contains(&after(&soon).unwrap().as_secs()));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn a_header_with_a_line_break_is_refused() {
        let headers = [("If-Match".to_owned(), "a\r\nHost: b".to_owned())];
        let error = Request::new("GET", "/".into(), &headers, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("If-Match"));
    }

    #[test]
    fn a_token_is_never_shown() {
        let headers = [("Authorization".to_owned(), "SharedAccessSignature sig=x".to_owned())];
        let request = Request::new("GET", "/".into(), &headers, None).unwrap();
        assert!(!format!("{request:?}").contains("sig="));
    }
}

//! One hub's REST endpoint: a signature per request, retries, redirections.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Method, Url};
use tokio::time::{Instant, sleep, timeout_at};

use super::retry::{Outcome, RetryPolicy, gave_up, is_repeatable};
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{self, Client, Failure, Origin, Request, Settings};
use crate::tls::Roots;

/// How long a signature is good for.
const TOKEN_SECONDS: u64 = 3600;
const MOST_REDIRECTS: usize = 10;

/// A shared access policy: its name and key.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The policy's name, such as `iothubowner`.
    pub policy: String,
    /// Its key.
    pub key: SasKey,
}

/// What the hub answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The last answer.
    pub answer: http::Response,
    /// How many times it was asked.
    pub attempts: u32,
    /// Whether the hub failed (with 500, 503, ...) every time and was given up.
    pub given_up: bool,
    /// How long ago the first attempt began that may have had its effect, if one before the last may have.
    pub in_doubt: Option<Duration>,
}

/// A hub's REST endpoint.
#[derive(Debug)]
pub struct Transport {
    host_name: String,
    credentials: Option<Credentials>,
    clock: Clock,
    client: Client,
    /// The last signature: it is the same for all requests of one second.
    token: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    /// In seconds since 1970.
    expires: u64,
    /// The Authorization header, marked as one that is never shown.
    value: HeaderValue,
}

impl Transport {
    /// A transport to `host_name` (with a port if it is not 443). Without credentials, requests bring their own
    /// Authorization header. Does no I/O.
    ///
    /// # Errors
    /// `InvalidArgument` if the user agent can't be sent.
    pub fn new(
        host_name: String,
        user_agent: &str,
        credentials: Option<Credentials>,
        roots: Roots,
        clock: Clock,
    ) -> Result<Self> {
        let origin = Origin::Https(host_name.clone());
        let client = Client::new(Settings::new(origin, user_agent.to_owned(), roots))?;
        Ok(Self { host_name, credentials, clock, client, token: Mutex::default() })
    }

    /// Send a request and wait for the answer, `limit` at most in all, trying again where that is safe. A POST or PATCH
    /// that may be done twice is `repeatable`. Every status is an answer.
    ///
    /// # Errors
    /// `ConnectionFailed`, `ConnectionDropped`, `Tls` or `Timeout`, after the last attempt; `InvalidArgument` if
    /// the address can't be used; `System` if the trusted certificates can't be read.
    pub async fn request(
        &self,
        mut request: Request,
        repeatable: bool,
        limit: Duration,
        retry: RetryPolicy,
    ) -> Result<Response> {
        let repeatable = repeatable || is_repeatable(&request.method);
        let deadline = Instant::now() + limit;
        let mut attempts = 1;
        let mut doubtful: Option<Instant> = None;
        loop {
            let began = Instant::now();
            self.sign(&mut request);
            let answer = timeout_at(deadline, self.attempt(&request)).await;
            let answer = answer.map_err(|_| self.client.late(limit))?;
            let outcome = match &answer {
                Ok(answer) => Outcome::answered(answer),
                Err(failure) => Outcome::Unanswered(failure.stage),
            };
            let pause = retry.pause(repeatable, attempts, outcome);
            // An answer now says more than a time-out later.
            let Some(pause) = pause.filter(|pause| Instant::now() + *pause < deadline) else {
                let answer = answer.map_err(|failure| failure.error)?;
                let given_up = gave_up(repeatable, attempts, outcome);
                let in_doubt = doubtful.map(|began| began.elapsed());
                return Ok(Response { answer, attempts, given_up, in_doubt });
            };
            if outcome.leaves_doubt() {
                doubtful = doubtful.or(Some(began));
            }
            sleep(pause).await;
            attempts += 1;
        }
    }

    /// End the connections; a request afterwards opens new ones.
    pub fn close(&self) {
        self.client.close();
    }

    async fn attempt(&self, request: &Request) -> Result<http::Response, Failure> {
        let mut redirected: Option<Request> = None;
        for _ in 0..MOST_REDIRECTS {
            let answer = self.client.send(redirected.as_ref().unwrap_or(request)).await?;
            let Some(target) = redirection(&request.method, &answer) else { return Ok(answer) };
            redirected = Some(Request { target, ..request.clone() });
        }
        let text = format!("{} redirected too many times", self.host_name);
        Err(Failure::hopeless(Error::new(ErrorKind::Protocol, text)))
    }

    fn sign(&self, request: &mut Request) {
        let Some(Credentials { policy, key }) = &self.credentials else { return };
        let expires = self.clock.unix_seconds() + TOKEN_SECONDS;
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if token.as_ref().is_none_or(|token| token.expires != expires) {
            let text = key.service_token(&self.host_name, policy, expires);
            *token = HeaderValue::try_from(text).ok().map(|mut value| {
                value.set_sensitive(true);
                Token { expires, value }
            });
        }
        if let Some(token) = token.as_ref() {
            request.headers.insert(AUTHORIZATION, token.value.clone());
        }
    }
}

/// The path and query with which a GET is to be repeated. Only on the same host: the token is for no other.
fn redirection(method: &Method, answer: &http::Response) -> Option<String> {
    if *method != Method::GET || !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let asked = Url::parse(&answer.url).ok()?;
    let elsewhere = asked.join(answer.headers.get(LOCATION)?.to_str().ok()?).ok()?;
    if elsewhere.origin() != asked.origin() {
        return None;
    }
    let query = elsewhere.query().map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("{}{query}", elsewhere.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(host_name: &str) -> Transport {
        let key = SasKey::from_base64("c2VjcmV0").unwrap();
        let credentials = Credentials { policy: "iothubowner".into(), key };
        Transport::new(host_name.into(), "test", Some(credentials), Roots::System, Clock::manual(0)).unwrap()
    }

    fn get() -> Request {
        Request::new("GET", "/devices/d".into(), &[], None).unwrap()
    }

    #[tokio::test]
    async fn a_host_name_that_is_none_is_refused() {
        let error = transport("my hub")
            .request(get(), false, Duration::from_secs(1), RetryPolicy::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[tokio::test]
    async fn the_last_failure_is_told_when_no_time_is_left_for_another_attempt() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = Instant::now();
        let error = transport(&free.to_string())
            .request(get(), false, Duration::from_secs(1), RetryPolicy::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionFailed);
        assert!(error.message().contains(&free.to_string()) && error.message().contains("ferrohub up"));
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn requests_of_one_second_have_one_signature_and_later_ones_another() {
        let transport = transport("h");
        let signed = || {
            let mut request = get();
            transport.sign(&mut request);
            request.headers[AUTHORIZATION].to_str().unwrap().to_owned()
        };
        let first = signed();
        assert!(first.contains("&se=3600&"), "{first}");
        assert_eq!(signed(), first);
        transport.clock.advance(Duration::from_secs(1));
        assert!(signed().contains("&se=3601&"));
    }

    #[test]
    fn debug_shows_no_key_and_no_token() {
        let transport = transport("h");
        transport.sign(&mut get());
        let shown = format!("{transport:?}");
        assert!(shown.contains("iothubowner") && !shown.contains("c2VjcmV0") && !shown.contains("115, 101"));
        assert!(!shown.contains("sig="), "{shown}");
    }
}

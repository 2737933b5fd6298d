//! One hub's REST endpoint: a kept pool of HTTP/1.1 connections, a signature per request, retries.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use tokio::time::{Instant, sleep, timeout_at};

use super::failure::{self, Failure};
use super::retry::{Outcome, gave_up, pause_before_retry};
use crate::auth::SasKey;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::{self, Roots};

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Shorter than the four minutes after which load balancers forget a silent connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
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

/// What to ask; the transport adds host, user agent and authorization.
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
            let value = value.map_err(|_| refuse(format!("the header {name} can't hold this value")))?;
            map.append(key, value);
        }
        Ok(Self { method, target, headers: map, body })
    }
}

/// What the hub answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase as the hub sent it.
    pub reason: String,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The address that was asked.
    pub url: String,
    /// How many times it was asked.
    pub attempts: u32,
    /// Whether the hub failed (with 500, 503, ...) every time and was given up.
    pub given_up: bool,
}

/// A hub's REST endpoint.
#[derive(Debug)]
pub struct Transport {
    host_name: String,
    user_agent: HeaderValue,
    credentials: Option<Credentials>,
    /// Unless the environment names a bundle.
    roots: Roots,
    clock: Clock,
    client: Mutex<Option<(u32, reqwest::Client)>>,
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
        let user_agent = HeaderValue::from_str(user_agent).map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, "the user agent can't be sent").caused_by(error)
        })?;
        Ok(Self { host_name, user_agent, credentials, roots, clock, client: Mutex::default() })
    }

    /// Send a request and wait for the answer, `limit` at most in all, trying again where that is safe.
    /// Every status is an answer.
    ///
    /// # Errors
    /// `ConnectionFailed`, `ConnectionDropped`, `Tls` or `Timeout`, after the last attempt; `InvalidArgument` if
    /// the address can't be used; `System` if the trusted certificates can't be read.
    pub async fn request(&self, request: Request, limit: Duration) -> Result<Response> {
        let deadline = Instant::now() + limit;
        let url = self.address(&request.target)?;
        let mut attempt = 1;
        loop {
            notice_closed_connections().await;
            let answer = timeout_at(deadline, self.attempt(&request, url.clone())).await;
            let answer = answer.map_err(|_| self.timed_out(limit))?;
            let outcome = match &answer {
                Ok((_, outcome)) => *outcome,
                Err(failure) => failure.outcome,
            };
            let pause = pause_before_retry(&request.method, attempt, outcome);
            // An answer now says more than a time-out later.
            let Some(pause) = pause.filter(|pause| Instant::now() + *pause < deadline) else {
                let (response, _) = answer.map_err(|failure| failure.error)?;
                let given_up = gave_up(&request.method, attempt, outcome);
                return Ok(Response { attempts: attempt, given_up, ..response });
            };
            sleep(pause).await;
            attempt += 1;
        }
    }

    fn address(&self, target: &str) -> Result<Url> {
        Url::parse(&format!("https://{}{target}", self.host_name)).map_err(|error| {
            let text = format!("the host name {:?} can't be used in an address", self.host_name);
            Error::new(ErrorKind::InvalidArgument, text).caused_by(error)
        })
    }

    fn timed_out(&self, limit: Duration) -> Error {
        let text = format!("{} did not answer within {} s", self.host_name, limit.as_secs_f64());
        Error::new(ErrorKind::Timeout, text)
    }

    async fn attempt(&self, request: &Request, mut url: Url) -> Result<(Response, Outcome), Failure> {
        let client = self.client().map_err(|error| Failure { error, outcome: Outcome::Hopeless })?;
        for _ in 0..MOST_REDIRECTS {
            let sent = self.send(&client, request, url.clone()).await;
            let answer = sent.map_err(|error| self.failed(&error))?;
            if let Some(elsewhere) = redirection(&request.method, &url, &answer) {
                url = elsewhere;
                continue;
            }
            return self.read(answer, url).await;
        }
        Err(failure::too_many_redirects(&self.host_name))
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        request: &Request,
        url: Url,
    ) -> reqwest::Result<reqwest::Response> {
        let mut building = client.request(request.method.clone(), url).headers(request.headers.clone());
        if let Some(token) = self.token() {
            building = building.header(reqwest::header::AUTHORIZATION, token);
        }
        // A body-less DELETE or POST says so, as the official package does.
        let length_is_expected = request.method != Method::GET;
        match &request.body {
            Some(body) => building = building.body(body.clone()),
            None if length_is_expected => building = building.header(reqwest::header::CONTENT_LENGTH, 0),
            None => {}
        }
        building.send().await
    }

    fn token(&self) -> Option<HeaderValue> {
        let Credentials { policy, key } = self.credentials.as_ref()?;
        let expires = self.clock.unix_seconds() + TOKEN_SECONDS;
        let token = key.service_token(&self.host_name, policy, expires);
        let mut value = HeaderValue::from_bytes(token.as_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    async fn read(&self, answer: reqwest::Response, url: Url) -> Result<(Response, Outcome), Failure> {
        let status = answer.status();
        let reason = answer.extensions().get::<hyper::ext::ReasonPhrase>().map_or_else(
            || status.canonical_reason().unwrap_or_default().to_owned(),
            |reason| text(reason.as_bytes()),
        );
        let headers = answer.headers();
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let outcome =
            Outcome::Answered { status: status.as_u16(), retry_after: retry_after.map(Duration::from_secs) };
        let headers =
            headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        let body = answer.bytes().await.map_err(|error| self.failed(&error))?;
        let status = status.as_u16();
        let url = url.into();
        Ok((Response { status, reason, headers, body, url, attempts: 1, given_up: false }, outcome))
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        let failure = failure::explain(error, &self.host_name);
        if failure.error.kind() == ErrorKind::Tls {
            // A local hub may have made a new CA meanwhile: the next call reads whom to trust anew.
            *self.slot() = None;
        }
        failure
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<(u32, reqwest::Client)>> {
        self.client.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The connection pool, made at first use. A forked child makes its own: the parent's connections are not
    /// served there, and not even closing them would be right.
    fn client(&self) -> Result<reqwest::Client> {
        let process = std::process::id();
        let mut slot = self.slot();
        if let Some((_, client)) = slot.as_ref().filter(|(owner, _)| *owner == process) {
            return Ok(client.clone());
        }
        let client = self.build_client()?;
        std::mem::forget(slot.replace((process, client.clone())));
        Ok(client)
    }

    fn build_client(&self) -> Result<reqwest::Client> {
        let roots = bundle_from_environment().map_or_else(|| self.roots.clone(), Roots::Bundle);
        let tls = tls::client_config(&self.host_name, &roots, &["http/1.1"])?;
        let mut always = HeaderMap::new();
        always.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .http1_only()
            .http1_title_case_headers()
            .user_agent(self.user_agent.clone())
            .default_headers(always)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT);
        if tls::is_loopback(&self.host_name) {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| {
            Error::new(ErrorKind::System, "the HTTP client could not be set up").caused_by(error)
        })
    }
}

/// Let the runtime look at its sockets, and then the tasks of connections that the hub has closed meanwhile: they
/// leave the pool, and no request is written into one of them.
async fn notice_closed_connections() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// Where a GET is to be repeated. Only on the same host: the token is for no other.
fn redirection(method: &Method, asked: &Url, answer: &reqwest::Response) -> Option<Url> {
    if *method != Method::GET || !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    asked.join(location).ok().filter(|elsewhere| elsewhere.origin() == asked.origin())
}

/// The variables of the requests package: a file or folder of certificates that replaces the system's.
fn bundle_from_environment() -> Option<std::path::PathBuf> {
    let names = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
    let mut values = names.iter().filter_map(std::env::var_os);
    values.find(|value| !value.is_empty()).map(Into::into)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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

    #[test]
    fn a_header_with_a_line_break_is_refused() {
        let headers = [("If-Match".to_owned(), "a\r\nHost: b".to_owned())];
        let error = Request::new("GET", "/".into(), &headers, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("If-Match"));
    }

    #[tokio::test]
    async fn a_host_name_that_is_none_is_refused() {
        let error = transport("my hub").request(get(), Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[tokio::test]
    async fn the_last_failure_is_told_when_no_time_is_left_for_another_attempt() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let started = Instant::now();
        let error = transport(&free.to_string()).request(get(), Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionFailed);
        assert!(error.message().contains(&free.to_string()) && error.message().contains("ferrohub up"));
        assert!(started.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", transport("h"));
        assert!(shown.contains("iothubowner") && !shown.contains("c2VjcmV0") && !shown.contains("115, 101"));
    }
}

//! One server's pool of connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{ClientBuilder, Method, Url, redirect};
use rustls::{ClientConfig, SupportedCipherSuite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Failure, Origin, Request, Response, Way, failure};
use crate::error::{Error, ErrorKind, Result};
use crate::tls::{self, Identity, Roots};

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Shorter than the four minutes after which load balancers forget a silent connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a client is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it asks.
    pub origin: Origin,
    /// By which way.
    pub way: Way,
    /// What it says it is.
    pub user_agent: String,
    /// Whom to trust. Unless they are given as text, `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE` replace them, as they
    /// do for the official packages.
    pub roots: Roots,
    /// The certificate to show.
    pub identity: Option<Identity>,
    /// The cipher suites to offer; None: all there are.
    pub cipher_suites: Option<Vec<SupportedCipherSuite>>,
}

impl Settings {
    /// Settings with which nothing is shown and the environment names proxies.
    #[must_use]
    pub fn new(origin: Origin, user_agent: String, roots: Roots) -> Self {
        let way = Way::Environment;
        Self { origin, way, user_agent, roots, identity: None, cipher_suites: None }
    }
}

/// Sends requests to one server, on connections that it keeps for a minute.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    user_agent: HeaderValue,
    /// With the process that made it.
    pool: Mutex<Option<(u32, reqwest::Client)>>,
}

impl Client {
    /// A client that isn't connected yet. Does no I/O.
    ///
    /// # Errors
    /// `InvalidArgument` if the user agent can't be sent.
    pub fn new(settings: Settings) -> Result<Self> {
        let user_agent = HeaderValue::from_str(&settings.user_agent).map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, "the user agent can't be sent").caused_by(error)
        })?;
        Ok(Self { settings, user_agent, pool: Mutex::default() })
    }

    /// Send a request once and wait for the answer; every status is one. Redirections are not followed. To be run on
    /// the runtime's own threads: only there it notices connections that the server has closed meanwhile.
    ///
    /// # Errors
    /// [`Failure`], with how far the request came.
    pub async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let url = self.settings.origin.url(&request.target).map_err(Failure::hopeless)?;
        let pool = self.pool().map_err(Failure::hopeless)?;
        notice_closed_connections().await;
        exchange(&pool, request, url).await.map_err(|error| self.failed(&error))
    }

    /// Send a request once, in a task of the runtime, wherever this is called; dropped, it ends the request.
    ///
    /// # Errors
    /// Those of [`Client::send`]; `Timeout` after `limit` (None: never).
    pub async fn ask(self: &Arc<Self>, request: Request, limit: Option<Duration>) -> Result<Response> {
        let client = Arc::clone(self);
        let mut task = JoinSet::new();
        task.spawn(async move { client.send(&request).await });
        let ended = match limit {
            Some(limit) => timeout(limit, task.join_next()).await.map_err(|_| self.late(limit))?,
            None => task.join_next().await,
        };
        let ended = ended.and_then(std::result::Result::ok);
        let answer = ended.ok_or_else(|| Error::new(ErrorKind::Cancelled, "the request was ended"))?;
        answer.map_err(|failure| failure.error)
    }

    /// The error for a caller who waits no longer than this.
    #[must_use]
    pub fn late(&self, limit: Duration) -> Error {
        let text = format!("{} did not answer within {} s", self.settings.origin, limit.as_secs_f64());
        Error::new(ErrorKind::Timeout, text)
    }

    /// End the connections that nobody uses; a request afterwards opens new ones.
    pub fn close(&self) {
        if let Some((owner, pool)) = self.slot().take()
            && owner != std::process::id()
        {
            std::mem::forget(pool);
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Failure {
        let failure = failure::explain(error, &self.settings.origin, &self.settings.way);
        if failure.error.kind() == ErrorKind::Tls {
            // A local hub may have made a new CA meanwhile: the next call reads whom to trust anew.
            *self.slot() = None;
        }
        failure
    }

    fn slot(&self) -> MutexGuard<'_, Option<(u32, reqwest::Client)>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection pool, made at first use. A forked child makes its own: the parent's connections are not
    /// served there, and not even closing them would be right.
    fn pool(&self) -> Result<reqwest::Client> {
        let process = std::process::id();
        let mut slot = self.slot();
        if let Some((_, pool)) = slot.as_ref().filter(|(owner, _)| *owner == process) {
            return Ok(pool.clone());
        }
        let pool = self.build()?;
        std::mem::forget(slot.replace((process, pool.clone())));
        Ok(pool)
    }

    fn build(&self) -> Result<reqwest::Client> {
        let mut always = HeaderMap::new();
        always.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*self.tls()?).clone())
            .http1_only()
            .http1_title_case_headers()
            .user_agent(self.user_agent.clone())
            .default_headers(always)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT);
        let builder = through_socket(builder, &self.settings.origin)?;
        let builder = self.settings.way.apply(builder, &self.settings.origin)?;
        builder.build().map_err(|error| {
            Error::new(ErrorKind::System, "the HTTP client could not be set up").caused_by(error)
        })
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        let Origin::Https(host) = &self.settings.origin else { return tls::unused_config() };
        let roots = match (&self.settings.roots, bundle_from_environment()) {
            (Roots::System | Roots::Bundle(_), Some(bundle)) => Roots::Bundle(bundle),
            (roots, _) => roots.clone(),
        };
        let suites = self.settings.cipher_suites.as_deref();
        let mut config = tls::device_config(host, &roots, self.settings.identity.as_ref(), suites)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

async fn exchange(pool: &reqwest::Client, request: &Request, url: Url) -> reqwest::Result<Response> {
    let address = url.as_str().to_owned();
    let mut asking = reqwest::Request::new(request.method.clone(), url);
    asking.headers_mut().clone_from(&request.headers);
    // A body-less DELETE or POST says so, as the official packages do.
    let length_is_expected = request.method != Method::GET;
    match &request.body {
        Some(body) => *asking.body_mut() = Some(body.clone().into()),
        None if length_is_expected => {
            asking.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
    Response::read(pool.execute(asking).await?, address).await
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
fn through_socket(builder: ClientBuilder, origin: &Origin) -> Result<ClientBuilder> {
    Ok(match origin {
        Origin::Unix(path) => builder.unix_socket(path.as_path()),
        Origin::Https(_) | Origin::Http(_) => builder,
    })
}

#[cfg(not(unix))]
fn through_socket(builder: ClientBuilder, origin: &Origin) -> Result<ClientBuilder> {
    match origin {
        Origin::Unix(path) => {
            let text = format!("{} can't be used: this system has no Unix sockets", path.display());
            Err(Error::new(ErrorKind::InvalidArgument, text))
        }
        Origin::Https(_) | Origin::Http(_) => Ok(builder),
    }
}

/// Let the runtime look at its sockets, and then the tasks of connections that the server has closed meanwhile: they
/// leave the pool, and no request is written into one of them.
async fn notice_closed_connections() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// The variables of the requests package: a file or folder of certificates that replaces the system's.
fn bundle_from_environment() -> Option<PathBuf> {
    let names = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];
    let mut values = names.iter().filter_map(std::env::var_os);
    values.find(|value| !value.is_empty()).map(Into::into)
}

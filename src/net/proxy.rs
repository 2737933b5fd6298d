//! A proxy between a client and its hub. Only who names one gets one: the environment is not asked, as it is by
//! clients of REST, so a loopback name never goes through a proxy by accident.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{authority, http_proxy, socks, tcp};
use crate::error::{Error, ErrorKind, Result};

/// For the proxy to open the way, its own look-up and connecting included.
const PROXY_TIME: Duration = Duration::from_secs(30);

/// How a proxy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// The method CONNECT of HTTP: RFC 9110, 9.3.6.
    Http,
    /// SOCKS 4, and 4A for host names.
    Socks4,
    /// SOCKS 5: RFC 1928, with user names as in RFC 1929.
    Socks5,
}

/// A proxy: what it speaks, where it is, and who uses it. It looks up the names of its targets itself.
#[derive(Clone)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Its host name or address, without a port.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who uses it.
    pub user_name: Option<String>,
    /// The password of the user; SOCKS 4 knows none.
    pub password: Option<String>,
}

impl Proxy {
    /// Open a way to this target.
    ///
    /// # Errors
    /// `Proxy`, with what the proxy answered.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream> {
        let opening = async {
            let mut stream = tcp::connect(&self.host, self.port).await.map_err(Refusal::Unreachable)?;
            match self.kind {
                ProxyKind::Http => http_proxy::connect(&mut stream, self, host, port).await?,
                ProxyKind::Socks4 => socks::connect_4(&mut stream, self, host, port).await?,
                ProxyKind::Socks5 => socks::connect_5(&mut stream, self, host, port).await?,
            }
            Ok(stream)
        };
        let late = Refusal::Lost(io::Error::new(io::ErrorKind::TimedOut, "timed out"));
        let opened = timeout(PROXY_TIME, opening).await.unwrap_or(Err(late));
        opened.map_err(|refusal| self.error(refusal, &authority(host, port)))
    }

    fn error(&self, refusal: Refusal, target: &str) -> Error {
        let failed = |what: String| Error::new(ErrorKind::Proxy, format!("the proxy {self} {what}"));
        match refusal {
            Refusal::Unreachable(error) => failed("can't be reached".to_owned()).caused_by(error),
            Refusal::Lost(error) => {
                failed(format!("opened no way to {target}; is it a proxy of this type?")).caused_by(error)
            }
            Refusal::Credentials(answer) => failed(format!(
                "refused this user ({answer}); check proxy_username and proxy_password of ProxyOptions"
            )),
            Refusal::Answer(answer) => failed(format!("opened no way to {target}: {answer}")),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&authority(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({:?} {self})", self.kind)
    }
}

/// Why a proxy opened no way.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The proxy itself can't be reached.
    Unreachable(io::Error),
    /// It said nothing, or not all.
    Lost(io::Error),
    /// It asks for other credentials: its answer.
    Credentials(String),
    /// It refused, or said what no such proxy says: its answer.
    Answer(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

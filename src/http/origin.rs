//! Where a client asks.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::tls;

/// The server of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// HTTPS to this host, with its port unless that is 443.
    Https(String),
    /// HTTP without TLS to this host, with its port unless that is 80: for services on this machine, such as the
    /// workload API of IoT Edge.
    Http(String),
    /// HTTP without TLS through this Unix socket, to a server that is called `localhost`.
    Unix(PathBuf),
}

impl Origin {
    /// From `https://host[:port]`, `http://host[:port]` or `unix:///path`.
    ///
    /// # Errors
    /// `InvalidArgument` for any other text.
    pub fn parse(uri: &str) -> Result<Self> {
        let (scheme, rest) = uri.split_once("://").unwrap_or_default();
        let host = rest.strip_suffix('/').unwrap_or(rest);
        let is_host = !host.is_empty() && !host.contains('/');
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "https" if is_host => Ok(Self::Https(host.to_owned())),
            "http" if is_host => Ok(Self::Http(host.to_owned())),
            _ => {
                let text =
                    format!("{uri:?} is no address of the form unix:///path, http://host or https://host");
                Err(Error::new(ErrorKind::InvalidArgument, text))
            }
        }
    }

    /// The address of a path and query.
    pub(super) fn url(&self, target: &str) -> Result<Url> {
        let (scheme, host) = match self {
            Self::Https(host) => ("https", host.as_str()),
            Self::Http(host) => ("http", host.as_str()),
            Self::Unix(_) => ("http", "localhost"),
        };
        Url::parse(&format!("{scheme}://{host}{target}")).map_err(|error| {
            let text = format!("the host name {host:?} can't be used in an address");
            Error::new(ErrorKind::InvalidArgument, text).caused_by(error)
        })
    }

    /// Whether it is on this machine, where no proxy of the environment leads.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Https(host) | Self::Http(host) => tls::is_loopback(host),
            Self::Unix(_) => true,
        }
    }

    /// What connections are made to, for errors: with the port that a name leaves out.
    pub(super) fn place(&self) -> String {
        let with_port = |host: &str, usual: u16| {
            let (name, port) = tls::split_port(host);
            format!("{name}:{}", port.unwrap_or(usual))
        };
        match self {
            Self::Https(host) => with_port(host, 443),
            Self::Http(host) => with_port(host, 80),
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Https(host) | Self::Http(host) => formatter.write_str(host),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_three_forms_are_read_and_no_others() {
        let cases = [
            ("unix:///run/workload.sock", Origin::Unix("/run/workload.sock".into())),
            ("http://127.0.0.1:15580/", Origin::Http("127.0.0.1:15580".into())),
            ("https://edge", Origin::Https("edge".into())),
        ];
        for (text, origin) in cases {
            assert_eq!(Origin::parse(text).unwrap(), origin);
        }
        for text in ["", "edge", "unix://run", "http://", "http://host/path", "ftp://host"] {
            assert_eq!(Origin::parse(text).unwrap_err().kind(), ErrorKind::InvalidArgument, "{text}");
        }
    }

    #[test]
    fn a_target_becomes_an_address() {
        let url = |origin: &Origin| origin.url("/a?b=c").map(String::from);
        assert_eq!(url(&Origin::Https("h:8443".into())).unwrap(), "https://h:8443/a?b=c");
        assert_eq!(url(&Origin::Unix("/run/s".into())).unwrap(), "http://localhost/a?b=c");
        assert!(url(&Origin::Https("my hub".into())).is_err());
    }
}

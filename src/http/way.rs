//! By which way a client reaches its server.

use reqwest::{ClientBuilder, Url};

use super::Origin;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Proxy, ProxyKind};

/// The way to a server.
#[derive(Clone, Debug)]
pub enum Way {
    /// Directly, or through the proxy that the environment names (`HTTPS_PROXY`); on this machine always directly.
    Environment,
    /// Through this proxy, whatever is asked.
    Proxy(Proxy),
}

impl Way {
    pub(super) fn apply(&self, builder: ClientBuilder, origin: &Origin) -> Result<ClientBuilder> {
        match self {
            Self::Environment if origin.is_local() => Ok(builder.no_proxy()),
            Self::Environment => Ok(builder),
            Self::Proxy(proxy) => {
                let unusable = || Error::new(ErrorKind::InvalidArgument, format!("{proxy:?} can't be used"));
                let address = address(proxy).ok_or_else(unusable)?;
                Ok(builder.proxy(reqwest::Proxy::all(address).map_err(|_| unusable())?))
            }
        }
    }
}

/// The proxy as a URL. In these schemes the proxy is given names, not the addresses they have here.
fn address(proxy: &Proxy) -> Option<Url> {
    let scheme = match proxy.kind {
        ProxyKind::Http => "http",
        ProxyKind::Socks4 => "socks4a",
        ProxyKind::Socks5 => "socks5h",
    };
    let mut url = Url::parse(&format!("{scheme}://{proxy}")).ok()?;
    if let Some(user_name) = &proxy.user_name {
        url.set_username(user_name).ok()?;
        url.set_password(proxy.password.as_deref()).ok()?;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_becomes_an_address_with_its_user_encoded() {
        let mut proxy = Proxy {
            kind: ProxyKind::Socks5,
            host: "::1".into(),
            port: 1080,
            user_name: Some("user@home".into()),
            password: Some("a:b".into()),
        };
        assert_eq!(address(&proxy).unwrap().as_str(), "socks5h://user%40home:a%3Ab@[::1]:1080");
        proxy.kind = ProxyKind::Http;
        proxy.user_name = None;
        assert_eq!(address(&proxy).unwrap().as_str(), "http://[::1]:1080/");
        proxy.host = "no name".into();
        assert!(address(&proxy).is_none());
    }
}

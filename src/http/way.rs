//! By which way a client reaches its server.

use hyper_util::client::proxy::matcher::Matcher;
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
            Self::Environment => usable_environment(origin).map(|()| builder),
            Self::Proxy(proxy) => {
                let unusable = || Error::new(ErrorKind::InvalidArgument, format!("{proxy:?} can't be used"));
                let address = address(proxy).ok_or_else(unusable)?;
                Ok(builder.proxy(reqwest::Proxy::all(address).map_err(|_| unusable())?))
            }
        }
    }
}

/// reqwest goes directly where it can't use the proxy that is named; whoever names one wants no other way.
fn usable_environment(origin: &Origin) -> Result<()> {
    let (scheme, variables) = match origin {
        Origin::Https(_) => ("https", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        Origin::Http(_) => ("http", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
        Origin::Unix(_) => return Ok(()),
    };
    let Ok(asked) = format!("{scheme}://{origin}/").parse() else { return Ok(()) };
    let is_given = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let Some(variable) = variables.iter().find(is_given) else { return Ok(()) };
    let exempt = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok());
    let any_proxy = Matcher::builder().all("http://proxy").no(exempt.unwrap_or_default()).build();
    if Matcher::from_system().intercept(&asked).is_some() || any_proxy.intercept(&asked).is_none() {
        return Ok(());
    }
    // Its address may hold a password.
    let text = format!(
        "{variable} names no proxy that can be used to reach {}: give scheme://host:port with one of the schemes http, https, socks4, socks4a, socks5, socks5h, or name the host in NO_PROXY",
        origin.place()
    );
    Err(Error::new(ErrorKind::Proxy, text))
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

//! Asking a SOCKS proxy for a way: version 5 (RFC 1928, RFC 1929), and 4 with 4A for host names. The proxy looks up
//! the name, as behind one it is often the only one who can.

use std::net::{IpAddr, Ipv4Addr};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::proxy::{Proxy, Refusal};

const VERSION_4: u8 = 4;
const VERSION_5: u8 = 5;
const CONNECT: u8 = 1;

const NO_AUTHENTICATION: u8 = 0;
const USER_NAME: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const USER_NAME_VERSION: u8 = 1;

const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// Ask a proxy of version 4; a host name is sent as 4A says, behind an address that can't be.
pub(super) async fn connect_4<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (address, name) = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (address, None),
        Ok(IpAddr::V6(_)) => return Err(Refusal::Answer("SOCKS 4 knows no IPv6".to_owned())),
        Err(_) => (Ipv4Addr::new(0, 0, 0, 1), Some(host)),
    };
    let mut request = BytesMut::new();
    request.put_slice(&[VERSION_4, CONNECT]);
    request.put_u16(port);
    request.put_slice(&address.octets());
    for text in [Some(proxy.user_name.as_deref().unwrap_or_default()), name].into_iter().flatten() {
        if text.contains('\0') {
            return Err(Refusal::Answer("no name may hold a NUL".to_owned()));
        }
        request.put_slice(text.as_bytes());
        request.put_u8(0);
    }
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await?;
    match answer[..2] {
        [0, 90] => Ok(()),
        [0, 91] => Err(Refusal::Answer("request rejected or failed (91)".to_owned())),
        [0, code @ (92 | 93)] => {
            Err(Refusal::Credentials(format!("user not confirmed by its identd ({code})")))
        }
        _ => Err(Refusal::Answer(not_socks(4))),
    }
}

/// Ask a proxy of version 5.
pub(super) async fn connect_5<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    authenticate(stream, proxy).await?;
    let mut request = BytesMut::new();
    request.put_slice(&[VERSION_5, CONNECT, 0]);
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            request.put_u8(IPV4);
            request.put_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.put_u8(IPV6);
            request.put_slice(&address.octets());
        }
        Err(_) => {
            request.put_u8(DOMAIN);
            put_short(&mut request, host)?;
        }
    }
    request.put_u16(port);
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[0] != VERSION_5 {
        return Err(Refusal::Answer(not_socks(5)));
    }
    if answer[1] != 0 {
        return Err(Refusal::Answer(format!("{} ({})", reason(answer[1]), answer[1])));
    }
    skip_address(stream, answer[3]).await
}

/// Agree on how the user is known, and say who it is.
async fn authenticate<S>(stream: &mut S, proxy: &Proxy) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let methods = match proxy.user_name {
        Some(_) => &[NO_AUTHENTICATION, USER_NAME][..],
        None => &[NO_AUTHENTICATION],
    };
    let mut greeting = BytesMut::new();
    greeting.put_slice(&[VERSION_5, u8::try_from(methods.len()).unwrap_or(u8::MAX)]);
    greeting.put_slice(methods);
    stream.write_all(&greeting).await?;
    stream.flush().await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match (chosen, &proxy.user_name) {
        ([VERSION_5, NO_AUTHENTICATION], _) => Ok(()),
        ([VERSION_5, USER_NAME], Some(user_name)) => {
            sign_in(stream, user_name, proxy.password.as_deref()).await
        }
        ([VERSION_5, NO_METHOD], None) => Err(Refusal::Credentials("it asks for a user".to_owned())),
        ([VERSION_5, _], _) => Err(Refusal::Credentials("it asks for another authentication".to_owned())),
        _ => Err(Refusal::Answer(not_socks(5))),
    }
}

async fn sign_in<S>(stream: &mut S, user_name: &str, password: Option<&str>) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = BytesMut::new();
    request.put_u8(USER_NAME_VERSION);
    put_short(&mut request, user_name)?;
    put_short(&mut request, password.unwrap_or_default())?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    if answer[1] == 0 { Ok(()) } else { Err(Refusal::Credentials("authentication failed".to_owned())) }
}

/// A text behind its length.
fn put_short(request: &mut BytesMut, text: &str) -> Result<(), Refusal> {
    let length = u8::try_from(text.len())
        .map_err(|_| Refusal::Answer("SOCKS 5 knows no names and passwords above 255 bytes".to_owned()))?;
    request.put_u8(length);
    request.put_slice(text.as_bytes());
    Ok(())
}

/// Where the proxy connected from; nobody needs it, but the target's bytes come behind it.
async fn skip_address(stream: &mut (impl AsyncRead + Unpin), kind: u8) -> Result<(), Refusal> {
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        DOMAIN => usize::from(stream.read_u8().await?),
        _ => return Err(Refusal::Answer(not_socks(5))),
    };
    let mut address_and_port = vec![0; length + 2];
    stream.read_exact(&mut address_and_port).await?;
    Ok(())
}

fn reason(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "refused",
    }
}

fn not_socks(version: u8) -> String {
    format!("what it answered is not SOCKS {version}")
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::net::ProxyKind;

    const GRANTED_4: &[u8] = &[0, 90, 0, 0, 0, 0, 0, 0];
    const GRANTED_5: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    /// What the proxy was asked, what came of its answers, and what it sent behind them.
    async fn ask(
        kind: ProxyKind,
        user: Option<(&str, &str)>,
        host: &str,
        answers: &[&[u8]],
    ) -> (Vec<u8>, Result<(), Refusal>, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        theirs.write_all(&answers.concat()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let proxy = Proxy {
            kind,
            host: "proxy".into(),
            port: 1080,
            user_name: user.map(|(name, _)| name.into()),
            password: user.map(|(_, password)| password.into()),
        };
        let outcome = match kind {
            ProxyKind::Socks4 => connect_4(&mut ours, &proxy, host, 443).await,
            _ => connect_5(&mut ours, &proxy, host, 443).await,
        };
        let (mut rest, mut request) = (Vec::new(), Vec::new());
        ours.read_to_end(&mut rest).await.unwrap();
        drop(ours);
        theirs.read_to_end(&mut request).await.unwrap();
        (request, outcome, rest)
    }

    #[tokio::test]
    async fn version_4_is_asked_by_address_and_4a_by_name() {
        let (request, outcome, rest) = ask(ProxyKind::Socks4, None, "10.1.2.3", &[GRANTED_4, b"hub"]).await;
        assert_eq!(request, b"\x04\x01\x01\xbb\x0a\x01\x02\x03\0");
        outcome.unwrap();
        assert_eq!(rest, b"hub");
        let (request, ..) = ask(ProxyKind::Socks4, Some(("me", "")), "hub.example", &[GRANTED_4]).await;
        assert_eq!(request, b"\x04\x01\x01\xbb\0\0\0\x01me\0hub.example\0");
    }

    #[tokio::test]
    async fn version_5_is_asked_by_name_and_by_address() {
        let (request, outcome, rest) =
            ask(ProxyKind::Socks5, None, "hub.example", &[&[5, 0], GRANTED_5, b"hub"]).await;
        assert_eq!(request, b"\x05\x01\0\x05\x01\0\x03\x0bhub.example\x01\xbb");
        outcome.unwrap();
        assert_eq!(rest, b"hub");
        let bound_to_a_name = [&[5, 0, 0, 3, 2][..], b"ab\0\0hub"].concat();
        let (request, outcome, rest) =
            ask(ProxyKind::Socks5, None, "::1", &[&[5, 0], &bound_to_a_name]).await;
        assert_eq!(request[3..], [&[5, 1, 0, 4][..], &[0; 15], &[1, 1, 0xbb]].concat());
        outcome.unwrap();
        assert_eq!(rest, b"hub");
    }

    #[tokio::test]
    async fn version_5_is_told_user_and_password_if_it_asks() {
        let user = Some(("me", "secret"));
        let (request, outcome, _) = ask(ProxyKind::Socks5, user, "h", &[&[5, 2], &[1, 0], GRANTED_5]).await;
        assert_eq!(request, b"\x05\x02\0\x02\x01\x02me\x06secret\x05\x01\0\x03\x01h\x01\xbb");
        outcome.unwrap();
        for (user, answers) in [
            (user, &[&[5, 2][..], &[1, 1]][..]),
            (None, &[&[5, 0xFF]]),
            (user, &[&[5, 0xFF]]),
            (None, &[&[5, 2]]),
        ] {
            let outcome = ask(ProxyKind::Socks5, user, "h", answers).await.1;
            assert!(matches!(outcome, Err(Refusal::Credentials(_))), "{answers:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_why() {
        for (kind, answers, why) in [
            (ProxyKind::Socks4, &[&[0, 91, 0, 0, 0, 0, 0, 0][..]][..], "rejected"),
            (ProxyKind::Socks4, &[b"HTTP/1.1"], "not SOCKS 4"),
            (ProxyKind::Socks5, &[&[5, 0], &[5, 5, 0, 1]], "connection refused (5)"),
            (ProxyKind::Socks5, &[b"HT"], "not SOCKS 5"),
        ] {
            let outcome = ask(kind, None, "h", answers).await.1;
            assert!(matches!(outcome, Err(Refusal::Answer(text)) if text.contains(why)), "{why}");
        }
        let outcome = ask(ProxyKind::Socks5, None, "h", &[&[5]]).await.1;
        assert!(matches!(outcome, Err(Refusal::Lost(_))));
        let long = "x".repeat(256);
        let outcome = ask(ProxyKind::Socks5, Some((&long, "")), "h", &[&[5, 2]]).await.1;
        assert!(matches!(outcome, Err(Refusal::Answer(text)) if text.contains("255 bytes")));
    }
}

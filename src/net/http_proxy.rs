//! Asking an HTTP proxy for a way: the method CONNECT (RFC 9110, 9.3.6) with Basic credentials (RFC 7617).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::authority;
use super::proxy::{Proxy, Refusal};

/// Far more than any proxy has to say.
const LONGEST_HEAD: usize = 16 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Ask for a way to the target; when this returns, what is written goes there.
pub(super) async fn connect<S>(stream: &mut S, proxy: &Proxy, host: &str, port: u16) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let target = authority(host, port);
    let credentials = proxy.user_name.as_ref().map_or_else(String::new, |user_name| {
        let password = proxy.password.as_deref().unwrap_or_default();
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user_name}:{password}")))
    });
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    judge(&read_status_line(stream).await?)
}

/// Read the head of the answer and nothing behind it: the target speaks only after it was spoken to.
async fn read_status_line(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, Refusal> {
    let mut head = BytesMut::new();
    while !head.windows(END_OF_HEAD.len()).any(|window| window == END_OF_HEAD) {
        if head.len() > LONGEST_HEAD {
            return Err(Refusal::Answer("its answer has no end".to_owned()));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    let line = head[..].split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn judge(status_line: &str) -> Result<(), Refusal> {
    let status = status_line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match status {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
        Some("407") => Err(Refusal::Credentials(status_line.to_owned())),
        _ => Err(Refusal::Answer(format!("it answered {status_line:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::net::ProxyKind;

    /// What the proxy was asked, and what came of its answer.
    async fn ask(user: Option<(&str, &str)>, host: &str, answer: &str) -> (String, Result<(), Refusal>) {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let proxy = Proxy {
            kind: ProxyKind::Http,
            host: "proxy".into(),
            port: 8080,
            user_name: user.map(|(name, _)| name.into()),
            password: user.map(|(_, password)| password.into()),
        };
        let outcome = connect(&mut ours, &proxy, host, 8883).await;
        drop(ours);
        let mut request = String::new();
        theirs.read_to_string(&mut request).await.unwrap();
        (request, outcome)
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_the_target_with_the_user_if_there_is_one() {
        let (request, outcome) =
            ask(None, "h", "HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n").await;
        assert_eq!(request, "CONNECT h:8883 HTTP/1.1\r\nHost: h:8883\r\n\r\n");
        outcome.unwrap();
        let (request, _) = ask(Some(("Aladdin", "open sesame")), "::1", "HTTP/1.1 200\r\n\r\n").await;
        assert_eq!(
            request,
            "CONNECT [::1]:8883 HTTP/1.1\r\nHost: [::1]:8883\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn anything_but_a_success_is_a_refusal_with_the_answer() {
        let refused = ask(None, "h", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.1;
        assert!(matches!(refused, Err(Refusal::Credentials(answer)) if answer.contains("407")));
        for answer in
            ["HTTP/1.1 502 Bad Gateway\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 20\r\n\r\n"]
        {
            let refused = ask(None, "h", answer).await.1;
            assert!(
                matches!(refused, Err(Refusal::Answer(text)) if text.contains(answer.trim_end())),
                "{answer}"
            );
        }
        assert!(matches!(ask(None, "h", "HTTP/1.1 200 OK\r\n").await.1, Err(Refusal::Lost(_))));
        let endless = "HTTP/1.1 200 OK\r\n".to_owned() + &"x".repeat(LONGEST_HEAD);
        assert!(matches!(ask(None, "h", &endless).await.1, Err(Refusal::Answer(_))));
    }
}

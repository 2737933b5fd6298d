//! TCP: name look-up, then one address after another.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Target;
use crate::error::{Error, ErrorKind};
use crate::tls::is_loopback;

/// For the name look-up, and for one address to answer, as in the official package.
const TCP_TIME: Duration = Duration::from_secs(5);

/// Connect to the first address of the host that answers; the error is that of the last.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "the name look-up takes too long");
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in timeout(TCP_TIME, addresses(host, port)).await.map_err(slow)?? {
        match timeout(TCP_TIME, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Latency before packet count: batching is done above.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last_error = error,
            Err(_) => last_error = io::Error::new(io::ErrorKind::TimedOut, "timed out"),
        }
    }
    Err(last_error)
}

/// The addresses of the host; IPv4 first for this machine's names, where hubs and test servers listen.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    if is_loopback(host) {
        found.sort_by_key(SocketAddr::is_ipv6);
    }
    Ok(found)
}

/// The error of a target that no direct connection reaches.
pub(super) fn unreachable(target: &Target, error: io::Error) -> Error {
    let hint = if is_loopback(&target.host) {
        "; is the local hub running? start it with `ferrohub up`"
    } else {
        ""
    };
    let text = format!("{} can't be reached{hint}", target.authority());
    Error::new(ErrorKind::ConnectionFailed, text).caused_by(error)
}

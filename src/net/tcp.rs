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
    let addresses = in_time("the name look-up takes too long", addresses(host, port)).await?;
    let stream = first_that_answers(addresses, TcpStream::connect::<SocketAddr>).await?;
    // Latency before packet count: batching is done above.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn first_that_answers<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match in_time("timed out", connect(address)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

async fn in_time<T>(late: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, late.to_owned());
    timeout(TCP_TIME, work).await.unwrap_or_else(|_| Err(late()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_address_has_five_seconds_to_answer() {
        let addresses = ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"].map(|address| address.parse().unwrap());
        let start = tokio::time::Instant::now();
        let only_the_last = |address: SocketAddr| async move {
            if address == addresses[2] { Ok(address) } else { std::future::pending().await }
        };
        let answered = first_that_answers(addresses.to_vec(), only_the_last).await.unwrap();
        assert_eq!((answered, start.elapsed().as_secs()), (addresses[2], 10));
        let silent = |_| std::future::pending::<io::Result<()>>();
        let error = first_that_answers(addresses.to_vec(), silent).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "timed out"));
        assert_eq!(start.elapsed().as_secs(), 25);
    }
}

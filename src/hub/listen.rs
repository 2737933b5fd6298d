//! Sockets to listen on: one port on `127.0.0.1` and `::1`, and the standard ports where asked for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::error::{Error, ErrorKind, Result};

/// How often a free port is tried for that the other address family does not have.
const ATTEMPTS: usize = 32;

/// Where Microsoft's packages look for MQTT; they know no other port.
const MQTT_PORT: u16 = 8883;
/// And for AMQP.
const AMQP_PORT: u16 = 5671;
/// REST without a port.
const HTTPS_PORT: u16 = 443;
const STANDARD_PORTS: [u16; 3] = [MQTT_PORT, AMQP_PORT, HTTPS_PORT];

/// Which addresses to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Only programs on this machine.
    Loopback,
    /// Every interface.
    Everywhere,
}

/// What a hub listens on.
pub(super) struct Ports {
    /// The port for everything.
    pub(super) main: u16,
    /// Whether everything is on 443 too.
    pub(super) https: bool,
    pub(super) listeners: Vec<TcpListener>,
    /// Why 443 is not among them although it was asked for.
    pub(super) note: Option<String>,
}

impl Ports {
    /// Listen on this port (0: any) and, if asked for, on the standard ones. Many systems keep 443 for root
    /// or have a web server there, and only some clients need it: it may be missing.
    pub(super) async fn listen(reach: Reach, port: u16, standard: bool) -> Result<Self> {
        let (main, listeners) = listen(reach, port).await?;
        let mut ports = Self { main, https: false, listeners, note: None };
        if standard {
            for port in [MQTT_PORT, AMQP_PORT] {
                ports.listeners.extend(listen(reach, port).await?.1);
            }
            match listen(reach, HTTPS_PORT).await {
                Ok((_, listeners)) => {
                    ports.https = true;
                    ports.listeners.extend(listeners);
                }
                Err(error) => ports.note = Some(format!("REST is not on 443: {}", error.message())),
            }
        }
        Ok(ports)
    }
}

/// Listen on a port; 0 finds one that is free on both addresses.
async fn listen(reach: Reach, port: u16) -> Result<(u16, Vec<TcpListener>)> {
    let mut attempt = 0;
    loop {
        match try_listen(reach, port).await {
            Ok(listening) => return Ok(listening),
            Err(error) if port == 0 && attempt < ATTEMPTS && error.kind() == io::ErrorKind::AddrInUse => {
                attempt += 1;
            }
            Err(error) => return Err(refused(port, error)),
        }
    }
}

async fn try_listen(reach: Reach, port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let (first, second): (IpAddr, IpAddr) = match reach {
        Reach::Loopback => (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()),
        Reach::Everywhere => (Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()),
    };
    let listener = match TcpListener::bind(SocketAddr::new(first, port)).await {
        Ok(listener) => listener,
        // Some systems have no IPv6.
        Err(error) if reach == Reach::Everywhere && error.kind() != io::ErrorKind::AddrInUse => {
            let listener = TcpListener::bind(SocketAddr::new(second, port)).await?;
            return Ok((listener.local_addr()?.port(), vec![listener]));
        }
        Err(error) => return Err(error),
    };
    let port = listener.local_addr()?.port();
    match TcpListener::bind(SocketAddr::new(second, port)).await {
        Ok(second) => Ok((port, vec![listener, second])),
        Err(error) if reach == Reach::Loopback && error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // No IPv6, or an IPv6 socket that takes IPv4 too, as on Linux.
        Err(_) => Ok((port, vec![listener])),
    }
}

fn refused(port: u16, error: io::Error) -> Error {
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is taken: stop the program that listens on it, perhaps another `ferrohub up`, or {}",
            if STANDARD_PORTS.contains(&port) {
                "do without the standard ports"
            } else {
                "choose another port"
            }
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {port} may not be used by this user: run as root, allow it with `sysctl \
             net.ipv4.ip_unprivileged_port_start={port}`, or do without the standard ports"
        ),
        _ => format!("the hub can't listen on port {port}"),
    };
    Error::new(ErrorKind::System, text).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_free_port_is_the_same_on_every_address() {
        let (port, listeners) = listen(Reach::Loopback, 0).await.unwrap();
        assert_ne!(port, 0);
        for listener in &listeners {
            assert_eq!(listener.local_addr().unwrap().port(), port);
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_remedy() {
        let (port, _listeners) = listen(Reach::Loopback, 0).await.unwrap();
        let error = listen(Reach::Loopback, port).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::System);
        assert!(error.message().contains(&format!("port {port} is taken")), "{error}");
        assert!(error.message().contains("choose another port"), "{error}");
    }
}

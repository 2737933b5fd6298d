//! The workload API of IoT Edge, as a module on an Edge device finds it: who signs for it, and whom to trust.
//!
//! One server per module, on a Unix socket or a port of this machine, with the environment in which the module's
//! program runs on an Edge device. The hub itself stands for the gateway. Opened by the hub's owner (`control`).
//! <https://learn.microsoft.com/azure/iot-edge/iot-edge-security-manager>

mod api;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(super) use self::api::Api;
use crate::error::{Error, ErrorKind, Result};

/// What modules are told to send as `api-version`.
const API_VERSION: &str = "2019-01-30";

/// The open workload APIs of a hub.
#[derive(Default)]
pub(super) struct Workloads(Mutex<Open>);

#[derive(Default)]
struct Open {
    last: u64,
    servers: BTreeMap<u64, Server>,
}

/// A server; dropped, it ends and leaves no socket behind.
struct Server {
    _stop: oneshot::Sender<()>,
    socket: Option<PathBuf>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(socket);
        }
    }
}

impl Workloads {
    /// Open the API for a module, on a new Unix socket at `path` or on a free port: `{"number": …, "environment": …}`,
    /// the variables that its program needs.
    pub(super) async fn open(&self, api: Api, path: Option<&Path>, address: &str) -> Result<Value> {
        let generation_id = api.generation_id().await?;
        let mut environment = json!({
            "IOTEDGE_DEVICEID": api.module.device,
            "IOTEDGE_MODULEID": api.module.module,
            "IOTEDGE_MODULEGENERATIONID": generation_id,
            "IOTEDGE_IOTHUBHOSTNAME": address,
            "IOTEDGE_GATEWAYHOSTNAME": address,
            "IOTEDGE_APIVERSION": API_VERSION,
            "IOTEDGE_AUTHSCHEME": "sasToken",
        });
        let (stop, stopped) = oneshot::channel();
        let router = api::router(api);
        let uri = match path {
            Some(path) => serve_socket(path, router, stopped)?,
            None => serve_port(router, stopped).await?,
        };
        environment["IOTEDGE_WORKLOADURI"] = uri.into();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.last += 1;
        let number = open.last;
        open.servers.insert(number, Server { _stop: stop, socket: path.map(Path::to_owned) });
        Ok(json!({ "number": number, "environment": environment }))
    }

    /// Close one of them, if it is open.
    pub(super) fn close(&self, number: u64) {
        let _server = self.0.lock().unwrap_or_else(PoisonError::into_inner).servers.remove(&number);
    }
}

async fn serve_port(router: Router, stopped: oneshot::Receiver<()>) -> Result<String> {
    let listening = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    let (listener, address) = listening.await.map_err(|error| {
        Error::new(ErrorKind::System, "there is no port for the workload API").caused_by(error)
    })?;
    tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(ended(stopped)).into_future());
    Ok(format!("http://{address}"))
}

#[cfg(unix)]
fn serve_socket(path: &Path, router: Router, stopped: oneshot::Receiver<()>) -> Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let unusable = |error| {
        let text = format!("no socket for the workload API can be made at {}", path.display());
        Error::new(ErrorKind::System, text).caused_by(error)
    };
    let listener = tokio::net::UnixListener::bind(path).map_err(unusable)?;
    // Who may connect can sign as the module.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(unusable)?;
    tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(ended(stopped)).into_future());
    Ok(format!("unix://{}", path.display()))
}

#[cfg(not(unix))]
fn serve_socket(path: &Path, _: Router, _: oneshot::Receiver<()>) -> Result<String> {
    let text = format!("{} can't be a socket: this system has no Unix sockets", path.display());
    Err(Error::new(ErrorKind::InvalidArgument, text))
}

/// Resolves when the server's handle is gone.
async fn ended(stopped: oneshot::Receiver<()>) {
    // Nothing is ever sent.
    let _ = stopped.await;
}

//! What stands between a client and a hub, and lets nothing through while a test says so.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::{TestHub, soon};

/// What a relay does with bytes, in both directions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Bytes wait.
    Shut,
}

/// A relay to a hub, on a port of its own.
pub(crate) struct Relay {
    address: String,
    state: Arc<Mutex<State>>,
    accepted: watch::Receiver<usize>,
    held: Arc<Notify>,
}

struct State {
    connections: Vec<(watch::Sender<Gate>, AbortHandle)>,
    /// New ones are closed at once.
    refuses: bool,
}

impl Relay {
    pub(crate) async fn to(hub: &TestHub) -> Self {
        let port = hub.hub.address().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let state = Arc::new(Mutex::new(State { connections: Vec::new(), refuses: false }));
        let (count, accepted) = watch::channel(0);
        let held = Arc::new(Notify::new());
        let (shared, holds) = (Arc::clone(&state), Arc::clone(&held));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let mut state = shared.lock().unwrap();
                count.send_modify(|count| *count += 1);
                if !state.refuses {
                    let (gate, watched) = watch::channel(Gate::Open);
                    let task = tokio::spawn(relay(client, port, watched, Arc::clone(&holds)));
                    state.connections.push((gate, task.abort_handle()));
                }
            }
        });
        Self { address, state, accepted, held }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections there were, those included that were refused.
    pub(crate) fn accepted(&self) -> usize {
        *self.accepted.borrow()
    }

    /// Wait until there were so many.
    pub(crate) async fn wait_accepted(&self, least: usize) {
        soon("more connections", self.accepted.clone().wait_for(|count| *count >= least)).await.unwrap();
    }

    /// Wait until something is held.
    pub(crate) async fn wait_held(&self) {
        soon("something to hold", self.held.notified()).await;
    }

    /// Let nothing through on the connections that there are now; new ones are not concerned.
    pub(crate) fn hold(&self) {
        self.set_gates(Gate::Shut);
    }

    /// Let through what was held.
    pub(crate) fn release(&self) {
        self.set_gates(Gate::Open);
    }

    fn set_gates(&self, to: Gate) {
        for (gate, _) in &self.state.lock().unwrap().connections {
            gate.send_replace(to);
        }
    }

    /// End all connections.
    pub(crate) fn cut(&self) {
        for (_, task) in self.state.lock().unwrap().connections.drain(..) {
            task.abort();
        }
    }

    /// Close new connections at once, or no longer.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.lock().unwrap().refuses = refuses;
    }
}

async fn relay(client: TcpStream, port: u16, gate: watch::Receiver<Gate>, held: Arc<Notify>) {
    let hub = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let ((from_client, to_client), (from_hub, to_hub)) = (client.into_split(), hub.into_split());
    tokio::select! {
        () = pass(from_client, to_hub, gate.clone(), &held) => {}
        () = pass(from_hub, to_client, gate, &held) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut gate: watch::Receiver<Gate>,
    held: &Notify,
) {
    let mut bytes = [0; 16 << 10];
    while let Ok(size @ 1..) = from.read(&mut bytes).await {
        if *gate.borrow() == Gate::Shut {
            held.notify_one();
        }
        if gate.wait_for(|gate| *gate == Gate::Open).await.is_err()
            || to.write_all(&bytes[..size]).await.is_err()
        {
            return;
        }
    }
}

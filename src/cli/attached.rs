//! A hub that belongs to the program at the other end of its pipes: requests in, answers out, one JSON
//! document per line. It ends when the program does, however that ends.

use std::io::BufRead;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::output::say;
use crate::hub::Hub;

/// Answer requests until the program closes the pipe.
pub(super) async fn serve(hub: &Arc<Hub>) {
    let mut lines = standard_input();
    let mut answering = JoinSet::new();
    while let Some(line) = lines.recv().await {
        let hub = Arc::clone(hub);
        answering.spawn(async move { say(&hub.answer(&line).await.to_string()) });
        while answering.try_join_next().is_some() {}
    }
}

/// The lines of standard input. Read by a thread of its own: such a read can't be cancelled, and must
/// not keep the runtime from ending.
fn standard_input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

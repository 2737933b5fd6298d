//! `QueueReceiver`: what a hub has for back ends, message by message. Facade: `ferrohub.service.notifications`.

use std::sync::{Arc, Mutex, PoisonError};

use fe2o3_amqp::types::messaging::Body;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::messages::bearer;
use super::operation::Operation;
use super::roots::default_roots;
use super::runtime;
use super::service::{credentials, seconds};
use crate::clock::Clock;
use crate::error::Result;
use crate::service::amqp::{Endpoint, IncomingMessage, MessageReceiver, Queue, Ticket};

/// The hub keeps a message from others for a minute: no more than one is asked for.
const PREFETCH: u32 = 1;

/// What reads one of a hub's queues; see `crate::service::amqp::MessageReceiver`.
#[pyclass(frozen, module = "ferrohub._native")]
struct QueueReceiver(Arc<MessageReceiver<Queue>>);

/// A message of a queue, to be settled once.
#[pyclass(frozen, module = "ferrohub._native")]
struct QueueMessage {
    body: Vec<u8>,
    ticket: Mutex<Option<Ticket>>,
}

#[pymethods]
impl QueueReceiver {
    #[new]
    #[pyo3(signature = (host_name, websocket, policy, key, queue))]
    fn new(
        py: Python<'_>,
        host_name: String,
        websocket: bool,
        policy: Option<String>,
        key: Option<&str>,
        queue: &str,
    ) -> PyResult<Self> {
        let path = match queue {
            "feedback" => "/messages/servicebound/feedback",
            "file_notifications" => "/messages/servicebound/filenotifications",
            _ => return Err(PyValueError::new_err(format!("there is no queue {queue}"))),
        };
        let (credentials, roots) = (credentials(policy, key)?, default_roots(py));
        let hub = Endpoint::hub(host_name, websocket, credentials, roots, Clock::system());
        let queue = Queue::new(hub, path);
        Ok(Self(Arc::new(MessageReceiver::new(queue, PREFETCH))))
    }

    /// Wait until there is a message, `limit` seconds at most: whether there is.
    fn wait(&self, token: Option<(String, u64)>, limit: Option<f64>) -> PyResult<Operation> {
        let (token, limit, receiver) =
            (token.map(bearer), limit.map(seconds).transpose()?, Arc::clone(&self.0));
        let waiting = async move { receiver.wait(token.as_ref(), limit).await };
        // After a fork the child's connection is its own: an operation may begin in any process.
        Ok(Operation::new(runtime::process(), waiting))
    }

    /// The next message, if one has come.
    fn take(&self) -> Option<QueueMessage> {
        let received = self.0.take(1).pop()?;
        Some(QueueMessage { body: body(received.message), ticket: Mutex::new(received.ticket) })
    }

    /// End the connection, and every wait.
    fn close(&self) -> Operation {
        let receiver = Arc::clone(&self.0);
        Operation::new(runtime::process(), async move {
            receiver.close().await;
            Ok(())
        })
    }
}

#[pymethods]
impl QueueMessage {
    /// What is in it.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    /// It was read.
    fn accept(&self) -> Operation {
        self.settle(Ticket::accept)
    }

    /// It is to be given to whoever reads next.
    fn release(&self) -> Operation {
        self.settle(Ticket::release)
    }
}

impl QueueMessage {
    fn settle<F>(&self, how: impl FnOnce(Ticket) -> F + Send + 'static) -> Operation
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take();
        Operation::new(runtime::process(), async move {
            match ticket {
                Some(ticket) => how(ticket).await,
                None => Ok(()),
            }
        })
    }
}

/// The bytes of all data sections.
fn body(message: IncomingMessage) -> Vec<u8> {
    match message.body {
        Body::Data(sections) => sections.into_iter().flat_map(|section| section.0.into_vec()).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<QueueReceiver>()?;
    module.add_class::<QueueMessage>()
}

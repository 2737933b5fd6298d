//! The only code that knows Python: `ferrohub._native`, private to the Python package.
//!
//! Each file binds one party. Facades, models and public exceptions are Python, over these handles.

mod answers;
mod device;
mod edge;
mod errors;
mod events;
mod hub;
mod mailbox;
mod messages;
mod model_reader;
mod operation;
mod options;
mod outbox;
mod outgoing;
mod provisioning;
mod queues;
mod roots;
mod runtime;
mod service;
mod stand_in;

use pyo3::prelude::*;

/// The native core; its classes are private, use `ferrohub` and `azure.iot`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    device::register(module)?;
    edge::register(module)?;
    errors::register(module)?;
    events::register(module)?;
    hub::register(module)?;
    model_reader::register(module)?;
    mailbox::register(module)?;
    messages::register(module)?;
    operation::register(module)?;
    options::register(module)?;
    outbox::register(module)?;
    outgoing::register(module)?;
    provisioning::register(module)?;
    queues::register(module)?;
    runtime::register(module)?;
    service::register(module)?;
    Ok(())
}

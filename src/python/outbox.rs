//! The outbox of a device or module client for Python: what `ferrohub.Outbox` says, and the recovery of its file.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::errors::to_python;
use super::options::seconds;
use crate::device::{OutboxCounts, OutboxOptions, WhenFull, recover_outbox as recover};
use crate::error::{Error, ErrorKind, Result};

/// What `ferrohub.Outbox` holds, field by field; it has checked them.
#[derive(FromPyObject)]
pub(super) struct Outbox {
    path: PathBuf,
    max_messages: Option<u64>,
    max_bytes: Option<u64>,
    when_full: String,
    ttl: Option<f64>,
}

impl Outbox {
    pub(super) fn into_core(self) -> Result<OutboxOptions> {
        let when_full = match self.when_full.as_str() {
            "block" => WhenFull::Block,
            "raise" => WhenFull::Raise,
            "drop_oldest" => WhenFull::DropOldest,
            other => {
                let text = format!("there is no way {other:?} to treat a full outbox");
                return Err(Error::new(ErrorKind::InvalidArgument, text));
            }
        };
        let ttl = self.ttl.map(seconds).transpose()?;
        let Self { path, max_messages, max_bytes, .. } = self;
        Ok(OutboxOptions { path, max_messages, max_bytes, when_full, ttl })
    }
}

/// (name, number) of each counter.
pub(super) fn counters(counts: OutboxCounts) -> [(&'static str, u64); 5] {
    [
        ("stored", counts.stored),
        ("stored_bytes", counts.stored_bytes),
        ("expired", counts.expired),
        ("dropped", counts.dropped),
        ("refused", counts.refused),
    ]
}

/// Take what can be read from a damaged file into a new one in its place; how many messages, None if it is whole.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "arguments arrive converted, by value")]
fn recover_outbox(py: Python<'_>, path: PathBuf) -> PyResult<Option<u64>> {
    py.detach(|| recover(&path)).map_err(|error| to_python(&error))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(recover_outbox, module)?)
}

//! `EdgeWorkload`: the workload API of IoT Edge, asked when a module client is made from the environment.
//! Facade: `ferrohub.device.edge`.

use bytes::Bytes;
use pyo3::prelude::*;

use super::errors::to_python;
use super::operation::Operation;
use super::runtime;
use crate::device::Workload;

/// The workload API as one module uses it; see `crate::device::Workload`. Operations give texts as bytes.
#[pyclass(frozen, module = "ferrohub._native")]
pub(super) struct EdgeWorkload(Workload);

#[pymethods]
impl EdgeWorkload {
    #[new]
    fn new(
        uri: &str,
        api_version: &str,
        module_id: &str,
        generation_id: &str,
        user_agent: &str,
    ) -> PyResult<Self> {
        let workload = Workload::new(uri, api_version, module_id, generation_id, user_agent);
        workload.map(Self).map_err(|error| to_python(&error))
    }

    /// The CA certificates to trust.
    fn trust_bundle(&self) -> Operation {
        let workload = self.0.clone();
        Operation::new(runtime::process(), async move { workload.trust_bundle().await.map(Bytes::from) })
    }

    /// The signature over a text.
    fn sign(&self, text: String) -> Operation {
        let workload = self.0.clone();
        Operation::new(runtime::process(), async move { workload.sign(&text).await.map(Bytes::from) })
    }
}

impl EdgeWorkload {
    /// The same API, for a client.
    pub(super) fn workload(&self) -> Workload {
        self.0.clone()
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EdgeWorkload>()
}

//! Whom Python's clients trust when their program names nobody.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::tls::{Roots, system_has_roots};

/// The system's roots; where it has none, those of certifi if that is installed.
pub(super) fn default_roots(py: Python<'_>) -> Roots {
    if system_has_roots() {
        return Roots::System;
    }
    let bundle = || py.import("certifi")?.call_method0("where")?.extract::<PathBuf>();
    bundle().map_or(Roots::System, Roots::Bundle)
}

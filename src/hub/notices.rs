//! Lines that tell people what happens: who connected, and why a connection ended.
//!
//! The real hub ends a connection without a word; a hub on one's own machine can say why.

use std::fmt;
use std::sync::Arc;

/// Who is told; nobody by default. Cheap to clone.
#[derive(Clone, Default)]
pub struct Notices(Option<Arc<Listener>>);

type Listener = dyn Fn(&str) + Send + Sync;

impl Notices {
    /// Call this with each line. It must not block.
    pub fn to(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tell a line, which is made only if somebody listens.
    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        if let Some(listener) = &self.0 {
            listener(&line());
        }
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Notices(…)" } else { "Notices" })
    }
}

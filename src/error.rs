//! The one error type of the crate: a kind for programs, a sentence for people, a source for the chain.
//!
//! Every module returns it; the Python layer turns each kind into the exception that programs know.
//! Texts never hold keys or tokens, and `Debug` prints the same text as `Display`.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a program can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's argument can't be used: a connection string, an option, a message.
    InvalidArgument,
    /// What the caller wants sent can't be put on the wire.
    Unsendable,
    /// The caller's shared access key is none.
    InvalidKey,
    /// The caller's certificate, private key or cipher suites can't be used.
    TlsOption,
    /// No connection could be made: refused, unreachable, name unknown, timed out, hub not available.
    ConnectionFailed,
    /// An existing connection was lost.
    ConnectionDropped,
    /// There is no connection, and none is to be made for this call.
    NotConnected,
    /// The hub refused the credentials.
    Unauthorized,
    /// The peer broke the protocol, or refused the client for another reason than its credentials.
    Protocol,
    /// The TLS handshake failed: an untrusted certificate, a wrong host name.
    Tls,
    /// The proxy can't be reached, refuses its user, or opens no way to the hub.
    Proxy,
    /// The workload API of IoT Edge gave no answer that can be used.
    Workload,
    /// No answer within the call's time.
    Timeout,
    /// The service took a request and did not answer it in the time that it has for that.
    NoAnswer,
    /// The call was cancelled, by `disconnect` or by its caller.
    Cancelled,
    /// The client has been shut down.
    ShutDown,
    /// The hub answered with this status instead of a success.
    Service(u16),
    /// A file or the system failed: a data file, a certificate, a port in use.
    System,
    /// The file of an outbox can't be used.
    Outbox,
    /// There is no room in an outbox.
    OutboxFull,
}

/// An error: its kind, one sentence, and what caused it.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync + 'static>>,
}

impl Error {
    /// An error of this kind; the message is a whole sentence without keys or tokens.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The system gives no thread.
    pub(crate) fn no_thread(cause: std::io::Error) -> Self {
        Self::new(ErrorKind::System, "no thread could be started").caused_by(cause)
    }

    /// The same error, with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same error with another sentence.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same error as one of another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// What a program can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence without its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The sentences of what caused it, nearest first.
    pub fn causes(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::successors(self.source(), |&cause| cause.source()).map(sentence)
    }
}

/// An error of ours prints its causes too, which follow anyway.
fn sentence(cause: &(dyn StdError + 'static)) -> String {
    cause.downcast_ref::<Error>().map_or_else(|| cause.to_string(), |error| error.message.clone())
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        self.causes().try_for_each(|cause| write!(formatter, ": {cause}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {self}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let lost = Error::new(ErrorKind::ConnectionFailed, "no hub").caused_by(refused);
        let late = Error::new(ErrorKind::Timeout, "too late").caused_by(lost);
        assert_eq!(late.to_string(), "too late: no hub: connection refused");
    }
}

//! Direct methods that were sent to a device and wait for its response.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::hub::connections::{MethodCall, MethodResponse};
use crate::protocol::topics;

/// The calls of one connection; dropping them tells the callers that it has ended.
#[derive(Default)]
pub(super) struct Calls(HashMap<String, oneshot::Sender<MethodResponse>>);

impl Calls {
    /// Topic and payload to send; `None` if the caller has given up, so that no device does what its back
    /// end was told it did not.
    pub(super) fn begin(&mut self, call: MethodCall) -> Option<(String, Bytes)> {
        if call.caller.is_closed() {
            return None;
        }
        self.0.retain(|_, caller| !caller.is_closed());
        let topic = topics::method_request(&call.name, &call.request_id);
        self.0.insert(call.request_id, call.caller);
        Some((topic, call.payload))
    }

    /// Hand a response to its caller. One that comes too late or a second time is nobody's.
    pub(super) fn finish(&mut self, request_id: &str, status: i64, payload: &[u8]) {
        if let Some(caller) = self.0.remove(request_id) {
            // The caller may give up at this moment.
            let _ = caller.send(MethodResponse { status, payload: Bytes::copy_from_slice(payload) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> (MethodCall, oneshot::Receiver<MethodResponse>) {
        let (caller, response) = oneshot::channel();
        let payload = Bytes::from_static(b"1");
        (MethodCall { request_id: id.into(), name: "m".into(), payload, caller }, response)
    }

    #[test]
    fn a_call_whose_caller_gave_up_is_not_sent_and_none_is_kept() {
        let mut calls = Calls::default();
        let (first, response) = call("1");
        assert_eq!(calls.begin(first).unwrap().0, "$iothub/methods/POST/m/?$rid=1");
        drop(response);
        let (second, response) = call("2");
        drop(response);
        assert!(calls.begin(second).is_none());
        let (third, _response) = call("3");
        assert!(calls.begin(third).is_some());
        assert_eq!(calls.0.len(), 1);
    }

    #[test]
    fn only_the_first_response_counts() {
        let mut calls = Calls::default();
        let (call, mut response) = call("a");
        calls.begin(call);
        calls.finish("b", 500, b"");
        calls.finish("a", 200, b"{}");
        calls.finish("a", 500, b"");
        assert_eq!(response.try_recv().unwrap().status, 200);
    }
}

//! One registration: ask to be registered, then ask how far it is until the service has decided.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::conversation::{Answer, Conversation};
use super::options::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::net::Target;
use crate::protocol::provisioning;

/// How long the service may take for one answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// The pause before the next question where the service names none; after the first answer always, as in the
/// official package.
const USUAL_PAUSE: Duration = Duration::from_secs(2);
/// How long after its last answer a service that is at work is asked on other connections.
const LOSS_TIME: Duration = Duration::from_secs(60);

/// A registration under way.
pub(super) struct Registration<'a> {
    options: &'a Options,
    target: &'a Target,
    body: Bytes,
    deadline: Option<Instant>,
    /// What the service calls this registration, once it is at work on it.
    operation: Option<String>,
    last_answer: Instant,
}

/// What an answer leaves to do.
#[derive(Debug, PartialEq)]
enum Next {
    /// Nothing: this is where the device belongs.
    Assigned(Bytes),
    /// Ask after this pause.
    AskAfter(Duration),
}

/// What the service answers: how far it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    operation_id: Option<String>,
    status: Option<String>,
    registration_state: Option<Refusal>,
}

/// Why the service refuses, in the body of an answer or in the state of a failed registration.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Refusal {
    error_code: Option<u64>,
    #[serde(alias = "errorMessage")]
    message: Option<String>,
    tracking_id: Option<String>,
}

impl<'a> Registration<'a> {
    /// `payload` is JSON, for the service's allocation policy.
    pub(super) fn new(
        options: &'a Options,
        target: &'a Target,
        payload: &[u8],
        deadline: Option<Instant>,
    ) -> Result<Self> {
        let body = request_body(payload, &options.registration_id)?;
        Ok(Self { options, target, body, deadline, operation: None, last_answer: Instant::now() })
    }

    /// Carry it to its end; the service's last answer.
    pub(super) async fn run(mut self) -> Result<Bytes> {
        loop {
            match self.over_one_connection().await {
                Err(error) if self.is_worth_another_connection(&error) => {
                    let pause = async {
                        sleep(USUAL_PAUSE).await;
                        Ok(())
                    };
                    within(self.deadline, pause).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// The service goes on without the device, which can ask for the outcome on another connection.
    fn is_worth_another_connection(&self, error: &Error) -> bool {
        let lost = matches!(error.kind(), ErrorKind::ConnectionDropped | ErrorKind::ConnectionFailed);
        lost && self.operation.is_some() && self.last_answer.elapsed() < LOSS_TIME
    }

    async fn over_one_connection(&mut self) -> Result<Bytes> {
        let deadline = self.deadline;
        let opening = Conversation::open(self.target, self.options);
        let mut conversation = within(deadline, opening).await?;
        let outcome = within(deadline, self.converse(&mut conversation)).await;
        conversation.close().await;
        outcome
    }

    async fn converse(&mut self, conversation: &mut Conversation) -> Result<Bytes> {
        answered("subscribe", conversation.listen()).await?;
        loop {
            let (name, answer) = match &self.operation {
                None => {
                    let asking = conversation.ask(provisioning::register, self.body.clone());
                    ("register", answered("register", asking).await?)
                }
                Some(operation) => {
                    let topic = |request_id: &str| provisioning::query(request_id, operation);
                    let asking = conversation.ask(topic, Bytes::from_static(b" "));
                    ("query", answered("query", asking).await?)
                }
            };
            self.last_answer = Instant::now();
            match self.understand(name, &answer)? {
                Next::Assigned(body) => return Ok(body),
                Next::AskAfter(pause) => conversation.rest(pause).await?,
            }
        }
    }

    /// `name` is what the official package calls the question.
    fn understand(&mut self, name: &str, answer: &Answer) -> Result<Next> {
        let status = answer.response.status;
        let named_pause = answer.response.retry_after.map(|seconds| Duration::from_secs(seconds.into()));
        let pause = named_pause.unwrap_or(USUAL_PAUSE);
        match status {
            429.. => return Ok(Next::AskAfter(pause)),
            300.. => {
                let text = format!("{name} request returned a service error status code {status}");
                let refusal = serde_json::from_slice::<Refusal>(&answer.body).unwrap_or_default();
                return Err(refusal.explain(status, text));
            }
            _ => {}
        }
        let unreadable =
            || Error::new(ErrorKind::Protocol, "the provisioning service's answer can't be read");
        let progress: Progress =
            serde_json::from_slice(&answer.body).map_err(|error| unreadable().caused_by(error))?;
        match progress.status.as_deref().unwrap_or("None") {
            "assigned" => Ok(Next::Assigned(answer.body.clone())),
            "assigning" if self.operation.is_some() => Ok(Next::AskAfter(pause)),
            "assigning" => {
                self.operation = Some(progress.operation_id.ok_or_else(unreadable)?);
                Ok(Next::AskAfter(USUAL_PAUSE))
            }
            other => {
                Err(progress.registration_state.unwrap_or_default().explain(status, no_hub(other, status)))
            }
        }
    }
}

/// The official sentence for a registration that ended without a hub.
fn no_hub(registration_status: &str, status: u16) -> String {
    match registration_status {
        "failed" => format!(
            "Query Status operation returned a failed registration status with a status code of {status}"
        ),
        other => format!(
            "Query Status Operation encountered an invalid registration status {other} with a status code of \
             {status}"
        ),
    }
}

impl Refusal {
    /// An error with this sentence, and with what the service says about it.
    fn explain(self, status: u16, mut text: String) -> Error {
        if let Some(message) = self.message {
            text = format!("{text}: {message}");
        }
        let code = self.error_code.map(|code| format!("error {code}"));
        let tracking_id = self.tracking_id.map(|id| format!("tracking id {id}"));
        let details: Vec<String> = code.into_iter().chain(tracking_id).collect();
        if !details.is_empty() {
            text = format!("{text} ({})", details.join(", "));
        }
        Error::new(ErrorKind::Service(status), text)
    }
}

/// The body of the request, with its keys in order, as the official package writes it.
fn request_body(payload: &[u8], registration_id: &str) -> Result<Bytes> {
    let invalid = |error| {
        Error::new(ErrorKind::InvalidArgument, "the provisioning payload is no JSON").caused_by(error)
    };
    let payload: &RawValue = serde_json::from_slice(payload).map_err(invalid)?;
    let registration_id = serde_json::to_string(registration_id).map_err(invalid)?;
    Ok(format!("{{\"payload\": {payload}, \"registrationId\": {registration_id}}}").into())
}

/// An answer in its time, or the official sentence.
async fn answered<T>(name: &str, asking: impl Future<Output = Result<T>>) -> Result<T> {
    let outcome = timeout(REQUEST_TIME, asking).await;
    outcome.unwrap_or_else(|_| {
        let text =
            format!("Operation timed out before provisioning service could respond for {name} operation");
        Err(Error::new(ErrorKind::NoAnswer, text))
    })
}

/// The outcome in the time that the caller gives.
pub(super) async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(deadline) = deadline else { return work.await };
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        let text = "the provisioning service did not decide within the call's time";
        Err(Error::new(ErrorKind::Timeout, text))
    })
}

#[cfg(test)]
mod tests {
    use super::super::options::Attestation;
    use super::*;
    use crate::auth::SasKey;

    const ASSIGNING: &str = r#"{"operationId":"4.op","status":"assigning"}"#;

    /// What such answers, one after the other, leave to do: each has a status, seconds after which to ask again, and a
    /// body.
    fn understood(answers: &[(u16, Option<u32>, &'static str)]) -> Vec<std::result::Result<Next, String>> {
        let key = Attestation::Key { key: SasKey::from_bytes(Vec::new()), ttl: Duration::from_secs(1) };
        let options = Options::new("localhost".into(), "0ne".into(), "reg1".into(), key);
        let target = options.route().target().unwrap();
        let mut registration = Registration::new(&options, &target, b"null", None).unwrap();
        let understand = |&(status, retry_after, body): &(u16, Option<u32>, &'static str)| {
            let name = if registration.operation.is_some() { "query" } else { "register" };
            let response = provisioning::Response { status, request_id: "1".into(), retry_after };
            let answer = Answer { response, body: Bytes::from_static(body.as_bytes()) };
            registration.understand(name, &answer).map_err(|error| error.message().to_owned())
        };
        answers.iter().map(understand).collect()
    }

    fn after(seconds: u64) -> Next {
        Next::AskAfter(Duration::from_secs(seconds))
    }

    #[test]
    fn an_answer_is_followed_by_a_question_after_the_official_pause() {
        let assigned = r#"{"operationId":"4.op","status":"assigned"}"#;
        let found = understood(&[
            (429, None, ""),
            (503, Some(7), ""),
            // The pause that the first answer names does not count.
            (202, Some(9), ASSIGNING),
            (202, None, ASSIGNING),
            (299, Some(5), ASSIGNING),
            (429, Some(0), ""),
            (500, None, ""),
            (200, Some(3), assigned),
        ]);
        let expected = [after(2), after(7), after(2), after(2), after(5), after(0), after(2)].map(Ok);
        assert_eq!(found[..7], expected);
        assert_eq!(found[7], Ok(Next::Assigned(Bytes::from_static(assigned.as_bytes()))));
    }

    #[test]
    fn a_status_from_300_to_428_is_an_error_of_the_question_that_was_asked() {
        for status in [300, 428] {
            let text = |name| format!("{name} request returned a service error status code {status}");
            assert_eq!(understood(&[(status, None, "")]), [Err(text("register"))]);
            assert_eq!(understood(&[(202, None, ASSIGNING), (status, None, "")])[1], Err(text("query")));
        }
    }

    #[test]
    fn a_registration_that_ends_without_a_hub_has_the_official_sentence() {
        for (status, sentence) in [
            (
                "failed",
                "Query Status operation returned a failed registration status with a status code of 200",
            ),
            (
                "unassigned",
                "Query Status Operation encountered an invalid registration status unassigned with a status code of \
                 200",
            ),
        ] {
            assert_eq!(no_hub(status, 200), sentence);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_waited_for_half_a_minute() {
        let start = Instant::now();
        let error = answered("query", std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(
            error.message(),
            "Operation timed out before provisioning service could respond for query operation"
        );
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[test]
    fn the_body_is_the_official_one() {
        let body = |payload: &[u8]| request_body(payload, "reg1").map(|body| body.to_vec());
        assert_eq!(body(b"null").unwrap(), br#"{"payload": null, "registrationId": "reg1"}"#);
        assert_eq!(body(br#"{"a": 1}"#).unwrap(), br#"{"payload": {"a": 1}, "registrationId": "reg1"}"#);
        assert_eq!(body(b"{").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

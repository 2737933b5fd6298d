//! When a request is sent again, and after what pause: the rules of the official package, and throttling.
//!
//! Up to four attempts, with pauses of 0, 1.6 and 3.2 s. A `Retry-After` of the hub replaces the pause.
//! - No connection came about: the hub has seen nothing, so every method is tried again.
//! - The connection broke, or the status was 408, 500, 502, 503 or 504: GET, PUT and DELETE are, PATCH and
//!   POST are not, as they may have had their effect.
//! - 429: the hub has refused to do it, so every method is. It asks for about ten seconds in all.

use std::time::Duration;

use reqwest::Method;

use crate::http::{Response, Stage};

/// Pauses before the second, third and fourth attempt.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1600), Duration::from_millis(3200)];
const PAUSES_WHEN_THROTTLED: [Duration; 3] =
    [Duration::from_millis(1600), Duration::from_millis(3200), Duration::from_millis(6400)];
const RETRIED: [u16; 5] = [408, 500, 502, 503, 504];
const TOO_MANY_REQUESTS: u16 = 429;

/// How one attempt ended, as far as trying again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The hub answered, perhaps asking to wait.
    Answered { status: u16, retry_after: Option<Duration> },
    /// It did not.
    Unanswered(Stage),
}

impl Outcome {
    pub(super) fn answered(answer: &Response) -> Self {
        let retry_after = answer.retry_after().map(Duration::from_secs);
        Self::Answered { status: answer.status, retry_after }
    }
}

/// The pause before the next attempt; `None` when this was the last one. `attempt` counts from 1.
pub(super) fn pause_before_retry(method: &Method, attempt: u32, outcome: Outcome) -> Option<Duration> {
    let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let pause = *PAUSES.get(index)?;
    let repeatable = [Method::GET, Method::PUT, Method::DELETE].contains(method);
    match outcome {
        Outcome::Answered { status: TOO_MANY_REQUESTS, retry_after } => {
            retry_after.or_else(|| PAUSES_WHEN_THROTTLED.get(index).copied())
        }
        Outcome::Answered { status, retry_after } if repeatable && RETRIED.contains(&status) => {
            Some(retry_after.unwrap_or(pause))
        }
        Outcome::Unanswered(Stage::NeverSent) => Some(pause),
        Outcome::Unanswered(Stage::Lost) if repeatable => Some(pause),
        Outcome::Answered { .. } | Outcome::Unanswered(_) => None,
    }
}

/// Whether this answer is one of a failing hub that was asked again, and failed again.
pub(super) fn gave_up(method: &Method, attempts: u32, outcome: Outcome) -> bool {
    let throttled = matches!(outcome, Outcome::Answered { status: TOO_MANY_REQUESTS, .. });
    attempts > 1 && !throttled && pause_before_retry(method, 1, outcome).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(method: &Method, outcome: Outcome) -> Vec<u128> {
        (1..=5).map_while(|n| pause_before_retry(method, n, outcome)).map(|p| p.as_millis()).collect()
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    #[test]
    fn methods_that_can_be_repeated_are_when_the_hub_fails() {
        for status in RETRIED {
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                assert_eq!(pauses(&method, answered(status)), [0, 1600, 3200], "{method} {status}");
            }
            for method in [Method::PATCH, Method::POST] {
                assert_eq!(pauses(&method, answered(status)), [0_u128; 0], "{method} {status}");
            }
        }
        for status in [200, 204, 302, 400, 401, 404, 409, 412, 501, 505] {
            assert_eq!(pauses(&Method::GET, answered(status)), [0_u128; 0], "{status}");
        }
    }

    #[test]
    fn throttled_requests_of_every_method_are_repeated() {
        for method in [Method::GET, Method::PATCH, Method::POST] {
            assert_eq!(pauses(&method, answered(429)), [1600, 3200, 6400]);
        }
        let asked = Outcome::Answered { status: 429, retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(pauses(&Method::PATCH, asked), [7000, 7000, 7000]);
    }

    #[test]
    fn only_a_failing_hub_that_was_asked_again_is_given_up() {
        assert!(gave_up(&Method::GET, 4, answered(503)));
        assert!(!gave_up(&Method::GET, 1, answered(503)));
        assert!(!gave_up(&Method::GET, 4, answered(429)));
        assert!(!gave_up(&Method::GET, 2, answered(404)));
        assert!(!gave_up(&Method::PATCH, 2, answered(503)));
    }

    #[test]
    fn what_the_hub_never_saw_is_repeated_whatever_it_was() {
        let unanswered = |method, stage| pauses(&method, Outcome::Unanswered(stage));
        assert_eq!(unanswered(Method::POST, Stage::NeverSent), [0, 1600, 3200]);
        assert_eq!(unanswered(Method::GET, Stage::Lost), [0, 1600, 3200]);
        assert_eq!(unanswered(Method::POST, Stage::Lost), [0_u128; 0]);
        assert_eq!(unanswered(Method::GET, Stage::Hopeless), [0_u128; 0]);
    }
}

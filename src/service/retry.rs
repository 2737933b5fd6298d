//! When a request is sent again, and after what pause: the rules of the official package, and throttling.
//!
//! Up to four attempts, with pauses of 0, 1.6 and 3.2 s, unless the caller has another policy. A `Retry-After` of the hub
//! replaces the pause.
//! - No connection came about: the hub has seen nothing, so every method is tried again.
//! - The connection broke, or the status was 408, 500, 502, 503 or 504: GET, PUT and DELETE are, PATCH and
//!   POST are not, as they may have had their effect.
//! - 429: the hub has refused to do it, so every method is. It asks for about ten seconds in all.

use std::time::Duration;

use reqwest::Method;

use crate::http::{Response, Stage};

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
        let retry_after = answer.retry_after();
        Self::Answered { status: answer.status, retry_after }
    }
}

impl Outcome {
    /// Whether the hub may have done what it was asked, though no good answer says so.
    pub(super) fn leaves_doubt(self) -> bool {
        match self {
            Self::Answered { status, .. } => RETRIED.contains(&status),
            Self::Unanswered(stage) => stage == Stage::Lost,
        }
    }
}

/// How often a request is sent, and how long the pauses are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all.
    pub attempts: u32,
    /// The unit of the pauses, which double: 0, 2, 4, 8 … times this, and for throttled requests 2, 4, 8 … times.
    pub backoff: Duration,
    /// No pause is longer, but for those that the hub asks for.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let (backoff, longest_pause) = (Duration::from_millis(800), Duration::from_secs(120));
        Self { attempts: 4, backoff, longest_pause }
    }
}

impl RetryPolicy {
    /// The pause before the next attempt; `None` when this was the last one. `attempt` counts from 1.
    pub(super) fn pause(&self, method: &Method, attempt: u32, outcome: Outcome) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let pause = if attempt == 1 { Duration::ZERO } else { self.doubled(attempt - 1) };
        match outcome {
            Outcome::Answered { status: TOO_MANY_REQUESTS, retry_after } => {
                Some(retry_after.unwrap_or_else(|| self.doubled(attempt)))
            }
            Outcome::Answered { status, retry_after }
                if is_repeatable(method) && RETRIED.contains(&status) =>
            {
                Some(retry_after.unwrap_or(pause))
            }
            Outcome::Unanswered(Stage::NeverSent) => Some(pause),
            Outcome::Unanswered(Stage::Lost) if is_repeatable(method) => Some(pause),
            Outcome::Answered { .. } | Outcome::Unanswered(_) => None,
        }
    }

    fn doubled(&self, times: u32) -> Duration {
        let factor = 2_u32.checked_pow(times).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(factor).min(self.longest_pause)
    }
}

fn is_repeatable(method: &Method) -> bool {
    [Method::GET, Method::PUT, Method::DELETE].contains(method)
}

/// Whether this answer is one of a failing hub that was asked again, and failed again.
pub(super) fn gave_up(method: &Method, attempts: u32, outcome: Outcome) -> bool {
    let failing = matches!(outcome, Outcome::Answered { status, .. } if RETRIED.contains(&status));
    attempts > 1 && failing && is_repeatable(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(method: &Method, outcome: Outcome) -> Vec<u128> {
        (1..=5)
            .map_while(|n| RetryPolicy::default().pause(method, n, outcome))
            .map(|p| p.as_millis())
            .collect()
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
    fn pauses_double_up_to_the_longest() {
        let (backoff, longest_pause) = (Duration::from_secs(1), Duration::from_secs(5));
        let policy = RetryPolicy { attempts: 100, backoff, longest_pause };
        let pause = |attempt| policy.pause(&Method::GET, attempt, answered(503)).map(|pause| pause.as_secs());
        assert_eq!([1, 2, 3, 4, 99, 100].map(pause), [Some(0), Some(2), Some(4), Some(5), Some(5), None]);
    }

    #[test]
    fn what_the_hub_may_have_done_is_in_doubt() {
        assert!(answered(500).leaves_doubt() && answered(408).leaves_doubt());
        assert!(Outcome::Unanswered(Stage::Lost).leaves_doubt());
        assert!(!answered(429).leaves_doubt() && !answered(404).leaves_doubt());
        assert!(!Outcome::Unanswered(Stage::NeverSent).leaves_doubt());
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

//! When a request is sent again, and after what pause: the rules of the official package, and throttling.
//!
//! Up to four attempts, with pauses of 0, 1.6 and 3.2 s, unless the caller has another policy. A `Retry-After` of the hub
//! replaces the pause.
//! - No connection came about: the hub has seen nothing, so every method is tried again.
//! - The connection broke, or the status was 408, 500, 502, 503 or 504: the hub may have done it, so only what may be
//!   done twice is tried again (GET, PUT, DELETE, queries).
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
    /// The pause before the next attempt; `None` when this was the last one. `attempt` counts from 1; what is
    /// `repeatable` may be done twice.
    pub(super) fn pause(&self, repeatable: bool, attempt: u32, outcome: Outcome) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let pause = if attempt == 1 { Duration::ZERO } else { self.doubled(attempt - 1) };
        match outcome {
            Outcome::Answered { status: TOO_MANY_REQUESTS, retry_after } => {
                Some(retry_after.unwrap_or_else(|| self.doubled(attempt)))
            }
            Outcome::Answered { status, retry_after } if repeatable && RETRIED.contains(&status) => {
                Some(retry_after.unwrap_or(pause))
            }
            Outcome::Unanswered(Stage::NeverSent) => Some(pause),
            Outcome::Unanswered(Stage::Lost) if repeatable => Some(pause),
            Outcome::Answered { .. } | Outcome::Unanswered(_) => None,
        }
    }

    fn doubled(&self, times: u32) -> Duration {
        let factor = 2_u32.checked_pow(times).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(factor).min(self.longest_pause)
    }
}

/// Whether doing it twice is as doing it once, whatever it asks for.
pub(super) fn is_repeatable(method: &Method) -> bool {
    [Method::GET, Method::PUT, Method::DELETE].contains(method)
}

/// Whether this answer is one of a failing hub that was asked again, and failed again.
pub(super) fn gave_up(repeatable: bool, attempts: u32, outcome: Outcome) -> bool {
    let failing = matches!(outcome, Outcome::Answered { status, .. } if RETRIED.contains(&status));
    attempts > 1 && failing && repeatable
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEATABLE: bool = true;
    const ONCE: bool = false;

    fn pauses(repeatable: bool, outcome: Outcome) -> Vec<u128> {
        (1..=5)
            .map_while(|n| RetryPolicy::default().pause(repeatable, n, outcome))
            .map(|p| p.as_millis())
            .collect()
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    #[test]
    fn what_may_be_done_twice_is_repeated_when_the_hub_fails() {
        for status in RETRIED {
            assert_eq!(pauses(REPEATABLE, answered(status)), [0, 1600, 3200], "{status}");
            assert_eq!(pauses(ONCE, answered(status)), [0_u128; 0], "{status}");
        }
        for status in [200, 204, 302, 400, 401, 404, 409, 412, 501, 505] {
            assert_eq!(pauses(REPEATABLE, answered(status)), [0_u128; 0], "{status}");
        }
    }

    #[test]
    fn what_is_known_of_a_method_is_whether_it_may_be_done_twice() {
        assert!([Method::GET, Method::PUT, Method::DELETE].iter().all(is_repeatable));
        assert!(![Method::PATCH, Method::POST].iter().any(is_repeatable));
    }

    #[test]
    fn throttled_requests_are_repeated_whatever_they_are() {
        for repeatable in [REPEATABLE, ONCE] {
            assert_eq!(pauses(repeatable, answered(429)), [1600, 3200, 6400]);
        }
        let asked = Outcome::Answered { status: 429, retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(pauses(ONCE, asked), [7000, 7000, 7000]);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (backoff, longest_pause) = (Duration::from_secs(1), Duration::from_secs(5));
        let policy = RetryPolicy { attempts: 100, backoff, longest_pause };
        let pause = |attempt| policy.pause(REPEATABLE, attempt, answered(503)).map(|pause| pause.as_secs());
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
        assert!(gave_up(REPEATABLE, 4, answered(503)));
        assert!(!gave_up(REPEATABLE, 1, answered(503)));
        assert!(!gave_up(REPEATABLE, 4, answered(429)));
        assert!(!gave_up(REPEATABLE, 2, answered(404)));
        assert!(!gave_up(ONCE, 2, answered(503)));
    }

    #[test]
    fn what_the_hub_never_saw_is_repeated_whatever_it_was() {
        let unanswered = |repeatable, stage| pauses(repeatable, Outcome::Unanswered(stage));
        assert_eq!(unanswered(ONCE, Stage::NeverSent), [0, 1600, 3200]);
        assert_eq!(unanswered(REPEATABLE, Stage::Lost), [0, 1600, 3200]);
        assert_eq!(unanswered(ONCE, Stage::Lost), [0_u128; 0]);
        assert_eq!(unanswered(REPEATABLE, Stage::Hopeless), [0_u128; 0]);
    }
}

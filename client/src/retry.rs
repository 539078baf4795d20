//! Trying again, a bounded number of times.

use std::time::Duration;

use crate::ClientError;

/// Attempts after the first. With the pauses below they take seven seconds, in which a broker restarts.
const RETRIES_MAX: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often something failed in a row.
#[derive(Debug, Default)]
pub struct Retries {
    failures: u32,
}

impl Retries {
    /// Forgets the failures after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Takes note of a failure and waits until the next attempt.
    ///
    /// # Errors
    /// The failure itself, when it is not retriable or the last of too many.
    pub async fn after(&mut self, failure: ClientError) -> Result<(), ClientError> {
        if !failure.is_retriable() {
            return Err(failure);
        }
        self.after_any(failure).await
    }

    /// The same for a failure that the caller knows how to mend, though it is not retriable as it stands.
    ///
    /// # Errors
    /// The failure itself, when it is the last of too many.
    pub(crate) async fn after_any(&mut self, failure: ClientError) -> Result<(), ClientError> {
        if self.failures == RETRIES_MAX {
            return Err(failure);
        }
        tracing::debug!(error = %failure, attempt = self.failures + 1, "trying again");
        let pause = pause(self.failures);
        // Counted first: whoever asked may give up during the pause and come again.
        self.failures += 1;
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Doubles with each failure up to a limit.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use protocol::ErrorCode;

    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_add_up_to_seconds() {
        assert_eq!([0, 1, 4].map(pause), [50, 100, 800].map(Duration::from_millis));
        let total: Duration = (0..RETRIES_MAX).map(pause).sum();
        assert!(total > Duration::from_secs(5) && total < Duration::from_secs(10), "{total:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_after_enough_failures_and_at_once_on_final_ones() {
        let failure = |code| ClientError::check("x", code, None).unwrap_err();
        let mut retries = Retries::default();
        for _ in 0..RETRIES_MAX {
            retries.after(failure(ErrorCode::NOT_COORDINATOR)).await.unwrap();
        }
        assert!(retries.after(failure(ErrorCode::NOT_COORDINATOR)).await.is_err());
        retries.reset();
        retries.after(failure(ErrorCode::NOT_COORDINATOR)).await.unwrap();
        assert!(retries.after(failure(ErrorCode::INVALID_GROUP_ID)).await.is_err());
    }
}

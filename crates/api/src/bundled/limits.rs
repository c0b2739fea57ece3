//! Sign-in attempts are limited per address and per account, writes per user.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use uuid::Uuid;

use crate::error::{ApiError, RateLimit};

/// How many sign-in attempts a minute are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInLimits {
    /// From one network address.
    pub per_address: NonZeroU32,
    /// For one e-mail address.
    pub per_account: NonZeroU32,
}

impl Default for SignInLimits {
    /// Enough for a class that signs in from one address, too few to guess a password.
    fn default() -> Self {
        Self {
            per_address: NonZeroU32::MIN.saturating_add(239),
            per_account: NonZeroU32::MIN.saturating_add(59),
        }
    }
}

/// How many writes a second one user may make, unless said otherwise.
pub(crate) const DEFAULT_WRITES_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// Counts the writes of users.
pub(crate) struct WriteLimiter {
    by_user: DefaultKeyedRateLimiter<Uuid>,
    per_second: NonZeroU32,
    clock: DefaultClock,
}

impl WriteLimiter {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let by_user = RateLimiter::keyed(Quota::per_second(per_second));
        Self { by_user, per_second, clock: DefaultClock::default() }
    }

    /// Counts a write, or refuses it.
    pub(crate) fn check(&self, user: Uuid) -> Result<(), ApiError> {
        self.by_user.check_key(&user).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            let limit = RateLimit { name: "writes", quota: self.per_second.get(), window_seconds: 1 };
            ApiError::TooManyRequests { retry_after_seconds: wait.as_secs() + 1, limit }
        })?;
        if self.by_user.len() > REMEMBERED {
            self.by_user.retain_recent();
        }
        Ok(())
    }
}

/// Attempts that are remembered before those that no longer count are dropped.
const REMEMBERED: usize = 10_000;

/// Counts attempts.
pub(crate) struct SignInLimiter {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_account: DefaultKeyedRateLimiter<String>,
    limits: SignInLimits,
    clock: DefaultClock,
}

impl SignInLimiter {
    pub(crate) fn new(limits: SignInLimits) -> Self {
        Self {
            by_address: RateLimiter::keyed(Quota::per_minute(limits.per_address)),
            by_account: RateLimiter::keyed(Quota::per_minute(limits.per_account)),
            limits,
            clock: DefaultClock::default(),
        }
    }

    /// Counts an attempt, or refuses it.
    pub(crate) fn check(&self, address: Option<IpAddr>, account: &str) -> Result<(), ApiError> {
        let refusal = |name, quota: NonZeroU32| {
            move |not_until: governor::NotUntil<_>| {
                let wait = not_until.wait_time_from(self.clock.now());
                let limit = RateLimit { name, quota: quota.get(), window_seconds: 60 };
                ApiError::TooManyRequests { retry_after_seconds: wait.as_secs() + 1, limit }
            }
        };
        if let Some(address) = address {
            let refusal = refusal("sign-in-address", self.limits.per_address);
            self.by_address.check_key(&address).map_err(refusal)?;
        }
        let refusal = refusal("sign-in-account", self.limits.per_account);
        self.by_account.check_key(&account.to_owned()).map_err(refusal)?;
        if self.by_account.len() > REMEMBERED || self.by_address.len() > REMEMBERED {
            self.by_account.retain_recent();
            self.by_address.retain_recent();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_address: u32, per_account: u32) -> SignInLimiter {
        SignInLimiter::new(SignInLimits {
            per_address: NonZeroU32::new(per_address).unwrap(),
            per_account: NonZeroU32::new(per_account).unwrap(),
        })
    }

    #[test]
    fn attempts_for_one_account_are_limited_from_all_addresses_together() {
        let limiter = limiter(100, 2);
        let from = |last: u8| limiter.check(Some(IpAddr::from([10, 0, 0, last])), "ann@acme.example");
        assert!(from(1).is_ok());
        assert!(from(2).is_ok());
        assert!(matches!(from(3), Err(ApiError::TooManyRequests { retry_after_seconds: 1..=31, .. })));
        assert!(limiter.check(Some(IpAddr::from([10, 0, 0, 3])), "ben@acme.example").is_ok());
    }

    #[test]
    fn attempts_from_one_address_are_limited_for_all_accounts_together() {
        let limiter = limiter(2, 100);
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        assert!(limiter.check(address, "a").is_ok());
        assert!(limiter.check(address, "b").is_ok());
        assert!(limiter.check(address, "c").is_err());
    }
}

//! A venue's limits on messages as its documents state them, where they are not those of its dialect.
//!
//! Written in a venue's `limits = { … }`; `venue_session.rs` puts them in the place of the dialect's.
//! The maker's own budget is `message_rate`; what stands here is kept by the gateway, before the socket.
//! Cold.

use super::faults::Faults;
use super::file::RawMessageRate;
use ballast_gateway::order_entry::throttle::{Counted, LIMITS_MAX, Limits, MessageLimit, WhenFull};
use serde::Deserialize;

const MS: u64 = 1_000_000;
/// The gateway keeps the time of each message of a window.
const MESSAGES_MAX: u32 = 1_000_000;

/// `limits = { orders = [{ max = 50, window_ms = 1000 }], when_full = "queue", queue_ms = 20 }`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// On everything that the order session sends.
    pub all: Vec<RawWindow>,
    /// On new orders and replaces.
    pub orders: Vec<RawWindow>,
    /// On cancels.
    pub cancels: Vec<RawWindow>,
    /// On everything that the market data session sends.
    pub market_data: Vec<RawWindow>,
    /// What becomes of an order that does not pass: `refuse` (where left out) or `queue`.
    pub when_full: RawWhenFull,
    /// How long an order waits at most; with `queue` alone.
    pub queue_ms: Option<u64>,
}

/// One window.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWindow {
    /// Most messages in any window.
    pub max: u32,
    /// The window.
    pub window_ms: u64,
    /// How many of them only cancels may use.
    #[serde(default)]
    pub cancel_reserve: u32,
}

/// What becomes of an order that does not pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawWhenFull {
    /// It comes back unsent.
    #[default]
    Refuse,
    /// It waits.
    Queue,
}

impl RawWindow {
    fn limit(self) -> MessageLimit {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        MessageLimit {
            messages: count(self.max),
            window_ns: self.window_ms.saturating_mul(MS),
            cancel_reserve: count(self.cancel_reserve),
        }
    }
}

impl RawLimits {
    /// The order session's limits in the place of a dialect's, where any is given.
    pub fn order_limits(&self, dialects: Limits) -> Limits {
        let when_full = match (self.when_full, self.queue_ms) {
            (RawWhenFull::Queue, Some(ms)) => WhenFull::Queue { for_ns: ms.saturating_mul(MS) },
            (RawWhenFull::Queue | RawWhenFull::Refuse, _) => WhenFull::Refuse,
        };
        let mut limits = Vec::new();
        for (counted, windows) in [
            (Counted::All, &self.all),
            (Counted::Orders, &self.orders),
            (Counted::Cancels, &self.cancels),
        ] {
            limits.extend(windows.iter().map(|window| (counted, window.limit())));
        }
        Limits::of(&limits, when_full).unwrap_or(dialects.beyond(when_full))
    }

    /// The market data session's.
    pub fn market_data_limits(&self, dialects: Limits) -> Limits {
        let limits: Vec<_> =
            self.market_data.iter().map(|window| (Counted::All, window.limit())).collect();
        Limits::of(&limits, WhenFull::Refuse).unwrap_or(dialects)
    }

    /// Adds what is wrong with the limits of the venue `key`.
    pub fn check(&self, rate: &RawMessageRate, key: &str, faults: &mut Faults) {
        let key = format!("{key}.limits");
        for (name, windows) in [
            ("all", &self.all),
            ("orders", &self.orders),
            ("cancels", &self.cancels),
            ("market_data", &self.market_data),
        ] {
            for (place, window) in windows.iter().enumerate() {
                window.check(&format!("{key}.{name}[{place}]"), name, faults);
            }
        }
        for (names, count) in [
            ("all, orders and cancels", self.all.len() + self.orders.len() + self.cancels.len()),
            ("market_data", self.market_data.len()),
        ] {
            if count > LIMITS_MAX {
                faults.add(format!("{key}: {names}"), count, format!("at most {LIMITS_MAX}"));
            }
        }
        let has = |windows: &[RawWindow]| !windows.is_empty();
        let (all, orders, cancels) = (has(&self.all), has(&self.orders), has(&self.cancels));
        if !all && orders != cancels {
            // What stands here takes the place of all that the dialect counts.
            let missing = if orders { "cancels" } else { "orders" };
            let allowed = "all, or both orders and cancels: what nothing counts has no limit";
            faults.add(format!("{key}.{missing}"), "missing", allowed);
        }
        let allowed = "when_full = \"queue\" and queue_ms = 1 to 60000 go together";
        match (self.when_full, self.queue_ms) {
            (RawWhenFull::Queue, Some(1..=60_000)) | (RawWhenFull::Refuse, None) => {}
            (RawWhenFull::Queue | RawWhenFull::Refuse, given) => {
                let given = given.map_or("missing".to_owned(), |ms| ms.to_string());
                faults.add(format!("{key}.queue_ms"), given, allowed);
            }
        }
        for (place, window) in self.all.iter().enumerate() {
            // A maker that may send more than its gateway lets pass would be refused all day.
            let is_more = rate.window_ms == window.window_ms && rate.max > window.max;
            if is_more {
                let value = format!("{} in {} ms", window.max, window.window_ms);
                let allowed = format!("at least message_rate's {} in it", rate.max);
                faults.add(format!("{key}.all[{place}]"), value, allowed);
            }
        }
    }
}

impl RawWindow {
    fn check(&self, key: &str, name: &str, faults: &mut Faults) {
        if !(1..=MESSAGES_MAX).contains(&self.max) || self.window_ms == 0 {
            let value = format!("{} in {} ms", self.max, self.window_ms);
            faults.add(key, value, format!("1 to {MESSAGES_MAX} in at least 1 ms"));
        }
        let has_orders = name == "all";
        if self.cancel_reserve >= self.max.max(1) || (self.cancel_reserve > 0 && !has_orders) {
            let allowed = "below max, and only where orders and cancels share the limit";
            faults.add(format!("{key}.cancel_reserve"), self.cancel_reserve, allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: RawMessageRate = RawMessageRate { max: 200, window_ms: 1000, cancel_reserve: 40 };

    fn dialects() -> Limits {
        MessageLimit { messages: 7, window_ns: 7, cancel_reserve: 0 }.into()
    }

    fn read(text: &str) -> (RawLimits, String) {
        let raw: RawLimits = toml::from_str(text).unwrap();
        let mut faults = Faults::default();
        raw.check(&RATE, "venues.v", &mut faults);
        let told = faults.to_string();
        (raw, told)
    }

    #[test]
    fn what_is_given_takes_the_dialects_place_and_what_is_not_leaves_it() {
        let (raw, told) = read(
            "orders = [{ max = 50, window_ms = 1000 }, { max = 300, window_ms = 60000 }]\n\
             cancels = [{ max = 100, window_ms = 1000 }]\nwhen_full = \"queue\"\nqueue_ms = 20",
        );
        assert!(told.starts_with("0 faults"), "{told}");
        let limit = |messages, seconds: u64| MessageLimit {
            messages,
            window_ns: seconds * 1_000_000_000,
            cancel_reserve: 0,
        };
        let wanted = [
            (Counted::Orders, limit(50, 1)),
            (Counted::Orders, limit(300, 60)),
            (Counted::Cancels, limit(100, 1)),
        ];
        let queue = WhenFull::Queue { for_ns: 20_000_000 };
        assert_eq!(Some(raw.order_limits(dialects())), Limits::of(&wanted, queue));
        assert_eq!(raw.market_data_limits(dialects()), dialects());
        let (raw, _) = read("market_data = [{ max = 5, window_ms = 1000 }]");
        assert_eq!(raw.market_data_limits(dialects()), limit(5, 1).into());
        assert_eq!(raw.order_limits(dialects()), dialects());
    }

    #[test]
    fn limits_that_leave_orders_or_cancels_uncounted_are_refused() {
        let window = "[{ max = 300, window_ms = 1000 }]";
        for (given, missing) in [("orders", "cancels"), ("cancels", "orders")] {
            let (_, told) = read(&format!("{given} = {window}"));
            let fault = format!("venues.v.limits.{missing} = missing: all, or both");
            assert!(told.starts_with("1 fault") && told.contains(&fault), "{told}");
            let (_, told) = read(&format!("{given} = {window}\nall = {window}"));
            assert!(told.starts_with("0 faults"), "{told}");
        }
    }

    #[test]
    fn every_fault_is_told() {
        let (_, told) = read(
            "all = [{ max = 0, window_ms = 0 }, { max = 199, window_ms = 1000 }, \
             { max = 5, window_ms = 1, cancel_reserve = 5 }]\n\
             orders = [{ max = 5, window_ms = 1, cancel_reserve = 1 }]\nqueue_ms = 3",
        );
        for part in [
            "venues.v.limits.all[0] = 0 in 0 ms: 1 to 1000000 in at least 1 ms",
            "venues.v.limits.all[1] = 199 in 1000 ms: at least message_rate's 200 in it",
            "venues.v.limits.all[2].cancel_reserve = 5: below max",
            "venues.v.limits.orders[0].cancel_reserve = 1: below max, and only where",
            "venues.v.limits.queue_ms = 3: when_full",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        let many = format!("cancels = [{}]", "{ max = 1, window_ms = 1 },".repeat(7));
        assert!(read(&many).1.contains("all, orders and cancels = 7: at most 6"));
        assert!(read("when_full = \"queue\"").1.contains("queue_ms = missing"));
    }
}

//! When and where an initiator tries again: a list of hosts, and a pause that grows.
//!
//! Asked by the [`Line`](crate::venue::line::Line), on its thread, and told what came of it. A
//! connection that was made is no success: only a Logon is, because a host that accepts and does not log on would be
//! tried for ever; and the pause begins short again only after a Logon that lasted, because a counterparty
//! that logs us on and out at once would be hammered. Deliberately absent: sockets and the clock.

use ballast_engine::units::Nanos;

/// How often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectConfig {
    /// The pause after the first failure.
    pub pause_min_ns: u64,
    /// The longest pause; each failure doubles it up to here.
    pub pause_max_ns: u64,
}

impl Default for ReconnectConfig {
    /// 250 ms, up to 30 s.
    fn default() -> Self {
        ReconnectConfig { pause_min_ns: 250_000_000, pause_max_ns: 30_000_000_000 }
    }
}

/// A Logon that lasted so long was one.
const SETTLED_NS: u64 = 10_000_000_000;

/// The next try of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    config: ReconnectConfig,
    hosts: usize,
    host: usize,
    pause_ns: u64,
    due: Nanos,
    /// Since when the session is logged on.
    up_since: Option<Nanos>,
    random: u64,
}

impl Reconnect {
    /// The first try of `hosts` is due at once, at the first; after it they are tried in turn, from the
    /// one that last worked. `seed` spreads the pauses, so that many sessions do not come back at once.
    pub fn new(config: ReconnectConfig, hosts: usize, seed: u64) -> Self {
        Reconnect {
            hosts,
            host: 0,
            pause_ns: config.pause_min_ns,
            due: Nanos(0),
            up_since: None,
            random: seed | 1,
            config,
        }
    }

    /// When the next try is due.
    pub fn due(&self) -> Nanos {
        self.due
    }

    /// Which host it goes to.
    pub fn host(&self) -> usize {
        self.host
    }

    /// A try begins: whatever came of the one before is over, also where it was parted from.
    pub fn on_dialling(&mut self) {
        self.up_since = None;
    }

    /// The session logged on: this host works.
    pub fn on_logged_on(&mut self, now: Nanos) {
        self.up_since = Some(now);
    }

    /// A connection ended or was not made. One that had logged on is tried again at the same host
    /// first; otherwise the next host has its turn.
    pub fn on_ended(&mut self, now: Nanos) {
        let up_since = self.up_since.take();
        if up_since.is_some_and(|since| now.since(since) >= SETTLED_NS) {
            self.pause_ns = self.config.pause_min_ns;
        }
        if up_since.is_none() {
            self.host = self.host.saturating_add(1) % self.hosts.max(1);
        }
        // Between half of the pause and all of it.
        let half = self.pause_ns / 2;
        let jitter = self.next_random() % half.saturating_add(1);
        self.due = now.plus(self.pause_ns.saturating_sub(jitter));
        self.pause_ns = self.pause_ns.saturating_mul(2).min(self.config.pause_max_ns);
    }

    /// xorshift64: any spread will do.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconnect() -> Reconnect {
        Reconnect::new(ReconnectConfig { pause_min_ns: 100, pause_max_ns: 350 }, 3, 7)
    }

    fn pause_after_failure(reconnect: &mut Reconnect) -> u64 {
        let now = Nanos(1_000);
        reconnect.on_ended(now);
        reconnect.due().since(now)
    }

    #[test]
    fn pauses_grow_to_their_limit_with_jitter_of_at_most_half() {
        let mut reconnect = reconnect();
        assert_eq!(reconnect.due(), Nanos(0));
        for longest in [100, 200, 350, 350] {
            let pause = pause_after_failure(&mut reconnect);
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
        }
    }

    #[test]
    fn a_host_that_does_not_log_us_on_gives_way_to_the_next() {
        let mut reconnect = reconnect();
        let mut hosts = Vec::new();
        for _ in 0..4 {
            hosts.push(reconnect.host());
            pause_after_failure(&mut reconnect);
        }
        assert_eq!(hosts, [0, 1, 2, 0]);
    }

    #[test]
    fn a_host_that_worked_is_tried_again_and_soon() {
        let mut reconnect = reconnect();
        for _ in 0..4 {
            pause_after_failure(&mut reconnect);
        }
        let host = reconnect.host();
        reconnect.on_logged_on(Nanos(5_000));
        let end = Nanos(5_000 + SETTLED_NS);
        reconnect.on_ended(end);
        assert_eq!(reconnect.host(), host);
        assert!(reconnect.due().since(end) <= 100);
    }

    #[test]
    fn a_logon_that_does_not_last_makes_the_next_pause_no_shorter() {
        let mut reconnect = reconnect();
        let mut now = Nanos(1_000);
        for longest in [100, 200, 350, 350] {
            reconnect.on_logged_on(now);
            now = now.plus(SETTLED_NS - 1);
            reconnect.on_ended(now);
            let pause = reconnect.due().since(now);
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
            assert_eq!(reconnect.host(), 0, "it is the right host all the same");
        }
    }

    #[test]
    fn seeds_spread_the_pauses() {
        let pauses: std::collections::BTreeSet<u64> = (0..20)
            .map(|seed| {
                let config = ReconnectConfig { pause_min_ns: 1_000_000, ..reconnect().config };
                let mut reconnect = Reconnect::new(config, 1, seed * 7_919);
                for _ in 0..100 {
                    reconnect.next_random();
                }
                pause_after_failure(&mut reconnect)
            })
            .collect();
        assert!(pauses.len() > 15, "{pauses:?}");
    }
}

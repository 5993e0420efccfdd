//! Requests on their way to the matching, in the order in which they arrive.
//!
//! Part of the exchange: fed with what participants send, feeds it the next request that arrives. One
//! thread, no clock. What arrives at the same moment arrives in the order in which it was sent. When the
//! next one is due is kept, for it is asked with every event of the tape. Deliberately absent: how long
//! the way is (`latency.rs`).

use super::order::{Participant, Request};
use ballast_engine::units::Nanos;
use std::collections::BTreeMap;

/// Requests by their arrival.
#[derive(Default)]
pub(super) struct Arrivals {
    on_the_way: BTreeMap<(Nanos, u64), (Participant, Request)>,
    /// When the first of them arrives.
    next: Option<Nanos>,
    sent: u64,
}

impl Arrivals {
    /// A request sets out and will arrive at this time.
    pub fn send(&mut self, arrives: Nanos, participant: Participant, request: Request) {
        self.sent += 1;
        self.on_the_way.insert((arrives, self.sent), (participant, request));
        self.next = self.first();
    }

    /// When the next request arrives.
    #[inline]
    pub fn next(&self) -> Option<Nanos> {
        debug_assert_eq!(self.next, self.first(), "kept with every change");
        self.next
    }

    /// The next request arrives.
    pub fn take(&mut self) -> Option<(Nanos, Participant, Request)> {
        let ((at, _), (participant, request)) = self.on_the_way.pop_first()?;
        self.next = self.first();
        Some((at, participant, request))
    }

    fn first(&self) -> Option<Nanos> {
        self.on_the_way.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::event::ClOrdId;

    #[test]
    fn requests_arrive_by_time_and_those_of_one_moment_as_they_were_sent() {
        let mut arrivals = Arrivals::default();
        let of = |n| Request::Status { cl_ord_id: ClOrdId(n) };
        assert_eq!((arrivals.next(), arrivals.take()), (None, None));
        for (at, n) in [(7, 1), (5, 2), (7, 3), (5, 4)] {
            arrivals.send(Nanos(at), Participant(0), of(n));
        }
        for (at, n) in [(5, 2), (5, 4), (7, 1), (7, 3)] {
            assert_eq!(arrivals.next(), Some(Nanos(at)));
            assert_eq!(arrivals.take(), Some((Nanos(at), Participant(0), of(n))));
        }
        assert_eq!(arrivals.next(), None);
    }
}

//! The maker's own clock: what happens because time passed and nothing else did.
//!
//! A timer looks after one part of the instruments, their pools and the order table (`round.rs`), and the
//! first of a round after what is one for all. What a part finds out holds from then on for whoever asks;
//! quotes that nobody asks about follow when their own part's timer comes, within a round. A stop for losses
//! is everybody's at once.

use super::{Maker, instrument_id};
use crate::estimate::fair_value;
use crate::maker::intents::Intents;
use crate::orders::order::{OrderState, Purpose};
use std::ops::Range;

impl Maker {
    pub(super) fn on_timer(&mut self, out: &mut Intents) {
        let (now, part) = (self.now, self.part);
        self.part = part.next();
        let mut lines = part.range(self.lines.len());
        let pools = part.range(self.pools.len());
        let places = part.range(self.orders.capacity());
        self.forget_wanted(lines.clone());
        self.tell_restored(out);
        let expired = self.orders.expire_requests(places.clone(), now, self.ack_timeout_ns);
        self.counters.expired_requests =
            self.counters.expired_requests.saturating_add(u64::from(expired));
        for line in self.lines.get_mut(lines.clone()).unwrap_or_default() {
            if !line.is_mid_message(now)
                && let Ok(touch) = line.touch(now)
            {
                line.volatility.on_clock(now, fair_value::mid(&touch));
            }
        }
        self.listen(pools.clone());
        self.sample_bases(lines.clone());
        if part.is_first() {
            self.reprice_all(out);
        }
        self.charge_standing(lines.clone(), out);
        let is_for_all = part.is_first() && self.sample_losses();
        self.roll_fees(lines.clone());
        self.note_values(lines.clone());
        self.watch(pools.clone(), lines.clone(), out);
        if part.is_first() {
            self.rebalance(out);
        }
        self.ask_about_doubts(places, out);
        if self.is_killed {
            if part.is_first() {
                self.cancel_everything(out);
            }
            return;
        }
        if is_for_all {
            // Nobody's quotes wait for their part's timer.
            lines = 0..self.lines.len();
            self.forget_wanted(lines.clone());
        }
        for n in lines {
            self.requote(instrument_id(n), out);
        }
        for pool in pools {
            self.follow_mixes(pool);
            self.follow_band(pool);
            self.follow_credit(pool);
            self.hedge(pool, out);
        }
    }

    /// An order in doubt is asked about by a cancel: whatever the venue answers settles it. A quote that
    /// works and has no rung, because an earlier run left more of them than there are, is taken out.
    fn ask_about_doubts(&mut self, places: Range<usize>, out: &mut Intents) {
        // Orders take the first free places: behind the last that lives there are none.
        let mut unseen = self.orders.live();
        for n in places {
            if unseen == 0 {
                break;
            }
            let Some((slot, order)) = self.orders.at(n) else { continue };
            unseen -= 1;
            let line = self.line(order.instrument);
            let has_rung = |level: u8| {
                let rung = line.map(|line| line.rung(order.side, usize::from(level)));
                rung.is_some_and(|rung| rung.order == Some(slot))
            };
            let is_stray = order.state == OrderState::Working
                && matches!(order.purpose, Purpose::Quote { level } if !has_rung(level));
            let venue = line.map(|line| line.instrument.spec().venue);
            let is_due = order.state == OrderState::InDoubt
                && venue.is_some_and(|venue| self.is_session_up(venue))
                && self.now.since(order.requested_at) > self.ack_timeout_ns;
            if is_due || is_stray {
                self.send_cancel(slot, out);
            }
        }
    }
}

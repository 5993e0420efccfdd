//! Fee tiers over fills and days: what a fill is charged, and what the next ones are.
//!
//! Fed by fills and the timer; feeds the ledger's rates and the ladder's floor. Maker thread: on a fill a
//! search in the days' ends and an addition, on the timer a search. A fill is charged by the day in which
//! the venue made it, by the venue's clock, whenever it reaches us: near a day's end that may be another
//! tier than the quotes' of this moment. Deliberately absent: the tiers themselves
//! ([`crate::pnl::fee_tiers`]).

use super::{Line, Maker, instrument_id};
use crate::event::{InstrumentId, OrderEvent};
use crate::pnl::fee_tiers::{CarriedFees, FeeTiers, traded_value};
use crate::pnl::ledger::undo::Booking;
use crate::pnl::ledger::{BookedFill, LedgerError};
use crate::units::{Lots, Nanos, Side, Ticks};
use std::ops::Range;

impl Maker {
    /// How many trading days had ended when the venue made a fill; by our clock where it does not say. A
    /// venue's clock may be ahead of ours by an end, and no more: a wrong date must not empty the window.
    fn fee_day(&self, venue_at: Nanos) -> usize {
        let today = self.loss.days_ended(self.now);
        if venue_at == Nanos(0) {
            return today;
        }
        self.loss.days_ended(venue_at).min(today.saturating_add(1))
    }

    fn has_tiers(&self, id: InstrumentId) -> bool {
        self.line(id).is_some_and(|line| line.guards.fees().is_some())
    }

    /// Books a fill at the rates that the venue charged it by.
    pub(super) fn book_charged(
        &mut self,
        event: &OrderEvent,
        fill: &BookedFill,
    ) -> Result<Booking, LedgerError> {
        self.charge_tier(event);
        self.booked_at(event.instrument, |ledger| ledger.book(fill))
    }

    /// A fill was booked: what the position cost, and what the next ones are charged.
    pub(super) fn guard_fill(&mut self, event: &OrderEvent, side: Side, price: Ticks, size: Lots) {
        self.guard_trade(event.instrument, side, price, size);
        self.count_volume(event, price, size);
    }

    fn charge_tier(&mut self, event: &OrderEvent) {
        let id = event.instrument;
        if !self.has_tiers(id) {
            return;
        }
        let day = self.fee_day(event.venue_at);
        let Some(fees) = self.line_mut(id).and_then(Line::fees_mut) else { return };
        // It may be the first to tell that the day before has ended.
        fees.on_clock(day);
        let tier = fees.tier_on(day);
        self.ledger.set_fees(id, tier.maker, tier.taker);
    }

    fn count_volume(&mut self, event: &OrderEvent, price: Ticks, size: Lots) {
        let id = event.instrument;
        if !self.has_tiers(id) {
            return;
        }
        let day = self.fee_day(event.venue_at);
        let Some(line) = self.line_mut(id) else { return };
        let value = traded_value(line.contract(), price, size);
        if let Some(fees) = line.fees_mut() {
            fees.on_fill(day, value);
        }
        self.apply_fees(id);
    }

    /// The timer's look at the days: what was traded too long ago leaves the window, however many days
    /// ended since.
    pub(super) fn roll_fees(&mut self, lines: Range<usize>) {
        let day = self.loss.days_ended(self.now);
        for n in lines {
            let fees = self.lines.get_mut(n).and_then(Line::fees_mut);
            if fees.is_some_and(|fees| fees.on_clock(day)) {
                self.apply_fees(instrument_id(n));
            }
        }
    }

    /// The ledger and the ladder's floor count the tier that holds now.
    pub(super) fn apply_fees(&mut self, id: InstrumentId) {
        let Some(line) = self.line_mut(id) else { return };
        let Some(tier) = line.guards.fees().map(FeeTiers::tier) else { return };
        if let Some(quote) = &mut line.settings.quote {
            quote.ladder.set_maker_fee(tier.maker);
            line.wanted.forget();
        }
        self.ledger.set_fees(id, tier.maker, tier.taker);
    }

    /// What every instrument traded in the days that count, for the next run. A day may have ended since
    /// the last timer.
    pub(super) fn fees_left(&self) -> Vec<Option<CarriedFees>> {
        let day = self.loss.days_ended(self.now);
        let carried = |fees: &FeeTiers| {
            let mut fees = *fees;
            fees.on_clock(day);
            fees.carried(self.now)
        };
        self.lines.iter().map(|line| line.guards.fees().map(carried)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{ClOrdId, ExecId, Liquidity, OrderEvent, OrderIntent, OrderUpdate, VenueId};
    use crate::maker::config::MakerConfig;
    use crate::maker::guard_tests::{bids, guarded, settle};
    use crate::maker::guards::GuardSettings;
    use crate::maker::input::Input;
    use crate::maker::tests::{Desk, SPOT, config};
    use crate::pnl::attribution::Cause;
    use crate::pnl::fee_tiers::{FeeSchedule, FeeTier, TIERS_MAX};
    use crate::units::{FeeRate, Lots, Nanos, Side, Stamp, Ticks};

    const SECOND: u64 = 1_000_000_000;
    const DAY_END: u64 = 10 * SECOND;
    /// What one lot of the 600,000th tick is worth: 60 and nine zeros.
    const LOT: i128 = 60_000_000_000;

    /// Ten lots a day before, and no fees from so many lots on; below them a thousandth is paid.
    fn tiered(config: &mut MakerConfig, lots: i128) -> FeeSchedule {
        config.portfolio.loss.day_ends = [1, 2, 3].map(|n| Nanos(n * DAY_END)).to_vec();
        config.settings[0].stale_after_ns = 1_000 * SECOND;
        config.settings[0].limits.executions.max = 100;
        let mut tiers = [FeeTier::default(); TIERS_MAX];
        let fee = FeeRate(1_000_000);
        tiers[0] = FeeTier { volume: 0, maker: fee, taker: fee };
        tiers[1] = FeeTier { volume: lots * LOT, ..FeeTier::default() };
        FeeSchedule { tiers, len: 2, volume_before: 300 * LOT }
    }

    fn desk(lots: i128) -> (Desk, Vec<OrderIntent>) {
        let (mut desk, quotes) = guarded(|guards, config| guards.fees = Some(tiered(config, lots)));
        assert!(desk.timer().is_empty());
        (desk, quotes)
    }

    fn paid(desk: &Desk) -> i128 {
        let (causes, _) = desk.maker.pnl().unwrap();
        causes.iter().find(|(cause, _)| *cause == Cause::Fees).unwrap().1.0
    }

    /// One lot of a quote, made by the venue at `venue_at`, told now.
    fn fill(desk: &mut Desk, quote: &OrderIntent, cum: i64, venue_at: u64) -> i128 {
        let before = paid(desk);
        let update = OrderUpdate::Fill {
            exec_id: ExecId(venue_at + u64::try_from(cum).unwrap()),
            side: quote.side,
            last_px: Ticks(600_000),
            last_qty: Lots(1),
            cum_qty: Lots(cum),
            leaves_qty: Lots(quote.size.0 - cum),
            liquidity: Liquidity::Maker,
        };
        let sent = desk.step(Input::Order(OrderEvent {
            at: Nanos(desk.now),
            venue_at: Nanos(venue_at),
            stamp: Stamp(0),
            msg_seq_num: 1_000 + u64::try_from(cum).unwrap(),
            cl_ord_id: quote.cl_ord_id,
            orig_cl_ord_id: ClOrdId::NONE,
            update,
            instrument: SPOT,
            venue: VenueId(0),
        }));
        settle(desk, sent);
        paid(desk) - before
    }

    #[test]
    fn a_fill_told_after_the_day_s_end_is_charged_by_the_day_in_which_the_venue_made_it() {
        let (mut desk, quotes) = desk(300);
        let bid = bids(&quotes)[0];
        desk.now = DAY_END;
        let sent = desk.timer();
        let is_out = sent.iter().any(|intent| intent.side == Side::Sell);
        assert!(is_out, "the floor is a thousandth further out from now on: {sent:?}");
        assert_eq!(fill(&mut desk, &bid, 1, DAY_END - 1), 0, "the tier of the day before");
        assert_eq!(desk.maker.ledger().taker_fee(SPOT), Some(FeeRate(1_000_000)), "it alone");
        assert_eq!(fill(&mut desk, &bid, 2, DAY_END), -LOT / 1_000);
    }

    #[test]
    fn a_venue_s_wrong_date_empties_no_window() {
        let (mut desk, quotes) = desk(282);
        assert_eq!(
            fill(&mut desk, &bids(&quotes)[0], 1, 3 * DAY_END),
            0,
            "one end ahead, not three"
        );
    }

    #[test]
    fn a_fill_may_be_the_first_to_tell_that_the_day_has_ended() {
        let (mut desk, quotes) = desk(300);
        let bid = bids(&quotes)[0];
        desk.now = DAY_END + 1_000;
        assert_eq!(fill(&mut desk, &bid, 1, DAY_END), -LOT / 1_000, "before any timer");
    }

    #[test]
    fn days_that_ended_at_once_roll_as_often_and_a_restart_forgets_none_of_them() {
        let (mut desk, quotes) = desk(282);
        let bid = bids(&quotes)[0];
        // 302 lots: the tier holds for two days' ends, and not for three.
        for cum in 1..=2 {
            assert_eq!(fill(&mut desk, &bid, cum, 1_000), 0);
        }
        let mut again = config();
        let fees = Some(tiered(&mut again, 282));
        again.guards.instruments = vec![GuardSettings { fees, ..GuardSettings::default() }];
        again.carried = desk.maker.carried();
        // The day's end passed, and before any timer the run was over.
        let mut cut = Desk::with(&again);
        cut.maker = desk.maker.clone();
        cut.now = DAY_END;
        cut.image(SPOT, 600_000);
        let of_cut = cut.maker.carried();
        let maker = desk.maker.clone();
        for (ends, fee) in [(2, 0), (3, -LOT / 1_000)] {
            desk.maker = maker.clone();
            desk.now = ends * DAY_END;
            let sent = desk.timer();
            settle(&mut desk, sent);
            assert_eq!(fill(&mut desk, &bid, 3, ends * DAY_END), fee, "{ends} ends at once");
            let mut after = Desk::with(&again);
            let quotes = after.begin();
            after.now = ends * DAY_END;
            let sent = after.timer();
            settle(&mut after, sent);
            let charged = fill(&mut after, &bids(&quotes)[0], 1, ends * DAY_END);
            assert_eq!(charged, fee, "{ends} ends while no run was up");
        }
        again.carried = of_cut;
        let mut after = Desk::with(&again);
        let quotes = after.begin();
        after.now = 3 * DAY_END;
        let sent = after.timer();
        settle(&mut after, sent);
        let charged = fill(&mut after, &bids(&quotes)[0], 1, 3 * DAY_END);
        assert_eq!(charged, -LOT / 1_000, "the end that no timer saw counts");
    }
}

//! What a fill costs: a maker or taker rate on the traded value, the instrument's own or that of the
//! tier that a participant's trading of thirty days has reached.
//!
//! Fed by `exchange.rs` a fill; feeds Commission(12) and the count of what each participant paid. Any
//! thread. The fill that reaches a tier pays the one before. Deliberately absent: fees in a third
//! currency.

use super::exchange::Exchange;
use super::order::Participant;
use ballast_engine::event::{InstrumentId, Liquidity};
use ballast_engine::instrument::{ContractValue, Instrument};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::pnl::fee_tiers::{FeeSchedule, FeeTiers, traded_value};
use ballast_engine::units::{FeeRate, Lots, Nanos, Notional, Ticks};
use std::collections::BTreeMap;

/// What participants pay.
#[derive(Clone, Debug, Default)]
pub(super) struct Tariff {
    /// By instrument; the instrument's own rates where there is none.
    schedules: Vec<Option<FeeSchedule>>,
    /// When a day's trading leaves the thirty that count.
    day_ends: Vec<Nanos>,
    /// When the venue opened: volume of before is of the days before.
    opened: Option<Nanos>,
    tiers: BTreeMap<(Participant, InstrumentId), FeeTiers>,
    paid: BTreeMap<(Participant, InstrumentId), Notional>,
}

impl Tariff {
    /// Books a fill at `now` and says what it costs; nothing where it has no value.
    pub fn charge(
        &mut self,
        now: Nanos,
        participant: Participant,
        instrument: &Instrument,
        (price, size, liquidity): (Ticks, Lots, Liquidity),
    ) -> Notional {
        let day = self.days_ended(now);
        let opened = self.days_ended(self.opened.unwrap_or(now));
        let key = (participant, instrument.id());
        let schedule = self.schedules.get(usize::from(key.1.0)).copied().flatten();
        let tiers = schedule.map(|of| {
            let tiers = self.tiers.entry(key).or_insert_with(|| FeeTiers::new(of));
            // One that has not traded yet has had its days all the same.
            tiers.on_clock(opened);
            tiers.on_clock(day);
            tiers
        });
        let spec = instrument.spec();
        let listed = (spec.maker_fee, spec.taker_fee);
        let (maker, taker) = tiers.as_ref().map_or(listed, |tiers| {
            let tier = tiers.tier();
            (tier.maker, tier.taker)
        });
        let rate = match liquidity {
            Liquidity::Maker => maker,
            Liquidity::Taker => taker,
        };
        if let Some(tiers) = tiers {
            tiers.on_fill(day, traded_value(instrument.value(), price, size));
        }
        let paid = fee(instrument, rate, price, size).unwrap_or(Notional(0));
        let sum = self.paid.entry(key).or_default();
        sum.0 = sum.0.saturating_add(paid.0);
        paid
    }

    fn days_ended(&self, at: Nanos) -> usize {
        self.day_ends.partition_point(|end| *end <= at)
    }

    /// The venue's clock begins.
    pub fn open(&mut self, at: Nanos) {
        self.opened.get_or_insert(at);
    }
}

impl Exchange {
    /// The same venue with the fee tiers and day ends of a maker's config.
    pub fn with_fee_tiers_of(mut self, config: &MakerConfig) -> Exchange {
        let guards = &config.guards.instruments;
        self.tariff.schedules = guards.iter().map(|guards| guards.fees).collect();
        self.tariff.day_ends.clone_from(&config.portfolio.loss.day_ends);
        self
    }

    /// What a participant paid for its fills so far, in the settlement currency; negative is received.
    pub fn fees_paid(&self, participant: Participant, instrument: InstrumentId) -> Notional {
        self.tariff.paid.get(&(participant, instrument)).copied().unwrap_or_default()
    }
}

/// The fee of one fill in the instrument's settlement currency, rounded against the participant (a
/// cost up, a rebate down). `None` where a price of zero or an overflow leaves it without value.
fn fee(instrument: &Instrument, rate: FeeRate, price: Ticks, size: Lots) -> Option<Notional> {
    let (rate, price, size) = (i128::from(rate.0), i128::from(price.0), i128::from(size.0));
    // value × rate, still to be divided.
    let (numerator, denominator) = match instrument.value() {
        ContractValue::Linear { nano_per_tick_lot, .. }
        | ContractValue::Option { nano_per_tick_lot, .. } => {
            let value = price.checked_mul(size)?.checked_mul(i128::from(nano_per_tick_lot))?;
            (value.checked_mul(rate)?, 1_000_000_000)
        }
        ContractValue::Inverse { nano_quote_per_lot, nano_quote_per_tick } => {
            // Quote nanos over quote nanos a coin is coins; its nanos cancel the rate's 1e-9.
            let value = size.checked_mul(i128::from(nano_quote_per_lot))?;
            (value.checked_mul(rate)?, price.checked_mul(i128::from(nano_quote_per_tick))?)
        }
    };
    if denominator == 0 {
        return None;
    }
    let quotient = numerator.div_euclid(denominator);
    let is_exact = numerator.rem_euclid(denominator) == 0;
    // div_euclid rounds down for the positive denominators here: against us is up.
    Some(Notional(quotient + i128::from(!is_exact)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::exchange::tests::{inverse, spot};
    use ballast_engine::pnl::fee_tiers::FeeTier;

    #[test]
    fn a_fee_is_the_rate_on_the_value_rounded_against_us() {
        // 0.5 BTC at 61,685.99, 10 bps: 30.842995 USDT.
        let listed = spot(1_000_000, -50_000);
        let at = |rate| fee(&listed, FeeRate(rate), Ticks(6_168_599), Lots(50_000));
        assert_eq!(at(-50_000), Some(Notional(-1_542_149_750)));
        assert_eq!(at(1_000_000), Some(Notional(30_842_995_000)));
    }

    #[test]
    fn an_inverse_contract_pays_its_fee_in_coin() {
        // 7 contracts of 100 USD at 61,668.6, 5 bps: 0.35 USD / 61,668.6 = 0.00000567549…
        let listed = inverse(200_000, 500_000);
        let at = |price| fee(&listed, FeeRate(500_000), Ticks(price), Lots(7));
        assert_eq!(at(616_686), Some(Notional(5_676)));
        assert_eq!(at(0), None);
    }

    #[test]
    fn a_tier_holds_from_the_fill_after_the_one_that_reaches_it_until_its_days_are_over() {
        let listed = spot(1_000_000, 1_000_000);
        let rates = |volume, maker| FeeTier { volume, maker, taker: FeeRate(2_000_000) };
        let mut schedule = FeeSchedule { len: 2, ..FeeSchedule::default() };
        schedule.tiers[0] = rates(0, FeeRate(1_000_000));
        // A coin at 50,000 is 50,000 of the currency.
        schedule.tiers[1] = rates(50_000_000_000_000, FeeRate(-500_000));
        let mut tariff = Tariff {
            schedules: vec![Some(schedule)],
            day_ends: (1..=80).map(|day| Nanos(day * 1_000)).collect(),
            ..Tariff::default()
        };
        let mut at = |now, participant, liquidity| {
            let fill = (Ticks(5_000_000), Lots(100_000), liquidity);
            tariff.charge(Nanos(now), Participant(participant), &listed, fill).0
        };
        assert_eq!(at(10, 1, Liquidity::Maker), 50_000_000_000, "a thousandth");
        assert_eq!(at(20, 1, Liquidity::Maker), -25_000_000_000, "the tier pays back");
        assert_eq!(at(20, 1, Liquidity::Taker), 100_000_000_000);
        assert_eq!(at(30, 2, Liquidity::Maker), 50_000_000_000, "another has traded nothing");
        assert_eq!(at(29_999, 1, Liquidity::Maker), -25_000_000_000, "the 30th day");
        assert_eq!(at(60_000, 1, Liquidity::Maker), 50_000_000_000, "all of it is too old");
        assert_eq!(tariff.paid[&(Participant(2), listed.id())], Notional(50_000_000_000));
    }

    #[test]
    fn volume_of_before_is_of_the_days_before_the_venue_opened_whenever_the_first_fill_comes() {
        let listed = spot(1_000_000, 1_000_000);
        let mut schedule = FeeSchedule { len: 2, volume_before: 30_000, ..FeeSchedule::default() };
        schedule.tiers[0] = FeeTier { volume: 0, maker: FeeRate(1_000_000), taker: FeeRate(0) };
        schedule.tiers[1] = FeeTier { volume: 28_000, ..FeeTier::default() };
        let paid = |first_fill| {
            let mut tariff = Tariff {
                schedules: vec![Some(schedule)],
                day_ends: (1..=80).map(|day| Nanos(day * 1_000)).collect(),
                ..Tariff::default()
            };
            tariff.open(Nanos(10_500));
            tariff.open(Nanos(12_000));
            let fill = (Ticks(5_000_000), Lots(100_000), Liquidity::Maker);
            tariff.charge(Nanos(first_fill), Participant(1), &listed, fill).0
        };
        assert_eq!(paid(12_999), 0, "28,000 are left after two days' ends");
        assert_eq!(paid(13_000), 50_000_000_000, "27,000 after three");
    }
}

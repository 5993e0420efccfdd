//! The gate: every intent passes here, or is blocked with a reason that is counted.
//!
//! Fed by the maker with one proposal at a time and the facts to judge it by; answers with a
//! [`Verdict`]. Maker thread; integer compares and one widening multiply. Cancels pass everything
//! but the message rate, and have a reserve there. Deliberately absent: any way around it.

use crate::event::InstrumentId;
use crate::market::trust::Distrust;
use crate::orders::table::OpenSize;
use crate::risk::gross::{self, GrossNotional};
use crate::risk::limits::{ExposureLimits, InstrumentLimits};
use crate::risk::self_trade;
use crate::units::{Exposure, Lots, Side, Ticks};

/// The answer to one proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may go.
    Pass,
    /// It may not.
    Block(BlockReason),
}

/// Why a proposal was blocked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BlockReason {
    /// Priced above the collar.
    AboveCollar,
    /// Priced below the collar.
    BelowCollar,
    /// Larger than one order may be, or not larger than nothing.
    OrderTooLarge,
    /// Worth more than one order may be.
    ValueTooLarge,
    /// The instrument's worst-case position would pass its limit.
    Position,
    /// The underlying's worst-case exposure would pass its hard limit.
    Exposure,
    /// Spot that we do not have cannot be sold.
    NotAvailable,
    /// Too many messages in the window.
    MessageRate,
    /// The reference price is not to be believed.
    Untrusted,
    /// The table of orders is full.
    TooManyOrders,
    /// It would trade against an order of our own.
    SelfTrade,
    /// The portfolio's worst-case gross notional would pass its limit.
    GrossNotional,
    /// Too many orders like it were sent in the window.
    Duplicate,
    /// Too many messages for the day's trades.
    OrderToTrade,
    /// A Greek's worst case would pass its limit, or nobody knows it.
    Greeks,
    /// An option that has expired.
    Expired,
    /// Spot cannot be bought with cash that the venue does not have.
    Cash,
    /// Between two prices of a grid that is coarser there.
    OffStep,
}

impl BlockReason {
    /// How many reasons there are.
    pub const COUNT: usize = 18;
    /// All of them, in the order of their counters.
    pub const ALL: [BlockReason; Self::COUNT] = [
        BlockReason::AboveCollar,
        BlockReason::BelowCollar,
        BlockReason::OrderTooLarge,
        BlockReason::ValueTooLarge,
        BlockReason::Position,
        BlockReason::Exposure,
        BlockReason::NotAvailable,
        BlockReason::MessageRate,
        BlockReason::Untrusted,
        BlockReason::TooManyOrders,
        BlockReason::SelfTrade,
        BlockReason::GrossNotional,
        BlockReason::Duplicate,
        BlockReason::OrderToTrade,
        BlockReason::Greeks,
        BlockReason::Expired,
        BlockReason::Cash,
        BlockReason::OffStep,
    ];

    /// Its name in records and reports.
    pub const fn name(self) -> &'static str {
        match self {
            BlockReason::AboveCollar => "above_collar",
            BlockReason::BelowCollar => "below_collar",
            BlockReason::OrderTooLarge => "order_too_large",
            BlockReason::ValueTooLarge => "value_too_large",
            BlockReason::Position => "position",
            BlockReason::Exposure => "exposure",
            BlockReason::NotAvailable => "not_available",
            BlockReason::MessageRate => "message_rate",
            BlockReason::Untrusted => "untrusted",
            BlockReason::TooManyOrders => "too_many_orders",
            BlockReason::SelfTrade => "self_trade",
            BlockReason::GrossNotional => "gross_notional",
            BlockReason::Duplicate => "duplicate",
            BlockReason::OrderToTrade => "order_to_trade",
            BlockReason::Greeks => "greeks",
            BlockReason::Expired => "expired",
            BlockReason::Cash => "cash",
            BlockReason::OffStep => "off_step",
        }
    }
}

/// An order as it would be: a new one, or an old one after its replace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// What is traded.
    pub instrument: InstrumentId,
    /// Side(54).
    pub side: Side,
    /// Limit price.
    pub price: Ticks,
    /// OrderQty(38), filled part included.
    pub size: Lots,
    /// What may trade beyond what could already: the order's leaves less those that the order to
    /// be replaced counts for in the worst case; 0 where the replace asks for no more.
    pub added: Lots,
}

/// The facts that a proposal is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The instrument's limits.
    pub limits: &'a InstrumentLimits,
    /// The trusted mid rounded to a tick, or why there is none.
    pub reference: Result<Ticks, Distrust>,
    /// The instrument's position.
    pub position: Lots,
    /// What is on its way to it from another venue: ours already, and not there to sell.
    pub away: Lots,
    /// What may still trade in it.
    pub open: OpenSize,
    /// Spot: a sell needs what it sells.
    pub is_spot: bool,
    /// Exposure of one lot of the proposal; a put's is negative.
    pub exposure_per_lot: Exposure,
    /// The underlying's exposure from its target if every open order that moves it the proposal's way
    /// trades.
    pub exposure_worst: Exposure,
    /// The underlying's limits.
    pub exposure_limits: &'a ExposureLimits,
    /// The best price of our own on the other side of this instrument's book, if any.
    pub own_opposite: Option<Ticks>,
    /// The portfolio's gross notional.
    pub gross: &'a GrossNotional,
}

/// Judges a new order or a replace by everything but what counts messages.
pub fn check(proposal: &Proposal, facts: &Facts<'_>) -> Verdict {
    let verdict = check_order(proposal, facts)
        .unwrap_or_else(|| check_own(check_counts(proposal, facts), proposal, facts));
    let narrow = check_narrow(proposal, facts);
    debug_assert!(narrow.is_none_or(|narrow| narrow == verdict), "{narrow:?} is not {verdict:?}");
    verdict
}

/// [`check`] in 64 bits, which hold all that anybody trades; `None` where one sum does not fit.
#[inline(always)]
pub fn check_narrow(proposal: &Proposal, facts: &Facts<'_>) -> Option<Verdict> {
    if let Some(blocked) = check_order(proposal, facts) {
        return Some(blocked);
    }
    let verdict = check_narrow_counts(proposal, facts)?;
    Some(check_own(verdict, proposal, facts))
}

/// Why the order may not go, whatever is held.
#[inline(always)]
fn check_order(proposal: &Proposal, facts: &Facts<'_>) -> Option<Verdict> {
    let Ok(reference) = facts.reference else {
        return Some(Verdict::Block(BlockReason::Untrusted));
    };
    let limits = facts.limits;
    if proposal.size.0 <= 0 || proposal.size > limits.order_size_max {
        return Some(Verdict::Block(BlockReason::OrderTooLarge));
    }
    if !limits.order_value_max.allows(proposal.price, proposal.size) {
        return Some(Verdict::Block(BlockReason::ValueTooLarge));
    }
    let collared = limits.collar.check(reference, proposal.price);
    (collared != Verdict::Pass).then_some(collared)
}

/// Last: nothing of ours gives way to an order that may not go for another reason.
#[inline(always)]
fn check_own(verdict: Verdict, proposal: &Proposal, facts: &Facts<'_>) -> Verdict {
    let is_met = |own| self_trade::meets(proposal.side, proposal.price, own);
    if verdict == Verdict::Pass && facts.own_opposite.is_some_and(is_met) {
        return Verdict::Block(BlockReason::SelfTrade);
    }
    verdict
}

/// [`check_counts`] in 64 bits; `None` where one sum does not fit.
#[inline(always)]
fn check_narrow_counts(proposal: &Proposal, facts: &Facts<'_>) -> Option<Verdict> {
    let (added, open, position) = (proposal.added.0, facts.open, facts.position.0);
    let owned = position.checked_add(facts.away.0)?;
    let long = owned.checked_add(open.buy.0)?;
    let short = open.sell.0.checked_sub(owned)?;
    let (worst, lots) = match proposal.side {
        Side::Buy => {
            let worst = long.checked_add(added)?;
            (worst, worst.max(short))
        }
        Side::Sell => {
            let more = open.sell.0.checked_add(added)?;
            (more.checked_sub(position)?, long.max(short.checked_add(added)?))
        }
    };
    if worst > facts.limits.position_max.0 {
        return Some(Verdict::Block(BlockReason::Position));
    }
    if facts.is_spot && proposal.side == Side::Sell && worst > 0 {
        return Some(Verdict::Block(BlockReason::NotAvailable));
    }
    let per_lot = facts.exposure_per_lot.0;
    let along = facts.exposure_worst.0.checked_mul(proposal.side.sign())?;
    let exposure = along.checked_add(added.checked_mul(per_lot)?)?;
    let exposure = if per_lot < 0 { exposure.checked_neg()? } else { exposure };
    if exposure > facts.exposure_limits.hard().0 {
        return Some(Verdict::Block(BlockReason::Exposure));
    }
    Some(facts.gross.check(usize::from(proposal.instrument.0), i128::from(lots.max(0))))
}

/// What is held and what may come of it. In 128 bits no sum of a few counts is lost.
fn check_counts(proposal: &Proposal, facts: &Facts<'_>) -> Verdict {
    // Everything is counted along the proposal's side: what a sell adds to is a short.
    let along = |count: i64| match proposal.side {
        Side::Buy => i128::from(count),
        Side::Sell => -i128::from(count),
    };
    let open = i128::from(facts.open.on(proposal.side).0) + i128::from(proposal.added.0);
    // What arrives makes a long larger; a short may not count on it.
    let arrives = if proposal.side == Side::Buy { i128::from(facts.away.0) } else { 0 };
    let worst = along(facts.position.0) + arrives + open;
    // A position that is already over its limit may be brought down, never up.
    if worst > i128::from(facts.limits.position_max.0) {
        return Verdict::Block(BlockReason::Position);
    }
    if facts.is_spot && proposal.side == Side::Sell && worst > 0 {
        return Verdict::Block(BlockReason::NotAvailable);
    }
    let added = i128::from(proposal.added.0) * i128::from(facts.exposure_per_lot.0);
    let exposure = along(facts.exposure_worst.0) + added;
    // What falls when the underlying rises adds the other way.
    let exposure = if facts.exposure_per_lot.0 < 0 { -exposure } else { exposure };
    if exposure > i128::from(facts.exposure_limits.hard().0) {
        return Verdict::Block(BlockReason::Exposure);
    }
    let owned = Lots(facts.position.0.saturating_add(facts.away.0));
    let lots = gross::lots_worst(owned, facts.open, proposal.side, proposal.added);
    facts.gross.check(usize::from(proposal.instrument.0), lots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::collar::Collar;
    use crate::risk::limits::ValueLimit;
    use crate::risk::window::WindowLimit;
    use crate::units::Notional;
    use std::collections::BTreeSet;

    const LIMITS: InstrumentLimits = InstrumentLimits {
        order_size_max: Lots(10),
        order_value_max: ValueLimit::TickLots(900),
        position_max: Lots(20),
        collar: Collar { width: Ticks(50) },
        executions: WindowLimit { max: 1, window_ns: 1 },
        duplicates: WindowLimit { max: 1, window_ns: 1 },
    };

    /// A lot counts for one unit of at most 25.
    fn gross_limit() -> &'static GrossNotional {
        static GROSS: std::sync::LazyLock<GrossNotional> = std::sync::LazyLock::new(|| {
            let mut gross = GrossNotional::new(Notional(25), 1);
            gross.set_value(0, Some(i128::from(gross::LOTS_VALUED.0) - 1));
            gross
        });
        &GROSS
    }

    fn exposure_limits() -> ExposureLimits {
        ExposureLimits::new(Exposure(100), Exposure(200), Exposure(300)).unwrap()
    }

    fn buy(price: i64, size: i64) -> Proposal {
        Proposal {
            instrument: InstrumentId(0),
            side: Side::Buy,
            price: Ticks(price),
            size: Lots(size),
            added: Lots(size),
        }
    }

    fn facts(limits: &ExposureLimits) -> Facts<'_> {
        Facts {
            limits: &LIMITS,
            reference: Ok(Ticks(100)),
            position: Lots(0),
            away: Lots(0),
            open: OpenSize::default(),
            is_spot: false,
            exposure_per_lot: Exposure(10),
            exposure_worst: Exposure(0),
            exposure_limits: limits,
            own_opposite: None,
            gross: gross_limit(),
        }
    }

    fn reason(verdict: Verdict) -> Option<BlockReason> {
        match verdict {
            Verdict::Pass => None,
            Verdict::Block(reason) => Some(reason),
        }
    }

    #[test]
    fn each_limit_passes_at_its_edge_and_blocks_one_over() {
        let limits = exposure_limits();
        let facts = facts(&limits);
        assert_eq!(reason(check(&buy(90, 10), &facts)), None);
        assert_eq!(reason(check(&buy(80, 11), &facts)), Some(BlockReason::OrderTooLarge));
        assert_eq!(reason(check(&buy(91, 10), &facts)), Some(BlockReason::ValueTooLarge));
        assert_eq!(reason(check(&buy(150, 6), &facts)), None);
        assert_eq!(reason(check(&buy(151, 5), &facts)), Some(BlockReason::AboveCollar));
        assert_eq!(reason(check(&buy(49, 5), &facts)), Some(BlockReason::BelowCollar));
        assert_eq!(reason(check(&buy(90, 0), &facts)), Some(BlockReason::OrderTooLarge));
    }

    #[test]
    fn the_worst_case_position_counts_everything_open() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.position = Lots(5);
        facts.open.buy = Lots(10);
        assert_eq!(reason(check(&buy(90, 5), &facts)), None);
        assert_eq!(reason(check(&buy(90, 6), &facts)), Some(BlockReason::Position));
        // Sells that are open do not make room: they may not trade.
        facts.open.sell = Lots(10);
        assert_eq!(reason(check(&buy(90, 6), &facts)), Some(BlockReason::Position));
    }

    #[test]
    fn a_position_over_its_limit_may_be_brought_down() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.position = Lots(-30);
        let mut gross = gross_limit().clone();
        gross.set_lots(0, 30);
        facts.gross = &gross;
        assert_eq!(reason(check(&buy(90, 10), &facts)), None);
    }

    #[test]
    fn spot_that_we_do_not_have_cannot_be_sold() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.is_spot = true;
        facts.position = Lots(8);
        facts.open.sell = Lots(5);
        let sell = |size| Proposal { side: Side::Sell, ..buy(110, size) };
        assert_eq!(reason(check(&sell(3), &facts)), None);
        assert_eq!(reason(check(&sell(4), &facts)), Some(BlockReason::NotAvailable));
    }

    #[test]
    fn the_hard_exposure_limit_binds_over_the_whole_underlying() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.exposure_worst = Exposure(250);
        assert_eq!(reason(check(&buy(90, 5), &facts)), None);
        assert_eq!(reason(check(&buy(90, 6), &facts)), Some(BlockReason::Exposure));
    }

    #[test]
    fn what_falls_when_the_underlying_rises_is_held_to_the_limit_on_the_other_side() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        // A put: bought lots make the underlying shorter.
        facts.exposure_per_lot = Exposure(-10);
        facts.exposure_worst = Exposure(-250);
        assert_eq!(reason(check(&buy(90, 5), &facts)), None);
        assert_eq!(reason(check(&buy(90, 6), &facts)), Some(BlockReason::Exposure));
        facts.exposure_worst = Exposure(250);
        let sell = |size| Proposal { side: Side::Sell, ..buy(110, size) };
        assert_eq!(reason(check(&sell(5), &facts)), None);
        assert_eq!(reason(check(&sell(6), &facts)), Some(BlockReason::Exposure));
        facts.exposure_worst = Exposure(350);
        assert_eq!(reason(check(&buy(90, 5), &facts)), None, "it takes off what is too much");
        // What moves neither way is judged with its own side.
        facts.exposure_per_lot = Exposure(0);
        assert_eq!(reason(check(&buy(90, 5), &facts)), Some(BlockReason::Exposure));
        assert_eq!(reason(check(&sell(5), &facts)), None);
    }

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: BTreeSet<_> = BlockReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), BlockReason::COUNT);
    }

    #[test]
    fn gross_notional_binds_where_position_and_exposure_do_not() {
        let limits = exposure_limits();
        let roomy = InstrumentLimits { position_max: Lots(100), ..LIMITS };
        let wide = ExposureLimits::new(Exposure(1), Exposure(2), Exposure(10_000)).unwrap();
        let mut facts =
            Facts { limits: &roomy, exposure_limits: &wide, position: Lots(20), ..facts(&limits) };
        assert_eq!(reason(check(&buy(90, 5), &facts)), None);
        assert_eq!(reason(check(&buy(90, 6), &facts)), Some(BlockReason::GrossNotional));
        facts.position = Lots(-26);
        facts.open.buy = Lots(0);
        assert_eq!(reason(check(&buy(90, 10), &facts)), Some(BlockReason::GrossNotional));
    }

    #[test]
    fn what_is_on_its_way_counts_for_what_is_held_and_not_for_what_may_be_sold() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        (facts.position, facts.away, facts.open.buy) = (Lots(5), Lots(8), Lots(2));
        assert_eq!(reason(check(&buy(90, 5), &facts)), None);
        assert_eq!(reason(check(&buy(90, 6), &facts)), Some(BlockReason::Position));
        let roomy = InstrumentLimits { position_max: Lots(100), ..LIMITS };
        let wide = ExposureLimits::new(Exposure(1), Exposure(2), Exposure(10_000)).unwrap();
        let mut roomy = Facts { limits: &roomy, exposure_limits: &wide, ..facts };
        roomy.away = Lots(13);
        assert_eq!(reason(check(&buy(90, 5), &roomy)), None);
        assert_eq!(reason(check(&buy(90, 6), &roomy)), Some(BlockReason::GrossNotional));
        facts.is_spot = true;
        let sell = |size| Proposal { side: Side::Sell, ..buy(110, size) };
        assert_eq!(reason(check(&sell(5), &facts)), None);
        assert_eq!(reason(check(&sell(6), &facts)), Some(BlockReason::NotAvailable));
        (facts.is_spot, facts.position) = (false, Lots(-15));
        assert_eq!(reason(check(&sell(6), &facts)), Some(BlockReason::Position));
        (facts.position, facts.away) = (Lots(i64::MAX), Lots(i64::MAX));
        assert_eq!(reason(check(&buy(90, 1), &facts)), Some(BlockReason::Position));
    }

    #[test]
    fn an_untrusted_reference_blocks_everything() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.reference = Err(Distrust::Stale);
        assert_eq!(reason(check(&buy(90, 1), &facts)), Some(BlockReason::Untrusted));
    }

    #[test]
    fn an_order_that_would_meet_our_own_is_blocked() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.own_opposite = Some(Ticks(105));
        assert_eq!(reason(check(&buy(104, 1), &facts)), None);
        assert_eq!(reason(check(&buy(105, 1), &facts)), Some(BlockReason::SelfTrade));
        facts.own_opposite = Some(Ticks(95));
        let sell = Proposal { side: Side::Sell, ..buy(95, 1) };
        assert_eq!(reason(check(&sell, &facts)), Some(BlockReason::SelfTrade));
    }

    #[test]
    fn nothing_wraps_at_the_integers_extremes() {
        let limits = exposure_limits();
        let mut facts = facts(&limits);
        facts.position = Lots(i64::MAX);
        facts.open.buy = Lots(i64::MAX);
        facts.exposure_worst = Exposure(i64::MAX);
        facts.exposure_per_lot = Exposure(i64::MAX);
        assert_eq!(reason(check(&buy(90, 1), &facts)), Some(BlockReason::Position));
    }
}

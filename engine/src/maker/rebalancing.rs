//! Holdings by venue, moved: the decision, offsetting trades, and what treasury is asked for.
//!
//! Fed by the timer and by what becomes of the trades; feeds the gate with immediate orders, and treasury
//! with requests (through what is told of open transfers). Maker thread, never on a market event. An offset is two orders, one after the other: the second asks
//! for what the first traded, and what it leaves is inventory like any other. No leg is larger than what
//! the hedger would leave alone, so that half an offset is no reason to hedge.

use super::places::{buy_value, nano_per_lot};
use super::{Line, Maker};
use crate::event::{InstrumentId, TimeInForce, VenueId};
use crate::instrument::{ContractValue, Currency};
use crate::inventory::hedge::{Candidate, HedgeOrder};
use crate::inventory::holdings::{Holdings, Place};
use crate::inventory::rebalance::{
    self, Balance, Costs, Deviation, Holder, Means, Offset, RebalanceConfig, Stray,
};
use crate::inventory::transfer::{Moved, Transfer, TransferId, TransferStage, Transit};
use crate::maker::config::{HedgeInstrument, MakerConfig};
use crate::maker::intents::Intents;
use crate::orders::order::{Order, Purpose};
use crate::orders::table::OrderSlot;
use crate::pnl::ledger::Ledger;
use crate::units::{Lots, Side, SubTicks, Ticks};

const NANO: i128 = 1_000_000_000;

/// How one currency stands, and what was done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CurrencyBalance {
    /// Which.
    pub currency: Currency,
    /// How it stands.
    pub balance: Balance,
    /// What should move, where something should.
    pub stray: Option<Stray>,
    /// What each means costs, where something should move.
    pub costs: Costs,
    /// Offsets that went out.
    pub offsets: u64,
    /// Transfers that were asked for.
    pub requests: u64,
}

/// Everything about what is where.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Rebalancer {
    config: RebalanceConfig,
    pub holdings: Holdings,
    pub transit: Transit,
    pub balances: Vec<CurrencyBalance>,
}

/// An offset that could go out.
struct Plan {
    place: usize,
    first: HedgeOrder,
    offset: Offset,
    cost_ppb: i64,
}

/// Two legs: what is sold or bought at the venue with too much, and at the one with too little.
struct Pair {
    here: HedgeInstrument,
    there: HedgeInstrument,
    /// What is done at the venue with too much.
    side: Side,
    /// The currency on the other side of both trades.
    other: Currency,
}

/// What a leg's purchase takes.
struct Purchase {
    /// 1e-9 of money a lot, fee included, at the worst price.
    each: i128,
    /// 1e-9 of the coin a lot.
    unit: i128,
    /// 1e-9 of the coin that there is money for.
    affordable: i128,
}

impl Purchase {
    /// How much of the coin so much money buys.
    fn coins_for(&self, cash: i128) -> Option<i128> {
        cash.max(0).checked_mul(self.unit)?.checked_div(self.each)
    }
}

impl Rebalancer {
    pub(super) fn new(of: &MakerConfig, ledger: &Ledger) -> Rebalancer {
        let config = &of.rebalance;
        let balance = |currency| CurrencyBalance { currency, ..CurrencyBalance::default() };
        Rebalancer {
            config: config.clone(),
            holdings: Holdings::new(&config.places, &of.instruments, ledger),
            transit: Transit::new(of.epoch, usize::from(u8::MAX) + 1),
            balances: config.currencies().into_iter().map(balance).collect(),
        }
    }
}

impl Maker {
    /// Looks at what is where, and moves what should move.
    pub(super) fn rebalance(&mut self, out: &mut Intents) {
        if self.rebalancer.holdings.is_empty() {
            return;
        }
        self.count_places(None);
        self.check_holdings(out);
        let now = self.now;
        let every_ns = self.rebalancer.config.every_ns;
        let last = self.rebalancer.holdings.looked_at;
        if last.is_some_and(|at| now.since(at) < every_ns) || self.is_killed {
            return;
        }
        self.rebalancer.holdings.looked_at = Some(now);
        self.rebalancer.holdings.look();
        for n in 0..self.rebalancer.balances.len() {
            self.look_at(n, out);
        }
    }

    fn look_at(&mut self, n: usize, out: &mut Intents) {
        let Some(mut told) = self.rebalancer.balances.get(n).copied() else { return };
        let currency = told.currency;
        (told.stray, told.costs) = (None, Costs::default());
        match self.stray_of(currency) {
            None => told.balance = Balance::Unknown,
            Some(None) => told.balance = Balance::Within,
            Some(Some(stray)) => {
                let pair = self.pair(currency, &stray);
                let pool = pair.as_ref().and_then(|pair| self.pool_of(pair.here.instrument));
                // Something is under way that will change what this would be decided by.
                if pool.is_some_and(|pool| !self.may_offset(pool)) {
                    return;
                }
                let plan = pair.and_then(|pair| self.plan(&pair, &stray));
                let transfer = self.transfer_for(currency, &stray);
                told.stray = Some(stray);
                told.costs = Costs {
                    quotes: self.quotes_ppb(currency, &stray),
                    offset: plan.as_ref().map(|plan| plan.cost_ppb),
                    transfer: transfer.map(|(_, cost)| cost),
                };
                let means = told.costs.cheapest();
                told.balance = means.map_or(Balance::Stuck, Balance::Moving);
                if means == Some(Means::Offset)
                    && plan.is_some_and(|plan| self.send_offset(plan, out))
                {
                    told.offsets = told.offsets.saturating_add(1);
                }
                if means == Some(Means::Transfer) {
                    let asked = transfer.and_then(|(t, _)| self.rebalancer.transit.request(t));
                    told.requests = told.requests.saturating_add(u64::from(asked.is_some()));
                }
            }
        }
        if let Some(balance) = self.rebalancer.balances.get_mut(n) {
            *balance = told;
        }
    }

    fn holder(&self, place: &Place) -> Option<Holder> {
        let terms = *place.terms();
        let pending = self.rebalancer.transit.pending(terms.venue, terms.currency);
        Some(Holder { terms, held: place.held()?.total.checked_add(pending)? })
    }

    /// What of a currency should move; `None` where a place's holdings are not known.
    fn stray_of(&self, currency: Currency) -> Option<Option<Stray>> {
        let places = self.rebalancer.holdings.places().iter();
        let places = places.filter(|place| place.terms().currency == currency);
        if places.clone().any(|place| self.holder(place).is_none()) {
            return None;
        }
        Some(rebalance::stray(places.filter_map(|place| self.holder(place))))
    }

    /// How far a place is from its target; `None` where it is none, or its currency is not known.
    pub(super) fn deviation(&self, venue: VenueId, currency: Currency) -> Option<Deviation> {
        let places = self.rebalancer.holdings.places().iter();
        let of = places.filter(|place| place.terms().currency == currency);
        let whole = of.filter_map(|place| self.holder(place));
        let whole = whole.fold(0i128, |sum, holder| sum.saturating_add(holder.held));
        let place = self.rebalancer.holdings.at(venue, currency)?;
        Some(Deviation::of(&self.holder(place)?, whole))
    }

    /// An offset takes no risk off and pays fees: none goes while a loss or a cool-down stops quoting.
    fn may_offset(&self, place: usize) -> bool {
        let is_stopped = self.loss.stopped().is_some();
        !is_stopped
            && self.pools.get(place).is_some_and(|pool| {
                let band = pool.band().unwrap_or(pool.limits().soft());
                let is_calm = pool.is_delta_known && pool.at_risk().0.saturating_abs() <= band.0;
                let is_free = pool.may_trade(self.now) && pool.offset.is_none();
                let is_cooling = pool.protection.is_cooling(self.now);
                is_calm && is_free && !is_cooling && !pool.is_flattening && pool.unconfirmed == 0
            })
    }

    /// Two spot markets of the same coin and money, at the venue with too much and at the other.
    fn pair(&self, currency: Currency, stray: &Stray) -> Option<Pair> {
        let at = |venue: VenueId| {
            let offsets = self.rebalancer.config.offsets.iter();
            offsets.filter_map(move |with| {
                let line = self.line(with.instrument).filter(|line| line.is_spot())?;
                let spec = line.instrument.spec();
                let is_of = spec.base == currency || spec.quote == currency;
                (spec.venue == venue && is_of).then_some((*with, spec.base, spec.quote))
            })
        };
        at(stray.from).find_map(|(here, base, quote)| {
            let same =
                |(_, b, q): &(HedgeInstrument, Currency, Currency)| (*b, *q) == (base, quote);
            let (there, _, _) = at(stray.to).find(same)?;
            let is_coin = base == currency;
            let side = if is_coin { Side::Sell } else { Side::Buy };
            Some(Pair { here, there, side, other: if is_coin { quote } else { base } })
        })
    }

    /// An offset within every limit, and what it costs.
    fn plan(&self, pair: &Pair, stray: &Stray) -> Option<Plan> {
        let near = self.hedge_candidate(&pair.here, pair.side)?;
        let far = self.hedge_candidate(&pair.there, pair.side.opposite())?;
        let (line, other) = (self.line(near.instrument)?, self.line(far.instrument)?);
        let place = self.pool_of(near.instrument)?;
        let pool = self.pools.get(place)?;
        let (unit, far_unit) = (nano_per_lot(line)?, nano_per_lot(other)?);
        let soft = pool.limits().soft();
        let most = pool.band().unwrap_or(soft).min(soft);
        let purchase = match pair.side {
            Side::Buy => self.purchase(line, &near)?,
            Side::Sell => self.purchase(other, &far)?,
        };
        let wanted = match pair.side {
            Side::Sell => i128::from(stray.amount),
            Side::Buy => purchase.coins_for(stray.amount.into())?,
        };
        let amount = wanted.min(purchase.affordable).min(most.0.into());
        let leg = |candidate: &Candidate<'_>, side, coins: i128, unit: i64| {
            let lots = coins.checked_div(unit.into())?;
            rebalance::leg(candidate, side, Lots(i64::try_from(lots).unwrap_or(i64::MAX)))
        };
        let coins = |order: &HedgeOrder, unit: i64| i128::from(order.size.0) * i128::from(unit);
        let one = leg(&near, pair.side, amount, unit)?;
        let two = leg(&far, pair.side.opposite(), coins(&one, unit), far_unit)?;
        let one = leg(&near, pair.side, coins(&two, far_unit), unit)?;
        if !self.bears(pair, stray, &purchase, coins(&one, unit))? {
            return None;
        }
        let legs = near
            .cost_ppb(pair.side, one.size)
            .saturating_add(far.cost_ppb(pair.side.opposite(), two.size));
        let mids = [near.touch.mid_half_ticks(), far.touch.mid_half_ticks()];
        let dearer = dearer_ppb((line, mids[0]), (other, mids[1]))?;
        let gained = dearer.saturating_mul(i128::from(pair.side.opposite().sign()));
        let cost_ppb = i64::try_from(legs.saturating_sub(gained)).ok()?;
        // The leg that brings net delta nearer goes first.
        let is_near_first = match pool.delta.0.signum() {
            1 => one.side == Side::Sell,
            -1 => one.side == Side::Buy,
            _ => true,
        };
        let (first, second) = if is_near_first { (one, two) } else { (two, one) };
        let offset =
            Offset { second: second.instrument, side: second.side, owed: 0, is_second_out: false };
        Some(Plan { place, first, offset, cost_ppb })
    }

    /// What buying takes at the worst price of a leg, and how much there is cash for.
    fn purchase(&self, buyer: &Line, candidate: &Candidate<'_>) -> Option<Purchase> {
        let dearest = candidate.touch.ask.price.0.saturating_add(candidate.collar.0);
        let each = buy_value(buyer, Lots(1), Ticks(dearest));
        let mut purchase =
            Purchase { each, unit: nano_per_lot(buyer)?.into(), affordable: i128::MAX };
        let spec = buyer.instrument.spec();
        if let Some(purse) = self.rebalancer.holdings.at(spec.venue, spec.quote) {
            purchase.affordable = purchase.coins_for(purse.held()?.available)?;
        }
        Some(purchase)
    }

    /// What pays for an offset moves the other way: would that be what strays next? `None` where the
    /// numbers do not fit.
    fn bears(&self, pair: &Pair, stray: &Stray, purchase: &Purchase, coins: i128) -> Option<bool> {
        let paid = match pair.side {
            Side::Sell => coins.checked_mul(purchase.each)?.checked_div(purchase.unit)?,
            Side::Buy => coins,
        };
        let bears = |venue, change| {
            self.deviation(venue, pair.other).is_none_or(|deviation| deviation.bears(change))
        };
        Some(bears(stray.from, paid) && bears(stray.to, paid.checked_neg()?))
    }

    fn send_offset(&mut self, plan: Plan, out: &mut Intents) -> bool {
        let HedgeOrder { instrument, side, price, size } = plan.first;
        let immediate = TimeInForce::ImmediateOrCancel;
        let slot = self.send_new(instrument, side, Purpose::Rebalance, price, size, immediate, out);
        let Some(pool) = self.pools.get_mut(plan.place).filter(|_| slot.is_some()) else {
            return false;
        };
        pool.hedge = slot;
        pool.offset = Some(plan.offset);
        true
    }

    /// Sends the second leg of an offset whose first has traded. Says whether the underlying's one
    /// immediate order is spoken for.
    pub(super) fn work_offset(&mut self, place: usize, out: &mut Intents) -> bool {
        let Some(pool) = self.pools.get(place) else { return false };
        let Some(offset) = pool.offset else { return false };
        if pool.hedge.is_some() {
            return true;
        }
        let order = (!pool.is_flattening).then(|| self.second_leg(&offset)).flatten();
        let slot = order.and_then(|order| {
            let HedgeOrder { instrument, side, price, size } = order;
            let immediate = TimeInForce::ImmediateOrCancel;
            self.send_new(instrument, side, Purpose::Rebalance, price, size, immediate, out)
        });
        if let Some(pool) = self.pools.get_mut(place) {
            pool.hedge = slot;
            // What cannot be offset is inventory like any other.
            pool.offset = slot.map(|_| Offset { is_second_out: true, ..offset });
        }
        slot.is_some()
    }

    fn second_leg(&self, offset: &Offset) -> Option<HedgeOrder> {
        let offsets = self.rebalancer.config.offsets.iter();
        let with = offsets.copied().find(|with| with.instrument == offset.second)?;
        let candidate = self.hedge_candidate(&with, offset.side)?;
        let unit = nano_per_lot(self.line(offset.second)?)?;
        rebalance::leg(&candidate, offset.side, Lots(offset.owed.checked_div(unit)?))
    }

    /// The venue has said what became of a leg.
    pub(super) fn on_leg_done(&mut self, order: &Order, slot: OrderSlot) {
        let unit = self.line(order.instrument).and_then(nano_per_lot).unwrap_or(0);
        let Some(place) = self.pool_of(order.instrument) else { return };
        let Some(pool) = self.pools.get_mut(place).filter(|pool| pool.hedge == Some(slot)) else {
            return;
        };
        pool.hedge = None;
        let traded = order.cum_qty.0.saturating_mul(unit);
        pool.offset = pool.offset.and_then(|offset| {
            let is_owed = !offset.is_second_out && traded > 0;
            is_owed.then_some(Offset { owed: traded, ..offset })
        });
    }

    /// What waiting for the quotes costs; `None` where fills do not bring it home.
    fn quotes_ppb(&self, currency: Currency, stray: &Stray) -> Option<i64> {
        let holdings = &self.rebalancer.holdings;
        let amount = i128::from(stray.amount);
        let leaving = holdings.at(stray.from, currency)?.flow().looks_for(amount.checked_neg()?)?;
        let coming = holdings.at(stray.to, currency)?.flow().looks_for(amount)?;
        let every_ns = i128::from(self.rebalancer.config.every_ns);
        let time_ns = leaving.max(coming).checked_mul(every_ns)?;
        let idle = rebalance::idle_ppb(self.rebalancer.config.idle_ppb_day, time_ns);
        let skews = [stray.from, stray.to].map(|venue| self.skew_ppb(venue, currency));
        skews.iter().try_fold(idle, |sum, skew| sum.checked_add(*skew))
    }

    /// What a venue's skew gives away on average on the way home, 1e-9 of the value.
    fn skew_ppb(&self, venue: VenueId, currency: Currency) -> i64 {
        let skewed = self.lines.iter().find_map(|line| {
            let spec = line.instrument.spec();
            let is_of = line.is_spot()
                && spec.venue == venue
                && (spec.base == currency || spec.quote == currency);
            let skew = line.settings.quote.as_ref().and_then(|quote| quote.holdings);
            let mark = self.ledger.mark(line.instrument.id())?;
            let position = self.ledger.position(line.instrument.id())?;
            is_of.then_some((skew?.shift(position), mark))
        });
        let Some((shift, mark)) = skewed else { return 0 };
        // Half the skew, over a price in half ticks.
        let given = i128::from(shift.0.unsigned_abs()).saturating_mul(NANO);
        let price = i128::from(mark.0.max(1)) << SubTicks::FRACTION_BITS;
        i64::try_from(given.checked_div(price).unwrap_or(0)).unwrap_or(i64::MAX)
    }

    /// A transfer within every limit, and what it costs.
    fn transfer_for(&self, currency: Currency, stray: &Stray) -> Option<(Transfer, i64)> {
        let terms = self.rebalancer.config.transfer_of(currency)?;
        let Rebalancer { holdings, transit, config, .. } = &self.rebalancer;
        let (from, to) = (holdings.at(stray.from, currency)?, holdings.at(stray.to, currency)?);
        if !transit.has_room() {
            return None;
        }
        let asked = transit.requested_from(stray.from, currency);
        let free = from.held()?.available.checked_sub(asked)?;
        let most = i64::try_from(free.max(0)).unwrap_or(i64::MAX).min(stray.amount);
        let (moved, leaves, arrives) = match (from.coin(), to.coin()) {
            (Some(from), Some(to)) => {
                let (unit, far_unit) =
                    (nano_per_lot(self.line(from)?)?, nano_per_lot(self.line(to)?)?);
                let room = self.room_to_arrive(to, currency)?.saturating_add(terms.fee);
                let lots = most.min(room).checked_div(unit)?;
                let leaves = lots.checked_mul(unit)?;
                let arrives = leaves.checked_sub(terms.fee)?.max(0);
                let arrives = arrives.checked_sub(arrives.checked_rem(far_unit)?)?;
                (Moved::Coin { from, to }, leaves, arrives)
            }
            (None, None) => (Moved::Cash, most, most.checked_sub(terms.fee)?),
            (Some(_), None) | (None, Some(_)) => return None,
        };
        let cost = rebalance::transfer_ppb(terms, leaves, config.idle_ppb_day)?;
        let transfer = Transfer {
            id: TransferId::default(),
            currency,
            from: stray.from,
            to: stray.to,
            moved,
            leaves,
            arrives,
            stage: TransferStage::Requested,
            since: self.now,
        };
        (arrives > 0).then_some((transfer, cost))
    }

    /// How much of a coin may come to an instrument within its position limit, 1e-9.
    fn room_to_arrive(&self, to: InstrumentId, currency: Currency) -> Option<i64> {
        let line = self.line(to)?;
        let bought = self.orders.open(to).buy.0;
        let owned = self.ledger.owned(to)?.0.saturating_add(bought);
        let free = line.settings.limits.position_max.0.saturating_sub(owned);
        let free = free.max(0).saturating_mul(nano_per_lot(line)?);
        let venue = line.instrument.spec().venue;
        let asked = self.rebalancer.transit.requested_to(venue, currency);
        Some(free.saturating_sub(i64::try_from(asked).unwrap_or(i64::MAX)).max(0))
    }
}

/// How much more a coin costs on one market than on another, 1e-9 of the other's price.
fn dearer_ppb(one: (&Line, i64), other: (&Line, i64)) -> Option<i128> {
    let ((one, one_mid), (other, other_mid)) = (one, other);
    let price = |line: &Line, mid: i64, by: &Line| {
        let ContractValue::Linear { nano_per_tick_lot, .. } = line.contract() else { return None };
        let value = i128::from(mid).checked_mul(nano_per_tick_lot.into())?;
        value.checked_mul(nano_per_lot(by)?.into())
    };
    let (one_price, other_price) = (price(one, one_mid, other)?, price(other, other_mid, one)?);
    let dearer = one_price.checked_sub(other_price)?.checked_mul(NANO)?;
    dearer.checked_div(other_price.max(1))
}

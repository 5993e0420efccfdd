//! Acts in people's words: symbols instead of numbers, amounts with their unit.
//!
//! Fed by the journal's reader and the operator's socket; feeds people. Any thread, never a hot one.

use crate::config::instruments::InstrumentTable;
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::{Currency, Instrument};
use ballast_engine::maker::control::{Act, Knob, Scope, User};
use ballast_engine::pnl::ledger::Holding;
use ballast_engine::units::{Decimal, Lots, SubTicks, Ticks};

/// 1e-9, the step of money and exposure.
pub const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };

fn instrument(table: &InstrumentTable, id: InstrumentId) -> Option<&Instrument> {
    table.instruments.get(usize::from(id.0))
}

/// An instrument's symbol.
pub fn symbol(table: &InstrumentTable, id: InstrumentId) -> String {
    instrument(table, id).map_or_else(|| format!("#{}", id.0), |i| i.symbol().to_owned())
}

fn underlying(table: &InstrumentTable, place: u8) -> String {
    let name = table.underlyings.name(usize::from(place));
    name.map_or_else(|| format!("underlying {place}"), str::to_owned)
}

fn currency(table: &InstrumentTable, currency: Currency) -> String {
    let name = table.currencies.name(usize::from(currency.0));
    name.map_or_else(|| format!("currency {}", currency.0), str::to_owned)
}

/// What a scope covers.
pub fn scope(table: &InstrumentTable, scope: Scope) -> String {
    match scope {
        Scope::All => "everything".into(),
        Scope::Underlying(place) => underlying(table, place),
        Scope::Instrument(id) => symbol(table, id),
    }
}

/// What a knob belongs to: a symbol or an underlying.
pub fn knob_owner(table: &InstrumentTable, knob: Knob) -> String {
    match knob {
        Knob::OrderSizeMax(id)
        | Knob::OrderValueMax(id)
        | Knob::PositionMax(id)
        | Knob::Collar(id)
        | Knob::QuoteSize(id)
        | Knob::EdgeMin(id)
        | Knob::ToleranceAggressive(id)
        | Knob::TolerancePassive(id) => symbol(table, id),
        Knob::Soft(place) | Knob::Stop(place) | Knob::Hard(place) => underlying(table, place),
    }
}

/// A knob's value with its digits, without its unit's name.
pub fn knob_value(table: &InstrumentTable, knob: Knob, value: i64) -> String {
    let of = |id| instrument(table, id);
    match knob {
        Knob::OrderSizeMax(id) | Knob::PositionMax(id) | Knob::QuoteSize(id) => {
            of(id).map_or_else(|| format!("{value} lots"), |i| i.size_text(Lots(value)))
        }
        Knob::Collar(id) | Knob::ToleranceAggressive(id) | Knob::TolerancePassive(id) => {
            of(id).map_or_else(|| format!("{value} ticks"), |i| i.price_text(Ticks(value)))
        }
        Knob::EdgeMin(id) => {
            // Rounded up to the tick: the exact value has binary digits.
            let ticks = SubTicks(value).ceil();
            of(id).map_or_else(|| format!("{} ticks", ticks.0), |i| i.price_text(ticks))
        }
        Knob::OrderValueMax(_) | Knob::Soft(_) | Knob::Stop(_) | Knob::Hard(_) => {
            Decimal::text_of(value, NANO)
        }
    }
}

fn holding(table: &InstrumentTable, holding: Holding, amount: i64) -> String {
    match holding {
        Holding::Position(id) => {
            let size = instrument(table, id).map(|i| i.size_text(Lots(amount)));
            format!("{} {}", size.unwrap_or_else(|| format!("{amount} lots")), symbol(table, id))
        }
        Holding::Cash(of) => {
            format!("{} {} cash", Decimal::text_of(amount, NANO), currency(table, of))
        }
        Holding::CashAt { venue, currency: of } => {
            let venue = table.venues.name(usize::from(venue.0)).unwrap_or("?");
            let amount = Decimal::text_of(amount, NANO);
            format!("{amount} {} cash at {venue}", currency(table, of))
        }
    }
}

/// An act in one line.
pub fn act(table: &InstrumentTable, act: &Act) -> String {
    match *act {
        Act::Pause { scope: of } => format!("pause {}", scope(table, of)),
        Act::Resume { scope: of } => format!("resume {}", scope(table, of)),
        Act::Flatten { scope: of } => format!("flatten {}", scope(table, of)),
        Act::Kill { cause } => {
            format!("kill ({}): cancel everything, no new order", cause.name())
        }
        Act::Set { knob, value } => format!(
            "set {} {} to {}",
            knob_owner(table, knob),
            knob.name(),
            knob_value(table, knob, value)
        ),
        Act::Trade { instrument: id, side, price, size } => {
            let known = instrument(table, id);
            let size = known.map_or_else(|| format!("{} lots", size.0), |i| i.size_text(size));
            let price = known.map_or_else(|| format!("{} ticks", price.0), |i| i.price_text(price));
            format!("book a trade: {side:?} {size} {} at {price}", symbol(table, id))
        }
        Act::Transfer { holding: of, amount } => {
            format!("book a transfer of {}", holding(table, of, amount))
        }
        Act::TransferSent { id, leaves } => {
            format!("book transfer {id} as sent: {} left", Decimal::text_of(leaves, NANO))
        }
        Act::TransferArrived { id, came } => {
            format!("book transfer {id} as arrived: {} came", Decimal::text_of(came, NANO))
        }
        Act::TransferRefused { id, came } => {
            format!("book transfer {id} as refused: {} came back", Decimal::text_of(came, NANO))
        }
        Act::Funding { instrument: id, received } => {
            let amount = Decimal::text_of(received, NANO);
            format!("book funding of {}: received {amount}", symbol(table, id))
        }
        Act::FundingRate { instrument: id, rate } => {
            let rate = Decimal::text_of(rate.0, Decimal { mantissa: 1, scale: 5 });
            format!("funding rate of {}: {rate} basis points", symbol(table, id))
        }
        Act::Adjust { holding: of, amount } => {
            format!("book an adjustment of {}", holding(table, of, amount))
        }
        Act::Expire { instrument: id, price } => {
            let price = Decimal::text_of(price, NANO);
            format!("book the expiry of {} with its underlying at {price}", symbol(table, id))
        }
        Act::Exercise { instrument: id, lots, price } => {
            let size = Lots(lots.0.saturating_abs());
            let size = instrument(table, id).map(|known| known.size_text(size));
            let size = size.unwrap_or_else(|| format!("{} lots", lots.0));
            let what = if lots.0 < 0 { "assignment" } else { "exercise" };
            let at = match price {
                0 => String::new(),
                price => format!(" with its underlying at {}", Decimal::text_of(price, NANO)),
            };
            format!("book the {what} of {size} {}{at}", symbol(table, id))
        }
    }
}

/// An act with who ordered it.
pub fn act_by(table: &InstrumentTable, user: User, second: User, ordered: &Act) -> String {
    let confirmed = match second == User::NOBODY {
        true => String::new(),
        false => format!(", confirmed by {second}"),
    };
    format!("{}, by {user}{confirmed}", act(table, ordered))
}

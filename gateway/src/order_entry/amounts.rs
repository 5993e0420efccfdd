//! The prices and sizes of a report, exact where the venue is, and against us where it is not.
//!
//! A part of the desk, fed by it with reports. Order-entry thread. What is missing or off the grid is
//! counted, never silently rounded; a fill is never dropped for it, because a position that is wrong by
//! a whole fill is worse than a price that is wrong by a part of a tick.

use super::desk::Desk;
use super::live_orders::LiveOrder;
use super::report::Report;
use super::status::OrdStatus;
use ballast_engine::units::{DecimalError, Lots, Side, Ticks};

/// The quantities of a report, in lots.
#[derive(Clone, Copy)]
pub(super) struct Quantities {
    pub cum_qty: Lots,
    pub leaves_qty: Lots,
}

impl Desk {
    pub(super) fn quantities(
        &mut self,
        report: &Report<'_>,
        place: usize,
        order: Option<&LiveOrder>,
        shown: OrdStatus,
    ) -> Quantities {
        if let Some((cum_qty, leaves_qty)) = report.running {
            return Quantities { cum_qty, leaves_qty };
        }
        let cum_qty = match report.cum_qty.map(|text| self.lots(place, text)) {
            Some(cum_qty) => cum_qty,
            None => order.map_or(Lots(0), |o| o.cum_qty),
        };
        let leaves_qty = match report.leaves_qty.map(|text| self.lots(place, text)) {
            // OrderQty(38) less CumQty(14) is what such a venue says also of an order that is gone.
            Some(_) if report.is_status_led && shown.is_gone() => Lots(0),
            Some(leaves_qty) => leaves_qty,
            None if shown.is_gone() => Lots(0),
            None => Lots(order.map_or(0, |o| o.size.0.saturating_sub(cum_qty.0))),
        };
        Quantities { cum_qty, leaves_qty }
    }

    /// More of the order has traded than its venue ever told: that is news, whatever its ExecID(17). Some
    /// venues begin their ExecIDs anew each day, or count them by symbol.
    pub(super) fn has_grown(&self, report: &Report<'_>, order: Option<&LiveOrder>) -> bool {
        let Some(order) = order else { return false };
        let told = report.running.map(|(cum_qty, _)| cum_qty).or_else(|| {
            let symbol = self.symbols.at(self.place_of(report, Some(order))?)?;
            symbol.lots_floor(report.cum_qty?).ok()
        });
        told.is_some_and(|told| told > order.cum_qty_max)
    }

    pub(super) fn side(&mut self, report: &Report<'_>, order: Option<&LiveOrder>) -> Side {
        report.side.or(order.map(|o| o.side)).unwrap_or_else(|| {
            self.counts.inexact += 1;
            Side::Buy
        })
    }

    /// LastPx(31) and LastQty(32). Where a venue leaves one out, the position must still be right:
    /// the size is then what CumQty(14) grew by; the price AvgPx(6), where nothing of the order was known to
    /// have traded and its venue tells statuses, else the order's limit.
    pub(super) fn last(
        &mut self,
        report: &Report<'_>,
        place: usize,
        order: Option<&LiveOrder>,
        cum_qty: Lots,
    ) -> (Ticks, Lots) {
        let side = self.side(report, order);
        let price = report.last_px.and_then(|text| self.ticks_against(place, text, side));
        let price =
            price.or_else(|| self.average(report, place, order, side)).unwrap_or_else(|| {
                self.counts.inexact += 1;
                order.map_or(Ticks(0), |o| o.price)
            });
        let before = self.known_traded(report, order);
        // Of an order that has gone a part was told already: what is new is what it grew by.
        let is_late = order.is_none() && before > Lots(0);
        let size = match report.last_qty.filter(|_| !is_late) {
            Some(text) => self.lots(place, text),
            None => {
                self.counts.inexact += u64::from(!report.is_status_led);
                Lots(cum_qty.0.saturating_sub(before.0).max(0))
            }
        };
        (price, size)
    }

    /// AvgPx(6) of all that traded, where all of it is news.
    fn average(
        &mut self,
        report: &Report<'_>,
        place: usize,
        order: Option<&LiveOrder>,
        side: Side,
    ) -> Option<Ticks> {
        let is_news = report.is_status_led && self.known_traded(report, order) == Lots(0);
        let price = report.avg_px.filter(|_| is_news);
        // A venue that does not know it says 0.
        self.ticks_against(place, price?, side).filter(|price| *price != Ticks(0))
    }

    /// Price(44), or what is known where it is absent or off the grid.
    pub(super) fn price(
        &mut self,
        report: &Report<'_>,
        place: usize,
        known: Option<Ticks>,
    ) -> Ticks {
        let told = report.price.and_then(|text| self.symbols.at(place)?.ticks(text).ok());
        if report.price.is_some() && told.is_none() {
            self.counts.inexact += 1;
        }
        told.or(known).unwrap_or_default()
    }

    /// A traded price; off the grid it rounds against us and is counted, because a fill must be booked.
    pub(super) fn ticks_against(&mut self, place: usize, text: &[u8], side: Side) -> Option<Ticks> {
        let symbol = self.symbols.at(place)?;
        match symbol.ticks(text) {
            Ok(price) => Some(price),
            Err(DecimalError::OffGrid) => {
                self.counts.inexact += 1;
                let floor = symbol.ticks_floor(text).ok()?;
                Some(match side {
                    Side::Buy => Ticks(floor.0.saturating_add(1)),
                    Side::Sell => floor,
                })
            }
            Err(DecimalError::NotANumber | DecimalError::TooManyDigits) => None,
        }
    }

    /// A size; off the grid (the lot in the config is wrong) it rounds down and is counted.
    pub(super) fn lots(&mut self, place: usize, text: &[u8]) -> Lots {
        let Some(symbol) = self.symbols.at(place) else { return Lots(0) };
        match symbol.lots(text) {
            Ok(size) => size,
            Err(_) => {
                self.counts.inexact += 1;
                symbol.lots_floor(text).unwrap_or_default()
            }
        }
    }
}

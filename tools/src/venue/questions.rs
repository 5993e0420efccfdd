//! What the venue answers about all of a participant's orders and holdings.
//!
//! A part of the exchange, fed by it with requests that have arrived; feeds reports. Deliberately
//! absent: anything that changes an order.

use super::exchange::Exchange;
use super::order::{Answer, ExecType, ExecutionReport, OrderId, Participant, Place, Report};
use ballast_engine::event::{ClOrdId, ExecId, InstrumentId};
use ballast_engine::units::Lots;

fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

impl Exchange {
    /// What a participant held before it first traded here; positions are told with it.
    pub fn open_with(&mut self, participant: Participant, instrument: InstrumentId, lots: Lots) {
        self.openings.insert((participant, instrument), lots);
    }

    /// What a participant holds by the venue's books; + long.
    pub fn held(&self, participant: Participant, instrument: InstrumentId) -> Lots {
        let traded = self.position(participant, instrument);
        Lots(self.opening(participant, instrument).0 + traded.0)
    }

    /// What may still trade of a participant's working orders, by side.
    pub fn open(&self, participant: Participant, instrument: InstrumentId) -> [Lots; 2] {
        let mut open = [Lots(0); 2];
        for order in self.working(participant) {
            let order = self.order(order);
            if order.instrument == instrument {
                open[order.side.index()].0 += order.leaves().0;
            }
        }
        open
    }

    /// Grows with every change of an order: while it stands still, so does [`Exchange::open`].
    pub fn order_changes(&self) -> u64 {
        self.register.changes()
    }

    /// How many orders of a participant work.
    pub fn live_orders(&self, participant: Participant) -> usize {
        self.working(participant).count()
    }

    pub(super) fn working(&self, participant: Participant) -> impl Iterator<Item = OrderId> {
        let all = (participant, OrderId(0))..=(participant, OrderId(u64::MAX));
        self.live.range(all).map(|(_, order)| *order)
    }

    pub(super) fn opening(&self, participant: Participant, instrument: InstrumentId) -> Lots {
        self.openings.get(&(participant, instrument)).copied().unwrap_or_default()
    }

    pub(super) fn on_status_all(&mut self, participant: Participant, out: &mut Vec<Report>) {
        let working: Vec<OrderId> = self.working(participant).collect();
        if working.is_empty() {
            let place = Place { number: 1, of: 0 };
            self.answer(participant, Answer::Listed { report: None, place }, out);
        }
        let of = count(working.len());
        for (number, order) in (1..).zip(working) {
            let report = self.describe(order, ExecType::OrderStatus, ClOrdId::NONE, None);
            let report = Some(ExecutionReport { exec_id: ExecId(0), ..report });
            self.answer(participant, Answer::Listed { report, place: Place { number, of } }, out);
        }
    }

    pub(super) fn on_positions(&mut self, participant: Participant, out: &mut Vec<Report>) {
        let ids: Vec<_> = self.instruments().iter().map(|i| i.id()).collect();
        let of = count(ids.len());
        for (number, instrument) in (1..).zip(ids) {
            let lots = self.held(participant, instrument);
            let place = Place { number, of };
            self.answer(participant, Answer::Position { instrument, lots, place }, out);
        }
    }
}

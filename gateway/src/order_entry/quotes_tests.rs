//! Quotes that an earlier run left.

use super::*;
use crate::fix::decode::Decoder;
use crate::order_entry::exec_ids::ExecIds;
use crate::venue::deribit::RULES;
use crate::venue::symbols::Symbols;
use crate::venue::symbols::tests::instrument;
use crate::venue::time_base::TimeBase;
use ballast_engine::event::{TimeInForce, VenueId};
use ballast_engine::orders::order::{Order, OrderState, Purpose};
use ballast_engine::units::{Stamp, Ticks};

/// A desk with a bid that an earlier run left under the name 2, and had sent as 1.
fn left() -> Desk {
    let symbols = Symbols::new(VenueId(0), &[instrument(0, "BTC-C")]).unwrap();
    let mut desk = Desk::new(symbols, 8, ExecIds::new(8), TimeBase::Arrival);
    desk.quotes = Quotes::new(&[Some("g")], 8);
    let (of, terms) = ((InstrumentId(0), Side::Buy), (Ticks(600), Lots(50)));
    let sent = Order::sent(Nanos(0), ClOrdId(2), of, terms, Purpose::Quote { level: 0 });
    let order = Order { is_acknowledged: true, state: OrderState::InDoubt, ..sent };
    desk.restore(&order, Some(ClOrdId(1)), true).unwrap();
    desk.restore_quote(ClOrdId(2));
    desk
}

#[test]
fn a_quote_of_an_earlier_run_stands_on_its_side_however_often_it_moves() {
    let mut desk = left();
    for name in 3..8 {
        let standing = desk.standing(0, Side::Buy).map(|order| order.cl_ord_id);
        assert_eq!(standing, Some(ClOrdId(name - 1)));
        let intent = OrderIntent {
            cl_ord_id: ClOrdId(name),
            orig_cl_ord_id: ClOrdId(name - 1),
            price: Ticks(600),
            size: Lots(50),
            stamp: Stamp(0),
            at: Nanos(0),
            instrument: InstrumentId(0),
            action: OrderAction::Replace,
            side: Side::Buy,
            time_in_force: TimeInForce::PostOnly,
        };
        desk.admit(&intent).unwrap();
        let handle = desk.live().find(ClOrdId(name)).unwrap();
        desk.live_mut().replaced(handle, ClOrdId(name)).unwrap();
    }
}

#[test]
fn what_the_venue_calls_a_quote_is_learnt_from_what_an_earlier_run_heard() {
    for (body, is_learnt) in [
        ("35=8|34=2|49=V|56=B|37=BTC-7|39=0|54=1|55=BTC-C|117=9|299=2-1|", true),
        ("35=8|34=2|49=V|56=B|37=BTC-7|39=0|54=1|55=BTC-C|117=9|299=9-1|", true),
        ("35=8|34=2|49=V|56=B|37=BTC-7|39=0|54=1|55=BTC-C|117=9|299=5|", false),
        ("35=b|34=2|49=V|56=B|117=9|297=0|295=1|299=1|9020=0|1167=21|54=1|37=BTC-7|", true),
    ] {
        let body = body.replace('|', "\x01");
        let mut whole = format!("8=FIX.4.4\x019={}\x01{body}", body.len());
        let sum = whole.bytes().fold(0u8, u8::wrapping_add);
        whole.push_str(&format!("10={sum:03}\x01"));
        let mut decoder = Decoder::new(64);
        let message = decoder.decode(whole.as_bytes()).unwrap();
        let mut desk = left();
        assert_eq!(desk.learn_venue_names(&message, RULES.report_tags), is_learnt, "{body}");
        let called = desk.live().live().next().unwrap().quoted;
        assert_eq!(called.venue_name(), is_learnt.then_some(&b"BTC-7"[..]), "{body}");
    }
}

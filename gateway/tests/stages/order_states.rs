//! The order-state matrices of FIX 4.4 (Volume 4, Appendix D), each as a script: what we send, what
//! the venue answers in real bytes, and what the maker is told. None of them may be unforeseen.

use crate::matrices::MATRICES;
use crate::wire;
use ballast_engine::event::{
    ClOrdId, InstrumentId, OrderAction, OrderEvent, OrderIntent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use ballast_gateway::order_entry::desk::{Arrival, Desk};
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::report::{FIX_44, Report};
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;

fn desk() -> Desk {
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
    Desk::new(symbols, 16, ExecIds::new(256), TimeBase::Arrival)
}

fn id(letter: &str) -> u64 {
    match letter {
        "X" => 101,
        "Y" => 102,
        "Z" => 103,
        _ => 0,
    }
}

fn name(update: OrderUpdate) -> String {
    format!("{update:?}").split([' ', '{']).next().unwrap().to_string()
}

fn intent(action: OrderAction, id: u64, orig: u64, size: i64) -> OrderIntent {
    OrderIntent {
        cl_ord_id: ClOrdId(id),
        orig_cl_ord_id: ClOrdId(orig),
        price: Ticks(5000),
        size: Lots(size),
        stamp: Stamp(1),
        at: Nanos(1),
        instrument: InstrumentId(3),
        action,
        side: Side::Buy,
        time_in_force: TimeInForce::PostOnly,
    }
}

fn answer(desk: &mut Desk, body: &str) -> Option<OrderEvent> {
    let arrival = Arrival { now: Nanos(9), stamp: Stamp(4), msg_seq_num: 77 };
    wire::decoded(&wire::whole(body), |message| {
        let report = Report::read(message, FIX_44);
        match message.msg_type() {
            b"8" => desk.on_report(arrival, &report),
            b"9" => desk.on_cancel_reject(arrival, &report),
            _ => desk.on_message_reject(arrival, &report),
        }
    })
}

/// Sizes are written in lots of 0.001.
fn size(lots: &str) -> String {
    format!("{}.{:03}", lots.parse::<i64>().unwrap() / 1000, lots.parse::<i64>().unwrap() % 1000)
}

/// `D X 10000`, `G Y X 12000`, `F Y X` are sent; `8 ids exec status qty cum leaves last => Event` and
/// `9 ids status => Event` are answers.
fn play(title: &str, script: &str) -> Desk {
    let mut desk = desk();
    for (line, number) in script.lines().map(str::trim).filter(|l| !l.is_empty()).zip(1..) {
        let (line, expected) = line.split_once(" => ").unwrap_or((line, ""));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["D", x, qty] => {
                desk.admit(&intent(OrderAction::New, id(x), 0, qty.parse().unwrap())).unwrap()
            }
            ["G", y, x, qty] => desk
                .admit(&intent(OrderAction::Replace, id(y), id(x), qty.parse().unwrap()))
                .unwrap(),
            ["F", y, x] => desk.admit(&intent(OrderAction::Cancel, id(y), id(x), 0)).unwrap(),
            ["8", ids, exec_type, status, qty, cum, leaves, last] => {
                let (own, orig) = ids.split_once(',').unwrap_or((ids, ""));
                let orig =
                    if orig.is_empty() { String::new() } else { format!("41={}|", id(orig)) };
                let body = format!(
                    "35=8|49=V|56=B|34=2|37=O|11={}|{orig}17=E{number}|150={exec_type}|39={status}|\
                     55=BTC|54=1|38={}|44=50.00|31=50.00|32={}|151={}|14={}|6=0",
                    id(own),
                    size(qty),
                    size(last),
                    size(leaves),
                    size(cum),
                );
                let event = answer(&mut desk, &body).expect(title);
                assert_eq!(name(event.update), expected, "{title}, line {number}");
                assert_eq!(event.cl_ord_id, ClOrdId(id(own)), "{title}, line {number}");
            }
            ["9", ids, status] => {
                let (own, orig) = ids.split_once(',').unwrap();
                let body = format!(
                    "35=9|49=V|56=B|34=2|37=O|11={}|41={}|39={status}|434=1|102=0",
                    id(own),
                    id(orig)
                );
                let event = answer(&mut desk, &body).expect(title);
                assert_eq!(name(event.update), expected, "{title}, line {number}");
            }
            _ => panic!("{title}: {line}"),
        }
        assert_eq!(desk.counts().unforeseen, 0, "{title}, line {number}: {line}");
    }
    assert_eq!(desk.counts().unreadable + desk.counts().inexact, 0, "{title}");
    desk
}

#[test]
fn every_matrix_of_appendix_d_is_foreseen_and_told_as_it_is() {
    for (title, script, live) in MATRICES {
        let desk = play(title, script);
        assert_eq!(desk.live().live_count(), *live, "{title}");
        // An order that was done for the day is still known the next morning.
        assert!(!title.starts_with('H') || desk.counts().unknown_orders == 0, "{title}");
    }
}

const ACCEPTED: &str = "
    D X 10000
    8 X 0 0 10000 0 10000 0 => New";

#[test]
fn a_request_refused_because_of_a_fill_that_is_yet_to_be_told_is_answered_by_the_fill() {
    for request in ["F Y X", "G Y X 12000"] {
        let mut desk = play(request, &format!("{ACCEPTED}\n{request}"));
        let refused =
            format!("35=9|49=V|56=B|34=3|37=O|11={}|41={}|39=2|434=1|102=0", id("Y"), id("X"));
        assert_eq!(
            answer(&mut desk, &refused),
            None,
            "{request}: gone, with its fill in no account"
        );
        assert_eq!(desk.live().live_count(), 1);
        let filled = format!(
            "35=8|49=V|56=B|34=4|37=O|11={}|17=E9|150=F|39=2|55=BTC|54=1|38=10.000|44=50.00|31=50.00|\
             32=10.000|151=0|14=10.000|6=50.00",
            id("X")
        );
        let told = answer(&mut desk, &filled).unwrap();
        assert_eq!((told.cl_ord_id, name(told.update).as_str()), (ClOrdId(id("X")), "Fill"));
        assert_eq!((desk.live().live_count(), desk.counts().unknown_orders), (0, 0));
        assert!(answer(&mut desk, &refused).is_some(), "of an order that is over it is told");
    }
}

fn fill(exec_id: &str, more: &str) -> String {
    format!(
        "35=8|34=5|11=101|17={exec_id}|150=F|39=1|55=BTC|38=10|32=1|151=9|14=1|60=20240808-23:59:59.123456789|{more}"
    )
}

#[test]
fn a_fill_carries_every_number_of_its_report() {
    let mut desk = play("accepted", ACCEPTED);
    let event = answer(&mut desk, &fill("E9", "54=1|31=50.01|851=1")).unwrap();
    assert_eq!(event.msg_seq_num, 77);
    assert_eq!((event.at, event.stamp), (Nanos(9), Stamp(4)));
    assert_eq!(event.venue_at, Nanos(1_723_161_599_123_456_789));
    assert_eq!((event.instrument, event.venue), (InstrumentId(3), VenueId(0)));
    let OrderUpdate::Fill { side, last_px, last_qty, cum_qty, leaves_qty, liquidity, .. } =
        event.update
    else {
        panic!("{event:?}")
    };
    assert_eq!((side, last_px, last_qty), (Side::Buy, Ticks(5001), Lots(1000)));
    assert_eq!((cum_qty, leaves_qty), (Lots(1000), Lots(9000)));
    assert_eq!(format!("{liquidity:?}"), "Maker");
}

#[test]
fn a_fill_of_unknown_liquidity_is_taken_to_have_paid_the_takers_fee() {
    let mut desk = play("accepted", ACCEPTED);
    let event = answer(&mut desk, &fill("E9", "54=1|31=50.01")).unwrap();
    assert!(format!("{event:?}").contains("liquidity: Taker"));
}

#[test]
fn the_same_exec_id_is_booked_once_and_counted() {
    let mut desk = play("accepted", ACCEPTED);
    assert!(answer(&mut desk, &fill("E9", "54=1|31=50.01")).is_some());
    assert!(answer(&mut desk, &fill("E9", "54=1|31=50.01|43=Y")).is_none());
    assert!(answer(&mut desk, &fill("E9", "54=1|31=50.01|97=Y")).is_none());
    assert_eq!(desk.counts().duplicates, 2);
}

#[test]
fn both_sides_of_a_trade_with_ourselves_are_booked_under_one_exec_id() {
    let mut desk = play("accepted", ACCEPTED);
    assert!(answer(&mut desk, &fill("E9", "54=1|31=50.01")).is_some());
    assert!(answer(&mut desk, &fill("E9", "54=2|31=50.01")).is_some());
}

#[test]
fn a_possible_duplicate_that_changes_nothing_any_more_is_held_back() {
    let mut desk = play("accepted", ACCEPTED);
    answer(&mut desk, &fill("E9", "54=1|31=50.01")).unwrap();
    let body = "35=8|34=2|43=Y|11=101|17=E1|150=A|39=A|55=BTC|54=1|151=10|14=0";
    assert!(answer(&mut desk, body).is_none());
    assert_eq!(desk.counts().duplicates, 1);
}

#[test]
fn a_report_of_an_unknown_order_is_told_and_counted() {
    for id in ["999", "manual-7", "18446744073709551616", ""] {
        let mut desk = desk();
        let id = if id.is_empty() { String::new() } else { format!("11={id}|") };
        let body = format!("35=8|{id}17=E1|150=F|39=2|55=BTC|54=2|31=50|32=1|151=0|14=1");
        let event = answer(&mut desk, &body).unwrap();
        assert!(matches!(event.update, OrderUpdate::Fill { side: Side::Sell, .. }));
        assert_eq!(desk.counts().unknown_orders, 1);
    }
}

#[test]
fn a_report_of_an_instrument_that_is_not_ours_is_counted_and_makes_no_event() {
    let mut desk = desk();
    let body = "35=8|11=5|17=E1|150=F|39=2|55=DOGE|54=2|31=50|32=1|151=0|14=1";
    assert!(answer(&mut desk, body).is_none());
    assert_eq!(desk.counts().foreign, 1);
}

#[test]
fn an_overfill_passes_through_to_the_maker() {
    let mut desk = play("accepted", ACCEPTED);
    let body = "35=8|11=101|17=E2|150=F|39=2|55=BTC|54=1|31=50|32=12|151=0|14=12";
    let event = answer(&mut desk, body).unwrap();
    assert!(format!("{event:?}").contains("cum_qty: Lots(12000)"));
}

#[test]
fn a_fill_off_the_grid_is_booked_against_us_and_counted() {
    let mut desk = play("accepted", ACCEPTED);
    let buy = answer(&mut desk, &fill("E9", "54=1|31=50.005")).unwrap();
    assert!(format!("{buy:?}").contains("last_px: Ticks(5001)"));
    let sell = answer(&mut desk, &fill("E10", "54=2|31=50.005")).unwrap();
    assert!(format!("{sell:?}").contains("last_px: Ticks(5000)"));
    assert_eq!(desk.counts().inexact, 2);
}

#[test]
fn a_fill_without_a_size_is_what_cum_qty_grew_by() {
    let mut desk = play("accepted", ACCEPTED);
    let body = "35=8|11=101|17=E2|150=F|39=1|55=BTC|54=1|31=50|151=8|14=2";
    let event = answer(&mut desk, body).unwrap();
    assert!(format!("{event:?}").contains("last_qty: Lots(2000)"));
    assert_eq!(desk.counts().inexact, 1);
}

#[test]
fn a_word_that_a_later_one_overtook_takes_no_fill_back() {
    let mut desk = play("accepted", ACCEPTED);
    let mut last = |number: u32, exec_type: &str, cum: u32, leaves: u32| {
        let body = format!(
            "35=8|11=101|17=L{number}|150={exec_type}|39=1|55=BTC|54=1|31=50|151={leaves}|14={cum}"
        );
        match answer(&mut desk, &body).unwrap().update {
            OrderUpdate::Fill { last_qty, .. } => last_qty.0,
            _ => 0,
        }
    };
    assert_eq!(last(1, "F", 4, 6), 4000);
    assert_eq!(last(2, "I", 1, 9), 0);
    assert_eq!(last(3, "F", 5, 5), 1000, "not from 1");
    // A bust does take back.
    assert_eq!(last(4, "H", 3, 7), 0);
    assert_eq!(last(5, "F", 4, 6), 1000);
}

#[test]
fn a_report_that_the_matrices_do_not_foresee_is_told_and_counted() {
    let mut desk = play("accepted", ACCEPTED);
    let body = "35=8|11=101|17=E5|150=A|39=A|55=BTC|54=1|151=10|14=0";
    assert!(answer(&mut desk, body).is_some());
    assert_eq!(desk.counts().unforeseen, 1);
}

#[test]
fn an_illegible_report_is_counted_and_makes_no_event() {
    let mut desk = play("accepted", ACCEPTED);
    for body in ["35=8|11=101|150=Z|39=0|55=BTC", "35=8|11=101|39=0|55=BTC", "35=8|11=101|150=0"] {
        assert!(answer(&mut desk, body).is_none());
    }
    assert_eq!(desk.counts().unreadable, 3);
}

#[test]
fn a_message_reject_finds_its_order_by_number_or_by_id() {
    let mut desk = play("accepted", ACCEPTED);
    let cancel = intent(OrderAction::Cancel, 102, 101, 0);
    desk.admit(&cancel).unwrap();
    desk.sent(&cancel, 40);
    let event = answer(&mut desk, "35=3|34=9|45=40|373=5|58=no").unwrap();
    assert_eq!((event.cl_ord_id, event.orig_cl_ord_id), (ClOrdId(102), ClOrdId(101)));
    assert_eq!(event.update, OrderUpdate::MessageRejected { reason: 5 });
    let event = answer(&mut desk, "35=j|34=9|45=41|372=D|380=4|379=101").unwrap();
    assert_eq!(event.cl_ord_id, ClOrdId(101));
    assert_eq!(desk.live().live_count(), 0);
    assert!(answer(&mut desk, "35=3|34=9|45=7").is_none(), "not one of our orders");
    assert_eq!(desk.counts().rejects, 3);
}

#[test]
fn a_replace_refused_by_an_execution_report_leaves_the_order_working() {
    let mut desk = play("accepted", ACCEPTED);
    desk.admit(&intent(OrderAction::Replace, 102, 101, 8000)).unwrap();
    let body = "35=8|11=102|41=101|17=E3|150=8|39=8|103=3|55=BTC|54=1|151=10|14=0";
    let event = answer(&mut desk, body).unwrap();
    assert_eq!(event.update, OrderUpdate::CancelRejected { reason: 3, is_gone: false });
    assert_eq!(desk.live().live_count(), 1);
}

#[test]
fn a_bust_by_the_exec_trans_type_of_fix_4_2_is_a_bust() {
    let mut desk = play("accepted", ACCEPTED);
    answer(&mut desk, &fill("E9", "54=1|31=50.01")).unwrap();
    let body = "35=8|11=101|17=E10|19=E9|20=1|150=1|39=0|55=BTC|54=1|151=10|14=0";
    let event = answer(&mut desk, body).unwrap();
    let OrderUpdate::TradeCanceled { exec_id, ref_exec_id, .. } = event.update else { panic!() };
    assert_eq!(exec_id.0, ref_exec_id.0 + 1);
}

#[test]
fn on_the_venues_time_base_time_is_the_venues_and_never_goes_back() {
    let symbols = Symbols::new(VenueId(0), &[wire::instrument(3, "BTC")]).unwrap();
    let mut desk =
        Desk::new(symbols, 16, ExecIds::new(256), TimeBase::Venue { answer_delay_ns: 0 });
    let at = |desk: &mut Desk, exec_id: &str, time: &str| {
        let body = format!("35=8|11=1|17={exec_id}|150=F|39=2|55=BTC|54=2|31=50|32=1|60={time}");
        answer(desk, &body).unwrap().at.0
    };
    let first = at(&mut desk, "E1", "20240808-23:59:59.5");
    assert_eq!(first, 1_723_161_599_500_000_000);
    assert_eq!(at(&mut desk, "E2", "20240808-23:59:58"), first);
    assert!(at(&mut desk, "E3", "20240809-00:00:00") > first);
}

//! W and X in real bytes: what is read from them, and what is refused.

use crate::wire;
use ballast_engine::event::VenueId;
use ballast_engine::units::{Lots, Nanos, Side, Ticks};
use ballast_gateway::market_data::refresh::{Action, Breach, Entry, EntryKind, Refresh};
use ballast_gateway::venue::symbols::Symbols;

fn symbols() -> Symbols {
    let listed = [wire::instrument(0, "BTC"), wire::instrument(1, "ETH")];
    Symbols::new(VenueId(0), &listed).unwrap()
}

fn read(body: &str) -> Result<Vec<Entry>, Breach> {
    let symbols = symbols();
    let mut refresh = Refresh::new(6, &symbols);
    let bytes = wire::whole(body);
    wire::decoded(&bytes, |message| {
        if body.starts_with("35=W") {
            refresh.read_snapshot(message, &symbols)
        } else {
            refresh.read_increment(message, &symbols)
        }
    })?;
    Ok(refresh.entries().to_vec())
}

#[test]
fn a_snapshot_is_read_level_by_level() {
    let entries = read(
        "35=W|34=2|262=7|55=BTC|268=3|269=0|270=61685.99|271=1.5|269=1|270=61686|271=0.001|\
         269=2|270=61686|271=3",
    )
    .unwrap();
    assert_eq!(entries[0].kind, EntryKind::Level(Side::Buy));
    assert_eq!((entries[0].price, entries[0].size), (Some(Ticks(6_168_599)), Some(Lots(1500))));
    assert_eq!(entries[1].kind, EntryKind::Level(Side::Sell));
    assert_eq!(entries[2].kind, EntryKind::Trade);
    assert_eq!(entries.iter().map(|e| e.is_last).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn an_increment_reads_actions_times_and_the_aggressor_to_the_nanosecond() {
    let entries = read(
        "35=X|34=2|268=2|279=1|269=0|55=BTC|270=5|271=2|272=20240808|273=23:59:59.123456789|\
         279=0|269=2|270=5|271=1|273=23:59:59.123456790|5797=2",
    )
    .unwrap();
    assert_eq!(entries[0].action, Action::Change);
    assert_eq!(entries[0].venue_at, Nanos(1_723_161_599_123_456_789));
    assert_eq!(entries[1].venue_at, Nanos(1_723_161_599_123_456_790), "the date holds on");
    assert_eq!(entries[1].place, entries[0].place, "and so does the symbol");
    assert_eq!(entries[1].aggressor, Some(Side::Sell));
}

#[test]
fn an_increment_of_two_instruments_ends_once_for_each() {
    let entries = read(
        "35=X|34=2|268=4|279=1|269=0|55=BTC|270=5|271=2|279=1|269=0|55=ETH|270=5|271=2|\
         279=2|269=1|55=BTC|270=9|279=0|269=0|55=DOGE|270=1|271=1",
    )
    .unwrap();
    assert_eq!(entries.iter().map(|e| e.is_last).collect::<Vec<_>>(), [false, true, true, false]);
    assert_eq!(entries[2].action, Action::Delete);
    assert_eq!(entries[3].place, None, "not ours");
}

#[test]
fn a_message_is_read_as_if_there_had_been_none_before() {
    let symbols = symbols();
    let mut refresh = Refresh::new(6, &symbols);
    let mut read = |body: &str| {
        let bytes = wire::whole(body);
        let read = wire::decoded(&bytes, |m| refresh.read_increment(m, &symbols));
        (read, refresh.md_req_id(), refresh.entries().to_vec())
    };
    let (first, id, entries) = read("35=X|34=2|262=7|268=1|279=0|269=0|55=ETH|270=5|271=2");
    assert_eq!((first, id, entries[0].is_last), (Ok(()), Some(7), true));
    // One that breaks off, and one that does not say what it is about.
    let (broken, _, entries) = read("35=X|34=3|268=2|279=0|269=0|55=ETH|270=5|271=2");
    assert_eq!((broken, entries.len()), (Err(Breach::WrongCount), 0));
    let (_, id, entries) = read("35=X|34=4|268=1|279=0|269=0|270=5|271=2");
    assert_eq!((id, entries[0].place, entries[0].is_last), (None, None, false));
    let (_, _, entries) = read("35=X|34=5|268=2|279=0|269=0|55=ETH|270=5|271=2|279=1|269=1|270=6");
    assert_eq!(entries.iter().map(|e| e.is_last).collect::<Vec<_>>(), [false, true]);
    assert_eq!(entries[1].size, None, "the size of the entry before is not this one's");
}

#[test]
fn binance_writes_transact_time_and_the_aggressor_of_fix_5() {
    let entries =
        read("35=X|34=2|268=1|279=0|270=5|271=2|269=2|55=BTC|60=20240808-23:59:59.123456|2446=1")
            .unwrap();
    assert_eq!(entries[0].venue_at, Nanos(1_723_161_599_123_456_000));
    assert_eq!(entries[0].aggressor, Some(Side::Buy));
}

#[test]
fn a_number_off_the_grid_is_marked_and_the_rest_is_read() {
    let entries =
        read("35=X|34=2|268=2|279=0|269=0|55=BTC|270=5.001|271=2|279=0|269=0|270=5|271=2").unwrap();
    assert!(entries[0].is_off_grid && entries[0].price.is_none());
    assert!(!entries[1].is_off_grid);
}

#[test]
fn a_message_that_breaks_the_dictionary_yields_nothing() {
    for (body, breach) in [
        ("35=X|268=2|279=0|269=0|55=BTC|270=5|271=2", Breach::WrongCount),
        ("35=X|279=0|269=0|55=BTC|270=5|271=2", Breach::WrongCount),
        ("35=X|268=x|279=0|269=0", Breach::Malformed { tag: 268 }),
        ("35=X|268=1|279=7|269=0|55=BTC|270=5", Breach::Malformed { tag: 279 }),
        ("35=X|268=1|279=0|269=00|55=BTC", Breach::Malformed { tag: 269 }),
        ("35=X|268=1|279=0|269=0|55=BTC|270=5e3|271=1", Breach::Malformed { tag: 270 }),
        ("35=X|268=1|279=0|269=0|55=BTC|270=5|271=", Breach::Malformed { tag: 271 }),
        ("35=X|268=1|270=5|279=0|269=0|55=BTC|271=1", Breach::Misplaced { tag: 270 }),
        ("35=X|268=1|279=0|269=0|55=BTC|272=20240230", Breach::Malformed { tag: 272 }),
        ("35=X|268=1|279=0|269=0|55=BTC|273=24:00:00", Breach::Malformed { tag: 273 }),
        ("35=W|55=BTC|268=1|269=0|270=--1|271=1", Breach::Malformed { tag: 270 }),
    ] {
        assert_eq!(read(body), Err(breach), "{body}");
    }
    let seven = format!("35=X|268=7{}", "|279=0|269=0|55=BTC|270=5|271=2".repeat(7));
    assert_eq!(read(&seven), Err(Breach::TooManyEntries));
}

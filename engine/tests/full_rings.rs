//! What a user is promised: whatever ring is full, an operator's kill acts, and every cancel goes out
//! as soon as there is room for it; live trading that cannot be journaled ends by itself.

mod far_ends;
#[allow(dead_code, reason = "only its config is used here")]
mod rough_market;

use ballast_engine::event::*;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::input::Control;
use ballast_engine::maker::intents::Record;
use ballast_engine::maker::stage::{MakerStage, Telemetry, TimeBase};
use ballast_engine::quote::Model;
use ballast_engine::risk::state::State;
use ballast_engine::stage::Stage;
use ballast_engine::units::*;
use far_ends::FarEnds;
use rough_market::{SPOT, config};

struct Bench {
    stage: MakerStage,
    far: FarEnds,
    now: u64,
}

impl Bench {
    fn new(time: TimeBase) -> Bench {
        let (stage, far) = far_ends::stage(&config(Model::Glft), (time, 0), (64, 8));
        Bench { stage, far, now: 1_000_000 }
    }

    fn turn(&mut self) {
        self.now += 1_000;
        self.stage.turn(Nanos(self.now));
    }

    fn event(&mut self, intent: Option<&OrderIntent>, update: OrderUpdate) {
        let event = OrderEvent {
            at: Nanos(self.now),
            venue_at: Nanos(self.now),
            stamp: Stamp(0),
            msg_seq_num: 1,
            cl_ord_id: intent.map_or(ClOrdId::NONE, |intent| intent.cl_ord_id),
            orig_cl_ord_id: ClOrdId::NONE,
            update,
            instrument: intent.map_or(SPOT, |intent| intent.instrument),
            venue: VenueId(0),
        };
        self.far.orders.push(event).unwrap();
        self.turn();
    }

    fn image(&mut self, instrument: InstrumentId, mid: i64) -> bool {
        let level =
            |side, price| MarketUpdate::Level { side, price: Ticks(price), size: Lots(500) };
        let updates = [MarketUpdate::Reset, level(Side::Buy, mid - 1), level(Side::Sell, mid + 1)];
        for (n, update) in updates.into_iter().enumerate() {
            let event = MarketEvent {
                at: Nanos(self.now),
                venue_at: Nanos(0),
                stamp: Stamp(1),
                update,
                instrument,
                last_in_message: n == 2,
            };
            if self.far.market.push(event).is_err() {
                return false;
            }
        }
        self.turn();
        true
    }

    /// Logged on, with accepted quotes.
    fn quoting(time: TimeBase) -> Bench {
        let mut bench = Bench::new(time);
        bench.event(None, OrderUpdate::SessionUp);
        for instrument in 0..3 {
            bench.image(InstrumentId(instrument), 600_000);
        }
        let sent: Vec<_> = std::iter::from_fn(|| bench.far.intents.pop()).collect();
        assert!(!sent.is_empty());
        for intent in &sent {
            bench.event(Some(intent), OrderUpdate::New { leaves_qty: intent.size });
        }
        bench
    }

    fn cancels(&mut self) -> usize {
        let sent = std::iter::from_fn(|| self.far.intents.pop());
        sent.filter(|intent| intent.action == OrderAction::Cancel).count()
    }

    fn drain_journal(&mut self) -> Vec<Entry> {
        std::iter::from_fn(|| self.far.journal.pop()).collect()
    }
}

#[test]
fn a_kill_acts_while_nobody_reads_the_journal() {
    let mut bench = Bench::quoting(TimeBase::Events);
    // The recorder sleeps: market data is taken until the ring has no room for it, and waits.
    while bench.image(SPOT, 600_000) {}
    let before = bench.stage.inputs();
    bench.turn();
    assert_eq!(bench.stage.inputs(), before, "market data waits");
    let live = bench.stage.maker().live_orders();
    assert!(live > 0);
    bench.cancels();
    bench.far.control.push(Control::Kill).unwrap();
    bench.turn();
    assert!(bench.stage.maker().is_killed());
    assert!(bench.cancels() > 0, "the cancels are on their way");
}

#[test]
fn live_trading_that_cannot_be_journaled_ends_and_the_journal_says_so() {
    let mut bench = Bench::quoting(TimeBase::Clock);
    bench.drain_journal();
    for _ in 0..10_000 {
        // Order events go on into what is kept for them.
        bench.event(None, OrderUpdate::SessionUp);
        if bench.stage.maker().is_killed() {
            break;
        }
    }
    assert!(bench.stage.maker().is_killed());
    assert!(bench.far.progress.has_killed_itself(), "whoever guards it learns of it");
    assert_eq!(bench.stage.unjournaled(), 0, "the room for this was kept");
    let journal = bench.drain_journal();
    assert!(
        journal
            .iter()
            .any(|entry| matches!(entry, Entry::Control { control: Control::By { .. }, .. }))
    );
    assert!(bench.cancels() > 0);
}

#[test]
fn after_the_first_entry_without_room_nothing_more_is_journaled_so_that_there_is_no_hole() {
    let mut bench = Bench::quoting(TimeBase::Clock);
    let mut journal = bench.drain_journal();
    while bench.stage.unjournaled() == 0 {
        bench.event(None, OrderUpdate::SessionUp);
        bench.cancels();
    }
    assert!(bench.stage.maker().is_killed());
    assert!(!bench.far.journal.is_at_cut(), "what was pushed before is still to be written");
    // The recorder is there again, and the maker goes on with what the venue says.
    journal.extend(bench.drain_journal());
    let consumed = bench.stage.inputs();
    for _ in 0..50 {
        bench.event(None, OrderUpdate::SessionUp);
        journal.extend(bench.drain_journal());
    }
    assert!(bench.stage.inputs() >= consumed + 50, "the maker goes on");
    let numbers: Vec<u64> =
        journal.iter().filter_map(|entry| entry.input()).map(|(number, ..)| number).collect();
    assert!(
        numbers.iter().copied().eq(0..numbers.len() as u64),
        "no input is missing before the end"
    );
    assert!(
        consumed > numbers.len() as u64 && bench.far.journal.is_at_cut(),
        "and it is known to end early"
    );
}

#[test]
fn a_kill_acts_while_order_entry_takes_nothing_and_its_cancels_follow() {
    let mut bench = Bench::quoting(TimeBase::Clock);
    // Quotes move to and fro, and nobody takes the intents.
    for n in 0..2_000 {
        bench.drain_journal();
        bench.now += 20_000;
        bench.event(
            None,
            if n % 2 == 0 { OrderUpdate::SessionDown } else { OrderUpdate::SessionUp },
        );
        if n % 2 == 1 {
            for instrument in 0..3 {
                bench.image(InstrumentId(instrument), 600_000 + n);
            }
        }
        if bench.far.orders.len() > 32 {
            break;
        }
    }
    assert!(bench.far.orders.len() > 32, "order events wait behind the full ring");
    bench.far.control.push(Control::Kill).unwrap();
    bench.turn();
    assert!(bench.stage.maker().is_killed());
    let mut cancels = 0;
    for _ in 0..200 {
        bench.drain_journal();
        bench.now += 60_000;
        bench.turn();
        cancels += bench.cancels();
    }
    assert!(cancels >= bench.stage.maker().live_orders(), "each order has been asked about");
}

#[test]
fn a_halt_whose_record_found_no_room_is_told_as_soon_as_there_is_some_without_any_sample() {
    let mut bench = Bench::quoting(TimeBase::Clock);
    // Nobody reads the telemetry: its ring has been full since the quotes began.
    assert!(bench.stage.telemetry_dropped() > 0);
    bench.far.control.push(Control::Kill).unwrap();
    bench.turn();
    let halted = |bench: &mut Bench| {
        let told = std::iter::from_fn(|| bench.far.telemetry.pop());
        told.filter(|told| {
            matches!(told, Telemetry::Happened(Record::State { state: State::Halted, .. }))
        })
        .count()
    };
    assert_eq!(halted(&mut bench), 0, "there was no room for it");
    bench.turn();
    assert_eq!(halted(&mut bench), 3, "each instrument's");
    bench.turn();
    assert_eq!(halted(&mut bench), 0, "once");
}

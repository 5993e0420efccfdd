//! What the journal promises: what was written is read back, and whatever happened to the file since
//! is noticed, at every byte and every bit.

use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::event::{
    ClOrdId, ExecId, InstrumentId, Liquidity, MarketEvent, MarketUpdate, OrderAction, OrderEvent,
    OrderIntent, OrderUpdate, TimeInForce, VenueId,
};
use ballast_engine::fixed::Scaled;
use ballast_engine::instrument::Currency;
use ballast_engine::inventory::derived::{Row, RowUpdate};
use ballast_engine::inventory::hedge_mix::{Mix, MixUpdate};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::hash::IntentsHash;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::recorder::{Recorder, Watch};
use ballast_engine::journal::recovery::{Survey, Tail};
use ballast_engine::journal::writer::{JournalWriter, Sink};
use ballast_engine::maker::control::{Act, KillCause, Knob, Scope, User};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::parameters::{MicroPriceUpdate, Parameters};
use ballast_engine::pnl::ledger::Holding;
use ballast_engine::quote::Model;
use ballast_engine::ring;
use ballast_engine::risk::firm::FirmView;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::{Exposure, FeeRate, Lots, Nanos, Side, Stamp, SubTicks, Ticks};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn header() -> Header {
    Header {
        epoch: 3,
        started: Nanos(1_700_000_000_000_000_000),
        binary: "0.1.0".into(),
        config: "[maker]\nseed = 1\n".into(),
        resumption: None,
    }
}

fn market(number: u64, update: MarketUpdate) -> Record {
    let event = MarketEvent {
        at: Nanos(number * 1_000),
        venue_at: Nanos(0),
        stamp: Stamp(number ^ 0x5555),
        update,
        instrument: InstrumentId(2),
        last_in_message: number.is_multiple_of(2),
    };
    Record::Market { number, now: Nanos(number * 1_000), event }
}

fn order(number: u64, update: OrderUpdate) -> Record {
    let event = OrderEvent {
        at: Nanos(number),
        venue_at: Nanos(number + 1),
        stamp: Stamp(7),
        msg_seq_num: 100 + number,
        cl_ord_id: ClOrdId::new(3, number),
        orig_cl_ord_id: ClOrdId::NONE,
        update,
        instrument: InstrumentId(0),
        venue: VenueId(1),
    };
    Record::Order { number, now: Nanos(number), event }
}

fn intent(cause: u64, action: OrderAction) -> Record {
    let intent = OrderIntent {
        cl_ord_id: ClOrdId::new(3, cause),
        orig_cl_ord_id: ClOrdId::new(3, cause.saturating_sub(1)),
        price: Ticks(-6_168_599),
        size: Lots(i64::MAX),
        stamp: Stamp(9),
        at: Nanos(cause),
        instrument: InstrumentId(0),
        action,
        side: Side::Sell,
        time_in_force: TimeInForce::ImmediateOrCancel,
    };
    Record::Intent { cause, intent }
}

/// Every variant of everything that a record can hold.
fn every_kind() -> Vec<Record> {
    let (exec_id, ref_exec_id) = (ExecId(11), ExecId(12));
    let (last_px, last_qty) = (Ticks(5), Lots(6));
    let (cum_qty, leaves_qty, price) = (Lots(7), Lots(8), Ticks(i64::MIN));
    let (side, liquidity, reason) = (Side::Buy, Liquidity::Taker, 99);
    let updates = [
        OrderUpdate::SessionUp,
        OrderUpdate::SessionDown,
        OrderUpdate::Pending,
        OrderUpdate::New { leaves_qty },
        OrderUpdate::Fill { exec_id, side, last_px, last_qty, cum_qty, leaves_qty, liquidity },
        OrderUpdate::Replaced { price, leaves_qty },
        OrderUpdate::Restated { price, leaves_qty },
        OrderUpdate::Status { is_gone: true, cum_qty, leaves_qty },
        OrderUpdate::TradeCorrected {
            exec_id,
            ref_exec_id,
            last_px,
            last_qty,
            cum_qty,
            leaves_qty,
        },
        OrderUpdate::TradeCanceled { exec_id, ref_exec_id, cum_qty, leaves_qty },
        OrderUpdate::Canceled { cum_qty },
        OrderUpdate::Rejected { reason },
        OrderUpdate::CancelRejected { reason, is_gone: false },
        OrderUpdate::MessageRejected { reason },
        OrderUpdate::Unsent,
    ];
    let (price, size) = (Ticks(6_168_600), Lots(42));
    let market_updates = [
        MarketUpdate::Level { side: Side::Sell, price, size },
        MarketUpdate::Trade { aggressor: Side::Buy, price, size },
        MarketUpdate::Reset,
        MarketUpdate::Gap,
    ];
    let mut records = Vec::new();
    for update in market_updates {
        records.push(market(records.len() as u64, update));
    }
    for update in updates {
        records.push(order(records.len() as u64, update));
    }
    for reason in Reason::ALL {
        let state = if reason == Reason::Normal { State::Quoting } else { State::Halted };
        let cause = records.len() as u64;
        records.push(Record::State { cause, instrument: InstrumentId(1), state, reason });
    }
    let one = InstrumentId(1);
    let plain = [Control::Pause(one), Control::Resume(one), Control::Kill, Control::Shutdown];
    let cold = [row(), mix(), micro_price(), firm()];
    for control in plain.into_iter().chain(refits()).chain(cold).chain(acts()) {
        records.push(Record::Control { number: records.len() as u64, now: Nanos(5), control });
    }
    records.push(Record::Timer { number: records.len() as u64, now: Nanos(6) });
    for action in [OrderAction::New, OrderAction::Replace, OrderAction::Cancel] {
        records.push(intent(4, action));
    }
    records
}

/// Refitted coefficients of every closed form.
fn refits() -> impl Iterator<Item = Control> {
    let models = [Model::Glft, Model::Symmetric, Model::AvellanedaStoikovRolling];
    models.into_iter().map(|model| {
        let parameters = QuoteParameters::new(Real::from(0.01), Real::from(0.9), Real::from(0.3));
        let quoter = quoter(model, &parameters).unwrap();
        Control::Parameters(Parameters::of(InstrumentId(1), &quoter).unwrap())
    })
}

/// A refitted row of a derived band.
fn row() -> Control {
    let excess = std::array::from_fn(|node| i32::try_from(node * node).unwrap() - 7);
    let (unit, slope) = (Scaled::new(10, 3), Scaled::new(-3, 90));
    Control::HedgeRow(RowUpdate {
        quoted: InstrumentId(1),
        place: 41,
        row: Row { band: Exposure(-9), excess, unit, slope },
    })
}

/// Ratios of a set of hedge instruments.
fn mix() -> Control {
    let mix = Mix { ratios: [u32::MAX, 0, 7, 1], weights: [3, 0, 1, u32::MAX], residual: u64::MAX };
    Control::HedgeMix(MixUpdate { made: Nanos(7), underlying: 255, mix })
}

/// What a firm's other engines hold.
fn firm() -> Control {
    let (longs, shorts) = (Exposure(i64::MAX), Exposure(-3));
    Control::Firm(FirmView { at: Nanos(7), longs, shorts, underlying: 255 })
}

/// A refitted micro-price.
fn micro_price() -> Control {
    let lean = |n: usize| SubTicks(i64::try_from(n * n).unwrap() - 11);
    let leans = std::array::from_fn(|row| std::array::from_fn(|n| lean(row * 4 + n)));
    Control::MicroPrice(MicroPriceUpdate { instrument: InstrumentId(1), leans })
}

/// Every act of an operator, with every knob, scope, cause and holding.
fn acts() -> Vec<Control> {
    let (id, amount) = (InstrumentId(1), -7);
    let knobs = [
        Knob::OrderSizeMax(id),
        Knob::OrderValueMax(id),
        Knob::PositionMax(id),
        Knob::Collar(id),
        Knob::Soft(2),
        Knob::Stop(2),
        Knob::Hard(2),
        Knob::QuoteSize(id),
        Knob::EdgeMin(id),
        Knob::ToleranceAggressive(id),
        Knob::TolerancePassive(id),
    ];
    let causes = [
        KillCause::Operator,
        KillCause::File,
        KillCause::Signal,
        KillCause::Watchdog,
        KillCause::SessionLost,
        KillCause::Journal,
    ];
    let holdings = [Holding::Position(id), Holding::Cash(Currency(1))];
    let mut acts = vec![
        Act::Pause { scope: Scope::All },
        Act::Resume { scope: Scope::Underlying(2) },
        Act::Flatten { scope: Scope::Instrument(id) },
        Act::Trade { instrument: id, side: Side::Sell, price: Ticks(-4), size: Lots(9) },
    ];
    acts.extend(knobs.map(|knob| Act::Set { knob, value: i64::MIN }));
    acts.extend(causes.map(|cause| Act::Kill { cause }));
    acts.extend(holdings.map(|holding| Act::Transfer { holding, amount }));
    acts.extend(holdings.map(|holding| Act::Adjust { holding, amount }));
    acts.push(Act::Funding { instrument: id, received: amount });
    acts.push(Act::FundingRate { instrument: id, rate: FeeRate(amount) });
    let user = User::new(1000, "a name of more than sixteen bytes");
    acts.into_iter().map(|act| Control::By { user, second: User::NOBODY, act }).collect()
}

/// A sink in memory that can be told to fail, also halfway through a write.
#[derive(Clone, Default)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: Option<usize>,
}

impl Memory {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock().unwrap())
    }
}

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.bytes.lock().unwrap();
        let count = self.room.map_or(bytes.len(), |room| bytes.len().min(room - kept.len()));
        if count == 0 && !bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(28));
        }
        kept.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Memory {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn name() -> &'static Path {
    Path::new("memory.journal")
}

fn written(records: &[Record], is_ended: bool) -> Vec<u8> {
    let memory = Memory::default();
    let mut writer = JournalWriter::over(memory.clone(), name(), &header()).unwrap();
    for record in records {
        writer.append(record).unwrap();
    }
    if is_ended {
        writer.finish().unwrap();
    } else {
        writer.flush().unwrap();
    }
    memory.take()
}

/// All good records and the fault that ended the reading, if one did.
fn read(bytes: &[u8]) -> (Vec<Record>, Option<JournalFault>) {
    let mut records = Vec::new();
    let reader = match JournalReader::over(bytes, name()) {
        Ok(reader) => reader,
        Err(fault) => return (records, Some(fault)),
    };
    for next in reader {
        match next {
            Ok(record) => records.push(record),
            Err(fault) => return (records, Some(fault)),
        }
    }
    (records, None)
}

/// A folder of this test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_kind_of_record_reads_as_it_was_written() {
    let records = every_kind();
    let (read, fault) = read(&written(&records, true));
    assert_eq!(fault, None);
    assert_eq!(read[..records.len()], records);
    let Record::End(end) = read[records.len()] else { panic!("no end record") };
    let mut hash = IntentsHash::new();
    for record in &records {
        if let Record::Intent { intent, .. } = record {
            hash.update(intent);
        }
    }
    assert_eq!((end.inputs, end.intents), (58, 3));
    assert_eq!(end.intents_sha256, hash.value());
}

#[test]
fn a_file_cut_at_any_byte_gives_the_records_before_and_says_so() {
    let records = every_kind();
    let bytes = written(&records, true);
    let whole = read(&bytes).0;
    let body = bytes.len() - written(&[], false).len();
    let mut at_boundary = 0;
    for cut in 0..bytes.len() {
        let (good, fault) = read(&bytes[..cut]);
        assert_eq!(good[..], whole[..good.len()], "cut at {cut}");
        match fault {
            Some(JournalFault::Torn { record, offset, bytes, .. }) => {
                assert_eq!(record, good.len() as u64, "cut at {cut}");
                assert_eq!(offset + bytes, cut as u64, "cut at {cut}");
            }
            Some(JournalFault::Unbegun { .. }) => assert!(cut < bytes.len() - body, "cut at {cut}"),
            None => at_boundary += 1,
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    assert_eq!(at_boundary, whole.len(), "only a cut between records is no torn record");
}

#[test]
fn any_flipped_bit_is_noticed_and_nothing_damaged_is_handed_out() {
    let bytes = written(&every_kind(), true);
    let whole = read(&bytes).0;
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            let (good, fault) = read(&damaged);
            assert_eq!(good[..], whole[..good.len()], "byte {place} bit {bit}");
            let fault = fault.unwrap_or_else(|| panic!("byte {place} bit {bit} went unnoticed"));
            assert!(!matches!(fault, JournalFault::Torn { .. }), "byte {place} bit {bit}: {fault}");
        }
    }
}

#[test]
fn a_record_missing_doubled_swapped_or_of_another_run_is_noticed() {
    let records = [1, 2, 3].map(|number| market(number, MarketUpdate::Gap));
    let bytes = written(&records, false);
    let start = written(&[], false).len();
    let size = (bytes.len() - start) / 3;
    let (head, body) = bytes.split_at(start);
    let frames: Vec<&[u8]> = body.chunks(size).collect();
    let mut other = header();
    other.epoch += 1;
    let memory = Memory::default();
    drop(JournalWriter::over(memory.clone(), name(), &other).unwrap());
    let others_head = memory.take();
    for (what, file) in [
        ("missing", [head, frames[0], frames[2]].concat()),
        ("doubled", [head, frames[0], frames[0], frames[1]].concat()),
        ("swapped", [head, frames[1], frames[0]].concat()),
        ("another run's", [&others_head[..], frames[0], frames[1]].concat()),
    ] {
        let fault = read(&file).1;
        assert!(matches!(fault, Some(JournalFault::Corrupt { .. })), "{what}: {fault:?}");
    }
}

#[test]
fn a_tail_of_zeros_is_torn_and_zeros_before_data_are_damage() {
    let mut bytes = written(&every_kind(), false);
    bytes.resize(bytes.len() + 10_000, 0);
    assert!(matches!(read(&bytes).1, Some(JournalFault::Torn { bytes: 10_000, .. })));
    bytes.push(1);
    assert!(matches!(read(&bytes).1, Some(JournalFault::Corrupt { .. })));
}

#[test]
fn a_full_disk_at_any_byte_is_an_answer_and_what_was_written_stays_readable() {
    let records = every_kind();
    let whole = written(&records, true);
    for room in written(&[], false).len()..whole.len() {
        let memory = Memory { room: Some(room), ..Memory::default() };
        let mut writer = JournalWriter::over(memory.clone(), name(), &header()).unwrap();
        let mut outcome = Ok(());
        for record in &records {
            outcome = outcome.and_then(|()| writer.append(record)).and_then(|()| writer.flush());
        }
        let first = match outcome {
            Err(fault) => {
                assert_eq!(writer.append(&records[0]), Err(fault.clone()), "it stays failed");
                fault
            }
            Ok(()) => writer.finish().unwrap_err(),
        };
        let JournalFault::DiskFull { record, .. } = first else { panic!("{first}") };
        let (good, _) = read(&memory.take());
        assert_eq!(good[..], records[..good.len()], "room for {room}");
        assert_eq!(good.len() as u64, record, "room for {room}");
    }
}

#[test]
fn a_survey_says_what_the_next_run_must_know() {
    let folder = Folder::new("survey");
    let path = folder.0.join("a.journal");
    let mut writer = JournalWriter::create(&path, &header()).unwrap();
    for record in every_kind() {
        writer.append(&record).unwrap();
    }
    writer.sync().unwrap();
    let survey = Survey::of(&path).unwrap();
    assert_eq!((survey.inputs, survey.intents), (58, 3));
    assert_eq!(survey.cl_ord_id_max, ClOrdId::new(3, 4));
    let last = survey.delivered[&VenueId(1)];
    assert_eq!((last.msg_seq_num, last.exec_id), (118, Some(ExecId(11))));
    assert_eq!(survey.tail, Tail::Unfinished);
    assert_eq!(survey.good_bytes, std::fs::metadata(&path).unwrap().len());
    let end = writer.finish().unwrap();
    assert_eq!(Survey::of(&path).unwrap().tail, Tail::Ended(end));
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(survey.good_bytes + 5).unwrap();
    let torn = Survey::of(&path).unwrap();
    assert_eq!((torn.tail, torn.good_bytes), (Tail::Torn { bytes: 5 }, survey.good_bytes));
}

#[test]
fn a_journal_is_its_owner_s_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("owner");
    let path = folder.0.join("a.journal");
    drop(JournalWriter::create(&path, &header()).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = JournalWriter::create(&path, &header()).unwrap_err();
    assert_eq!(again, JournalFault::Exists { path });
}

#[test]
fn a_file_that_is_no_journal_or_of_another_version_is_told_apart() {
    assert!(matches!(
        read(b"{\"json\": \"no, this is a report\"}").1,
        Some(JournalFault::NotAJournal { .. })
    ));
    let mut bytes = written(&[], false);
    bytes[8] = 200;
    assert!(matches!(read(&bytes).1, Some(JournalFault::Version { found: 200, known: 9, .. })));
}

/// The recorder over a ring with all of `records` in it, and the sink behind it.
fn recording(records: &[Record], room: Option<usize>) -> (Recorder<Memory>, Memory) {
    let memory = Memory { room, ..Memory::default() };
    let writer = JournalWriter::over(memory.clone(), name(), &header()).unwrap();
    let (mut push, pop) = ring::records(records.len());
    assert_eq!(push.push_slice(records), records.len());
    (Recorder::new(pop, writer, 0), memory)
}

#[test]
fn the_recorder_writes_all_that_the_maker_left_before_it_is_done() {
    let records = every_kind();
    let (mut recorder, memory) = recording(&records, None);
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    recorder = recorder.witnessed(Box::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    assert_eq!(recorder.turn(Nanos(1)), Turn::Busy);
    assert_eq!(seen.load(Ordering::Relaxed), records.len());
    assert_eq!(recorder.turn(Nanos(2)), Turn::Done, "the maker's end of the ring is gone");
    let end = recorder.finish().unwrap();
    let (good, fault) = read(&memory.take());
    assert_eq!((good.len(), fault), (records.len() + 1, None));
    assert_eq!(good.last(), Some(&Record::End(end)));
}

#[test]
fn a_recorder_that_cannot_write_says_so_and_still_empties_the_ring() {
    let (recorder, memory) = recording(&every_kind(), Some(written(&[], false).len() + 100));
    let seen = [Arc::new(AtomicUsize::new(0)), Arc::default()];
    let watch = |of: usize| -> Watch {
        let seen = seen[of].clone();
        Box::new(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        })
    };
    let mut recorder = recorder.watched([watch(0)]).witnessed(watch(1));
    let health = recorder.health();
    assert!(!health.is_failed());
    assert_eq!(recorder.turn(Nanos(1)), Turn::Busy);
    let counts = [0, 1].map(|n: usize| seen[n].load(Ordering::Relaxed));
    assert_eq!(counts, [every_kind().len(), 0], "nobody is told that a lost record is written");
    assert!(health.is_failed());
    assert_eq!(recorder.turn(Nanos(2)), Turn::Done);
    assert_eq!(recorder.unwritten(), every_kind().len() as u64);
    assert!(matches!(recorder.finish(), Err(JournalFault::DiskFull { .. })));
    assert!(!read(&memory.take()).0.is_empty(), "what was written is there");
}

#[test]
fn a_journal_with_records_missing_is_written_up_to_there_and_does_not_end_in_order() {
    let (records, memory) = (every_kind(), Memory::default());
    let writer = JournalWriter::over(memory.clone(), name(), &header()).unwrap();
    let (mut push, pop) = ring::records(records.len());
    assert_eq!(push.push_slice(&records), records.len());
    push.cut();
    let mut recorder = Recorder::new(pop, writer, 0);
    let health = recorder.health();
    assert_eq!(recorder.turn(Nanos(1)), Turn::Busy);
    assert!(!health.is_failed(), "what came before is written first");
    assert_eq!(recorder.turn(Nanos(2)), Turn::Idle);
    assert!(health.is_failed());
    drop(push);
    let count = records.len() as u64;
    assert!(
        matches!(recorder.finish(), Err(JournalFault::Overrun { record, .. }) if record == count)
    );
    assert_eq!(read(&memory.take()), (records, None), "whole, and without an end record");
}

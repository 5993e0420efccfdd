//! A part of a tape: from one moment to another, with the books that stand when it begins.
//!
//! Fed by a tape; feeds the backtest under `--from` and `--to`. One thread. What lies before the
//! window is read and not played: at its first moment every book comes whole, after a reset, as a
//! feed gives it to who subscribes. Memory: the books.

use crate::recording::{OrderGone, Tape, TapeCounters, TapeError};
use ballast_engine::event::{InstrumentId, MarketEvent, MarketUpdate};
use ballast_engine::units::{Lots, Nanos, Side, Stamp, Ticks};
use std::collections::{BTreeMap, VecDeque};

/// A moment on a tape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// By the tape's clock.
    At(Nanos),
    /// So long after the tape's first event.
    After(u64),
}

impl Moment {
    /// `2024-08-08T23:56:00Z`, or `+90s` after the tape's first event.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Moment, String> {
        let allowed =
            "an RFC 3339 time such as 2024-08-08T23:56:00Z, or +90s after the first event";
        let nanos = match text.strip_prefix('+') {
            Some(length) => return duration_ns(length).map(Moment::After),
            None => text.parse::<jiff::Timestamp>().ok().map(|time| time.as_nanosecond()),
        };
        let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok());
        nanos.map(|nanos| Moment::At(Nanos(nanos))).ok_or_else(|| format!("expected {allowed}"))
    }

    fn on(self, start: Nanos) -> Nanos {
        match self {
            Moment::At(at) => at,
            Moment::After(ns) => start.plus(ns),
        }
    }
}

/// `250us`, `1.5ms`, `2s` or `1m` in nanoseconds.
///
/// # Errors
/// It is none of these, negative or longer than a u64 of nanoseconds.
pub fn duration_ns(text: &str) -> Result<u64, String> {
    let allowed = "a number with its unit: ns, us, ms, s, m or h";
    let bad = || format!("{text:?} is no length of time; expected {allowed}");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(bad()),
    };
    let number: ballast_engine::units::Decimal = number.parse().map_err(|_| bad())?;
    let mantissa = i128::from(number.mantissa) * i128::from(unit_ns);
    let scale = 10i128.checked_pow(u32::from(number.scale)).ok_or_else(bad)?;
    if mantissa % scale != 0 {
        return Err(format!("{text:?} is no whole number of nanoseconds"));
    }
    u64::try_from(mantissa / scale).map_err(|_| bad())
}

/// Where the window lies and what the tape has there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First moment that plays.
    pub from: Nanos,
    /// Last moment that plays.
    pub to: Nanos,
}

/// A tape's part.
pub struct Window<T> {
    tape: T,
    span: Span,
    /// The books at its beginning, and when the recorder had them.
    standing: VecDeque<(MarketEvent, Option<Nanos>)>,
    standing_received: Option<Nanos>,
    /// Whether what was given last is the tape's own.
    is_own: bool,
    given: u64,
}

/// Why a window cannot play.
#[derive(Debug, thiserror::Error)]
pub enum WindowFault {
    /// The tape.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// Nothing lies in it.
    #[error("{0}")]
    Empty(String),
}

impl<T: Tape> Window<T> {
    /// Reads up to the window's first moment.
    ///
    /// # Errors
    /// The tape cannot be read, or has nothing in the window.
    pub fn open(
        mut tape: T,
        from: Option<Moment>,
        to: Option<Moment>,
    ) -> Result<Window<T>, WindowFault> {
        let Some(start) = tape.peek_at()? else {
            return Err(WindowFault::Empty("the tape holds no market event".to_owned()));
        };
        let span = Span {
            from: from.map_or(start, |from| from.on(start)),
            to: to.map_or(Nanos(u64::MAX), |to| to.on(start)),
        };
        let (mut books, mut last) = (Books::default(), start);
        if span.from >= span.to {
            return Err(WindowFault::Empty(format!(
                "--from {} is not before --to {}",
                text(span.from),
                text(span.to)
            )));
        }
        while let Some(at) = tape.peek_at()?.filter(|at| *at < span.from) {
            last = at;
            if let Some(event) = tape.next()? {
                books.take(&event, tape.received_at());
            }
        }
        if tape.peek_at()?.is_none_or(|at| at > span.to) {
            return Err(WindowFault::Empty(format!(
                "nothing of the tape lies between --from and --to: it begins at {} and {} {}",
                text(start),
                if tape.peek_at()?.is_none() { "ends at" } else { "is beyond --to after" },
                text(last)
            )));
        }
        let standing = books.standing(span.from);
        Ok(Window { tape, span, standing, standing_received: None, is_own: false, given: 0 })
    }

    /// Where it lies.
    pub fn span(&self) -> Span {
        self.span
    }
}

fn text(at: Nanos) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at.0));
    time.map_or_else(|_| format!("{} ns", at.0), |time| time.to_string())
}

impl<T: Tape> Tape for Window<T> {
    fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
        let event = match self.standing.pop_front() {
            Some((event, received)) => {
                self.is_own = false;
                self.standing_received = received;
                Some(event)
            }
            None if self.peek_at()?.is_none() => None,
            None => {
                self.is_own = true;
                self.tape.next()?
            }
        };
        self.given += u64::from(event.is_some());
        Ok(event)
    }

    fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
        match self.standing.front() {
            Some((event, _)) => Ok(Some(event.at)),
            None => Ok(self.tape.peek_at()?.filter(|at| *at <= self.span.to)),
        }
    }

    fn counters(&self) -> TapeCounters {
        TapeCounters { events: self.given, ..self.tape.counters() }
    }

    fn order_gone(&self) -> Option<OrderGone> {
        self.is_own.then(|| self.tape.order_gone()).flatten()
    }

    fn received_at(&self) -> Option<Nanos> {
        if self.is_own { self.tape.received_at() } else { self.standing_received }
    }

    fn knows_orders(&self) -> bool {
        self.tape.knows_orders()
    }
}

/// The books before the window.
#[derive(Default)]
struct Books(BTreeMap<InstrumentId, Standing>);

#[derive(Default)]
struct Standing {
    levels: [BTreeMap<Ticks, Lots>; 2],
    is_gapped: bool,
    has_begun: bool,
    /// When its last event reached the recorder, where the tape says.
    received: Option<Nanos>,
}

impl Books {
    fn take(&mut self, event: &MarketEvent, received: Option<Nanos>) {
        let book = self.0.entry(event.instrument).or_default();
        book.received = received;
        match event.update {
            MarketUpdate::Level { side, price, size } => {
                let levels = &mut book.levels[side.index()];
                if size.0 > 0 {
                    levels.insert(price, size)
                } else {
                    levels.remove(&price)
                };
                book.has_begun = true;
            }
            MarketUpdate::Trade { .. } => {}
            MarketUpdate::Reset => {
                *book = Standing { has_begun: true, received, ..Standing::default() };
            }
            MarketUpdate::Gap => book.is_gapped = true,
        }
    }

    /// Every book as one message of its own, which reaches the maker when the last event in it did, and
    /// so before none that follows.
    fn standing(&self, at: Nanos) -> VecDeque<(MarketEvent, Option<Nanos>)> {
        let mut events: VecDeque<(MarketEvent, Option<Nanos>)> = VecDeque::new();
        for (&instrument, book) in self.0.iter().filter(|(_, book)| book.has_begun) {
            let levels = Side::BOTH.into_iter().flat_map(|side| {
                let levels = book.levels[side.index()].iter();
                levels.map(move |(&price, &size)| MarketUpdate::Level { side, price, size })
            });
            let gap = book.is_gapped.then_some(MarketUpdate::Gap);
            let updates = [MarketUpdate::Reset].into_iter().chain(levels).chain(gap);
            let event = |update| MarketEvent {
                at,
                venue_at: Nanos(0),
                stamp: Stamp(0),
                update,
                instrument,
                last_in_message: false,
            };
            let received = book.received.map(|received| received.max(at));
            events.extend(updates.map(|update| (event(update), received)));
            if let Some((last, _)) = events.back_mut() {
                last.last_in_message = true;
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::tape::AnyTape;
    use crate::config::ConfigFile;

    fn synthetic() -> AnyTape {
        let file = ConfigFile::demo().unwrap();
        AnyTape::synthetic(&file.table.instruments, 3, Some(10_000_000_000))
    }

    fn books_of(mut tape: impl Tape) -> (Books, u64, [Nanos; 2]) {
        let (mut books, mut count, mut span) = (Books::default(), 0, [Nanos(u64::MAX), Nanos(0)]);
        while let Some(event) = tape.next().unwrap() {
            books.take(&event, None);
            count += 1;
            span = [span[0].min(event.at), span[1].max(event.at)];
        }
        assert_eq!(tape.counters().events, count);
        (books, count, span)
    }

    #[test]
    fn a_window_ends_at_the_books_of_the_whole_tape_and_plays_nothing_outside() {
        let (whole, count, [start, end]) = books_of(synthetic());
        let from = Moment::After(4_000_000_000);
        let window = Window::open(synthetic(), Some(from), None).unwrap();
        let (books, part, span) = books_of(window);
        assert!(part < count);
        assert_eq!(span, [start.plus(4_000_000_000), end]);
        for (id, book) in &whole.0 {
            assert_eq!(book.levels, books.0[id].levels);
        }
        let to = Some(Moment::After(1_000_000_000));
        let (_, _, [first, last]) = books_of(Window::open(synthetic(), None, to).unwrap());
        assert_eq!(first, start);
        assert!(last <= start.plus(1_000_000_000));
    }

    /// Every event is half a second late.
    struct Late(AnyTape, Option<Nanos>);

    impl Tape for Late {
        fn next(&mut self) -> Result<Option<MarketEvent>, TapeError> {
            let event = self.0.next()?;
            self.1 = event.map(|event| event.at.plus(500_000_000));
            Ok(event)
        }

        fn peek_at(&mut self) -> Result<Option<Nanos>, TapeError> {
            self.0.peek_at()
        }

        fn counters(&self) -> TapeCounters {
            self.0.counters()
        }

        fn received_at(&self) -> Option<Nanos> {
            self.1
        }
    }

    #[test]
    fn the_books_at_the_beginning_reach_the_maker_when_their_last_event_did() {
        let from = Moment::After(4_000_000_000);
        let mut window = Window::open(Late(synthetic(), None), Some(from), None).unwrap();
        let begins = window.span().from;
        let mut last: BTreeMap<_, Nanos> = BTreeMap::new();
        let mut late = 0;
        for _ in 0..2_000 {
            let event = window.next().unwrap().unwrap();
            let received = window.received_at().unwrap();
            late += u64::from(event.at == begins && received > begins);
            let before = last.insert(event.instrument, received);
            assert!(before.is_none_or(|before| before <= received), "none overtakes its book");
        }
        assert!(late > 0, "a book that changed within half a second is not there at once");
    }

    #[test]
    fn a_window_without_events_is_told_with_the_tape_s_ends() {
        let hour = Some(Moment::After(3_600_000_000_000));
        for (from, to, part) in [
            (hour, None, "ends at"),
            (hour, Some(Moment::After(1)), "is not before --to"),
            (None, Some(Moment::At(Nanos(1))), "is not before --to"),
        ] {
            let told = Window::open(synthetic(), from, to).err().unwrap().to_string();
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn moments_and_lengths_are_read_exactly() {
        let at = Moment::At(Nanos(1_723_161_360_000_000_000));
        assert_eq!(Moment::parse("2024-08-08T23:56:00Z"), Ok(at));
        assert_eq!(Moment::parse("+1.5m"), Ok(Moment::After(90_000_000_000)));
        for (text, ns) in [("250us", 250_000), ("1.5ms", 1_500_000), ("2s", 2_000_000_000)] {
            assert_eq!(duration_ns(text), Ok(ns));
        }
        for wrong in ["", "5", "s", "-1s", "1.2.3s", "0.5ns", "1 s", "1d", "99999999999h"] {
            assert!(duration_ns(wrong).is_err(), "{wrong}");
        }
        for wrong in ["yesterday", "", "12:00", "+5", "1700000000", "1900-01-01T00:00:00Z"] {
            assert!(Moment::parse(wrong).is_err(), "{wrong}");
        }
    }
}

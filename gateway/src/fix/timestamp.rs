//! UTCTimestamp: `YYYYMMDD-HH:MM:SS`, with no, three, six or nine digits of fraction.
//!
//! Fed by messages (reading) and the encoders (writing). Any thread; the time is always an argument.
//! Reading takes one to nine digits, as venues write what they like; a leap second `:60` is the
//! first instant of the next minute, because [`Nanos`] counts none. Years run from 1970 to 2554.

use super::checksum::{checksum, sum_of_word};
use super::word::{SHORT, eight_digits, four_digits};
use ballast_engine::digits;
use ballast_engine::units::Nanos;

const NS_PER_S: u64 = 1_000_000_000;
const S_PER_DAY: u64 = 86_400;
/// `YYYYMMDD-HH:MM:SS`.
const SECONDS_LEN: usize = 17;
/// With nine digits behind the point.
const LEN_MAX: usize = 27;

/// How many digits of fraction are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precision {
    /// None: FIX 4.1.
    Seconds,
    /// Three: what FIX 4.4 has.
    Millis,
    /// Six: Binance and others.
    Micros,
    /// Nine.
    Nanos,
}

impl Precision {
    /// Length of the text.
    pub const fn text_len(self) -> usize {
        match self {
            Precision::Seconds => SECONDS_LEN,
            Precision::Millis => 21,
            Precision::Micros => 24,
            Precision::Nanos => LEN_MAX,
        }
    }

    /// Another one for each, from 1.
    const fn number(self) -> u64 {
        match self {
            Precision::Seconds => 1,
            Precision::Millis => 2,
            Precision::Micros => 3,
            Precision::Nanos => 4,
        }
    }

    /// What the last digit counts.
    const fn unit_ns(self) -> u64 {
        match self {
            Precision::Seconds => NS_PER_S,
            Precision::Millis => 1_000_000,
            Precision::Micros => 1_000,
            Precision::Nanos => 1,
        }
    }
}

/// A timestamp's text that remembers the second it wrote last: within a second, only its last word
/// is written anew.
#[derive(Clone, Copy, Debug)]
pub struct TimestampText {
    text: [u8; LEN_MAX],
    /// What the last eight bytes are at the second's begin.
    even: u64,
    /// The last eight bytes.
    end: [u8; SHORT],
    /// Sum of the bytes before them, and of all.
    head_sum: u8,
    sum: u8,
    second: u64,
    /// Which text stands before the last eight bytes.
    head: u64,
    /// The first instant that has this text, and how long it has it, in ns.
    since: u64,
    unit_ns: u64,
    len: usize,
    precision: Precision,
}

impl TimestampText {
    /// Ready to write; holds the epoch.
    pub fn new(precision: Precision) -> TimestampText {
        let mut text = TimestampText {
            text: *b"19700101-00:00:00.000000000",
            even: 0,
            end: [0; SHORT],
            head_sum: 0,
            sum: 0,
            // The second before the end of time: never equal to a real one.
            second: u64::MAX,
            head: 0,
            since: 0,
            unit_ns: precision.unit_ns(),
            len: precision.text_len(),
            precision,
        };
        text.set(Nanos(0));
        text
    }

    /// The text of `at`, truncated (never rounded up) to the precision.
    #[inline]
    pub fn write(&mut self, at: Nanos) -> &[u8] {
        self.at(at).as_bytes()
    }

    /// The same, for a template.
    #[inline(always)]
    pub fn at(&mut self, at: Nanos) -> &TimestampText {
        // Within the last digit's unit the text is the same.
        if at.0.wrapping_sub(self.since) >= self.unit_ns {
            self.set(at);
        }
        self
    }

    #[inline]
    fn set(&mut self, at: Nanos) {
        let second = at.0 / NS_PER_S;
        if second != self.second {
            self.write_second(second);
        }
        let fraction = at.0 % NS_PER_S;
        let (digits, rest) = match self.precision {
            Precision::Seconds => (0, fraction),
            Precision::Millis => (four_digits(fraction / 1_000_000), fraction % 1_000_000),
            Precision::Micros => (eight_digits(fraction / 1_000), fraction % 1_000),
            Precision::Nanos => (self.write_nanos(fraction), 0),
        };
        self.since = at.0 - rest;
        // A digit's value on its zero.
        self.end = (self.even | digits).to_le_bytes();
        self.sum = self.head_sum.wrapping_add(sum_of_word(self.even | digits));
        let room = self.text.get_mut(..self.len);
        if let Some(room) = room.and_then(|text| text.last_chunk_mut::<SHORT>()) {
            *room = self.end;
        }
    }

    /// Whether what was written last is the text of `at` as well, as `other` would write it.
    #[inline(always)]
    pub(crate) fn is_of(&self, at: Nanos, other: &TimestampText) -> bool {
        at.0.wrapping_sub(self.since) < self.unit_ns && self.precision == other.precision
    }

    /// What was written last.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// Which text stands before the last eight bytes: the same number, the same text, of the same length
    /// in all. Never 0.
    #[inline(always)]
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The last eight bytes, and the sum of all.
    #[inline(always)]
    pub(super) fn end(&self) -> ([u8; SHORT], u8) {
        (self.end, self.sum)
    }

    /// Of nine digits the first is not within the last eight bytes.
    fn write_nanos(&mut self, fraction: u64) -> u64 {
        let first = fraction / 100_000_000;
        self.write_at::<1>(18, first);
        self.note_head(self.second.saturating_mul(10) + first);
        eight_digits(fraction % 100_000_000)
    }

    fn note_head(&mut self, number: u64) {
        self.head = number << 3 | self.precision.number();
        self.head_sum = checksum(self.text.get(..self.len - SHORT).unwrap_or_default());
    }

    #[cold]
    fn write_second(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = civil(second / S_PER_DAY);
        let of_day = second % S_PER_DAY;
        self.write_at::<4>(0, year);
        self.write_at::<2>(4, month);
        self.write_at::<2>(6, day);
        self.write_at::<2>(9, of_day / 3600);
        self.write_at::<2>(12, of_day / 60 % 60);
        self.write_at::<2>(15, of_day % 60);
        self.write_at::<9>(18, 0);
        self.note_head(second);
        let end = self.as_bytes().last_chunk::<SHORT>();
        self.even = end.map_or(0, |end| u64::from_le_bytes(*end));
    }

    #[inline]
    fn write_at<const DIGITS: usize>(&mut self, at: usize, number: u64) {
        let Some(room) = self.text.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<DIGITS>())
        else {
            return;
        };
        let mut rest = u32::try_from(number).unwrap_or(0);
        for byte in room.iter_mut().rev() {
            *byte = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
    }
}

/// The time that `text` says, or `None` where it is no UTCTimestamp between 1970 and 2554.
#[inline]
pub fn parse(text: &[u8]) -> Option<Nanos> {
    let (date, rest) = text.split_first_chunk::<8>()?;
    let (time, fraction) = rest.strip_prefix(b"-")?.split_first_chunk::<8>()?;
    let date = digits::values_of(date);
    if digits::no_digits(date) != 0 {
        return None;
    }
    let [century, _, year, _, month, _, day, _] =
        digits::pairs_of(date).to_le_bytes().map(u64::from);
    let days = days_of(century * 100 + year, month, day)?;
    let total = days.checked_mul(S_PER_DAY)?.checked_add(second_of_day(time)?)?;
    total.checked_mul(NS_PER_S)?.checked_add(fraction_ns(fraction)?).map(Nanos)
}

/// The second of the day that `HH:MM:SS` says; with the leap second, there are 86,401.
#[inline]
pub fn second_of_day(text: &[u8; 8]) -> Option<u64> {
    const EMPTY: u64 = u64::from_le_bytes(*b"00:00:00");
    // A digit is below ten, a colon is now 0.
    const ROOM: u64 = u64::from_le_bytes([0x76, 0x76, 0x7f, 0x76, 0x76, 0x7f, 0x76, 0x76]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let values = u64::from_le_bytes(*text) ^ EMPTY;
    if (values.wrapping_add(ROOM) | values) & HIGH != 0 {
        return None;
    }
    // Each byte and what stands before it, as tens.
    let tens = values.wrapping_mul((10 << 8) + 1) >> 8;
    let [hour, _, _, minute, _, _, second, _] = tens.to_le_bytes().map(u64::from);
    (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 of a date that exists.
#[inline]
pub fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    /// Of a year that is no leap year; no month is 0, or beyond 12.
    const DAYS_BEFORE: [u16; 13] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    /// Leap years before 1970.
    const LEAPS_BEFORE: u64 = 477;
    if year < 1970 || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let before = u64::from(*DAYS_BEFORE.get(usize::try_from(month).ok()?)?);
    let century = year / 100;
    let leaps = (year / 4 + century / 4).checked_sub(century + LEAPS_BEFORE)?;
    // A leap day that is still to come.
    let ahead = u64::from(month <= 2 && is_leap(year));
    let whole = year.checked_sub(1970)?.checked_mul(365)?.checked_add(leaps)?;
    (whole + before + day - 1).checked_sub(ahead)
}

#[inline]
const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The last day of a month; 0 where there is no such month.
#[inline]
pub fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap(year)),
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    }
}

/// Year, month and day, by the inverse of [`days_of`].
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (shifted / 146_097 * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// `.ddd` as nanoseconds; nothing is 0.
#[inline]
pub fn fraction_ns(text: &[u8]) -> Option<u64> {
    // What FIX 4.4 has.
    if let [b'.', hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = *text {
        let [hundreds, tens, ones] = [hundreds, tens, ones].map(|digit| u64::from(digit - b'0'));
        return Some((hundreds * 100 + tens * 10 + ones) * 1_000_000);
    }
    if text.is_empty() {
        return Some(0);
    }
    let text = text.strip_prefix(b".")?;
    let (text, last) = match text.split_at_checked(digits::WORD) {
        Some((text, &[last @ b'0'..=b'9'])) => (text, u64::from(last - b'0')),
        Some((text, [])) => (text, 0),
        Some(_) => return None,
        None => (text, 0),
    };
    let values = digits::values_of(text);
    if text.is_empty() || digits::no_digits(values) != 0 {
        return None;
    }
    // What is missing is 0 and stands behind.
    let missing = digits::WORD - text.len();
    Some(digits::number_of(values >> (8 * missing)) * 10 + last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_instants_read_and_write() {
        for (text, ns, precision) in [
            ("19700101-00:00:00", 0, Precision::Seconds),
            ("20121105-23:24:06", 1_352_157_846_000_000_000, Precision::Seconds),
            ("20240808-23:59:59.999", 1_723_161_599_999_000_000, Precision::Millis),
            ("20000229-12:00:00.000001", 951_825_600_000_001_000, Precision::Micros),
            ("21000301-00:00:00.000000001", 4_107_542_400_000_000_001, Precision::Nanos),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(Nanos(ns)), "{text}");
            assert_eq!(TimestampText::new(precision).write(Nanos(ns)), text.as_bytes());
        }
    }

    #[test]
    fn a_leap_second_is_the_next_minute() {
        assert_eq!(parse(b"20161231-23:59:60"), parse(b"20170101-00:00:00"));
        assert_eq!(parse(b"20161231-23:59:61"), None);
    }

    #[test]
    fn text_that_is_no_timestamp_is_refused() {
        for text in [
            "",
            "20240808",
            "20240808-23:59",
            "20240808 23:59:59",
            "20240230-00:00:00",
            "20230229-00:00:00",
            "20241301-00:00:00",
            "20240800-00:00:00",
            "19691231-23:59:59",
            "20240808-24:00:00",
            "20240808-23:60:00",
            "20240808-23:59:59.",
            "20240808-23:59:59,123",
            "20240808-23:59:59.1234567890",
            "20240808-23:59:59.12a",
            "2024O808-23:59:59",
            "99991231-23:59:59",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn within_a_second_only_the_fraction_changes() {
        let mut text = TimestampText::new(Precision::Millis);
        assert_eq!(text.write(Nanos(1_352_157_846_007_999_999)), b"20121105-23:24:06.007");
        assert_eq!(text.write(Nanos(1_352_157_846_123_000_000)), b"20121105-23:24:06.123");
        assert_eq!(text.write(Nanos(1_352_157_847_000_000_000)), b"20121105-23:24:07.000");
        let (first, last) = (Nanos(1_352_157_847_000_000_000), Nanos(1_352_157_847_000_999_999));
        assert!(text.is_of(first, &text) && text.is_of(last, &text));
        assert!(!text.is_of(last.plus(1), &text) && !text.is_of(Nanos(first.0 - 1), &text));
        assert!(!text.is_of(first, &TimestampText::new(Precision::Micros)));
    }

    proptest! {
        #[test]
        fn every_nanosecond_survives_text(ns: u64) {
            let text = TimestampText::new(Precision::Nanos).write(Nanos(ns)).to_vec();
            prop_assert_eq!(parse(&text), Some(Nanos(ns)));
        }
    }
}

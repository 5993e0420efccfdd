//! UTCTimestamp: `YYYYMMDD-HH:MM:SS`, with no, three, six or nine digits of fraction.
//!
//! Fed by messages (reading) and the encoders (writing). Any thread; the time is always an argument.
//! Reading takes one to nine digits, as venues write what they like; a leap second `:60` is the
//! first instant of the next minute, because [`Nanos`] counts none. Years run from 1970 to 2554.

use super::checksum::{checksum, sum_of_word};
use super::word::{SHORT, eight_digits};
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
        self.since = at.0 - fraction % self.unit_ns;
        let digits = match self.precision {
            Precision::Seconds => 0,
            Precision::Millis => eight_digits(fraction / 1_000_000),
            Precision::Micros => eight_digits(fraction / 1_000),
            Precision::Nanos => self.write_nanos(fraction),
        };
        // A digit's value on its zero.
        self.end = (self.even | digits).to_le_bytes();
        self.sum = self.head_sum.wrapping_add(sum_of_word(self.even | digits));
        let room = self.text.get_mut(..self.len);
        if let Some(room) = room.and_then(|text| text.last_chunk_mut::<SHORT>()) {
            *room = self.end;
        }
    }

    /// What was written last.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// The same in two parts, of which the last has eight bytes, and the sum of all.
    #[inline(always)]
    pub(super) fn parts(&self) -> (&[u8], [u8; SHORT], u8) {
        let head = self.text.get(..self.len - SHORT);
        (head.unwrap_or_default(), self.end, self.sum)
    }

    /// Of nine digits the first is not within the last eight bytes.
    fn write_nanos(&mut self, fraction: u64) -> u64 {
        self.write_at::<1>(18, fraction / 100_000_000);
        self.sum_head();
        eight_digits(fraction % 100_000_000)
    }

    fn sum_head(&mut self) {
        self.head_sum = checksum(self.parts().0);
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
        self.sum_head();
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
    let (seconds, fraction) = text.split_at_checked(SECONDS_LEN)?;
    let [y0, y1, y2, y3, m0, m1, d0, d1, b'-', h0, h1, b':', n0, n1, b':', s0, s1] = *seconds
    else {
        return None;
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_of(year, month, day)?;
    let of_day = hour * 3600 + minute * 60 + second;
    let total = days.checked_mul(S_PER_DAY)?.checked_add(of_day)?;
    total.checked_mul(NS_PER_S)?.checked_add(fraction_ns(fraction)?).map(Nanos)
}

/// Days since 1970-01-01 of a date that exists.
pub fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March.
    let shifted = if month > 2 { year } else { year - 1 };
    let of_era = shifted % 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (shifted / 400 * 146_097 + day_of_era).checked_sub(719_468)
}

/// The last day of a month.
pub fn days_in_month(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(is_leap),
        _ => 31,
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
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(b".").filter(|d| (1..=9).contains(&d.len()))?;
    let number = super::value::parse_uint(digits)?;
    let mut scaled = number;
    for _ in digits.len()..9 {
        scaled *= 10;
    }
    Some(scaled)
}

/// Two digits.
#[inline]
fn two(tens: u8, ones: u8) -> Option<u64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u64::from(tens) * 10 + u64::from(ones))
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
    }

    proptest! {
        #[test]
        fn every_nanosecond_survives_text(ns: u64) {
            let text = TimestampText::new(Precision::Nanos).write(Nanos(ns)).to_vec();
            prop_assert_eq!(parse(&text), Some(Nanos(ns)));
        }
    }
}

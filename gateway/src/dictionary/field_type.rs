//! The data types of FIX fields, and whether a value is written as its type demands.
//!
//! Fed by dictionaries; feeds validation. Any thread, no allocation. What a value means, and whether
//! it is one of those listed, is elsewhere.

use crate::fix::{timestamp, value};

/// A field's type, by the names of the QuickFIX-format dictionaries. Types that are checked alike are
/// kept apart, because people read them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldType {
    /// A price, quantity, amount, rate: optional minus, digits, at most one point.
    Float(&'static str),
    /// A number with an optional minus.
    Int,
    /// A number without sign: counters, lengths, sequence numbers, tags.
    Uint(&'static str),
    /// A day of a month, 1 to 31.
    DayOfMonth,
    /// One character.
    Char,
    /// `Y` or `N`.
    Boolean,
    /// Anything: text, codes, times with a zone.
    Text(&'static str),
    /// Several values with a blank between them, each of which must be listed.
    Several(&'static str),
    /// Bytes that may hold the field separator.
    Data(&'static str),
    /// `YYYYMMDD-HH:MM:SS` with an optional fraction.
    UtcTimestamp,
    /// `HH:MM:SS` with an optional fraction.
    TimeOnly(&'static str),
    /// `YYYYMMDD`.
    Date(&'static str),
    /// `YYYYMM`, `YYYYMMDD` or `YYYYMMw1` to `w5`.
    MonthYear,
}

/// Every type, by the name in a dictionary.
const TYPES: [FieldType; 35] = [
    FieldType::Float("AMT"),
    FieldType::Float("FLOAT"),
    FieldType::Float("PERCENTAGE"),
    FieldType::Float("PRICE"),
    FieldType::Float("PRICEOFFSET"),
    FieldType::Float("QTY"),
    FieldType::Int,
    FieldType::Uint("LENGTH"),
    FieldType::Uint("NUMINGROUP"),
    FieldType::Uint("SEQNUM"),
    FieldType::Uint("TAGNUM"),
    FieldType::DayOfMonth,
    FieldType::Char,
    FieldType::Boolean,
    FieldType::Text("COUNTRY"),
    FieldType::Text("CURRENCY"),
    FieldType::Text("EXCHANGE"),
    FieldType::Text("LANGUAGE"),
    FieldType::Text("STRING"),
    FieldType::Text("TIME"),
    FieldType::Text("TZTIMEONLY"),
    FieldType::Text("TZTIMESTAMP"),
    FieldType::Text("XID"),
    FieldType::Text("XIDREF"),
    FieldType::Several("MULTIPLECHARVALUE"),
    FieldType::Several("MULTIPLESTRINGVALUE"),
    FieldType::Several("MULTIPLEVALUESTRING"),
    FieldType::Data("DATA"),
    FieldType::Data("XMLDATA"),
    FieldType::UtcTimestamp,
    FieldType::TimeOnly("UTCTIMEONLY"),
    FieldType::TimeOnly("LOCALMKTTIME"),
    FieldType::Date("UTCDATEONLY"),
    FieldType::Date("LOCALMKTDATE"),
    FieldType::MonthYear,
];

impl FieldType {
    /// The type with this name; `None` where there is none.
    pub fn named(name: &str) -> Option<FieldType> {
        let name = match name {
            // FIX 4.0 to 4.2.
            "UTCDATE" | "DATE" => "UTCDATEONLY",
            other => other,
        };
        TYPES.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in a dictionary.
    pub const fn name(self) -> &'static str {
        match self {
            FieldType::Float(name)
            | FieldType::Uint(name)
            | FieldType::Text(name)
            | FieldType::Several(name)
            | FieldType::Data(name)
            | FieldType::TimeOnly(name)
            | FieldType::Date(name) => name,
            FieldType::Int => "INT",
            FieldType::DayOfMonth => "DAYOFMONTH",
            FieldType::Char => "CHAR",
            FieldType::Boolean => "BOOLEAN",
            FieldType::UtcTimestamp => "UTCTIMESTAMP",
            FieldType::MonthYear => "MONTHYEAR",
        }
    }

    /// Whether `text` is written as this type demands.
    #[inline]
    pub fn takes(self, text: &[u8]) -> bool {
        match self {
            FieldType::Float(_) => is_float(text),
            FieldType::Int => value::parse_int(text).is_some(),
            FieldType::Uint(_) => value::parse_uint(text).is_some(),
            FieldType::DayOfMonth => {
                value::parse_uint(text).is_some_and(|day| (1..=31).contains(&day))
            }
            FieldType::Char => value::parse_char(text).is_some(),
            FieldType::Boolean => value::parse_bool(text).is_some(),
            FieldType::Text(_) | FieldType::Several(_) | FieldType::Data(_) => true,
            FieldType::UtcTimestamp => timestamp::parse(text).is_some(),
            FieldType::TimeOnly(_) => is_time(text),
            FieldType::Date(_) => is_date(text),
            FieldType::MonthYear => is_month_year(text),
        }
    }
}

/// Any number of digits: exactness is the reader's matter, not the format's.
fn is_float(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let points = digits.iter().filter(|byte| **byte == b'.').count();
    points <= 1
        && digits.len() > points
        && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

fn is_date(text: &[u8]) -> bool {
    text.len() == 8 && date(text, 31).is_some()
}

/// Year, month and day exist; a year before 1970 (a maturity, an issue date) is legal here.
fn date(text: &[u8], day_max: u64) -> Option<()> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    let (year, month) = (value::parse_uint(year)?, value::parse_uint(month)?);
    let day = value::parse_uint(day)?;
    let last = timestamp::days_in_month(year, month).min(day_max);
    ((1..=12).contains(&month) && (1..=last).contains(&day)).then_some(())
}

fn is_month_year(text: &[u8]) -> bool {
    match text {
        [y0, y1, y2, y3, m0, m1, rest @ ..] => {
            let is_month = date(&[*y0, *y1, *y2, *y3, *m0, *m1, b'0', b'1'], 31).is_some();
            is_month && matches!(rest, [] | [b'w', b'1'..=b'5']) || is_date(text)
        }
        _ => false,
    }
}

fn is_time(text: &[u8]) -> bool {
    text.split_first_chunk::<8>().is_some_and(|(seconds, fraction)| {
        let is_second = timestamp::second_of_day(seconds).is_some();
        is_second && timestamp::fraction_ns(fraction).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_takes_what_fix_4_4_says_and_nothing_else() {
        for (name, good, bad) in [
            (
                "QTY",
                &["1", "002000.00", "-0.5", "5.", ".5"][..],
                &["+200.00", "1e5", ".", "-", "1.2.3", "1 "][..],
            ),
            ("INT", &["0", "-7", "007"], &["+1", "1.0", "--1"]),
            ("SEQNUM", &["0", "18446744073709551615"], &["-1", "18446744073709551616"]),
            ("DAYOFMONTH", &["1", "31"], &["0", "32"]),
            ("CHAR", &["A"], &["AB"]),
            ("BOOLEAN", &["Y", "N"], &["y", "1"]),
            ("UTCTIMESTAMP", &["20240808-23:59:59.999"], &["20240808", "20240808-25:00:00"]),
            ("UTCTIMEONLY", &["23:59:60", "00:00:00.123"], &["24:00:00", "0:0:0", "00:00:00."]),
            ("LOCALMKTDATE", &["20240229", "19600101"], &["20230229", "2024-01-01", "20241301"]),
            (
                "MONTHYEAR",
                &["202408", "20240831", "202408w5"],
                &["202413", "202408w6", "2024", "20240832"],
            ),
            ("STRING", &["anything at all"], &[]),
        ] {
            let kind = FieldType::named(name).unwrap();
            assert!(good.iter().all(|text| kind.takes(text.as_bytes())), "{name}");
            for text in bad {
                assert!(!kind.takes(text.as_bytes()), "{name} {text}");
            }
        }
    }

    #[test]
    fn every_type_is_found_by_its_name() {
        for kind in TYPES {
            assert_eq!(FieldType::named(kind.name()), Some(kind));
        }
        assert_eq!(FieldType::named("UTCDATE"), Some(FieldType::Date("UTCDATEONLY")));
        assert_eq!(FieldType::named("NONSENSE"), None);
    }
}

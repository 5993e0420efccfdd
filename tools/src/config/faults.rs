//! Everything that is wrong with a config file, gathered before anything is said.
//!
//! Fed by the readers of the config's parts; feeds one error that lists every fault with its key, its
//! value and what is allowed. Cold path.

use ballast_engine::units::Decimal;
use std::fmt;

/// One fault of a config file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where: `instrument.BTCUSDT.limits.collar`.
    pub key: String,
    /// What stands there.
    pub value: String,
    /// What may stand there.
    pub allowed: String,
}

/// The faults of one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults(Vec<Fault>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.value, self.allowed)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "fault" } else { "faults" };
        write!(f, "{} {plural}:", self.0.len())?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl Faults {
    /// Adds a fault.
    pub fn add(
        &mut self,
        key: impl Into<String>,
        value: impl fmt::Display,
        allowed: impl fmt::Display,
    ) {
        let (value, allowed) = (value.to_string(), allowed.to_string());
        self.0.push(Fault { key: key.into(), value, allowed });
    }

    /// Are there any?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each fault.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// `value`, unless there were faults.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Faults> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            Some(_) | None => Err(self),
        }
    }

    /// A decimal number written as text; `None` adds a fault.
    pub fn decimal(&mut self, key: &str, text: &str) -> Option<Decimal> {
        match text.parse::<Decimal>() {
            Ok(decimal) => Some(decimal),
            Err(error) => {
                self.add(key, format!("{text:?}"), error);
                None
            }
        }
    }

    /// A whole multiple of `unit`, at least `least` of it; `None` adds a fault.
    pub fn count(&mut self, key: &str, text: &str, unit: Decimal, least: i64) -> Option<i64> {
        let count = self.decimal(key, text)?.count_of(unit);
        match count {
            Ok(count) if count >= least => Some(count),
            Ok(_) => {
                let smallest = Decimal::text_of(least, unit);
                self.add(key, format!("{text:?}"), format!("must be at least {smallest}"));
                None
            }
            Err(error) => {
                self.add(key, format!("{text:?}"), format!("{error}; the step is {unit}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told_with_its_key_value_and_what_is_allowed() {
        let mut faults = Faults::default();
        let cent = Decimal { mantissa: 1, scale: 2 };
        assert_eq!(faults.count("a.collar", "0.015", cent, 1), None);
        assert_eq!(faults.count("a.size", "0.00", cent, 1), None);
        assert_eq!(faults.count("a.fine", "0.25", cent, 1), Some(25));
        let text = faults.to_string();
        assert!(text.starts_with("2 faults:"), "{text}");
        assert!(text.contains("a.collar = \"0.015\": is off the grid"), "{text}");
        assert!(text.contains("a.size = \"0.00\": must be at least 0.01"), "{text}");
    }
}

//! One thing relative to another of the same run, and what was promised of it.
//!
//! Made by every benchmark; feeds the document, which prints it, writes it and holds it to its promise. A
//! promise that could not be measured is not kept: silence must not pass a check.

use crate::histogram::{OverRuns, RUNS_MIN};
use serde_json::{Value, json};

/// Which way is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// Times, costs, counts of what should not be.
    Smaller,
    /// Throughputs.
    Larger,
    /// Sums that should be a whole.
    Neither,
}

impl Better {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Better::Smaller => "smaller",
            Better::Larger => "larger",
            Better::Neither => "neither",
        }
    }
}

/// One thing relative to another of the same run.
pub struct Ratio {
    /// "this / that".
    pub name: String,
    /// Over the runs; `None` where none was kept.
    pub over: Option<OverRuns>,
    /// What it must not exceed, where something was promised.
    pub bound: Option<f64>,
    /// What it must reach.
    pub least: Option<f64>,
    /// Which way is good.
    pub better: Better,
    /// Counted or fitted over all runs: one figure says it.
    is_single: bool,
}

impl Ratio {
    /// Of one ratio a kept run.
    pub fn new(name: &str, figures: Vec<f64>, bound: Option<f64>) -> Ratio {
        Ratio {
            name: name.to_owned(),
            over: OverRuns::of(figures),
            bound,
            least: None,
            better: Better::Smaller,
            is_single: false,
        }
    }

    /// Of one figure over all runs: a count, an exponent.
    pub fn single(name: &str, figure: Option<f64>, bound: Option<f64>) -> Ratio {
        let ratio = Ratio::new(name, figure.into_iter().collect(), bound);
        Ratio { is_single: true, ..ratio }
    }

    /// Of parts to their whole, which must be 1 give or take `off`.
    pub fn whole(name: &str, figures: Vec<f64>, off: f64) -> Ratio {
        let ratio = Ratio::new(name, figures, Some(1.0 + off));
        Ratio { least: Some(1.0 - off), better: Better::Neither, ..ratio }
    }

    /// The same where more is good.
    pub fn more_is_good(self) -> Ratio {
        Ratio { better: Better::Larger, ..self }
    }

    /// Whether nothing was promised and nothing measured.
    pub fn is_void(&self) -> bool {
        self.bound.is_none() && self.over.is_none()
    }

    /// Why the promise is not kept; `None` where it is, or where nothing was promised.
    pub fn broken_because(&self) -> Option<String> {
        let bound = self.bound?;
        let Some(over) = self.over else {
            if self.is_single {
                return Some("not measured".to_owned());
            }
            return Some("not measured: no run in which the floor held still".to_owned());
        };
        if !self.is_single && over.runs < RUNS_MIN {
            let runs = over.runs;
            return Some(format!(
                "not measured: {runs} runs in which the floor held still, {RUNS_MIN} are needed"
            ));
        }
        let is_kept = over.median <= bound && self.least.is_none_or(|least| over.median >= least);
        (!is_kept).then(|| format!("is {:.3}, promised: {}", over.median, self.promise()))
    }

    /// Whether the promise is kept; `None` where nothing was promised.
    pub fn holds(&self) -> Option<bool> {
        self.bound.map(|_| self.broken_because().is_none())
    }

    /// What was promised, for people.
    pub fn promise(&self) -> String {
        match (self.least, self.bound) {
            (Some(least), Some(bound)) => format!("{least} to {bound}"),
            (_, Some(bound)) => format!("at most {bound}"),
            _ => String::new(),
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "better": self.better.word(),
            "value": self.over.map(OverRuns::to_json),
            "bound": self.bound,
            "least": self.least,
            "holds": self.holds(),
            "broken_because": self.broken_because(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_broken_only_beyond_its_bound() {
        let ratio = |median, bound| Ratio::new("a / b", vec![median; 7], bound);
        assert_eq!(ratio(1.1, Some(1.1)).holds(), Some(true));
        assert_eq!(ratio(1.101, Some(1.1)).holds(), Some(false));
        assert_eq!(ratio(9.0, None).holds(), None);
        assert_eq!(Ratio::whole("parts", vec![0.97; 7], 0.02).holds(), Some(false));
        assert_eq!(Ratio::whole("parts", vec![0.99; 7], 0.02).holds(), Some(true));
    }

    #[test]
    fn a_promise_that_was_not_measured_is_not_kept() {
        let nothing = Ratio::new("a / b", Vec::new(), Some(1.0));
        assert_eq!(nothing.holds(), Some(false));
        let few = Ratio::new("a / b", vec![0.5; 6], Some(1.0));
        assert!(few.broken_because().unwrap().contains("6 runs"), "{:?}", few.broken_because());
        assert_eq!(Ratio::single("counted", Some(0.0), Some(0.0)).holds(), Some(true));
        assert!(Ratio::new("a / b", Vec::new(), None).is_void());
    }
}

//! Which configs a sweep tries: the product of lists, or points drawn from a seed.
//!
//! Fed by `--vary`; feeds `mod.rs` with the values of each run, in its order. Any thread.

use crate::random::Random;
use ballast_engine::units::Decimal;

/// More runs than this are a mistake.
const POINTS_MAX: usize = 10_000_000;

/// A key and what it may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    /// Dotted, as TOML writes it; `seed` is the synthetic market's.
    pub key: String,
    values: Values,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Values {
    List(Vec<String>),
    /// Whole multiples of the finer of the two numbers' last digits.
    Range {
        low: i64,
        high: i64,
        scale: u8,
        is_log: bool,
    },
}

/// How points are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    /// Every combination, the last key turning fastest.
    Grid,
    /// So many, from this seed.
    Random {
        /// How many.
        count: usize,
        /// The seed.
        seed: u64,
    },
}

impl Axis {
    /// `KEY=a,b,c`, `KEY=low..high` or `KEY=low..high:log`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let bad = |why: &str| format!("{text:?}: {why}; write KEY=a,b,c or KEY=low..high[:log]");
        let (key, values) = text.rsplit_once('=').ok_or_else(|| bad("no = in it"))?;
        let (key, values) = (key.trim(), values.trim());
        if key.is_empty() || values.is_empty() {
            return Err(bad("a key and its values"));
        }
        let values = match values.split_once("..") {
            Some((low, rest)) => range(low, rest).map_err(|why| bad(&why))?,
            None => {
                let list: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
                if list.iter().any(String::is_empty) {
                    return Err(bad("an empty value"));
                }
                Values::List(list)
            }
        };
        Ok(Axis { key: key.to_owned(), values })
    }

    fn draw(&self, random: &mut Random) -> String {
        match &self.values {
            Values::List(list) => {
                let place = random.below(list.len() as u64);
                usize::try_from(place).ok().and_then(|p| list.get(p)).cloned().unwrap_or_default()
            }
            &Values::Range { low, high, scale, is_log } => {
                let mantissa = if is_log {
                    let ratio = libm::log(high as f64 / low as f64);
                    let drawn = low as f64 * libm::exp(random.unit() * ratio);
                    (drawn as i64).clamp(low, high)
                } else {
                    let steps = high.abs_diff(low).saturating_add(1);
                    low.saturating_add_unsigned(random.below(steps))
                };
                Decimal { mantissa, scale }.to_string()
            }
        }
    }
}

fn range(low: &str, rest: &str) -> Result<Values, String> {
    let (high, is_log) = rest.strip_suffix(":log").map_or((rest, false), |high| (high, true));
    let number = |text: &str| {
        let parsed = text.trim().parse::<Decimal>();
        parsed.map_err(|_| format!("{text:?} is not a decimal number"))
    };
    // A parsed number may have lost its closing zeros, which say how fine the steps are.
    let digits = |text: &str| text.trim().split_once('.').map_or(0, |(_, after)| after.len());
    let scale = u8::try_from(digits(low).max(digits(high))).unwrap_or(u8::MAX);
    if scale > Decimal::SCALE_MAX {
        return Err("too many digits".to_owned());
    }
    let step = Decimal { mantissa: 1, scale };
    let count = |text: &str| {
        number(text)?.count_of(step).map_err(|_| format!("{text:?} has too many digits"))
    };
    let (low, high) = (count(low)?, count(high)?);
    if low >= high {
        return Err("the low end is not below the high one".to_owned());
    }
    if is_log && low <= 0 {
        return Err("a range by its logarithm begins above 0".to_owned());
    }
    Ok(Values::Range { low, high, scale, is_log })
}

/// The values of every run, one a key.
///
/// # Errors
/// A range where every combination is wanted, or too many runs.
pub fn points(axes: &[Axis], search: Search) -> Result<Vec<Vec<String>>, String> {
    let too_many = || format!("more than {POINTS_MAX} runs");
    match search {
        Search::Random { count, .. } if count > POINTS_MAX => Err(too_many()),
        Search::Random { count, seed } => {
            let mut random = Random::new(seed);
            let mut point = || axes.iter().map(|axis| axis.draw(&mut random)).collect();
            Ok((0..count).map(|_| point()).collect())
        }
        Search::Grid => {
            let mut points: Vec<Vec<String>> = vec![Vec::new()];
            for axis in axes {
                let Values::List(list) = &axis.values else {
                    let key = &axis.key;
                    return Err(format!(
                        "{key}: a range has no grid; add --random N, or list values"
                    ));
                };
                if points.len().saturating_mul(list.len()) > POINTS_MAX {
                    return Err(too_many());
                }
                let with = |point: Vec<String>| {
                    let next =
                        move |value: &String| [&point[..], std::slice::from_ref(value)].concat();
                    list.iter().map(next).collect::<Vec<_>>()
                };
                points = points.into_iter().flat_map(with).collect();
            }
            Ok(points)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| Axis::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_grid_is_every_combination_with_the_last_key_turning_fastest() {
        let points = points(&axes(&["a.b=1,2", "c= x , y"]), Search::Grid).unwrap();
        assert_eq!(points, [["1", "x"], ["1", "y"], ["2", "x"], ["2", "y"]]);
    }

    #[test]
    fn random_points_lie_in_their_ranges_and_are_the_seed_s() {
        let axes = axes(&["a=0.10..0.30", "b=0.001..1.000:log", "c=-2..2", "d=u,v"]);
        let drawn = |seed| points(&axes, Search::Random { count: 500, seed }).unwrap();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        let number = |text: &String| text.parse::<f64>().unwrap();
        let of = |place: usize| drawn(1).into_iter().map(move |point| point[place].clone());
        assert!(of(0).all(|a| (0.1..=0.3).contains(&number(&a))));
        assert!(of(1).all(|b| (0.001..=1.0).contains(&number(&b))));
        let small = of(1).filter(|b| number(b) < 0.0316).count();
        assert!((180..320).contains(&small), "half lies below the middle decade: {small}");
        let seen: std::collections::BTreeSet<String> = of(2).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["-1", "-2", "0", "1", "2"]);
    }

    #[test]
    fn what_is_no_axis_is_told() {
        for (text, part) in [
            ("gamma", "no ="),
            ("=1", "a key"),
            ("a=", "a key"),
            ("a=1,,2", "an empty value"),
            ("a=2..1", "not below"),
            ("a=x..1", "not a decimal"),
            ("a=0..1:log", "above 0"),
        ] {
            let told = Axis::parse(text).unwrap_err();
            assert!(told.contains(part), "{part} in {told}");
        }
        let range = axes(&["a=1..2"]);
        assert!(points(&range, Search::Grid).unwrap_err().contains("--random"));
    }
}

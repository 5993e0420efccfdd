//! `ballast model`: what a quote model answers, one JSON case a line in, one answer a line out.
//!
//! Fed by standard input; feeds standard output. Main thread. The parameters are quantised as the
//! calibration does it, and the answer comes from the very functions that quote; the unit of price
//! is one tick, and one lot is the last decimal that the case's sizes have. Deliberately absent: any
//! formula; a bad line gets an error in its place, so that answers stay beside their questions.

use super::Failure;
use super::json_lines::{Answer, answer_lines};
use ballast_engine::calibration::closed_form::{self, Xi};
use ballast_engine::calibration::linear::Matrix;
use ballast_engine::calibration::microprice::Adjustment;
use ballast_engine::calibration::{QuoteParameters, Real, multi_asset, spectral};
use ballast_engine::fixed::{Fixed, Scaled};
use ballast_engine::quote::avellaneda_stoikov::Horizon;
use ballast_engine::quote::weighted_mid::weighted_mid;
use ballast_engine::quote::{Glft, Quoter, WideHalfSpreads};
use ballast_engine::units::{Decimal, Lots, Ticks};
use serde_json::{Map, Value};
use std::io::{BufRead, Write};

const MODELS: &str = "avellaneda_stoikov, glft_closed_form, glft_extension, glft_exact, \
                      glft_multi_asset, weighted_mid or microprice";

/// Answers every line of `cases` on `answers`; fails at the end where a line was bad.
///
/// # Errors
/// [`Failure::Failed`] where a line was bad or a stream broke.
pub fn run(cases: impl BufRead, answers: impl Write) -> Result<(), Failure> {
    answer_lines("model", MODELS, cases, answers, answer)
}

/// The answer to one case, or what is wrong with it.
fn answer(model: &str, params: Map<String, Value>) -> Result<Answer, String> {
    let mut params = Params { params };
    // The reference cases may say what their units are; they are one set of units in any case.
    params.params.remove("units");
    let answer = match model {
        "avellaneda_stoikov" => avellaneda_stoikov(&mut params)?,
        "glft_closed_form" => glft_closed_form(&mut params)?,
        "glft_extension" => glft_extension(&mut params)?,
        "glft_exact" => glft_exact(&mut params)?,
        "glft_multi_asset" => glft_multi_asset(&mut params)?,
        "weighted_mid" => weighted(&mut params)?,
        "microprice" => microprice(&mut params)?,
        other => return Err(format!("model is \"{other}\"; allowed are {MODELS}")),
    };
    match params.params.keys().next() {
        Some(key) => Err(format!("params.{key} is not a parameter of {model}")),
        None => Ok(answer),
    }
}

fn avellaneda_stoikov(params: &mut Params) -> Result<Answer, String> {
    let price = params.real("s")?.fixed();
    let sigma = params.at_least_zero("sigma")?.scaled();
    let time_left = params.at_least_zero("T_minus_t")?.scaled();
    let held = Held::new(&[params.text("q")?])?;
    let mut parameters = QuoteParameters::new(params.real("gamma")?, Real::ONE, params.real("k")?);
    parameters.lot = held.lot;
    let model = closed_form::avellaneda_stoikov(&parameters, Horizon::Finite).map_err(text_of)?;
    let quoter = Quoter::AvellanedaStoikov(model);
    let (delta_b, delta_a) = two_sided(quoter.wide(held.lots(0), sigma, time_left))?;
    Ok(object([
        ("reservation", price.minus(delta_b.minus(delta_a).half())),
        ("spread", delta_b.plus(delta_a)),
        ("bid", price.minus(delta_b)),
        ("ask", price.plus(delta_a)),
        ("delta_b", delta_b),
        ("delta_a", delta_a),
    ]))
}

fn glft_closed_form(params: &mut Params) -> Result<Answer, String> {
    let sigma = params.at_least_zero("sigma")?.scaled();
    let held = Held::new(&[params.text("q")?, params.text("Delta")?])?;
    let mut parameters =
        QuoteParameters::new(params.real("gamma")?, params.real("A")?, params.real("k")?);
    parameters.order_size = held.sizes[1];
    parameters.lot = held.lot;
    let xi = params.xi()?;
    let coefficients = closed_form::glft(&parameters, xi).map_err(text_of)?;
    let glft: Glft = coefficients.quantised();
    let quoter = Quoter::Glft(glft);
    let at = |lots: Lots| two_sided(quoter.wide(lots, sigma, Scaled::ZERO));
    let (delta_b, delta_a) = at(held.lots(0))?;
    let (half_spread, _) = at(Lots(0))?;
    let (one_held, _) = at(held.lots_per_unit)?;
    Ok(object([
        ("c1", glft.base),
        ("c2", coefficients.c2.fixed()),
        ("half_spread", half_spread),
        ("skew_per_unit", one_held.minus(half_spread)),
        ("delta_b", delta_b),
        ("delta_a", delta_a),
        ("spread", delta_b.plus(delta_a)),
    ]))
}

fn glft_extension(params: &mut Params) -> Result<Answer, String> {
    let sigma = params.at_least_zero("sigma")?.scaled();
    let order_size = if params.has("Delta") { params.text("Delta")? } else { "1".into() };
    let held = Held::new(&[params.text("q")?, order_size])?;
    let mut parameters =
        QuoteParameters::new(params.real("gamma")?, params.real("A")?, params.real("k")?);
    parameters.order_size = held.sizes[1];
    parameters.lot = held.lot;
    parameters.drift = params.real("mu")?;
    parameters.adverse_jump = params.real("zeta")?;
    if sigma.is_zero() && parameters.drift != Real::ZERO {
        return Err("sigma is 0: a drift's skew divides by it".into());
    }
    let xi = if params.has("mode") { params.xi()? } else { Xi::Gamma };
    let quoter = Quoter::Glft(closed_form::glft(&parameters, xi).map_err(text_of)?.quantised());
    let (delta_b, delta_a) = two_sided(quoter.wide(held.lots(0), sigma, Scaled::ZERO))?;
    Ok(object([("delta_b", delta_b), ("delta_a", delta_a)]))
}

fn glft_exact(params: &mut Params) -> Result<Answer, String> {
    let mut parameters =
        QuoteParameters::new(params.real("gamma")?, params.real("A")?, params.real("k")?);
    parameters.sigma = params.real("sigma")?;
    parameters.inventory_bound = params.count("Q")?;
    let held = params.whole("q")?;
    if held.unsigned_abs() > u64::from(parameters.inventory_bound) {
        let bound = parameters.inventory_bound;
        return Err(format!("q is {held}; it must lie between -{bound} and {bound} (Q)"));
    }
    // T is the whole session's length; what is left of it decides.
    params.params.remove("T");
    let is_asymptotic = match params.params.remove("asymptotic") {
        None => false,
        Some(Value::Bool(is_asymptotic)) => is_asymptotic,
        Some(other) => return Err(format!("asymptotic is {other}; allowed are true and false")),
    };
    let solution = if is_asymptotic {
        params.params.remove("T_minus_t");
        spectral::stationary(&parameters)
    } else {
        spectral::with_time_left(&parameters, params.real("T_minus_t")?)
    };
    let table = solution.and_then(|solution| solution.table(held)).map_err(text_of)?;
    let wide = Quoter::GlftExact(table).wide(Lots(held), parameters.sigma.scaled(), Scaled::ZERO);
    let side = |half: Option<Fixed>| half.map_or(Value::Null, decimal);
    Ok(Map::from_iter([
        ("delta_b".to_owned(), side(wide.bid)),
        ("delta_a".to_owned(), side(wide.ask)),
    ]))
}

fn glft_multi_asset(params: &mut Params) -> Result<Answer, String> {
    let gamma = params.real("gamma")?;
    let xi = params.xi()?;
    let (sigma, intensity, decay) =
        (params.reals("sigma")?, params.reals("A")?, params.reals("k")?);
    let (sizes, held) = (params.texts("size")?, params.texts("q")?);
    let n = sigma.len();
    for (key, found) in
        [("A", intensity.len()), ("k", decay.len()), ("size", sizes.len()), ("q", held.len())]
    {
        if found != n {
            return Err(format!("params.{key} has {found} entries where sigma has {n}"));
        }
    }
    let held = sizes
        .into_iter()
        .zip(held)
        .map(|(size, held)| Held::new(&[held, size]))
        .collect::<Result<Vec<_>, _>>()?;
    let assets: Vec<multi_asset::Asset> = (0..n)
        .map(|i| multi_asset::Asset {
            sigma: sigma[i],
            intensity: intensity[i],
            decay: decay[i],
            order_size: held[i].sizes[1],
            lot: held[i].lot,
        })
        .collect();
    let solution =
        multi_asset::solve(gamma, xi, &assets, &params.correlations(n)?).map_err(text_of)?;
    let inventories: Vec<Lots> = held.iter().map(|held| held.lots(0)).collect();
    let (mut delta_b, mut delta_a, mut skews) = (Vec::new(), Vec::new(), Vec::new());
    for (i, sigma) in sigma.iter().enumerate() {
        let quoter = solution.quoter(i).ok_or("no such asset")?;
        let (bid, ask) = two_sided(quoter.wide(&inventories, sigma.scaled()))?;
        delta_b.push(decimal(bid));
        delta_a.push(decimal(ask));
        let row = (0..n).map(|j| decimal(solution.skews.at(i, j).fixed())).collect();
        skews.push(Value::Array(row));
    }
    Ok(Map::from_iter([
        ("G".to_owned(), Value::Array(skews)),
        ("delta_b".to_owned(), Value::Array(delta_b)),
        ("delta_a".to_owned(), Value::Array(delta_a)),
    ]))
}

fn weighted(params: &mut Params) -> Result<Answer, String> {
    let (tick, prices) = on_one_grid(&[params.decimal("bid")?, params.decimal("ask")?])?;
    let (_, sizes) = on_one_grid(&[params.decimal("bid_qty")?, params.decimal("ask_qty")?])?;
    let touch = |i: usize| (Ticks(prices[i]), Lots(sizes[i]));
    let mid = weighted_mid(touch(0), touch(1))
        .ok_or("bid_qty and ask_qty must not be negative, nor both zero")?;
    // Back from ticks; a tick is a power of ten.
    let price = Fixed((mid.price.0 + i128::from(tick) / 2).div_euclid(i128::from(tick)));
    Ok(object([("imbalance", mid.imbalance), ("weighted_mid", price)]))
}

fn microprice(params: &mut Params) -> Result<Answer, String> {
    let matrix = |params: &mut Params, key: &'static str| {
        let rows = params.rows(key)?;
        Matrix::from_rows(key, &rows).map_err(text_of)
    };
    let (q, r1, r2) = (matrix(params, "Q")?, matrix(params, "R1")?, matrix(params, "R2")?);
    let k = params.reals("K")?;
    let adjustment = Adjustment::solve(&q, &r1, &r2, &k).map_err(text_of)?;
    let list = |numbers: &[Real]| numbers.iter().map(|x| decimal(x.fixed())).collect();
    let b: Vec<Value> = (0..adjustment.b.rows())
        .map(|i| {
            let row = 0..adjustment.b.columns();
            Value::Array(row.map(|j| decimal(adjustment.b.at(i, j).fixed())).collect())
        })
        .collect();
    let sums = adjustment.partial_sums(6);
    Ok(Map::from_iter([
        ("G1".to_owned(), list(&adjustment.g1)),
        ("B".to_owned(), Value::Array(b)),
        ("partial_sums".to_owned(), sums.iter().map(|sum| list(sum)).collect()),
    ]))
}

/// Sizes of one asset, and the lot of which the held one is a whole multiple.
struct Held {
    /// The sizes as they were written.
    sizes: Vec<Real>,
    lots: Vec<i64>,
    lot: Real,
    lots_per_unit: Lots,
}

impl Held {
    /// A lot is the last decimal that any of the sizes has. A size of more digits than a count of
    /// lots can have is rounded at its 18th digit.
    fn new(texts: &[String]) -> Result<Held, String> {
        let sizes =
            texts.iter().map(|text| real(text, "q or size")).collect::<Result<Vec<_>, _>>()?;
        let exact: Option<Vec<Decimal>> = texts.iter().map(|text| text.parse().ok()).collect();
        let exact = exact.and_then(|exact| on_one_grid(&exact).ok());
        let (per_unit, lots) = match exact {
            Some(grid) => grid,
            None => {
                let most = sizes.iter().fold(1.0, |most: f64, x| most.max(x.abs().to_f64()));
                let digits = (18.0 - libm::ceil(libm::log10(most))).clamp(0.0, 17.0);
                let per_unit = 10i64.pow(digits as u32);
                let lots = sizes.iter().map(|x| (*x * Real::from_i64(per_unit)).fixed());
                let lots = lots.map(|count| (count.0.saturating_add(1 << 63)) >> 64);
                let fits: Result<Vec<i64>, _> = lots.map(i64::try_from).collect();
                (per_unit, fits.map_err(|_| "q is too large to count in lots".to_owned())?)
            }
        };
        let lot = Real::ONE / Real::from_i64(per_unit);
        Ok(Held { sizes, lots, lot, lots_per_unit: Lots(per_unit) })
    }

    fn lots(&self, index: usize) -> Lots {
        Lots(self.lots[index])
    }
}

/// How many of the numbers' last decimal go into one, and the numbers as counts of it.
fn on_one_grid(numbers: &[Decimal]) -> Result<(i64, Vec<i64>), String> {
    let scale = numbers.iter().map(|number| number.scale).max().unwrap_or(0);
    let unit = Decimal { mantissa: 1, scale };
    let counts = numbers.iter().map(|number| number.count_of(unit)).collect::<Result<_, _>>();
    let counts = counts.map_err(|error| format!("a price or size {error}"))?;
    Ok((10i64.pow(u32::from(scale)), counts))
}

/// The parameters of one case; each is taken once, and none may be left.
struct Params {
    params: Map<String, Value>,
}

impl Params {
    fn has(&self, key: &str) -> bool {
        self.params.contains_key(key)
    }

    fn value(&mut self, key: &str) -> Result<Value, String> {
        self.params.remove(key).ok_or_else(|| format!("params.{key} is missing"))
    }

    fn text(&mut self, key: &str) -> Result<String, String> {
        number_text(&self.value(key)?, key)
    }

    fn real(&mut self, key: &str) -> Result<Real, String> {
        real(&self.text(key)?, key)
    }

    fn at_least_zero(&mut self, key: &str) -> Result<Real, String> {
        let number = self.real(key)?;
        if number < Real::ZERO {
            return Err(format!("{key} is {}; it must not be negative", number.to_f64()));
        }
        Ok(number)
    }

    fn decimal(&mut self, key: &str) -> Result<Decimal, String> {
        let text = self.text(key)?;
        text.parse().map_err(|error| format!("{key} is \"{text}\": it {error}"))
    }

    fn whole(&mut self, key: &str) -> Result<i64, String> {
        let number = self.decimal(key)?;
        let one = Decimal { mantissa: 1, scale: 0 };
        number.count_of(one).map_err(|_| format!("{key} is {number}; it must be a whole number"))
    }

    fn count(&mut self, key: &str) -> Result<u32, String> {
        let number = self.whole(key)?;
        u32::try_from(number).map_err(|_| format!("{key} is {number}; it must be a count"))
    }

    fn xi(&mut self) -> Result<Xi, String> {
        match self.value("mode")? {
            Value::String(mode) if mode == "xi=gamma" => Ok(Xi::Gamma),
            Value::String(mode) if mode == "xi=0" => Ok(Xi::Zero),
            other => Err(format!("mode is {other}; allowed are \"xi=gamma\" and \"xi=0\"")),
        }
    }

    fn texts(&mut self, key: &str) -> Result<Vec<String>, String> {
        match self.value(key)? {
            Value::Array(list) => list.iter().map(|value| number_text(value, key)).collect(),
            other => Err(format!("{key} is {other}; write a list of numbers")),
        }
    }

    fn reals(&mut self, key: &str) -> Result<Vec<Real>, String> {
        self.texts(key)?.iter().map(|text| real(text, key)).collect()
    }

    fn rows(&mut self, key: &str) -> Result<Vec<Vec<Real>>, String> {
        let Value::Array(rows) = self.value(key)? else {
            return Err(format!("{key} is not a list of rows"));
        };
        rows.iter()
            .map(|row| match row {
                Value::Array(row) => {
                    row.iter().map(|entry| real(&number_text(entry, key)?, key)).collect()
                }
                other => Err(format!("a row of {key} is {other}; write a list of numbers")),
            })
            .collect()
    }

    /// One correlation between every two assets, or a matrix of them.
    fn correlations(&mut self, n: usize) -> Result<Matrix, String> {
        if self.params.get("rho").is_some_and(Value::is_array) {
            let rows = self.rows("rho")?;
            return Matrix::from_rows("rho", &rows).map_err(text_of);
        }
        let rho = self.real("rho")?;
        Ok(Matrix::from_fn(n, n, |i, j| if i == j { Real::ONE } else { rho }))
    }
}

fn number_text(value: &Value, key: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("{key} is {other}; write a number as text")),
    }
}

fn real(text: &str, key: &str) -> Result<Real, String> {
    Real::parse(text).ok_or_else(|| format!("{key} is \"{text}\"; write a finite decimal number"))
}

fn two_sided(wide: WideHalfSpreads) -> Result<(Fixed, Fixed), String> {
    match (wide.bid, wide.ask) {
        (Some(bid), Some(ask)) if bid.is_at_the_edge() || ask.is_at_the_edge() => {
            Err("a half-spread is beyond ±2^62, where quoting stops counting".into())
        }
        (Some(bid), Some(ask)) => Ok((bid, ask)),
        _ => Err("the model quotes one side only".into()),
    }
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Eighteen decimals.
fn decimal(value: Fixed) -> Value {
    Value::String(value.to_string())
}

fn object<const N: usize>(answers: [(&str, Fixed); N]) -> Answer {
    answers.into_iter().map(|(key, value)| (key.to_owned(), decimal(value))).collect()
}

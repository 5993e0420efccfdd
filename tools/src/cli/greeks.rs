//! `ballast greeks`: values and sensitivities of options, one JSON case a line in, one answer a
//! line out, from the code that the calibration thread runs.
//!
//! Fed by standard input; feeds standard output. Main thread. Deliberately absent: any formula; a
//! bad line gets an error in its place, so that answers stay beside their questions.

use super::Failure;
use super::json_lines::{Answer, answer_lines};
use ballast_engine::calibration::options::american::Carry;
use ballast_engine::calibration::options::{
    American, Black76, BlackScholes, Greeks, HedgeContracts, InverseFuture, InverseOption,
    OptionType,
};
use ballast_engine::units::Decimal;
use serde_json::{Map, Value};
use std::io::{BufRead, Write};

/// Digits behind the point that an answer has at least.
const DECIMALS_MIN: usize = 12;

const MODELS: &str = "black76, bsm, baw, inverse_option, inverse_future or hedge_contracts";

/// Answers every line of `cases` on `answers`; fails at the end where a line was bad.
///
/// # Errors
/// [`Failure::Failed`] where a line was bad or a stream broke.
pub fn run(cases: impl BufRead, answers: impl Write) -> Result<(), Failure> {
    answer_lines("greeks", MODELS, cases, answers, answer)
}

/// The answer to one case, or what is wrong with it.
fn answer(model: &str, params: Map<String, Value>) -> Result<Answer, String> {
    let mut params = Params { params };
    let answer = match model {
        "black76" => black76(&mut params)?,
        "bsm" => bsm(&mut params)?,
        "baw" => baw(&mut params)?,
        "inverse_option" => inverse_option(&mut params)?,
        "inverse_future" => inverse_future(&mut params)?,
        "hedge_contracts" => hedge_contracts(&mut params)?,
        other => return Err(format!("model is \"{other}\"; allowed are {MODELS}")),
    };
    params.finish(model)?;
    Ok(answer)
}

/// The parameters of one case; each is taken once, and none may be left.
struct Params {
    params: Map<String, Value>,
}

impl Params {
    /// A number, written as a JSON number or as text.
    fn number(&mut self, key: &str) -> Result<f64, String> {
        let text = self.text(key)?;
        number(key, &text)
    }

    /// A number as it is written, and its decimal where that has no more digits than one holds.
    fn decimal(&mut self, key: &str) -> Result<(f64, Option<Decimal>), String> {
        let text = self.text(key)?;
        let number = number(key, &text)?;
        Ok((number, plain(&text).and_then(|plain| plain.parse().ok())))
    }

    fn option_type(&mut self) -> Result<OptionType, String> {
        match self.text("type")?.as_str() {
            "C" => Ok(OptionType::Call),
            "P" => Ok(OptionType::Put),
            other => Err(format!("type is \"{other}\"; allowed are C and P")),
        }
    }

    fn text(&mut self, key: &str) -> Result<String, String> {
        match self.params.remove(key) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(other) => Err(format!("{key} is {other}; write a number as text")),
            None => Err(format!("params.{key} is missing")),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.params.contains_key(key)
    }

    fn finish(&self, model: &str) -> Result<(), String> {
        match self.params.keys().next() {
            Some(key) => Err(format!("params.{key} is not a parameter of {model}")),
            None => Ok(()),
        }
    }
}

fn number(key: &str, text: &str) -> Result<f64, String> {
    let is_decimal =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if is_decimal && number.is_finite() => Ok(number),
        _ => Err(format!("{key} is \"{text}\"; write a finite decimal number")),
    }
}

/// A number without a plus, an exponent or zeros behind its last digit; `None` where an exponent makes
/// more digits than anybody needs.
fn plain(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.abs() <= 40)?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut all = format!("{whole}{part}");
    let mut point = i32::try_from(whole.len()).ok()? + exponent;
    while point < 1 {
        all.insert(0, '0');
        point += 1;
    }
    let point = usize::try_from(point).ok()?;
    while all.len() < point {
        all.push('0');
    }
    let (whole, part) = all.split_at_checked(point)?;
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let dot = if part.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{dot}{part}"))
}

fn object(answers: &[(&str, f64)]) -> Map<String, Value> {
    answers.iter().map(|(key, value)| ((*key).to_owned(), decimal_value(*value))).collect()
}

/// All digits that the double holds, at least [`DECIMALS_MIN`] behind the point, no exponent.
fn decimal_value(value: f64) -> Value {
    // Adding zero takes the sign off a negative zero.
    let mut text = (value + 0.0).to_string();
    let decimals = match text.split_once('.') {
        Some((_, fraction)) => fraction.len(),
        None => {
            text.push('.');
            0
        }
    };
    text.extend(std::iter::repeat_n('0', DECIMALS_MIN.saturating_sub(decimals)));
    Value::String(text)
}

fn european(greeks: Greeks) -> Map<String, Value> {
    object(&[
        ("d1", greeks.d1),
        ("d2", greeks.d2),
        ("price", greeks.price),
        ("delta", greeks.delta),
        ("gamma", greeks.gamma),
        ("vega", greeks.vega),
        ("theta", greeks.theta),
        ("rho", greeks.rho),
        ("vanna", greeks.vanna),
        ("volga", greeks.volga),
    ])
}

fn black76(params: &mut Params) -> Result<Map<String, Value>, String> {
    let option = Black76 {
        forward: params.number("F")?,
        strike: params.number("K")?,
        years: params.number("T")?,
        volatility: params.number("sigma")?,
        rate: params.number("r")?,
        option_type: params.option_type()?,
    };
    Ok(european(option.greeks().map_err(|error| error.to_string())?))
}

fn bsm(params: &mut Params) -> Result<Map<String, Value>, String> {
    let option = BlackScholes {
        spot: params.number("S")?,
        strike: params.number("K")?,
        years: params.number("T")?,
        volatility: params.number("sigma")?,
        rate: params.number("r")?,
        dividend_yield: params.number("q")?,
        option_type: params.option_type()?,
    };
    Ok(european(option.greeks().map_err(|error| error.to_string())?))
}

/// American: `F` for an option on a future, `S` and `q` for one on a spot.
fn baw(params: &mut Params) -> Result<Map<String, Value>, String> {
    let (underlying, carry) = if params.has("F") {
        (params.number("F")?, Carry::Future)
    } else {
        (params.number("S")?, Carry::Yield(params.number("q")?))
    };
    let option = American {
        underlying,
        strike: params.number("K")?,
        years: params.number("T")?,
        volatility: params.number("sigma")?,
        rate: params.number("r")?,
        carry,
        option_type: params.option_type()?,
    };
    let greeks = option.greeks().map_err(|error| error.to_string())?;
    let mut answer = object(&[
        ("price", greeks.price),
        ("european_price", greeks.european_price),
        ("early_exercise_premium", greeks.early_exercise_premium),
        ("delta", greeks.delta),
        ("gamma", greeks.gamma),
        ("vega", greeks.vega),
        ("theta", greeks.theta),
        ("rho", greeks.rho),
        ("vanna", greeks.vanna),
        ("volga", greeks.volga),
    ]);
    let critical = greeks.critical_price.map_or(Value::Null, decimal_value);
    answer.insert("critical_price".into(), critical);
    Ok(answer)
}

fn inverse_option(params: &mut Params) -> Result<Map<String, Value>, String> {
    let option = InverseOption {
        forward: params.number("F")?,
        strike: params.number("K")?,
        years: params.number("T")?,
        volatility: params.number("sigma")?,
        option_type: params.option_type()?,
    };
    let greeks = option.greeks().map_err(|error| error.to_string())?;
    Ok(object(&[
        ("usd_price", greeks.usd_price),
        ("coin_price", greeks.coin_price),
        ("bs_delta", greeks.bs_delta),
        ("premium_adjusted_delta", greeks.premium_adjusted_delta),
        ("dcoin_dF", greeks.dcoin_df),
        ("d2coin_dF2", greeks.d2coin_df2),
        ("vega_coin", greeks.vega_coin),
        ("theta_coin", greeks.theta_coin),
        ("vega_usd_per_1pct", greeks.vega_usd_per_1pct),
        ("theta_usd_per_day", greeks.theta_usd_per_day),
        ("gamma_usd", greeks.gamma_usd),
        ("vanna", greeks.vanna),
        ("volga_coin", greeks.volga_coin),
        ("rho_coin", greeks.rho_coin),
    ]))
}

fn inverse_future(params: &mut Params) -> Result<Map<String, Value>, String> {
    let future = InverseFuture {
        usd_notional: params.number("usd_notional")?,
        entry: params.number("entry")?,
        mark: params.number("mark")?,
    };
    let greeks = future.greeks().map_err(|error| error.to_string())?;
    Ok(object(&[
        ("pnl_coin", greeks.pnl_coin),
        ("delta_coin", greeks.delta_coin),
        ("dcoin_dF", greeks.dcoin_df),
        ("d2coin_dF2", greeks.d2coin_df2),
    ]))
}

/// The rounded count is a JSON number, as in the reference file: it is a count, not a price.
fn hedge_contracts(params: &mut Params) -> Result<Map<String, Value>, String> {
    let (q, f) = (params.decimal("coin_inventory")?, params.decimal("F")?);
    let c = params.decimal("contract_usd")?;
    let hedge = match (q.1, f.1, c.1) {
        (Some(q), Some(f), Some(c)) => HedgeContracts::of(q, f, c),
        _ => HedgeContracts::near(q.0, f.0, c.0),
    };
    let hedge = hedge.map_err(|error| error.to_string())?;
    let mut answer = object(&[("contracts_exact", hedge.exact)]);
    answer.insert("contracts_rounded_half_away".into(), hedge.rounded_half_away.into());
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hedge_is_counted_however_its_numbers_are_written() {
        let count = |coins: &str, forward: &str, contract: &str| {
            let case = json!({"coin_inventory": coins, "F": forward, "contract_usd": contract});
            let params = case.as_object().unwrap().clone();
            let answer = answer("hedge_contracts", params).unwrap();
            (answer["contracts_exact"].clone(), answer["contracts_rounded_half_away"].to_string())
        };
        assert_eq!(plain("+3.750").as_deref(), Some("3.75"));
        assert_eq!(plain("-1.5e-3").as_deref(), Some("-0.0015"));
        assert_eq!(plain("1.25e3").as_deref(), Some("1250"));
        assert_eq!(plain("000.0").as_deref(), Some("0"));
        assert_eq!(count("+3.75", "60000", "100"), count("3.75", "6e4", "1e2"));
        assert_eq!(count("1e-3", "60000", "10"), count("0.001", "60000", "10"));
        assert_eq!(count("0.001", "50000", "100").1, "-1.0", "a half, exactly");
        // Nineteen digits and more are no decimal of ours, and no reason to refuse.
        let (exact, rounded) = count("1.2345678901234567890123", "60000", "100");
        assert!(exact.as_str().unwrap().starts_with("-740.740734074"), "{exact}");
        assert_eq!(rounded, "-741.0");
        let (exact, rounded) = count("0", "60000", "100");
        assert_eq!((exact.as_str(), rounded.as_str()), (Some("0.000000000000"), "0.0"));
    }

    #[test]
    fn an_answer_has_no_exponent_and_twelve_decimals() {
        assert_eq!(decimal_value(11686.0), "11686.000000000000");
        assert_eq!(decimal_value(-0.0), "0.000000000000");
        assert_eq!(decimal_value(-2.5e-21), "-0.0000000000000000000025");
        assert_eq!(decimal_value(1.5e22), "15000000000000000000000.000000000000");
    }
}

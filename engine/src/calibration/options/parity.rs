//! The forward, and the rate where the quotes can say it, by put–call parity:
//! `C − P = e^{-rT}(F − K)` at every strike.
//!
//! Fed by the chains of one expiry (European values: American premiums taken off beforehand);
//! feeds the surface. Calibration thread. Deliberately absent: a rate from strikes too few or too
//! close to say one: it comes with its standard error, and the caller decides.

use super::{OptionsError, in_range, positive};

/// Call less put at one strike.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ParityPoint {
    /// The strike.
    pub strike: f64,
    /// Mid of the call less mid of the put.
    pub call_less_put: f64,
    /// Standard error of that.
    pub error: f64,
}

/// What put–call parity says about an expiry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Parity {
    /// The forward.
    pub forward: f64,
    /// Its standard error.
    pub forward_error: f64,
    /// Continuously compounded rate of the discount factor.
    pub rate: f64,
    /// Its standard error; 0 where the rate was given.
    pub rate_error: f64,
    /// Strikes with both a call and a put.
    pub strikes: usize,
}

/// The forward at a rate that is known: the weighted mean of what each strike says. `None` where
/// no strike has both a call and a put.
///
/// # Errors
/// A time or error not above zero.
pub fn forward_at_rate(
    points: &[ParityPoint],
    years: f64,
    rate: f64,
) -> Result<Option<Parity>, OptionsError> {
    positive("T", years)?;
    let growth = in_range("e^rT", libm::exp(rate * years))?;
    let (mut sum, mut weights) = (0.0, 0.0);
    for point in points {
        let weight = 1.0 / square(positive("error", point.error)? * growth);
        sum += weight * (point.strike + growth * point.call_less_put);
        weights += weight;
    }
    if points.is_empty() {
        return Ok(None);
    }
    Ok(Some(Parity {
        forward: in_range("forward", sum / weights)?,
        forward_error: 1.0 / libm::sqrt(weights),
        rate,
        rate_error: 0.0,
        strikes: points.len(),
    }))
}

/// The forward of options that are quoted in coin, which know no rate: `c − p = 1 − K/F` at every
/// strike, weighed as [`forward_at_rate`] does. `None` where no strike says one.
///
/// # Errors
/// An error that is not above zero.
pub fn forward_in_coin(points: &[ParityPoint]) -> Result<Option<Parity>, OptionsError> {
    let (mut sum, mut weights, mut strikes) = (0.0, 0.0, 0);
    for point in points {
        // A call that is worth a coin more than its put says nothing of any forward.
        let share = 1.0 - point.call_less_put;
        if share.is_nan() || share <= 0.0 {
            continue;
        }
        let forward = point.strike / share;
        // dF = F²/K d(c − p).
        let weight = 1.0 / square(positive("error", point.error)? * forward / share);
        sum += weight * forward;
        weights += weight;
        strikes += 1;
    }
    if strikes == 0 {
        return Ok(None);
    }
    Ok(Some(Parity {
        forward: in_range("forward", sum / weights)?,
        forward_error: 1.0 / libm::sqrt(weights),
        rate: 0.0,
        rate_error: 0.0,
        strikes,
    }))
}

/// Forward and rate together, as the weighted line through `C − P` over the strikes. `None` with
/// fewer than three strikes, or where the line does not fall.
///
/// # Errors
/// A time or error not above zero.
pub fn forward_and_rate(
    points: &[ParityPoint],
    years: f64,
) -> Result<Option<Parity>, OptionsError> {
    positive("T", years)?;
    let (mut weights, mut strikes, mut values) = (0.0, 0.0, 0.0);
    for point in points {
        let weight = 1.0 / square(positive("error", point.error)?);
        weights += weight;
        strikes += weight * point.strike;
        values += weight * point.call_less_put;
    }
    let (strike, value) = (strikes / weights, values / weights);
    let (mut across, mut along) = (0.0, 0.0);
    for point in points {
        let weight = 1.0 / square(point.error);
        across += weight * square(point.strike - strike);
        along += weight * (point.strike - strike) * (point.call_less_put - value);
    }
    let discount = -along / across;
    if points.len() < 3 || !discount.is_finite() || discount <= 0.0 {
        return Ok(None);
    }
    Ok(Some(Parity {
        forward: in_range("forward", strike + value / discount)?,
        forward_error: 1.0 / libm::sqrt(weights) / discount,
        rate: -libm::log(discount) / years,
        rate_error: 1.0 / libm::sqrt(across) / discount / years,
        strikes: points.len(),
    }))
}

fn square(x: f64) -> f64 {
    x * x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(forward: f64, rate: f64, years: f64) -> Vec<ParityPoint> {
        (0..9u32)
            .map(|i| {
                let strike = 3200.0 + 10.0 * f64::from(i);
                let call_less_put = libm::exp(-rate * years) * (forward - strike);
                ParityPoint { strike, call_less_put, error: 0.25 + 0.05 * f64::from(i % 3) }
            })
            .collect()
    }

    #[test]
    fn exact_parity_gives_forward_and_rate_back() {
        let points = points(3233.7, 0.0155, 0.2);
        let free = forward_and_rate(&points, 0.2).unwrap().unwrap();
        assert!((free.forward - 3233.7).abs() < 1e-9, "{free:?}");
        assert!((free.rate - 0.0155).abs() < 1e-10, "{free:?}");
        let given = forward_at_rate(&points, 0.2, 0.0155).unwrap().unwrap();
        assert!((given.forward - 3233.7).abs() < 1e-9, "{given:?}");
        assert_eq!((given.rate, given.rate_error, given.strikes), (0.0155, 0.0, 9));
    }

    #[test]
    fn the_standard_error_says_when_a_rate_is_worthless() {
        // Two days: a quarter point over 80 points of strike is some 40 % of rate.
        let short = forward_and_rate(&points(3700.0, 0.0, 0.005), 0.005).unwrap().unwrap();
        assert!(short.rate_error > 0.2, "{short:?}");
        let long = forward_and_rate(&points(3700.0, 0.0, 5.0), 5.0).unwrap().unwrap();
        assert!(long.rate_error < 1e-3, "{long:?}");
    }

    #[test]
    fn coin_options_say_their_forward_without_a_rate() {
        let at = |strike: f64| ParityPoint {
            strike,
            call_less_put: 1.0 - strike / 61_500.0,
            error: 0.0005,
        };
        let mut points: Vec<_> = [50_000.0, 60_000.0, 70_000.0].map(at).into();
        let found = forward_in_coin(&points).unwrap().unwrap();
        assert!((found.forward - 61_500.0).abs() < 1e-9, "{found:?}");
        assert_eq!((found.rate, found.strikes), (0.0, 3));
        points.push(ParityPoint { call_less_put: 1.2, ..points[0] });
        assert_eq!(forward_in_coin(&points).unwrap().unwrap(), found, "says nothing");
        assert_eq!(forward_in_coin(&[]), Ok(None));
    }

    #[test]
    fn without_pairs_nothing_is_said() {
        assert_eq!(forward_at_rate(&[], 0.2, 0.01), Ok(None));
        let two = &points(3233.0, 0.0, 0.2)[..2];
        assert_eq!(forward_and_rate(two, 0.2), Ok(None));
        assert!(forward_at_rate(two, 0.0, 0.01).is_err());
        let rising =
            [1.0, 2.0, 3.0].map(|k| ParityPoint { strike: k, call_less_put: k, error: 1.0 });
        assert_eq!(forward_and_rate(&rising, 0.2), Ok(None));
    }
}

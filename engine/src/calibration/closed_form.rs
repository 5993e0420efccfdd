//! The closed forms' coefficients: Avellaneda & Stoikov (2008) and Guéant, Lehalle &
//! Fernandez-Tapia (2013, eqs 4.6 and 4.7 of Guéant 2017).
//!
//! Called by [`super::quoter`] and `ballast model`; its results travel to the maker. Calibration's
//! thread. `c1 = ln(1 + ξΔ/k)/(ξΔ)`, `c2 = √( γ/(2AΔk) · (1 + ξΔ/k)^(k/(ξΔ)+1) )`; ξ = γ, or ξ → 0
//! (`c1 = 1/k`, the power → e). Deliberately absent: volatility, which is live on the hot path.

use super::{CalibrationError, QuoteParameters, Real, positive};
use crate::quote::Glft;
use crate::quote::avellaneda_stoikov::{AvellanedaStoikov, Horizon};

/// Which risk the fills' own uncertainty is charged with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Xi {
    /// ξ = γ: the original model.
    Gamma,
    /// ξ → 0: inventory risk alone.
    Zero,
}

/// c1 and c2 before they are quantised, with what goes with them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Coefficients {
    /// Ticks; ζ not yet added.
    pub c1: Real,
    /// Ticks per size unit and unit of volatility; `e^(kζ/4)` included.
    pub c2: Real,
    parameters: QuoteParameters,
}

impl Coefficients {
    /// What the maker quotes with.
    pub fn quantised(&self) -> Glft {
        let p = &self.parameters;
        let half = Real::from(0.5);
        Glft {
            base: (self.c1 + p.adverse_jump * half).fixed(),
            half_order: (self.c2 * p.order_size * half).scaled(),
            per_lot: (self.c2 * p.lot).scaled(),
            drift: (p.drift * self.c2 / p.gamma).scaled(),
        }
    }
}

/// c1 and c2.
pub fn glft(parameters: &QuoteParameters, xi: Xi) -> Result<Coefficients, CalibrationError> {
    parameters.checked()?;
    let p = parameters;
    let c1 = base(p, xi);
    let risk = match xi {
        Xi::Gamma => p.gamma * p.order_size / p.decay,
        Xi::Zero => Real::ZERO,
    };
    // (1 + x)^(1/x + 1) as e^((1/x + 1) ln(1 + x)).
    let power = if risk == Real::ZERO {
        Real::ONE.exp()
    } else {
        ((Real::ONE / risk + Real::ONE) * risk.ln_1p()).exp()
    };
    let scale = p.gamma / (Real::TWO * p.intensity * p.order_size * p.decay);
    let jump = (p.decay * p.adverse_jump * Real::from(0.25)).exp();
    let c2 = (scale * power).sqrt() * jump;
    // A γ so large that the power overflows would quote nothing but zeroes.
    positive("gamma's c2", c2)?;
    Ok(Coefficients { c1, c2, parameters: *parameters })
}

/// What the maker quotes with under Avellaneda & Stoikov's model with that horizon.
pub fn avellaneda_stoikov(
    parameters: &QuoteParameters,
    horizon: Horizon,
) -> Result<AvellanedaStoikov, CalibrationError> {
    parameters.checked()?;
    let p = parameters;
    Ok(AvellanedaStoikov {
        base: base(p, Xi::Gamma).fixed(),
        gamma_per_lot: (p.gamma * p.lot).scaled(),
        gamma_half_order: (p.gamma * p.order_size * Real::from(0.5)).scaled(),
        horizon,
    })
}

/// c1, the half-spread of a maker without inventory risk.
fn base(p: &QuoteParameters, xi: Xi) -> Real {
    match xi {
        Xi::Gamma => {
            let risk = p.gamma * p.order_size;
            (risk / p.decay).ln_1p() / risk
        }
        Xi::Zero => Real::ONE / p.decay,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{QuoteParameters, quoter};
    use super::*;
    use crate::quote::{Model, Quoter};
    use crate::units::{Lots, SubTicks};

    fn real(text: &str) -> Real {
        Real::parse(text).unwrap()
    }

    /// BTC spot on a tick of 0.01: orders of half a coin in lots of 1e-5.
    fn bitcoin(model: Model) -> Quoter {
        let parameters = QuoteParameters {
            order_size: real("0.5"),
            lot: real("0.00001"),
            ..QuoteParameters::new(real("0.0000001"), real("0.43"), real("0.003"))
        };
        quoter(model, &parameters).unwrap()
    }

    fn near(found: Option<SubTicks>, exact: &str) -> bool {
        let exact = real(exact).to_f64();
        found.is_some_and(|found| (found.0 as f64 / 2f64.powi(32) - exact).abs() < 1e-9)
    }

    #[test]
    fn bitcoins_tiny_risk_aversion_keeps_all_its_digits() {
        let (short, sigma) = (Lots(-400_000), real("800").scaled());
        let quote = |model: Model| bitcoin(model).half_spreads(short, sigma, real("60").scaled());
        let glft = quote(Model::Glft);
        assert!(near(glft.bid, "289.7818300227944121061384"), "{glft:?}");
        assert!(near(glft.ask, "382.6857778918609831631115"), "{glft:?}");
        let risk_neutral = quote(Model::GlftRiskNeutral);
        assert!(near(risk_neutral.bid, "289.7847892213454735641874"), "{risk_neutral:?}");
        let symmetric = quote(Model::Symmetric);
        assert!(near(symmetric.bid, "336.2338039573276976346250"), "{symmetric:?}");
        assert_eq!(symmetric.bid, symmetric.ask);
    }

    #[test]
    fn sigma_squared_and_not_sigma_moves_avellaneda_and_stoikovs_quotes() {
        let model = bitcoin(Model::AvellanedaStoikovFinite);
        let skew = |sigma: &str, time: &str| {
            model.skew(Lots(225_000), real(sigma).scaled(), real(time).scaled())
        };
        // q γ σ² τ = 2.25 × 1e-7 × 640,000 × 60
        assert!(near(Some(skew("800", "60")), "8.64"));
        assert!(near(Some(skew("1600", "60")), "34.56"));
        assert!(near(Some(skew("800", "30")), "4.32"));
        assert_eq!(skew("800", "0"), SubTicks(0));
    }

    #[test]
    fn avellaneda_and_stoikov_do_not_always_sit_at_their_widest() {
        let model = bitcoin(Model::AvellanedaStoikovFinite);
        let half = |time: &str| {
            model.half_spreads(Lots(0), real("800").scaled(), real(time).scaled()).bid.unwrap()
        };
        assert!(half("3600") > half("60") && half("60") > half("0"));
        let constant = bitcoin(Model::AvellanedaStoikovConstantSpread);
        let spread = |time: &str| {
            constant.half_spreads(Lots(0), real("800").scaled(), real(time).scaled()).bid.unwrap()
        };
        assert_eq!(spread("3600"), half("0"));
        assert_eq!(spread("60"), half("0"));
    }

    #[test]
    fn no_skew_buys_more_while_over_target() {
        for model in Model::ALL {
            let model = bitcoin(model);
            for lots in [1, 50_000, 400_000, 3_000_000] {
                let sigma = real("800").scaled();
                let quote = |lots| model.half_spreads(Lots(lots), sigma, real("60").scaled());
                let (flat, long, short) = (quote(0), quote(lots), quote(-lots));
                if let (Some(bid), Some(ask)) = (long.bid, long.ask) {
                    assert!(bid >= flat.bid.unwrap() && ask <= flat.ask.unwrap());
                }
                assert_eq!((long.bid, long.ask), (short.ask, short.bid), "sides mirror");
            }
        }
    }

    #[test]
    fn parameters_in_currency_become_parameters_in_ticks() {
        let in_ticks = QuoteParameters::new(real("0.0000001"), real("0.43"), real("0.003"));
        let in_dollars = QuoteParameters {
            sigma: real("0.01"),
            ..QuoteParameters::new(real("0.00001"), real("0.43"), real("0.3"))
        };
        let converted = in_dollars.from_currency("0.01".parse().unwrap());
        for model in Model::ALL {
            assert_eq!(quoter(model, &converted).unwrap(), quoter(model, &in_ticks).unwrap());
        }
    }

    #[test]
    fn parameters_that_divide_by_nothing_are_refused() {
        let good = QuoteParameters::new(real("0.1"), real("140"), real("1.5"));
        let bad = [
            QuoteParameters { gamma: Real::ZERO, ..good },
            QuoteParameters { intensity: real("-1"), ..good },
            QuoteParameters { decay: Real::ZERO, ..good },
            QuoteParameters { order_size: Real::ZERO, ..good },
            QuoteParameters { lot: Real::ZERO, ..good },
        ];
        for model in Model::ALL {
            for bad in bad {
                assert!(matches!(quoter(model, &bad), Err(CalibrationError::NotPositive { .. })));
            }
        }
    }
}

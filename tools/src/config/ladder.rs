//! What a config says of a ladder's sizes and distances from level to level.
//!
//! Fed by the file's tables; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed.

use super::faults::Faults;
use super::file::RawQuote;
use super::maker::sub_ticks;
use ballast_engine::quote::ladder::{SizeProfile, Spacing};
use ballast_engine::units::{Decimal, Lots};

const PERMILLE: Decimal = Decimal { mantissa: 1, scale: 3 };

/// Sizes by level; `key` is that of the quote table.
pub(super) fn sizes(
    key: &str,
    raw: &RawQuote,
    lot: Decimal,
    faults: &mut Faults,
) -> Option<SizeProfile> {
    let first = faults.count(&format!("{key}.size"), &raw.size, lot, 1).map(Lots);
    let step_key = format!("{key}.size_step");
    match (&raw.size_step, &raw.size_growth) {
        (None, None) => first.map(SizeProfile::Equal),
        (Some(step), None) => {
            let step = faults.count(&step_key, step, lot, i64::MIN)?;
            Some(SizeProfile::Linear { first: first?, step: Lots(step) })
        }
        (None, Some(growth)) => {
            let permille = permille(&format!("{key}.size_growth"), growth, faults)?;
            Some(SizeProfile::Geometric { first: first?, permille })
        }
        (Some(step), Some(_)) => {
            faults.add(step_key, step, "either size_step or size_growth, not both");
            None
        }
    }
}

/// Distances between levels.
pub(super) fn spacing(
    key: &str,
    raw: &RawQuote,
    tick: Decimal,
    faults: &mut Faults,
) -> Option<Spacing> {
    let first = sub_ticks(&format!("{key}.spacing"), &raw.spacing, tick, faults);
    match &raw.spacing_growth {
        None => first.map(Spacing::Even),
        Some(growth) => {
            let permille = permille(&format!("{key}.spacing_growth"), growth, faults)?;
            Some(Spacing::Geometric { first: first?, permille })
        }
    }
}

fn permille(key: &str, text: &str, faults: &mut Faults) -> Option<u32> {
    let count = faults.count(key, text, PERMILLE, 1)?;
    let permille = u32::try_from(count).ok().filter(|permille| *permille <= 100_000);
    if permille.is_none() {
        faults.add(key, text, "must be at most 100");
    }
    permille
}

#[cfg(test)]
mod tests {
    use crate::config::ConfigFile;
    use ballast_engine::quote::ladder::{LadderConfig, LadderShape, SizeProfile, Spacing};
    use ballast_engine::units::{FeeRate, Lots, SubTicks, Ticks};

    fn ladder(more: &str) -> Result<LadderShape, String> {
        let text = include_str!("../../../config/demo.toml");
        let text = text.replace("levels = 2\n", &format!("levels = 4\n{more}\n"));
        let file = ConfigFile::parse("test", text).map_err(|error| error.to_string())?;
        let config = file.maker(1).map_err(|error| error.to_string())?;
        Ok(config.settings[0].quote.expect("spot is quoted").ladder)
    }

    fn made(sizes: SizeProfile, spacing: Spacing) -> LadderShape {
        let edge_min = SubTicks::from_ticks(Ticks(1));
        let maker_fee = FeeRate(1_000_000);
        LadderShape::new(LadderConfig {
            levels: 4,
            sizes,
            spacing,
            size_min: Lots(1),
            edge_min,
            maker_fee,
            is_post_only: true,
        })
        .expect("a sound ladder")
    }

    #[test]
    fn every_profile_of_sizes_and_distances_is_reached_by_a_key() {
        let (first, gap) = (Lots(1_000), SubTicks::from_ticks(Ticks(200)));
        let even = Spacing::Even(gap);
        assert_eq!(ladder(""), Ok(made(SizeProfile::Equal(first), even)));
        let linear = SizeProfile::Linear { first, step: Lots(500) };
        assert_eq!(ladder("size_step = \"0.005\""), Ok(made(linear, even)));
        let geometric = SizeProfile::Geometric { first, permille: 1_500 };
        let wider = Spacing::Geometric { first: gap, permille: 2_000 };
        let text = "size_growth = \"1.5\"\nspacing_growth = \"2\"";
        assert_eq!(ladder(text), Ok(made(geometric, wider)));
    }

    #[test]
    fn two_profiles_at_once_and_sizes_that_vanish_are_refused() {
        let both = ladder("size_growth = \"1.5\"\nsize_step = \"0.001\"").unwrap_err();
        assert!(both.contains("size_step"), "{both}");
        let vanishing = ladder("size_step = \"-0.005\"").unwrap_err();
        assert!(vanishing.contains("level 2 has size 0"), "{vanishing}");
        assert!(ladder("spacing_growth = \"0\"").unwrap_err().contains("spacing_growth"));
    }
}

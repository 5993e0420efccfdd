//! One underlying's share of the portfolio: its net delta's worth against everything's gross.
//!
//! Fed by the maker's timer; feeds the states of the underlying's instruments. Maker thread. Beyond
//! the stop nothing is quoted; the return is at six eighths of it. A small portfolio is all of one
//! thing, so that nothing counts below a floor of the gross. A worth that is not known counts as
//! beyond, unless nothing is held.

use crate::units::Notional;

/// Where the share stops quoting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct ShareSettings {
    /// Thousandths of the gross.
    pub stop_permille: u32,
    /// Below this gross nothing counts, in the reporting currency.
    pub gross_floor: Notional,
}

/// One underlying's standing.
#[derive(Clone, Copy, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Share {
    settings: ShareSettings,
    is_beyond: bool,
}

impl Share {
    /// Within.
    pub fn new(settings: ShareSettings) -> Share {
        Share { settings, is_beyond: false }
    }

    /// Net delta is worth `delta` either way, everything together `gross`.
    pub fn look(&mut self, delta: Option<Notional>, gross: Option<Notional>) {
        let (Some(delta), Some(gross)) = (delta, gross) else {
            self.is_beyond = delta != Some(Notional(0));
            return;
        };
        let stop = i128::from(self.settings.stop_permille);
        let stop = if self.is_beyond { stop.saturating_mul(6) / 8 } else { stop };
        let is_beyond =
            delta.0.saturating_abs().saturating_mul(1000) > gross.0.saturating_mul(stop);
        self.is_beyond = is_beyond && gross >= self.settings.gross_floor;
    }

    /// Nothing is to be quoted.
    pub fn is_beyond(&self) -> bool {
        self.is_beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Share {
        Share::new(ShareSettings { stop_permille: 400, gross_floor: Notional(100) })
    }

    fn at(share: &mut Share, delta: i128, gross: i128) -> bool {
        share.look(Some(Notional(delta)), Some(Notional(gross)));
        share.is_beyond()
    }

    #[test]
    fn the_stop_passes_and_one_unit_more_does_not_and_the_return_is_further_in() {
        let mut share = share();
        assert!(!at(&mut share, 400, 1_000));
        assert!(at(&mut share, -401, 1_000));
        assert!(at(&mut share, 301, 1_000));
        assert!(!at(&mut share, 300, 1_000));
        assert!(!at(&mut share, 400, 1_000));
    }

    #[test]
    fn a_small_portfolio_may_be_all_of_one_thing() {
        let mut share = share();
        assert!(!at(&mut share, 99, 99));
        assert!(at(&mut share, 100, 100));
    }

    #[test]
    fn what_is_not_known_is_beyond_unless_nothing_is_held() {
        let mut share = share();
        share.look(None, Some(Notional(1_000)));
        assert!(share.is_beyond());
        share.look(Some(Notional(0)), None);
        assert!(!share.is_beyond());
        assert!(at(&mut share, i128::MIN, 100), "no wrap at the edges");
    }
}

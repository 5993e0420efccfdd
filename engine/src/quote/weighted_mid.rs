//! The size-weighted mid, and the imbalance that it weighs by.
//!
//! Fed by the touch of a book; feeds the fair value and `ballast model`. Maker's thread, hot. The
//! bid is weighted by what stands on the ask and the other way round: a heavy bid lifts the price.

use crate::fixed::{Fixed, Scaled};
use crate::units::{Lots, Ticks};

/// Imbalance and weighted mid of a touch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WeightedMid {
    /// Bid size over both sizes, between 0 and 1.
    pub imbalance: Fixed,
    /// `bid + (ask − bid) × imbalance`, in ticks.
    pub price: Fixed,
}

/// The weighted mid of a touch; `None` where nothing stands on either side, or a size is negative.
pub fn weighted_mid(bid: (Ticks, Lots), ask: (Ticks, Lots)) -> Option<WeightedMid> {
    let ((bid, bid_size), (ask, ask_size)) = (bid, ask);
    let total = i128::from(bid_size.0) + i128::from(ask_size.0);
    if total <= 0 || bid_size.0 < 0 || ask_size.0 < 0 {
        return None;
    }
    // Both sizes fit 63 bits, so that a 62-bit quotient is as good as the sizes are.
    let imbalance = Scaled::new(i128::from(bid_size.0), 0).over(Scaled::new(total, 0));
    let above = imbalance.of(ask.0.saturating_sub(bid.0));
    let price = Fixed(i128::from(bid.0) << Fixed::FRACTION_BITS).plus(above);
    Some(WeightedMid { imbalance: imbalance.fixed(), price })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_bid_lifts_the_price() {
        let mid = weighted_mid((Ticks(10), Lots(3)), (Ticks(11), Lots(1))).unwrap();
        assert_eq!(mid.imbalance.to_string(), "0.750000000000000000");
        assert_eq!(mid.price.to_string(), "10.750000000000000000");
    }

    #[test]
    fn an_empty_touch_has_no_mid() {
        assert_eq!(weighted_mid((Ticks(10), Lots(0)), (Ticks(11), Lots(0))), None);
        assert_eq!(weighted_mid((Ticks(10), Lots(-1)), (Ticks(11), Lots(5))), None);
    }

    #[test]
    fn sizes_at_the_integers_edge_are_weighed() {
        let mid = weighted_mid((Ticks(0), Lots(i64::MAX)), (Ticks(2), Lots(i64::MAX))).unwrap();
        assert_eq!(mid.price.to_string(), "1.000000000000000000");
    }
}

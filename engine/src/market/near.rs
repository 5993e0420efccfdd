//! The levels near the touch, each found by its price alone.
//!
//! Fed by `book.rs`, which keeps one a side and the levels further out on a shelf; read best first. Maker
//! thread: nothing allocates after start. Most of what a venue says is about prices near the touch (88 %
//! of the BTC recording's levels within 3,072 ticks): there a level is a store at its price's own place
//! and one bit that says that it is there, where a search among 2,048 sorted levels took 155
//! instructions and the move of those behind it 76. Prices are counted by rank: the greater the better,
//! whichever the side. Deliberately absent: any opinion on where the window should stand.

/// One side's levels within a window of ranks.
#[derive(Clone, Debug)]
#[derive(borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) struct Near {
    /// The window's lowest rank, a multiple of 64.
    base: i64,
    /// By rank modulo the window; 0 where there is no level.
    sizes: Vec<i64>,
    /// One bit a level.
    used: Vec<u64>,
    best: Option<i64>,
}

/// Ranks of one word of bits.
const WORD: i64 = 64;

impl Near {
    /// An empty window, as wide as twice so many levels, within bounds: in less than 256 ranks a quarter
    /// would be less than a word of bits, and beyond 8,192 hardly a word is about the levels.
    pub(super) fn new(levels: usize) -> Near {
        let window = levels.saturating_mul(2).clamp(256, 1 << 13).next_power_of_two();
        Near { base: 0, sizes: vec![0; window], used: vec![0; window / 64], best: None }
    }

    pub(super) fn clear(&mut self) {
        self.sizes.fill(0);
        self.used.fill(0);
        self.best = None;
    }

    /// How many ranks the window holds.
    fn width(&self) -> i64 {
        i64::try_from(self.sizes.len()).unwrap_or(i64::MAX)
    }

    #[inline]
    fn slot(&self, rank: i64) -> usize {
        let mask = self.sizes.len().wrapping_sub(1);
        usize::try_from(rank & i64::MAX).unwrap_or(0) & mask
    }

    /// Whether the window reaches to this rank.
    #[inline]
    pub(super) fn holds(&self, rank: i64) -> bool {
        rank.wrapping_sub(self.base).cast_unsigned() < self.sizes.len() as u64
    }

    /// The best level's rank.
    #[inline]
    pub(super) fn best(&self) -> Option<i64> {
        self.best
    }

    /// Where a window should begin whose best level stands at `rank`: three quarters of it lie behind that.
    pub(super) fn base_for(&self, rank: i64) -> i64 {
        let base = rank.saturating_sub(self.width() / 4 * 3) & !(WORD - 1);
        base.min(i64::MAX - self.width() + 1)
    }

    /// Puts the window there. What it no longer reaches to must have been taken out.
    pub(super) fn begin_at(&mut self, base: i64) {
        self.base = base;
    }

    /// The best level stands so low in the window that the next to come would lie behind it.
    pub(super) fn is_low(&self) -> bool {
        self.best.is_none_or(|best| best.saturating_sub(self.base) < self.width() / 4)
    }

    /// A level's size; 0 where there is none.
    #[inline]
    pub(super) fn get(&self, rank: i64) -> i64 {
        self.sizes.get(self.slot(rank)).copied().unwrap_or(0)
    }

    /// Sets the size of a level within the window, ≥ 0; returns what it was.
    #[inline]
    pub(super) fn set(&mut self, rank: i64, size: i64) -> i64 {
        debug_assert!(self.holds(rank), "the book looked");
        let slot = self.slot(rank);
        let Some(place) = self.sizes.get_mut(slot) else { return 0 };
        let before = std::mem::replace(place, size);
        if (before > 0) == (size > 0) {
            return before;
        }
        if let Some(word) = self.used.get_mut(slot / 64) {
            *word ^= 1 << (slot % 64);
        }
        if size > 0 {
            self.best = self.best.max(Some(rank));
        } else if self.best == Some(rank) {
            self.best = self.below(rank);
        }
        before
    }

    /// The bits of a rank's word.
    #[inline]
    fn word(&self, rank: i64) -> u64 {
        self.used.get(self.slot(rank) / 64).copied().unwrap_or(0)
    }

    /// The best level that is worse than one at `rank`; looks at most at one word in 64 ranks.
    pub(super) fn below(&self, rank: i64) -> Option<i64> {
        let mut first = rank & !(WORD - 1);
        let mut bits = self.word(first) & !(u64::MAX << (rank - first));
        while bits == 0 {
            first = first.checked_sub(WORD).filter(|first| *first >= self.base)?;
            bits = self.word(first);
        }
        Some(first + (WORD - 1) - i64::from(bits.leading_zeros()))
    }

    /// The worst level of those at `rank` or better; looks at most at one word in 64 ranks.
    pub(super) fn from(&self, rank: i64) -> Option<i64> {
        let best = self.best?;
        let mut first = rank.max(self.base) & !(WORD - 1);
        let mut bits = self.word(first) & (u64::MAX << (rank.max(self.base) - first));
        while bits == 0 {
            first = first.checked_add(WORD).filter(|first| *first <= best)?;
            bits = self.word(first);
        }
        Some(first + i64::from(bits.trailing_zeros()))
    }

    /// All levels with their sizes, best first.
    pub(super) fn best_first(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let ranks = std::iter::successors(self.best, |rank| self.below(*rank));
        ranks.map(|rank| (rank, self.get(rank)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranks: &[i64], around: i64) -> Near {
        let mut near = Near::new(64);
        near.begin_at(near.base_for(around));
        for rank in ranks {
            near.set(*rank, 1 + rank.rem_euclid(7));
        }
        near
    }

    #[test]
    fn levels_are_found_from_the_best_down_over_words_without_any() {
        let ranks = [-140, -133, 0, 1, 29];
        let mut near = of(&ranks, 0);
        let found: Vec<_> = near.best_first().map(|(rank, _)| rank).collect();
        assert_eq!(found, [29, 1, 0, -133, -140]);
        assert_eq!(
            (near.from(i64::MIN), near.from(2), near.from(30)),
            (Some(-140), Some(29), None)
        );
        assert_eq!(near.set(29, 0), 2);
        assert_eq!((near.best(), near.below(-140)), (Some(1), None));
    }

    #[test]
    fn the_window_ends_where_integers_do() {
        for edge in [i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1] {
            let near = of(&[edge], edge);
            assert!(near.holds(edge) && !near.holds(!edge) && !near.holds(0));
            assert_eq!((near.best(), near.below(edge)), (Some(edge), None));
            assert_eq!(near.from(i64::MIN), Some(edge));
        }
    }
}

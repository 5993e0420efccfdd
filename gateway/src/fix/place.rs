//! A value's place in a template, and what is known of the value: so that only what differs is written.
//!
//! Used by the templates, on order entry's thread, hot. A number that is a little greater than the last
//! one is one digit; a time of the same second is its end; a short text is one store of eight bytes,
//! which writes what stands before it again. Whoever writes a value otherwise says so, and nothing is
//! known of it.

use super::word::{SHORT, Short};

/// Where a value stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub start: usize,
    pub len: usize,
}

impl Span {
    #[inline(always)]
    pub fn end(self) -> usize {
        self.start + self.len
    }
}

/// What a value is known to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kept {
    /// Nobody knows.
    #[default]
    Nothing,
    /// A number.
    Number(u64),
    /// A time whose text has this head.
    Head(u64),
}

/// A slot's value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub span: Span,
    /// What stands before the value in the eight bytes that end with it.
    before: u64,
    /// Whether all of that is the same in every message.
    is_alone: bool,
    kept: Kept,
    /// The sum of the value's bytes, where it is kept.
    sum: u8,
}

impl Place {
    /// What the value is from now on.
    #[inline(always)]
    pub fn keep(&mut self, kept: Kept, sum: u8) {
        (self.kept, self.sum) = (kept, sum);
    }

    /// Notes what stands before the value, where what is fixed begins at `fixed_from`.
    pub fn look_before(&mut self, bytes: &mut [u8], fixed_from: usize) {
        let Span { start, len } = self.span;
        let missing = SHORT.saturating_sub(len);
        self.is_alone = start.saturating_sub(missing) >= fixed_from;
        let word = eight_to(bytes, self.span.end()).map_or(0, |word| u64::from_le_bytes(*word));
        let shift = u32::try_from(8 * missing).unwrap_or(u64::BITS);
        self.before = word & !u64::MAX.checked_shl(shift).unwrap_or(0);
    }

    /// Writes a short value where it is as long as the last one and stands alone; says whether it does.
    #[inline(always)]
    pub fn put_short(&mut self, bytes: &mut [u8], text: Short) -> bool {
        if !self.is_alone || self.span.len != text.len {
            return false;
        }
        let Some(room) = eight_to(bytes, self.span.end()) else { return false };
        *room = (self.before | text.alone()).to_le_bytes();
        self.kept = Kept::Nothing;
        true
    }

    /// Makes the number that stands here a little greater, where that changes its last digit alone; the
    /// sum of its digits.
    #[inline(always)]
    pub fn count_up(&mut self, bytes: &mut [u8], value: u64) -> Option<u8> {
        let Kept::Number(last) = self.kept else { return None };
        let digit = bytes.get_mut(self.span.end().wrapping_sub(1))?;
        let more = u8::try_from(value.wrapping_sub(last)).ok().filter(|more| *more < 10)?;
        if *digit + more > b'9' {
            return None;
        }
        *digit += more;
        self.keep(Kept::Number(value), self.sum.wrapping_add(more));
        Some(self.sum)
    }

    /// Writes the last eight bytes of a value of which the others stand here; says whether they do.
    #[inline(always)]
    pub fn put_end(&self, bytes: &mut [u8], kept: Kept, len: usize, end: [u8; SHORT]) -> bool {
        if self.kept != kept || self.span.len != len {
            return false;
        }
        let room = eight_to(bytes, self.span.end());
        room.map(|room| *room = end).is_some()
    }
}

/// The eight bytes before `end`.
#[inline(always)]
fn eight_to(bytes: &mut [u8], end: usize) -> Option<&mut [u8; SHORT]> {
    bytes.get_mut(end.checked_sub(SHORT)?..end)?.first_chunk_mut()
}

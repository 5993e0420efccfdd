//! A value's place in a template, and what is known of the value: so that only what differs is written.
//!
//! Used by the templates, on order entry's thread, hot. A number that shares all but its last four digits
//! with the one that stands here is those digits; a time of the same second is its end; a short text is
//! one store of eight bytes, which writes what stands before it again. Whoever writes a value otherwise
//! says so, and nothing is known of it.

use super::word::{Frame, SHORT, Short, four_digits, sum_of_digits};

/// How many numbers share all but their last four digits.
const RUN: u64 = 10_000;
/// No time's text has it.
const NO_HEAD: u64 = 0;

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

/// Numbers that differ in their last four digits alone, and are of one length.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    from: u64,
    /// How many there are; 0 where nothing is known.
    len: u64,
    /// The number that has zeros there.
    even: u64,
    /// The eight bytes that end with the value, where its last four digits are zeros.
    end: u64,
    /// The sum of the value's bytes, likewise.
    sum: u8,
    /// How many digits they have behind the point.
    scale: u8,
}

impl Run {
    /// The numbers around `number`, of which nothing is written yet.
    fn around(number: u64, scale: u8) -> Run {
        let even = number - number % RUN;
        let run = Run { from: even, len: RUN, even, scale, ..Run::default() };
        // What stands behind the point, and one digit before it, is written in any case.
        let Some(least) = 10u64.checked_pow(u32::from(scale) + 1).filter(|_| even == 0) else {
            return run;
        };
        if number < least {
            return Run { len: least.min(RUN), ..run };
        }
        // Four digits at most.
        let mut from = least;
        while from * 10 <= number {
            from *= 10;
        }
        Run { from, len: from * 9, ..run }
    }
}

/// A slot's value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub span: Span,
    /// What stands before the value in the eight bytes that end with it.
    before: u64,
    /// The number that stands here is one of these.
    run: Run,
    /// The number that stands here and the sum of its text, where [`Place::put_steady`] wrote it.
    steady: Option<(u64, u8)>,
    /// The time that stands here has this head.
    head: u64,
    /// Where those eight bytes begin.
    end_at: u32,
    /// Whether what stands before the value there is the same in every message.
    is_alone: bool,
}

impl Place {
    /// Nothing is known of the value from now on.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.run.len = 0;
        self.steady = None;
        self.head = NO_HEAD;
    }

    /// The value is a time with this head from now on.
    #[inline(always)]
    pub fn keep_time(&mut self, head: u64) {
        self.forget();
        self.head = head;
    }

    /// The value is a number from now on, its text `sum` in all, of which `end` are the last eight bytes
    /// or all there are.
    #[inline(always)]
    pub fn keep_number(&mut self, number: u64, frame: &Frame, end: u64, sum: u8) {
        self.forget();
        if !self.is_alone {
            return;
        }
        let digits = four_digits(number % RUN);
        self.run = Run {
            end: self.before | end.wrapping_sub(frame.tail(digits)),
            sum: sum.wrapping_sub(sum_of_digits(digits)),
            ..Run::around(number, frame.scale())
        };
    }

    /// Notes what stands before the value, where what is fixed begins at `fixed_from`.
    pub fn look_before(&mut self, bytes: &mut [u8], fixed_from: usize) {
        let Span { start, len } = self.span;
        let missing = SHORT.saturating_sub(len);
        self.is_alone = start.saturating_sub(missing) >= fixed_from;
        self.end_at = u32::try_from(self.span.end().saturating_sub(SHORT)).unwrap_or(u32::MAX);
        let word = self.end(bytes).map_or(0, |word| u64::from_le_bytes(*word));
        let shift = u32::try_from(8 * missing).unwrap_or(u64::BITS);
        self.before = word & !u64::MAX.checked_shl(shift).unwrap_or(0);
    }

    /// Writes a short value where it is as long as the last one and stands alone; says whether it does.
    #[inline(always)]
    pub fn put_short(&mut self, bytes: &mut [u8], text: Short) -> bool {
        if !self.is_alone || self.span.len != text.len {
            return false;
        }
        let Some(room) = self.end(bytes) else { return false };
        *room = (self.before | text.alone()).to_le_bytes();
        self.forget();
        true
    }

    /// Writes the last four digits of a number of which the others stand here; the sum of its text.
    #[inline(always)]
    pub fn put_digits(&mut self, bytes: &mut [u8], number: u64, frame: &Frame) -> Option<u8> {
        let Run { from, len, even, scale, .. } = self.run;
        if number.wrapping_sub(from) >= len || scale != frame.scale() {
            return None;
        }
        let digits = four_digits(number - even);
        *self.end(bytes)? = (self.run.end | frame.tail(digits)).to_le_bytes();
        self.steady = None;
        Some(self.run.sum.wrapping_add(sum_of_digits(digits)))
    }

    /// The same of a number that mostly stands here already.
    #[inline(always)]
    pub fn put_steady(&mut self, bytes: &mut [u8], number: u64, frame: &Frame) -> Option<u8> {
        if let Some((standing, sum)) = self.steady
            && standing == number
            && self.run.scale == frame.scale()
        {
            return Some(sum);
        }
        let sum = self.put_digits(bytes, number, frame)?;
        self.steady = Some((number, sum));
        Some(sum)
    }

    /// Writes the last eight bytes of a time of which the others stand here; says whether they do.
    #[inline(always)]
    pub fn put_end(&self, bytes: &mut [u8], head: u64, end: [u8; SHORT]) -> bool {
        self.head == head && self.end(bytes).map(|room| *room = end).is_some()
    }

    /// The eight bytes that end with the value.
    #[inline(always)]
    fn end<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b mut [u8; SHORT]> {
        let at = self.end_at as usize;
        bytes.get_mut(at..at + SHORT)?.first_chunk_mut()
    }
}

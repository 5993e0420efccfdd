//! Hot messages, prepared once and filled: the values that change are written over the last ones.
//!
//! Fed by order entry, whose thread owns the template; the bytes go to the store and the socket.
//! Budget: 40 ns a message, no allocation. A slot keeps the width of its last value, so that nothing
//! needs leading zeros, which some venues refuse; a value of another width (MsgSeqNum 999 to 1000)
//! moves what follows it, once. What is fixed is summed when it is laid out and each value while it is
//! written, so that CheckSum needs no second look at the bytes. Every slot is set in every message: a
//! forgotten one keeps the message in, and never goes out with the value of the message before.

use super::checksum::{checksum, trailer_end};
use super::encode::{EncodeError, Encoder};
use super::place::{Place, Span};
use super::timestamp::TimestampText;
use super::value::NumberText;
use super::word::{Frame, Long, SHORT, Short, copy_text};
use super::{SOH, tag};
use ballast_engine::units::Decimal;

/// Most slots of a template: one bit each says whether it was set.
const SLOTS_MAX: usize = 32;
/// `10=ddd` and its SOH.
const TRAILER_LEN: usize = 7;

/// One field of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// The same in every message.
    Fixed(u32, &'a [u8]),
    /// Set before a message goes out.
    Slot(u32),
}

/// Why there is no template, or no message from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TemplateError {
    /// A part or a value cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// More slots than [`Template::new`] takes.
    #[error("a template has at most 32 slots")]
    TooManySlots,
    /// A slot was not set, or more than once.
    #[error("the slot for tag {tag} was not set once")]
    Unset {
        /// Its tag.
        tag: u32,
    },
}

/// A slot of one template, as [`Template::slot`] found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    place: usize,
    bit: u32,
}

/// What a count is counted in: the texts of its multiples, prepared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit {
    decimal: Decimal,
    frame: Frame,
}

impl Unit {
    /// Of what is counted one by one.
    const ONE: Unit = Unit { decimal: Decimal { mantissa: 1, scale: 0 }, frame: Frame::WHOLE };

    /// Its multiples are written with its digits.
    pub fn new(decimal: Decimal) -> Unit {
        Unit { decimal, frame: Frame::of(decimal.scale) }
    }

    /// The digits of so many. What is negative is beyond every limit.
    #[inline(always)]
    fn times(&self, count: i64) -> Option<u64> {
        count.checked_mul(self.decimal.mantissa).map(i64::cast_unsigned)
    }
}

/// A whole message with places to fill.
#[derive(Debug)]
pub struct Template {
    bytes: Box<[u8]>,
    /// Length of the message.
    len: usize,
    /// In wire order, and what they are.
    slots: [Place; SLOTS_MAX],
    tags: [u32; SLOTS_MAX],
    /// One bit a slot.
    all: u32,
    body_length: Span,
    /// Where the body begins: BodyLength(9) counts from here.
    body_at: usize,
    /// Sum of all bytes before CheckSum(10) that stand in no slot.
    fixed: u8,
    error: Option<EncodeError>,
}

/// One message in the making: every slot is set once, then it is sealed.
#[must_use = "a message is whole only after seal()"]
pub struct Filling<'t> {
    template: &'t mut Template,
    /// One bit a slot that is to be set.
    unset: u32,
    /// Sum of the values so far.
    sum: u8,
}

impl Template {
    /// Renders the parts in their order. `len_max` is the longest message that may come of it.
    ///
    /// # Errors
    /// The parts do not fit or are no legal values, or there are more than 32 slots.
    pub fn new(
        begin_string: &[u8],
        msg_type: &[u8],
        parts: &[Part<'_>],
        len_max: usize,
    ) -> Result<Template, TemplateError> {
        let mut bytes = vec![0u8; len_max].into_boxed_slice();
        let mut encoder = Encoder::begin(&mut bytes, begin_string, msg_type);
        for part in parts {
            match part {
                Part::Fixed(tag, value) => encoder.bytes(*tag, value),
                Part::Slot(tag) => encoder.bytes(*tag, b"0"),
            };
        }
        let len = encoder.finish()?;
        let (mut slots, mut tags) = ([Place::default(); SLOTS_MAX], [tag::INVALID; SLOTS_MAX]);
        let (mut free, mut all) = (slots.iter_mut().zip(&mut tags), 0);
        let (mut body_at, mut start) = (0, 0);
        let mut body_length = Span::default();
        let mut next_part = parts.iter();
        let message = bytes.get(..len).unwrap_or_default();
        for (field, place) in message.split_inclusive(|byte| *byte == SOH).zip(0usize..) {
            let value = field.iter().position(|byte| *byte == b'=').unwrap_or(0) + 1;
            let span = Span { start: start + value, len: field.len() - value - 1 };
            if place == 1 {
                body_length = span;
                body_at = start + field.len();
            } else if place > 2
                && let Some(Part::Slot(tag)) = next_part.next()
            {
                let (slot, its_tag) = free.next().ok_or(TemplateError::TooManySlots)?;
                (slot.span, *its_tag) = (span, *tag);
                all = all << 1 | 1;
            }
            start += field.len();
        }
        let mut template =
            Template { bytes, len, slots, tags, all, body_length, body_at, fixed: 0, error: None };
        template.look_again();
        Ok(template)
    }

    /// The slot for a tag.
    pub fn slot(&self, tag: u32) -> Option<Slot> {
        let place = self.tags.iter().position(|slot| *slot == tag)?;
        Some(Slot { place, bit: 1 << place })
    }

    /// Begins the next message.
    #[inline(always)]
    pub fn fill(&mut self) -> Filling<'_> {
        self.error = None;
        Filling { unset: self.all, sum: 0, template: self }
    }

    #[cold]
    #[inline(never)]
    fn complaint(&mut self, unset: u32) -> TemplateError {
        if let Some(error) = self.error.take() {
            return TemplateError::Encode(error);
        }
        let first = self.tags.get(unset.trailing_zeros() as usize);
        TemplateError::Unset { tag: first.copied().unwrap_or(tag::INVALID) }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&mut self, slot: Slot, is_empty: bool) {
        let tag = self.tags.get(slot.place).copied().unwrap_or(tag::INVALID);
        self.error.get_or_insert(match is_empty {
            true => EncodeError::EmptyValue { tag },
            false => EncodeError::SeparatorInValue { tag },
        });
    }

    /// Makes room for a value of another width, and lets BodyLength(9) follow; says whether there was
    /// room.
    #[cold]
    #[inline(never)]
    fn resize(&mut self, slot: Slot, len: usize) -> bool {
        let Some(span) = self.slots.get(slot.place).map(|place| place.span) else { return false };
        // One more for a digit of BodyLength.
        if (self.len + len + 1).saturating_sub(span.len) > self.bytes.len() {
            self.error.get_or_insert(EncodeError::Overflow);
            return false;
        }
        self.stretch(span, len);
        let body_len = (self.len - TRAILER_LEN).saturating_sub(self.body_at);
        let text = NumberText::uint(body_len as u64);
        let (span, text) = (self.body_length, text.as_bytes());
        self.stretch(span, text.len());
        let place = self.bytes.get_mut(span.start..span.start + text.len());
        place.unwrap_or_default().copy_from_slice(text);
        self.look_again();
        true
    }

    /// Moves what stands behind a value that becomes `len` long.
    fn stretch(&mut self, span: Span, len: usize) {
        let (from, to) = (span.start + span.len, span.start + len);
        self.bytes.copy_within(from..self.len, to);
        let moved = |at: usize| (at + to).saturating_sub(from);
        self.len = moved(self.len);
        let slots = self.slots.iter_mut().map(|place| &mut place.span);
        for other in slots.chain([&mut self.body_length]) {
            if other.start == span.start {
                other.len = len;
            } else if other.start > span.start {
                other.start = moved(other.start);
            }
        }
        if self.body_at > span.start {
            self.body_at = moved(self.body_at);
        }
    }

    /// Where a value of `len` bytes goes, of which nothing is known from then on.
    #[inline(always)]
    fn room(&mut self, slot: Slot, len: usize) -> Option<&mut [u8]> {
        let at = slot.place % SLOTS_MAX;
        if self.slots.get(at)?.span.len != len && !self.resize(slot, len) {
            return None;
        }
        let place = self.slots.get_mut(at)?;
        place.forget();
        self.bytes.get_mut(place.span.start..)?.get_mut(..len)
    }

    /// Writes a short value; says whether there was room.
    #[inline(always)]
    fn put_short(&mut self, slot: Slot, text: Short) -> bool {
        let place = self.slots.get_mut(slot.place % SLOTS_MAX);
        place.is_some_and(|place| place.put_short(&mut self.bytes, text))
            || self.room(slot, text.len).map(|room| text.write(room)).is_some()
    }

    /// A number that shares less with the one before, of up to sixteen characters, and the sum of its
    /// text.
    fn set_number(&mut self, slot: Slot, number: u64, unit: &Unit) -> Option<u8> {
        let frame = &unit.frame;
        let (end, sum) = if let Some(text) = frame.short(number) {
            (self.put_short(slot, text).then_some(text.alone())?, text.sum)
        } else {
            let text = Long::scaled(number, frame.scale())?;
            text.write(self.room(slot, text.len)?);
            (text.end(), text.sum)
        };
        let place = self.slots.get_mut(slot.place % SLOTS_MAX)?;
        place.keep_number(number, frame, end, sum);
        Some(sum)
    }

    #[cold]
    #[inline(never)]
    fn set_uint(&mut self, slot: Slot, value: u64) -> Option<u8> {
        let sum = self.set_number(slot, value, &Unit::ONE);
        sum.or_else(|| self.set_text(slot, NumberText::uint(value).as_bytes()))
    }

    #[cold]
    #[inline(never)]
    fn set_decimal(&mut self, slot: Slot, count: i64, unit: &Unit) -> Option<u8> {
        let product = unit.times(count);
        let sum = product.and_then(|product| self.set_number(slot, product, unit));
        sum.or_else(|| self.set_text(slot, NumberText::decimal(count, unit.decimal).as_bytes()))
    }

    /// A time of another second; says whether there was room.
    #[cold]
    #[inline(never)]
    fn set_time(&mut self, slot: Slot, text: &TimestampText) -> bool {
        if self.set_text(slot, text.as_bytes()).is_none() {
            return false;
        }
        let place = self.slots.get_mut(slot.place % SLOTS_MAX);
        place.map(|place| place.keep_time(text.head())).is_some()
    }

    fn set_text(&mut self, slot: Slot, text: &[u8]) -> Option<u8> {
        self.room(slot, text.len())?.copy_from_slice(text);
        Some(checksum(text))
    }

    /// Sums what is fixed, and notes what stands before the values.
    fn look_again(&mut self) {
        let sum = |span: &Span| {
            checksum(
                self.bytes.get(span.start..).and_then(|b| b.get(..span.len)).unwrap_or_default(),
            )
        };
        let all = checksum(self.bytes.get(..self.len - TRAILER_LEN).unwrap_or_default());
        let slots = || self.slots.iter().map(|place| &place.span);
        self.fixed = slots().fold(all, |rest, span| rest.wrapping_sub(sum(span)));
        let mut fixed_from = self.body_at;
        for place in self.slots.iter_mut().take(self.all.count_ones() as usize) {
            place.look_before(&mut self.bytes, fixed_from);
            fixed_from = place.span.end();
        }
    }
}

impl<'t> Filling<'t> {
    /// Sets a slot to text.
    #[inline(always)]
    pub fn bytes(self, slot: Slot, value: &[u8]) -> Self {
        if value.is_empty() {
            self.template.refuse(slot, true);
            return self;
        }
        let Some(room) = self.template.room(slot, value.len()) else { return self };
        let (sum, is_split) = if value.len() <= SHORT {
            let word = Short::text(value);
            word.write(room);
            (word.sum, word.has_soh())
        } else {
            copy_text(room, value)
        };
        if is_split {
            self.template.refuse(slot, false);
            return self;
        }
        self.count(slot, sum)
    }

    /// Sets a slot to a number.
    #[inline(always)]
    pub fn uint(self, slot: Slot, value: u64) -> Self {
        let Template { slots, bytes, .. } = &mut *self.template;
        if let Some(place) = slots.get_mut(slot.place % SLOTS_MAX)
            && let Some(sum) = place.put_digits(bytes, value, &Frame::WHOLE)
        {
            return self.count(slot, sum);
        }
        match self.template.set_uint(slot, value) {
            Some(sum) => self.count(slot, sum),
            None => self,
        }
    }

    /// Sets a slot to `count × unit` with the unit's digits.
    #[inline(always)]
    pub fn decimal(self, slot: Slot, count: i64, unit: &Unit) -> Self {
        let Template { slots, bytes, .. } = &mut *self.template;
        if let Some(product) = unit.times(count)
            && let Some(place) = slots.get_mut(slot.place % SLOTS_MAX)
            && let Some(sum) = place.put_digits(bytes, product, &unit.frame)
        {
            return self.count(slot, sum);
        }
        match self.template.set_decimal(slot, count, unit) {
            Some(sum) => self.count(slot, sum),
            None => self,
        }
    }

    /// The same of a count that is mostly what it was in the message before.
    #[inline(always)]
    pub fn steady(self, slot: Slot, count: i64, unit: &Unit) -> Self {
        let Template { slots, bytes, .. } = &mut *self.template;
        if let Some(product) = unit.times(count)
            && let Some(place) = slots.get_mut(slot.place % SLOTS_MAX)
            && let Some(sum) = place.put_steady(bytes, product, &unit.frame)
        {
            return self.count(slot, sum);
        }
        match self.template.set_decimal(slot, count, unit) {
            Some(sum) => self.count(slot, sum),
            None => self,
        }
    }

    /// Sets a slot to the time that a text holds.
    #[inline(always)]
    pub fn timestamp(self, slot: Slot, text: &TimestampText) -> Self {
        let (end, sum) = text.end();
        let Template { slots, bytes, .. } = &mut *self.template;
        // Within a second, only the end differs.
        let place = slots.get(slot.place % SLOTS_MAX);
        if place.is_some_and(|place| place.put_end(bytes, text.head(), end))
            || self.template.set_time(slot, text)
        {
            return self.count(slot, sum);
        }
        self
    }

    /// Finishes CheckSum(10) and gives the whole message.
    ///
    /// # Errors
    /// A slot was not set once, or a value did not fit or was no legal value; the next message starts
    /// without that error.
    #[inline(always)]
    pub fn seal(self) -> Result<&'t [u8], TemplateError> {
        let Filling { template, unset, sum } = self;
        if unset != 0 {
            return Err(template.complaint(unset));
        }
        let at = template.len - 4;
        let place = template.bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>());
        if let Some(place) = place {
            *place = trailer_end(template.fixed.wrapping_add(sum));
        }
        Ok(template.bytes.get(..template.len).unwrap_or_default())
    }

    #[inline(always)]
    fn count(mut self, slot: Slot, sum: u8) -> Self {
        self.sum = self.sum.wrapping_add(sum);
        // Set twice is not set: both values are in the sum.
        self.unset ^= slot.bit;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Frame, frame};
    use super::super::timestamp::Precision;
    use super::*;
    use ballast_engine::units::Nanos;

    #[test]
    fn any_sequence_of_values_of_any_width_gives_what_a_new_message_would() {
        let parts =
            [Part::Fixed(49, b"A"), Part::Slot(34), Part::Slot(11), Part::Slot(44), Part::Slot(58)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 400).unwrap();
        let [number, id, price, text] = [34, 11, 44, 58].map(|tag| template.slot(tag).unwrap());
        let unit = |scale| Decimal { mantissa: 5, scale };
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut buffer = [0u8; 400];
        for n in 0..20_000u32 {
            state = state.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            // Every width comes, and now and then the same value again.
            let value = if n % 5 == 0 { 7 } else { state >> (state % 64) };
            let count = (value >> 4).cast_signed() * if n % 11 == 0 { -1 } else { 1 };
            let scale = unit(u8::try_from(n % 4).unwrap() * 5);
            let word = &b"a text of forty bytes, cut where it falls"[..1 + n as usize % 40];
            let filling = template.fill().uint(number, u64::from(n)).uint(id, value);
            let filled =
                filling.decimal(price, count, &Unit::new(scale)).bytes(text, word).seal().unwrap();
            let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"D");
            encoder.bytes(49, b"A").uint(34, u64::from(n)).uint(11, value);
            encoder.decimal(44, count, scale).bytes(58, word);
            let len = encoder.finish().unwrap();
            assert_eq!(String::from_utf8_lossy(filled), String::from_utf8_lossy(&buffer[..len]));
        }
    }

    #[test]
    fn a_time_of_every_precision_is_what_a_new_message_would_have() {
        for precision in
            [Precision::Seconds, Precision::Millis, Precision::Micros, Precision::Nanos]
        {
            let mut template = Template::new(b"FIX.4.4", b"0", &[Part::Slot(52)], 100).unwrap();
            let slot = template.slot(52).unwrap();
            let mut text = TimestampText::new(precision);
            let mut buffer = [0u8; 100];
            for n in 0..5_000u64 {
                let at = Nanos(1_723_161_590_000_000_000 + n * n * 104_729);
                let filled = template.fill().timestamp(slot, text.at(at)).seal().unwrap();
                let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"0");
                encoder.bytes(52, TimestampText::new(precision).write(at));
                let len = encoder.finish().unwrap();
                assert_eq!(
                    String::from_utf8_lossy(filled),
                    String::from_utf8_lossy(&buffer[..len])
                );
            }
        }
    }

    #[test]
    fn what_is_known_of_a_value_is_forgotten_with_it() {
        let parts = [Part::Slot(54), Part::Slot(38), Part::Slot(60)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 90).unwrap();
        let [side, size, time] = [54, 38, 60].map(|tag| template.slot(tag).unwrap());
        let mut texts =
            [TimestampText::new(Precision::Millis), TimestampText::new(Precision::Nanos)];
        let one = Unit::new(Decimal { mantissa: 1, scale: 0 });
        let mut number = 7u64;
        for n in 0..30_000u64 {
            // Small steps, over tens and over widths; the same twice; now and then another kind.
            number = if n % 500 == 0 { n % 97 } else { number + n * n % 13 };
            let at = Nanos(1_723_161_590_000_000_000 + n * 104_729_133 % 7_000_000_000);
            let text = texts[usize::from(n % 64 > 30)].at(at);
            let filling = template.fill().timestamp(time, text);
            let filling = match n % 8 {
                0 => filling.bytes(size, b"9").bytes(side, b"5"),
                1 => filling.decimal(size, number.cast_signed(), &one).uint(side, 2),
                4 => filling.steady(size, number.cast_signed(), &one).uint(side, 9),
                5 => filling.steady(size, (number & !7).cast_signed(), &one).uint(side, 1),
                2 => filling.bytes(size, b"1\x012").uint(side, number),
                3 => filling.bytes(size, &[b'8'; 60]).uint(side, number),
                _ => filling.uint(size, number).uint(side, number % 10),
            };
            let sealed =
                filling.seal().map(|bytes| frame(bytes, 90) == Frame::Message { len: bytes.len() });
            assert_eq!(sealed.ok(), (n % 8 != 2 && n % 8 != 3).then_some(true), "{n}");
            let filling = template.fill().timestamp(time, text).uint(side, number);
            let bytes = match n % 3 {
                0 => filling.steady(size, number.cast_signed() + 1, &one),
                _ => filling.uint(size, number + 1),
            };
            let bytes = bytes.seal().unwrap();
            let time = String::from_utf8_lossy(text.as_bytes());
            let fields = format!("\x0154={number}\x0138={}\x0160={time}\x01", number + 1);
            assert!(String::from_utf8_lossy(bytes).contains(&fields), "{n}: {fields}");
            assert_eq!(frame(bytes, 90), Frame::Message { len: bytes.len() });
        }
    }

    #[test]
    fn numbers_near_each_other_are_what_a_new_message_would_have() {
        let parts = [Part::Slot(38), Part::Fixed(40, b"2"), Part::Slot(44), Part::Slot(54)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 200).unwrap();
        let [size, price, near] = [38, 44, 54].map(|tag| template.slot(tag).unwrap());
        let mut buffer = [0u8; 200];
        for scale in 0..12u8 {
            let unit = Decimal { mantissa: 1, scale };
            // Up and down over each edge of ten thousand, and of a width.
            for edge in [0, 10, 100, 1_000, 10_000, 100_000, 6_170_000, 100_000_000, 12_340_000_000]
            {
                for step in [0i64, 1, 3, -1, 4, 9_999, -9_999, 10_000, 2, -10_001, -2, -1, 0, 9_000]
                {
                    let count = (edge + step).abs();
                    // Now and then in another unit, in which the number before was no neighbour.
                    let unit = Decimal { scale: scale ^ u8::from(step == 3), ..unit };
                    let number = count.unsigned_abs() + 1;
                    let filling = template.fill().decimal(price, count, &Unit::new(unit));
                    let filling = filling.uint(near, number).steady(size, -step, &Unit::new(unit));
                    let filled = filling.seal().unwrap();
                    let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"D");
                    encoder.decimal(38, -step, unit).bytes(40, b"2").decimal(44, count, unit);
                    encoder.uint(54, number);
                    let len = encoder.finish().unwrap();
                    let whole = String::from_utf8_lossy(&buffer[..len]);
                    assert_eq!(String::from_utf8_lossy(filled), whole, "{scale} {edge} {step}");
                }
            }
        }
    }

    #[test]
    fn a_slot_that_was_not_set_in_this_message_keeps_it_in() {
        let parts = [Part::Slot(34), Part::Slot(11)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 100).unwrap();
        let [number, id] = [34, 11].map(|tag| template.slot(tag).unwrap());
        for _ in 0..2 {
            let half = template.fill().uint(number, 5).seal().err();
            assert_eq!(half, Some(TemplateError::Unset { tag: 11 }));
            let twice =
                template.fill().uint(number, 5).uint(number, 6).bytes(id, b"x").seal().err();
            assert_eq!(twice, Some(TemplateError::Unset { tag: 34 }));
            assert!(template.fill().uint(number, 5).bytes(id, b"x").seal().is_ok());
        }
    }

    #[test]
    fn a_value_with_a_separator_or_without_room_is_an_error_once() {
        let parts = [Part::Slot(11)];
        let mut template = Template::new(b"FIX.4.4", b"D", &parts, 60).unwrap();
        let slot = template.slot(11).unwrap();
        for (value, error) in [
            (&b"a\x01b"[..], EncodeError::SeparatorInValue { tag: 11 }),
            (b"a long text\x01", EncodeError::SeparatorInValue { tag: 11 }),
            (b"", EncodeError::EmptyValue { tag: 11 }),
            (&[b'x'; 80], EncodeError::Overflow),
        ] {
            assert_eq!(template.fill().bytes(slot, value).seal().err(), Some(error.into()));
        }
        let bytes = template.fill().bytes(slot, b"fine").seal().unwrap();
        assert_eq!(frame(bytes, 60), Frame::Message { len: bytes.len() });
    }

    #[test]
    fn as_many_slots_as_there_are_bits_and_no_more() {
        let parts = |count| (0..count).map(|n| Part::Slot(5_000 + n)).collect::<Vec<_>>();
        let mut template = Template::new(b"FIX.4.4", b"D", &parts(32), 800).unwrap();
        let slots: Vec<Slot> = (0..32).map(|n| template.slot(5_000 + n).unwrap()).collect();
        let filling = slots.iter().fold(template.fill(), |f, slot| f.uint(*slot, 77));
        let len = filling.seal().unwrap().len();
        assert_eq!(len, "8=FIX.4.4|9=256|35=D|10=000|".len() + 32 * "5000=77|".len());
        let refused = Template::new(b"FIX.4.4", b"D", &parts(33), 800);
        assert_eq!(refused.err(), Some(TemplateError::TooManySlots));
    }
}

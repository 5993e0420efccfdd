//! Which tag comes next: the tag order of the last message of a type, compared as text.
//!
//! Fed and asked by the decoder, on its thread. A venue writes the fields of a message type in one
//! order. So a tag need not be read: eight bytes are held against those that stood there last time, and
//! the tag, its length and that it is no data field are known at once. Optional fields and groups of
//! varying length are met by looking a few places ahead, as a comparison of two texts does. A wrong
//! guess costs a comparison and changes no answer: what matches is the literal text up to the `=`.

use super::message::FieldSpan;

/// Longest tag with its `=` that is guessed: six digits.
const TEXT_LEN_MAX: u32 = 7;
/// Message types that are told apart. Two that share a place learn in turn, and stay right.
const TYPES: usize = 16;
/// Fields of a message that are guessed.
const PLACES_MAX: usize = 256;
/// How far ahead a field is looked for after a wrong guess: over what an entry may leave out.
const LOOK_AHEAD: usize = 8;
/// Wrong guesses in a message that are no reason to learn: an optional field, the end of a group.
const MISSES_MIN: usize = 2;

/// A tag as it is written, with its `=`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guess {
    /// The bytes, the first one lowest.
    text: u64,
    /// All bits of those bytes.
    mask: u64,
    /// What they say.
    tag: u32,
    /// How many bytes there are, 2 to 7.
    len: u32,
}

impl Guess {
    /// The tag and its length with the `=`, where `word` begins with it.
    #[inline(always)]
    pub fn read(&self, word: u64) -> Option<(u32, usize)> {
        let is_same = (word ^ self.text) & self.mask == 0;
        is_same.then_some((self.tag, self.len as usize))
    }

    fn new(word: u64, tag: u32, len: usize) -> Option<Guess> {
        let len = u32::try_from(len).ok().filter(|len| (2..=TEXT_LEN_MAX).contains(len))?;
        let mask = u64::MAX.checked_shr(64 - 8 * len)?;
        Some(Guess { text: word & mask, mask, tag, len })
    }
}

/// The tag orders of all message types that a session sees.
#[derive(Debug)]
pub(super) struct Orders {
    orders: Box<[Order]>,
}

/// The tag order of one message type.
#[derive(Debug)]
pub(super) struct Order {
    guesses: Box<[Guess]>,
    len: usize,
}

impl Orders {
    /// Nothing learned yet; room for messages of `fields_max` fields.
    pub fn new(fields_max: usize) -> Orders {
        let places = fields_max.min(PLACES_MAX);
        let order = || Order { guesses: vec![Guess::default(); places].into_boxed_slice(), len: 0 };
        Orders { orders: (0..TYPES).map(|_| order()).collect() }
    }

    /// The order for messages whose MsgType(35) begins with `first`.
    #[inline]
    pub fn of_type(&mut self, first: u8) -> Option<&mut Order> {
        // Tells 0–9, D, F, G, V, W, X and Y apart but for the pairs F and W, G and 0.
        self.orders.get_mut(usize::from((first ^ (first >> 4)) & 15))
    }
}

impl Order {
    /// The guesses, in order.
    #[inline]
    pub fn guesses(&self) -> &[Guess] {
        self.guesses.get(..self.len).unwrap_or_default()
    }

    /// Where to go on guessing after `tag` came where `at` was expected: behind it where it stands
    /// ahead, and where the guess was otherwise, because then the field is one more.
    #[inline(never)]
    pub fn resume(guesses: &[Guess], at: usize, tag: u32) -> usize {
        let ahead = guesses.get(at..).unwrap_or_default().iter().take(LOOK_AHEAD);
        match ahead.zip(at + 1..).find(|(guess, _)| guess.tag == tag) {
            Some((_, behind)) => behind,
            None => at,
        }
    }

    /// Learns from a whole message where the guesses went wrong more often than optional fields
    /// explain. A longer message teaches sooner than a shorter one: to leave a field out costs one wrong
    /// guess, to put one in costs one each time.
    #[inline]
    pub fn learn(&mut self, bytes: &[u8], spans: &[FieldSpan], misses: usize) {
        let is_better = spans.len() > self.len || misses * 2 > spans.len();
        if misses > MISSES_MIN && is_better {
            self.take(bytes, spans);
        }
    }

    #[cold]
    fn take(&mut self, bytes: &[u8], spans: &[FieldSpan]) {
        let mut start = 0;
        self.len = 0;
        for span in spans {
            let value = span.start as usize;
            let guess = Guess::new(word_at(bytes, start), span.tag, value.saturating_sub(start));
            start = span.end as usize + 1;
            // Data fields and what is no tag are read each time.
            let Some(guess) = guess.filter(|guess| is_guessable(guess.tag)) else { continue };
            let Some(place) = self.guesses.get_mut(self.len) else { return };
            *place = guess;
            self.len += 1;
        }
    }
}

fn is_guessable(tag: u32) -> bool {
    tag != super::tag::INVALID && !super::decode::is_data(tag)
}

/// Eight bytes from `start`, the first one lowest; zeros beyond the end.
#[inline(always)]
pub(super) fn word_at(bytes: &[u8], start: usize) -> u64 {
    match bytes.get(start..start.wrapping_add(8)).and_then(|word| word.first_chunk::<8>()) {
        Some(word) => u64::from_le_bytes(*word),
        None => last_word(bytes, start),
    }
}

/// The end of a message, which CheckSum(10) is: 7 bytes.
#[inline(never)]
fn last_word(bytes: &[u8], start: usize) -> u64 {
    let missing = (start.wrapping_add(8)).wrapping_sub(bytes.len());
    let shift = u32::try_from(missing).unwrap_or(8).saturating_mul(8);
    let last = bytes.last_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(last).checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_at_the_end_holds_zeros_behind_it() {
        let bytes = b"abcdefghij";
        assert_eq!(word_at(bytes, 0).to_le_bytes(), *b"abcdefgh");
        assert_eq!(word_at(bytes, 3).to_le_bytes(), *b"defghij\0");
        assert_eq!(word_at(bytes, 10), 0);
        assert_eq!(word_at(b"10=", 0), 0);
    }

    #[test]
    fn a_guess_is_held_against_the_whole_tag_and_its_equals_sign() {
        let word = |text: &[u8; 8]| u64::from_le_bytes(*text);
        let guess = Guess::new(word(b"44=61685"), 44, 3).unwrap();
        assert_eq!(guess.read(word(b"44=\x01xxxx")), Some((44, 3)));
        for other in [b"440=6168", b"4=4=6168", b"45=61685", b"44\x0161685"] {
            assert_eq!(guess.read(word(other)), None);
        }
        assert_eq!(guess.read(0), None);
        assert!(Guess::new(word(b"1234567="), 1_234_567, 8).is_none());
    }

    #[test]
    fn a_field_left_out_and_a_field_put_in_lose_no_place() {
        let guesses: Vec<Guess> =
            [279, 269, 270, 271, 279].map(|tag| Guess { tag, ..Guess::default() }).into();
        assert_eq!(Order::resume(&guesses, 1, 270), 3, "269 was left out");
        assert_eq!(Order::resume(&guesses, 1, 278), 1, "278 was put in");
        assert_eq!(Order::resume(&guesses, 5, 10), 5, "beyond the end");
    }
}

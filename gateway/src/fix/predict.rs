//! Which tag comes next: the tag order of earlier messages of a type, compared as text.
//!
//! Fed and asked by the decoder, on its thread. A venue writes the fields of a message type in one
//! order. So a tag need not be read: eight bytes are held against those that stood there last time, and
//! the tag, its length and that it is no data field are known at once; where all of a message is as it
//! was, so is where to look for which tag. A message of fewer entries is the beginning of a longer one.
//! Messages of one type come in a few shapes (a new order's report, a fill's), which the number of their
//! fields tells apart. Where a message leaves its shape, a few places are looked ahead, as a comparison
//! of two texts does. A wrong guess costs a comparison and changes no answer: what matches is the literal text
//! up to the `=`.

use super::message::{Head, Places};

/// Longest tag with its `=` that is guessed: six digits.
const TEXT_LEN_MAX: u32 = 7;
/// Message types that are told apart. Two that share a place learn in turn, and stay right.
const TYPES: usize = 16;
/// Shapes of one type that are told apart, likewise.
const SHAPES: usize = 4;
/// Fields of a message that are guessed.
const PLACES_MAX: usize = 256;
/// How far ahead a field is looked for after a wrong guess: over what an entry may leave out.
const LOOK_AHEAD: usize = 8;
/// Messages of another shape in a row, after which theirs is the one to expect.
const DOUBTS_MAX: u8 = 4;

/// A tag as it is written, with its `=`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guess {
    /// The bytes, the first one lowest.
    text: u64,
    /// All bits of those bytes.
    mask: u64,
}

impl Guess {
    /// Whether `word` begins with it.
    #[inline(always)]
    fn begins(&self, word: u64) -> bool {
        (word ^ self.text) & self.mask == 0
    }

    /// The tag that is written at the beginning of `word`, where it can be guessed.
    fn new(word: u64, head: Head) -> Option<Guess> {
        // Data fields and what is no tag are read each time.
        let is_data = head.tag == super::tag::INVALID || super::decode::is_data(head.tag);
        if is_data || !(2..=TEXT_LEN_MAX).contains(&head.len) {
            return None;
        }
        let mask = u64::MAX.checked_shr(64 - 8 * head.len)?;
        Some(Guess { text: word & mask, mask })
    }
}

/// The tag orders of all message types that a session sees.
#[derive(Debug)]
pub(super) struct Orders {
    orders: Box<[Order]>,
}

/// The tag order of messages of one shape.
#[derive(Debug)]
pub(super) struct Order {
    guesses: Box<[Guess]>,
    heads: Box<[Head]>,
    /// How many of them are guessed.
    len: usize,
    /// How many fields the message had that was learned, where all of them are guessed.
    whole: usize,
    places: Places,
    /// How many messages of another shape there were since the last of this.
    doubts: u8,
}

impl Orders {
    /// Nothing learned yet; room for messages of `fields_max` fields.
    pub fn new(fields_max: usize) -> Orders {
        let places = fields_max.min(PLACES_MAX);
        let order = || Order {
            guesses: vec![Guess::default(); places].into_boxed_slice(),
            heads: vec![Head::default(); places].into_boxed_slice(),
            len: 0,
            whole: 0,
            places: Places::UNKNOWN.clone(),
            doubts: 0,
        };
        Orders { orders: (0..TYPES * SHAPES).map(|_| order()).collect() }
    }

    /// The order for messages of `count` fields whose MsgType(35) begins with `first`.
    #[inline(always)]
    pub fn of_shape(&mut self, first: u8, count: usize) -> Option<&mut Order> {
        // Tells 0–9, D, F, G, V, W, X and Y apart but for the pairs F and W, G and 0.
        let of_type = usize::from((first ^ (first >> 4)) & 15) * SHAPES;
        self.orders.get_mut(of_type + count % SHAPES)
    }
}

impl Order {
    /// How many of the fields that begin at `starts` have the tags that are expected, up to the first
    /// that has not or that ends the message.
    #[inline(always)]
    pub fn right(&self, bytes: &[u8], starts: &[u32]) -> usize {
        let guesses = self.guesses.get(..self.len).unwrap_or_default();
        let mut right = 0;
        for (guess, start) in guesses.iter().zip(starts) {
            let start = *start as usize;
            let word = bytes.get(start..start.wrapping_add(8)).and_then(|word| word.first_chunk());
            // The text of a guess holds no SOH, so it ends before the field does.
            match word {
                Some(word) if guess.begins(u64::from_le_bytes(*word)) => right += 1,
                _ => break,
            }
        }
        right
    }

    /// Whether a message of so many fields, all as expected, is the one that was learned, or only the
    /// beginning of it.
    #[inline(always)]
    pub fn is_whole(&mut self, count: usize) -> bool {
        self.doubts = 0;
        count == self.whole
    }

    /// The first heads of what was learned.
    #[inline]
    pub fn heads(&self) -> &[Head] {
        self.heads.get(..self.len).unwrap_or_default()
    }

    /// Where to look for which tag in a message that begins as the one that was learned, and that ends
    /// there with CheckSum(10).
    #[inline(always)]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The head of a field that begins with `word`, where it is the one that is expected at `at`.
    #[inline(always)]
    pub fn guess(&self, at: usize, word: u64) -> Option<Head> {
        let head = self.heads().get(at)?;
        self.guesses.get(at)?.begins(word).then_some(*head)
    }

    /// Where to go on guessing after `tag` came where `at` was expected: behind it where it stands
    /// ahead, and where the guess was otherwise, because then the field is one more.
    #[inline]
    pub fn resume(&self, at: usize, tag: u32) -> usize {
        let ahead = self.heads().get(at..).unwrap_or_default().iter().take(LOOK_AHEAD);
        match ahead.zip(at + 1..).find(|(head, _)| head.tag == tag) {
            Some((_, behind)) => behind,
            None => at,
        }
    }

    /// Learns from a whole message of which the first `right` fields were as expected: at once what goes
    /// on where the last one ended, and another shape once it has come a few times in a row.
    #[inline]
    pub fn learn(&mut self, bytes: &[u8], starts: &[u32], heads: &[Head], right: usize) {
        // Where what is learned ends because no more can be, there is nothing new.
        let next = heads.get(right).zip(starts.get(right));
        let can_go_on = self.len < self.guesses.len()
            && next.is_some_and(|(head, at)| {
                Guess::new(word_at(bytes, *at as usize), *head).is_some()
            });
        if right == self.len && !can_go_on {
            return;
        }
        let is_longer = heads.len() > self.len && right + 1 >= self.len;
        self.doubts += 1;
        if is_longer || self.doubts >= DOUBTS_MAX {
            self.take(bytes, starts, heads);
        }
    }

    #[cold]
    fn take(&mut self, bytes: &[u8], starts: &[u32], heads: &[Head]) {
        (self.len, self.whole, self.doubts) = (0, 0, 0);
        for (head, start) in heads.iter().zip(starts) {
            let Some(guess) = Guess::new(word_at(bytes, *start as usize), *head) else { break };
            let places = (self.guesses.get_mut(self.len), self.heads.get_mut(self.len));
            let (Some(text), Some(place)) = places else { break };
            (*text, *place) = (guess, *head);
            self.len += 1;
        }
        let is_sealed = heads.last().is_some_and(|head| *head == Head::CHECK_SUM);
        if self.len == heads.len() && is_sealed {
            self.whole = self.len;
        }
        self.places = Places::of(self.heads());
    }
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
        let guess = Guess::new(word(b"44=61685"), Head { tag: 44, len: 3 }).unwrap();
        assert!(guess.begins(word(b"44=\x01xxxx")));
        for other in [b"440=6168", b"4=4=6168", b"45=61685", b"44\x0161685"] {
            assert!(!guess.begins(word(other)));
        }
        assert!(!guess.begins(0));
        assert!(Guess::new(word(b"1234567="), Head { tag: 1_234_567, len: 8 }).is_none());
        assert!(Guess::new(word(b"96=xxxxx"), Head { tag: 96, len: 3 }).is_none(), "data");
    }

    #[test]
    fn a_field_left_out_and_a_field_put_in_lose_no_place() {
        let mut orders = Orders::new(8);
        let order = orders.of_shape(b'X', 5).unwrap();
        let bytes = b"279=0\x01269=0\x01270=1\x01271=2\x01279=1\x01";
        let heads = [279, 269, 270, 271, 279].map(|tag| Head { tag, len: 4 });
        order.learn(bytes, &[0, 6, 12, 18, 24, 30], &heads, 0);
        assert_eq!(order.resume(1, 270), 3, "269 was left out");
        assert_eq!(order.resume(1, 278), 1, "278 was put in");
        assert_eq!(order.resume(5, 10), 5, "beyond the end");
    }
}

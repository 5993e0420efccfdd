//! What a decoded message says: its fields in wire order, typed values, repeating groups.
//!
//! Fed by the decoder; read by the session, order entry, market data and validation, on the same
//! thread and before the buffer moves on: a [`Message`] borrows the received bytes. Nothing is copied,
//! converted or checked before it is asked for. Which tags a message should have is the
//! dictionary's business.

use super::{tag, timestamp, value};
use ballast_engine::units::{Decimal, Nanos};
use std::iter::Zip;
use std::slice::Iter;

/// What stands before a field's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Head {
    /// The tag; [`tag::INVALID`] where it is a number that no tag can be (0, −1).
    pub tag: u32,
    /// How many bytes it takes, with its `=`.
    pub len: u32,
}

impl Head {
    /// What every message ends with.
    pub const CHECK_SUM: Head = Head { tag: tag::CHECK_SUM, len: 3 };
}

/// Which field has which tag, by the tag's lowest bits: a place to look at first, or
/// [`ABSENT`](Places::ABSENT).
#[derive(Clone, Debug)]
pub(super) struct Places([u8; Places::COUNT]);

impl Places {
    const COUNT: usize = 128;
    /// No field has a tag with these bits.
    const ABSENT: u8 = u8::MAX;
    /// Of a message whose tags nobody has looked at: says where to look, and it will not be there.
    pub const UNKNOWN: &'static Places = &Places([0; Places::COUNT]);

    /// The first field of each tag; CheckSum(10) may be anywhere.
    pub fn of(heads: &[Head]) -> Places {
        let mut places = Places([Places::ABSENT; Places::COUNT]);
        for (head, place) in heads.iter().zip(0..Places::ABSENT) {
            places.note(head.tag, place);
        }
        // Tags beyond those that a byte counts, and the CheckSum of a shorter message.
        let uncounted = heads.iter().skip(usize::from(Places::ABSENT));
        uncounted.for_each(|head| places.note(head.tag, 0));
        places.note(tag::CHECK_SUM, 0);
        places
    }

    fn note(&mut self, tag: u32, place: u8) {
        if let Some(slot) = self.0.get_mut(Places::slot(tag))
            && *slot == Places::ABSENT
        {
            *slot = place;
        }
    }

    #[inline(always)]
    fn at(&self, tag: u32) -> u8 {
        self.0.get(Places::slot(tag)).copied().unwrap_or(0)
    }

    #[inline(always)]
    const fn slot(tag: u32) -> usize {
        tag as usize % Places::COUNT
    }
}

/// One field of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// The tag; [`tag::INVALID`] where it is a number that no tag can be (0, −1).
    pub tag: u32,
    /// The value, without its SOH; may be empty.
    pub value: &'a [u8],
}

/// Why a field could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FieldError {
    /// The message does not have it.
    #[error("tag {tag} is missing")]
    Missing {
        /// Which.
        tag: u32,
    },
    /// Its value is not of its type, or does not fit.
    #[error("tag {tag} holds no value of its type")]
    Malformed {
        /// Which.
        tag: u32,
    },
    /// A repeating group does not have as many entries as its counter says.
    #[error("the group counted by tag {tag} does not have as many entries")]
    WrongCount {
        /// The group's counter.
        tag: u32,
    },
}

/// A whole, well-framed message. `Copy`: it is a few slices.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    all: View<'a>,
    places: &'a Places,
}

impl<'a> Message<'a> {
    /// `starts` is where each field begins, and the end of the last one.
    #[inline(always)]
    pub(super) fn new(
        bytes: &'a [u8],
        starts: &'a [u32],
        heads: &'a [Head],
        places: &'a Places,
    ) -> Message<'a> {
        Message { all: View { bytes, starts, heads }, places }
    }

    /// The message as it came, from `8=` to the last SOH.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.all.bytes
    }

    /// BeginString(8).
    pub fn begin_string(&self) -> &'a [u8] {
        self.nth(0)
    }

    /// MsgType(35).
    #[inline]
    pub fn msg_type(&self) -> &'a [u8] {
        self.nth(2)
    }

    /// MsgSeqNum(34).
    pub fn msg_seq_num(&self) -> Result<u64, FieldError> {
        self.uint(tag::MSG_SEQ_NUM)
    }

    /// SenderCompID(49); empty where absent.
    pub fn sender_comp_id(&self) -> &'a [u8] {
        self.get(tag::SENDER_COMP_ID).unwrap_or_default()
    }

    /// TargetCompID(56); empty where absent.
    pub fn target_comp_id(&self) -> &'a [u8] {
        self.get(tag::TARGET_COMP_ID).unwrap_or_default()
    }

    /// SendingTime(52).
    pub fn sending_time(&self) -> Result<Nanos, FieldError> {
        self.timestamp(tag::SENDING_TIME)
    }

    /// OrigSendingTime(122), where given.
    pub fn orig_sending_time(&self) -> Result<Option<Nanos>, FieldError> {
        optional(self.timestamp(tag::ORIG_SENDING_TIME))
    }

    /// PossDupFlag(43) is `Y`.
    pub fn is_poss_dup(&self) -> bool {
        self.get(tag::POSS_DUP_FLAG) == Some(b"Y")
    }

    /// PossResend(97) is `Y`.
    pub fn is_poss_resend(&self) -> bool {
        self.get(tag::POSS_RESEND) == Some(b"Y")
    }

    /// All fields in wire order, from BeginString(8) to CheckSum(10).
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        self.all.fields()
    }

    /// Those behind MsgType(35), which stands third: framing sees to it.
    #[inline]
    pub(crate) fn behind_msg_type(&self) -> Fields<'a> {
        self.all.split_at(3).map_or(self.all, |(_, behind)| behind).fields()
    }

    /// How many fields there are.
    pub fn field_count(&self) -> usize {
        self.all.heads.len()
    }

    /// The field at a place in wire order, 0 being BeginString(8).
    #[inline]
    pub fn field_at(&self, place: usize) -> Option<Field<'a>> {
        let head = self.all.heads.get(place)?;
        Some(Field { tag: head.tag, value: self.all.value_at(place)? })
    }

    /// The tag of the field at `place` as it was written: what RefTagID(371) repeats.
    pub fn tag_text_at(&self, place: usize) -> &'a [u8] {
        let View { bytes, starts, heads } = self.all;
        let (Some(start), Some(head)) = (starts.get(place), heads.get(place)) else { return &[] };
        let text = bytes.get(*start as usize..).and_then(|rest| rest.get(..head.len as usize));
        text.and_then(|text| text.strip_suffix(b"=")).unwrap_or_default()
    }

    #[inline]
    fn nth(&self, place: usize) -> &'a [u8] {
        self.all.value_at(place).unwrap_or_default()
    }

    /// The fields as a view that can be asked for tags and groups.
    #[inline]
    pub fn view(&self) -> View<'a> {
        self.all
    }

    /// The first field with this tag.
    #[inline(always)]
    fn find(&self, tag: u32) -> Option<usize> {
        let place = self.places.at(tag);
        if place == Places::ABSENT {
            return None;
        }
        let place = usize::from(place);
        match self.all.heads.get(place) {
            Some(head) if head.tag == tag => Some(place),
            _ => self.all.search(tag),
        }
    }
}

/// The questions that a message and a group's entry answer alike.
macro_rules! typed_access {
    ($($owner:ident),*) => { $(
        impl<'a> $owner<'a> {
            /// The value of the first field with this tag.
            #[inline]
            pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
                self.all().value_at(self.find(tag)?)
            }

            /// The value of the first field with this tag, which must be there and not be empty.
            #[inline]
            pub fn text(&self, tag: u32) -> Result<&'a [u8], FieldError> {
                match self.get(tag) {
                    Some([]) => Err(FieldError::Malformed { tag }),
                    Some(value) => Ok(value),
                    None => Err(FieldError::Missing { tag }),
                }
            }

            /// A number without sign: a sequence number, a count, a length.
            #[inline]
            pub fn uint(&self, tag: u32) -> Result<u64, FieldError> {
                self.parsed(tag, value::parse_uint)
            }

            /// A number with an optional minus.
            #[inline]
            pub fn int(&self, tag: u32) -> Result<i64, FieldError> {
                self.parsed(tag, value::parse_int)
            }

            /// A price, size or rate, exactly.
            #[inline]
            pub fn decimal(&self, tag: u32) -> Result<Decimal, FieldError> {
                self.parsed(tag, |text| Decimal::parse(text).ok())
            }

            /// One character.
            #[inline]
            pub fn char(&self, tag: u32) -> Result<u8, FieldError> {
                self.parsed(tag, value::parse_char)
            }

            /// `Y` or `N`.
            #[inline]
            pub fn bool(&self, tag: u32) -> Result<bool, FieldError> {
                self.parsed(tag, value::parse_bool)
            }

            /// A UTCTimestamp.
            #[inline]
            pub fn timestamp(&self, tag: u32) -> Result<Nanos, FieldError> {
                self.parsed(tag, timestamp::parse)
            }

            /// The repeating group counted by `count_tag`, whose entries all begin with `delimiter`.
            ///
            /// `Ok` with no entries where the counter is absent or 0. The last entry reaches to the
            /// end of the message (or of the entry around it): only a dictionary knows where a group
            /// ends, so do not ask an entry for a tag that may also follow the group.
            #[inline]
            pub fn group(&self, count_tag: u32, delimiter: u32) -> Result<Group<'a>, FieldError> {
                self.all().group_behind(self.find(count_tag), count_tag, delimiter)
            }

            #[inline]
            fn parsed<T>(
                &self,
                tag: u32,
                parse: impl Fn(&'a [u8]) -> Option<T>,
            ) -> Result<T, FieldError> {
                match self.get(tag) {
                    Some(value) => parse(value).ok_or(FieldError::Malformed { tag }),
                    None => Err(FieldError::Missing { tag }),
                }
            }
        }
    )* };
}

typed_access!(Message, View);

impl<'a> Message<'a> {
    #[inline(always)]
    fn all(&self) -> View<'a> {
        self.all
    }
}

/// Some consecutive fields of a message: one entry of a repeating group.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    /// Where each field begins, and the end of the last one.
    starts: &'a [u32],
    heads: &'a [Head],
}

impl<'a> View<'a> {
    /// The fields in wire order.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        let start = self.starts.first().copied().unwrap_or(0);
        let ends = self.starts.get(1..).unwrap_or_default();
        Fields { bytes: self.bytes, start, rest: self.heads.iter().zip(ends) }
    }

    #[inline(always)]
    fn all(&self) -> View<'a> {
        *self
    }

    #[inline(always)]
    fn find(&self, tag: u32) -> Option<usize> {
        self.heads.iter().position(|head| head.tag == tag)
    }

    /// The same of a whole message that has not the shape that was expected.
    #[inline(never)]
    fn search(&self, tag: u32) -> Option<usize> {
        self.find(tag)
    }

    #[inline(always)]
    fn value_at(&self, place: usize) -> Option<&'a [u8]> {
        let head = self.heads.get(place)?;
        let [start, end] = self.starts.get(place..)?.first_chunk::<2>()?;
        value_of(self.bytes, *start, *head, *end)
    }

    /// The entries behind the counter, which stands at `at`.
    #[inline]
    fn group_behind(
        &self,
        at: Option<usize>,
        count_tag: u32,
        delimiter: u32,
    ) -> Result<Group<'a>, FieldError> {
        let none = Group { rest: View { bytes: self.bytes, starts: &[], heads: &[] }, delimiter };
        let Some(at) = at else { return Ok(none) };
        let counter = self.value_at(at).unwrap_or_default();
        let count = value::parse_uint(counter).ok_or(FieldError::Malformed { tag: count_tag })?;
        let (_, rest) = self.split_at(at + 1).ok_or(FieldError::Malformed { tag: count_tag })?;
        let found = rest.heads.iter().filter(|head| head.tag == delimiter).count();
        let begins_right = rest.heads.first().is_some_and(|head| head.tag == delimiter);
        if found as u64 != count || (count > 0 && !begins_right) {
            return Err(FieldError::WrongCount { tag: count_tag });
        }
        Ok(if count == 0 { none } else { Group { rest, delimiter } })
    }

    /// The first `count` fields and those behind them.
    #[inline(always)]
    fn split_at(&self, count: usize) -> Option<(View<'a>, View<'a>)> {
        let (first, last) = self.heads.split_at_checked(count)?;
        let (starts, behind) = (self.starts.get(..=count)?, self.starts.get(count..)?);
        let bytes = self.bytes;
        let first = View { bytes, starts, heads: first };
        Some((first, View { bytes, starts: behind, heads: last }))
    }
}

/// Turns "missing" into `None`: for optional fields. Malformed stays an error.
#[inline]
pub fn optional<T>(read: Result<T, FieldError>) -> Result<Option<T>, FieldError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(FieldError::Missing { .. }) => Ok(None),
        Err(error @ (FieldError::Malformed { .. } | FieldError::WrongCount { .. })) => Err(error),
    }
}

/// Fields in wire order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    /// Where the next one begins.
    start: u32,
    rest: Zip<Iter<'a, Head>, Iter<'a, u32>>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let (head, end) = self.rest.next()?;
        let value = value_of(self.bytes, self.start, *head, *end).unwrap_or_else(nothing);
        self.start = *end;
        Some(Field { tag: head.tag, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}

impl<'a> Fields<'a> {
    /// The next one's tag, and its value for who wants it: most readers pass over most fields.
    #[inline(always)]
    pub(crate) fn next_with(&mut self) -> Option<(u32, impl FnOnce() -> &'a [u8] + use<'a>)> {
        let (head, end) = self.rest.next()?;
        let (bytes, start, head, end) = (self.bytes, self.start, *head, *end);
        self.start = end;
        Some((head.tag, move || value_of(bytes, start, head, end).unwrap_or_else(nothing)))
    }
}

/// The entries of one repeating group.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    rest: View<'a>,
    delimiter: u32,
}

impl<'a> Iterator for Group<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        let (_, behind_first) = self.rest.heads.split_first()?;
        let len = behind_first
            .iter()
            .position(|head| head.tag == self.delimiter)
            .map_or(self.rest.heads.len(), |at| at + 1);
        let (entry, rest) = self.rest.split_at(len)?;
        self.rest = rest;
        Some(entry)
    }
}

/// The value of a field that the table has wrongly, which no decoder writes: out of the way, so that what
/// is always there takes no choice.
#[cold]
fn nothing<'a>() -> &'a [u8] {
    &[]
}

/// The value of a field that begins at `start` and whose SOH stands before `end`.
#[inline(always)]
fn value_of(bytes: &[u8], start: u32, head: Head, end: u32) -> Option<&[u8]> {
    bytes.get((start as usize).wrapping_add(head.len as usize)..(end as usize).wrapping_sub(1))
}

//! What a decoded message says: its fields in wire order, typed values, repeating groups.
//!
//! Fed by the decoder; read by the session, order entry, market data and validation, on the same
//! thread and before the buffer moves on: a [`Message`] borrows the received bytes. Nothing is copied,
//! converted or checked before it is asked for. Which tags a message should have is the
//! dictionary's business.

use super::{tag, timestamp, value};
use ballast_engine::units::{Decimal, Nanos};

/// Where one field's value stands in the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct FieldSpan {
    /// The tag; [`tag::INVALID`] where it is a number that no tag can be (0, −1).
    pub tag: u32,
    /// First byte of the value.
    pub start: u32,
    /// The SOH after it.
    pub end: u32,
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

/// A whole, well-framed message. `Copy`: it is two slices.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    fields: &'a [FieldSpan],
}

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8], fields: &'a [FieldSpan]) -> Message<'a> {
        Message { bytes, fields }
    }

    /// The message as it came, from `8=` to the last SOH.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
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
        Fields { bytes: self.bytes, spans: self.fields.iter() }
    }

    /// How many fields there are.
    pub fn field_count(&self) -> usize {
        self.fields.len()
    }

    /// The field at a place in wire order, 0 being BeginString(8).
    #[inline]
    pub fn field_at(&self, place: usize) -> Option<Field<'a>> {
        self.fields.get(place).map(|span| field_of(self.bytes, span))
    }

    /// The tag of the field at `place` as it was written: what RefTagID(371) repeats.
    pub fn tag_text_at(&self, place: usize) -> &'a [u8] {
        let start = match place.checked_sub(1).and_then(|before| self.fields.get(before)) {
            Some(before) => before.end as usize + 1,
            None => 0,
        };
        let end = self.fields.get(place).map_or(0, |span| (span.start as usize).saturating_sub(1));
        self.bytes.get(start..end).unwrap_or_default()
    }

    #[inline]
    fn nth(&self, place: usize) -> &'a [u8] {
        self.fields.get(place).map_or(&[], |span| value_of(self.bytes, span))
    }

    /// The fields as a view that can be asked for tags and groups.
    #[inline]
    pub fn view(&self) -> View<'a> {
        View { bytes: self.bytes, spans: self.fields }
    }
}

/// The questions that a message and a group's entry answer alike.
macro_rules! typed_access {
    ($($owner:ident),*) => { $(
        impl<'a> $owner<'a> {
            /// The value of the first field with this tag.
            #[inline]
            pub fn get(&self, tag: u32) -> Option<&'a [u8]> {
                let span = self.spans().iter().find(|span| span.tag == tag)?;
                Some(value_of(self.bytes, span))
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
                group_of(self.bytes, self.spans(), count_tag, delimiter)
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
    #[inline]
    fn spans(&self) -> &'a [FieldSpan] {
        self.fields
    }
}

/// Some consecutive fields of a message: one entry of a repeating group.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
}

impl<'a> View<'a> {
    /// The fields in wire order.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        Fields { bytes: self.bytes, spans: self.spans.iter() }
    }

    #[inline]
    fn spans(&self) -> &'a [FieldSpan] {
        self.spans
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
    spans: std::slice::Iter<'a, FieldSpan>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        self.spans.next().map(|span| field_of(self.bytes, span))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// The entries of one repeating group.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    bytes: &'a [u8],
    rest: &'a [FieldSpan],
    delimiter: u32,
}

impl<'a> Iterator for Group<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        let (_, behind_first) = self.rest.split_first()?;
        let len = behind_first
            .iter()
            .position(|span| span.tag == self.delimiter)
            .map_or(self.rest.len(), |at| at + 1);
        let (entry, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(View { bytes: self.bytes, spans: entry })
    }
}

#[inline]
fn group_of<'a>(
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
    count_tag: u32,
    delimiter: u32,
) -> Result<Group<'a>, FieldError> {
    let none = Group { bytes, rest: &[], delimiter };
    let Some(at) = spans.iter().position(|span| span.tag == count_tag) else {
        return Ok(none);
    };
    let counter = spans.get(at).map_or(&[][..], |span| value_of(bytes, span));
    let count = value::parse_uint(counter).ok_or(FieldError::Malformed { tag: count_tag })?;
    let rest = spans.get(at + 1..).unwrap_or_default();
    let found = rest.iter().filter(|span| span.tag == delimiter).count();
    let begins_right = rest.first().is_some_and(|span| span.tag == delimiter);
    if found as u64 != count || (count > 0 && !begins_right) {
        return Err(FieldError::WrongCount { tag: count_tag });
    }
    Ok(if count == 0 { none } else { Group { bytes, rest, delimiter } })
}

#[inline]
fn field_of<'a>(bytes: &'a [u8], span: &FieldSpan) -> Field<'a> {
    Field { tag: span.tag, value: value_of(bytes, span) }
}

#[inline]
fn value_of<'a>(bytes: &'a [u8], span: &FieldSpan) -> &'a [u8] {
    bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
}

//! A message against a dictionary: the first thing wrong with it, as Reject(3) says it.
//!
//! Fed by the session with each decoded message, on its thread; its answer becomes a Reject(3). A good
//! message costs one pass over its fields and no allocation. What is judged first where several things
//! are wrong: order (14), then MsgType (11), then what is missing (1: header, trailer, body, groups),
//! then the first other fault in wire order; for one field: repeated (13), empty (4), format (6),
//! value (5), unknown (0), not in this message (2). Comp ids, times and sequence numbers are the
//! session's to judge.

use super::{Dictionary, FieldDef, HEADER, ScopeId};
use crate::fix::encode::Encoder;
use crate::fix::message::{Field, Message};
use crate::fix::{tag, value};
use std::sync::Arc;

/// The first tag that FIX leaves to users.
const USER_DEFINED_MIN: u32 = 5000;

/// SessionRejectReason(373).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RejectReason {
    /// 0.
    InvalidTagNumber,
    /// 1.
    RequiredTagMissing,
    /// 2.
    TagNotDefinedForMessage,
    /// 4.
    TagWithoutValue,
    /// 5.
    ValueIncorrect,
    /// 6.
    IncorrectDataFormat,
    /// 9: judged by the session.
    CompIdProblem,
    /// 10: judged by the session.
    SendingTimeAccuracy,
    /// 11.
    InvalidMsgType,
    /// 13.
    TagRepeated,
    /// 14.
    TagOutOfOrder,
    /// 16.
    IncorrectNumInGroup,
}

impl RejectReason {
    /// The number in SessionRejectReason(373).
    pub const fn code(self) -> u64 {
        match self {
            RejectReason::InvalidTagNumber => 0,
            RejectReason::RequiredTagMissing => 1,
            RejectReason::TagNotDefinedForMessage => 2,
            RejectReason::TagWithoutValue => 4,
            RejectReason::ValueIncorrect => 5,
            RejectReason::IncorrectDataFormat => 6,
            RejectReason::CompIdProblem => 9,
            RejectReason::SendingTimeAccuracy => 10,
            RejectReason::InvalidMsgType => 11,
            RejectReason::TagRepeated => 13,
            RejectReason::TagOutOfOrder => 14,
            RejectReason::IncorrectNumInGroup => 16,
        }
    }

    /// The words in Text(58), as certification suites expect them.
    pub const fn text(self) -> &'static str {
        match self {
            RejectReason::InvalidTagNumber => "Invalid tag number",
            RejectReason::RequiredTagMissing => "Required tag missing",
            RejectReason::TagNotDefinedForMessage => "Tag not defined for this message type",
            RejectReason::TagWithoutValue => "Tag specified without a value",
            RejectReason::ValueIncorrect => "Value is incorrect (out of range) for this tag",
            RejectReason::IncorrectDataFormat => "Incorrect data format for value",
            RejectReason::CompIdProblem => "CompID problem",
            RejectReason::SendingTimeAccuracy => "SendingTime accuracy problem",
            RejectReason::InvalidMsgType => "Invalid MsgType",
            RejectReason::TagRepeated => "Tag appears more than once",
            RejectReason::TagOutOfOrder => "Tag specified out of required order",
            RejectReason::IncorrectNumInGroup => "Incorrect NumInGroup count for repeating group",
        }
    }
}

/// RefTagID(371).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefTag<'m> {
    /// The fault is not one field's.
    None,
    /// A tag that is missing, or in the message.
    Tag(u32),
    /// A number that is no tag, as it was written.
    AsWritten(&'m [u8]),
}

/// What is wrong with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejection<'m> {
    /// SessionRejectReason(373) and Text(58).
    pub reason: RejectReason,
    /// RefTagID(371).
    pub ref_tag: RefTag<'m>,
}

impl Rejection<'_> {
    /// Writes RefTagID(371), where there is one.
    pub fn write_ref_tag(&self, encoder: &mut Encoder<'_>) {
        match self.ref_tag {
            RefTag::None => {}
            RefTag::Tag(number) => {
                encoder.uint(tag::REF_TAG_ID, u64::from(number));
            }
            RefTag::AsWritten(text) => {
                encoder.bytes(tag::REF_TAG_ID, text);
            }
        }
    }
}

/// What a session lets pass. The default judges everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Header, body and trailer in this order (14).
    pub order: bool,
    /// Required fields are there (1).
    pub required: bool,
    /// No field is empty (4).
    pub values_present: bool,
    /// Formats and listed values (6, 5).
    pub values: bool,
    /// No field twice (13).
    pub repeated: bool,
    /// Tags from 5000 up are known (0) and belong to the message (2).
    pub user_defined: bool,
    /// Tags below 5000 are known (0) and belong to the message (2).
    pub membership: bool,
    /// Groups have as many entries as they say (16).
    pub group_counts: bool,
    /// MsgType is known (11).
    pub msg_type: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            order: true,
            required: true,
            values_present: true,
            values: true,
            repeated: true,
            user_defined: true,
            membership: true,
            group_counts: true,
            msg_type: true,
        }
    }
}

impl Rules {
    /// Each rule by the name that a config calls it.
    pub fn switches(&mut self) -> [(&'static str, &mut bool); 9] {
        let Rules {
            order,
            required,
            values_present,
            values,
            repeated,
            user_defined,
            membership,
            group_counts,
            msg_type,
        } = self;
        [
            ("order", order),
            ("required", required),
            ("values_present", values_present),
            ("values", values),
            ("repeated", repeated),
            ("user_defined", user_defined),
            ("membership", membership),
            ("group_counts", group_counts),
            ("msg_type", msg_type),
        ]
    }
}

/// A group that is being read.
#[derive(Clone, Copy, Debug)]
struct Level {
    scope: ScopeId,
    count_tag: u32,
    declared: u64,
    found: u64,
    /// What marks fields as seen in the current entry.
    generation: u32,
}

/// Which part of a message has been reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Section {
    Header,
    Body,
    Trailer,
}

/// The faults found so far, one of each rank.
#[derive(Clone, Copy)]
struct Faults<'m> {
    order: Option<Rejection<'m>>,
    missing_in_group: Option<Rejection<'m>>,
    other: Option<Rejection<'m>>,
}

/// Judges messages by one dictionary. Made once a session; its tables are reused.
#[derive(Debug)]
pub struct Validator {
    dictionary: Arc<Dictionary>,
    rules: Rules,
    /// For each depth of nesting and each field: the generation in which it was last seen.
    seen: Box<[u32]>,
    generation: u32,
    levels: Vec<Level>,
}

impl Validator {
    /// What it judges.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Room for any message of the dictionary.
    pub fn new(dictionary: Arc<Dictionary>, rules: Rules) -> Validator {
        let depths = dictionary.depth + 1;
        let seen = vec![0; depths * dictionary.fields.len()].into_boxed_slice();
        let levels = Vec::with_capacity(depths);
        Validator { dictionary, rules, seen, generation: 0, levels }
    }

    /// The dictionary that it judges by.
    pub fn dictionary(&self) -> &Arc<Dictionary> {
        &self.dictionary
    }

    /// Judges one message, framed and decoded.
    ///
    /// # Errors
    /// The first thing wrong, by the order of judgement in the file's doc.
    pub fn check<'m>(&mut self, message: &Message<'m>) -> Result<(), Rejection<'m>> {
        let Validator { dictionary, rules, seen, generation, levels } = self;
        let definition = dictionary.message(message.msg_type());
        // Far from the end of the numbers: an entry of a group takes one.
        if *generation > u32::MAX / 2 {
            seen.fill(0);
            *generation = 0;
        }
        *generation += 1;
        let base = *generation;
        let mut pass = Pass {
            dictionary,
            rules: *rules,
            seen,
            generation,
            base,
            body: definition.map(|definition| definition.scope),
            levels,
            section: Section::Header,
            faults: Faults { order: None, missing_in_group: None, other: None },
            message: *message,
        };
        pass.run();
        let faults = pass.faults;
        if let Some(order) = faults.order {
            return Err(order);
        }
        let Some(definition) = definition else {
            if rules.msg_type {
                let reason = RejectReason::InvalidMsgType;
                return Err(Rejection { reason, ref_tag: RefTag::None });
            }
            return faults.other.map_or(Ok(()), Err);
        };
        let scopes =
            [HEADER, dictionary.trailer, definition.scope].into_iter().filter(|_| rules.required);
        let mut missing = scopes.filter_map(|scope| missing_in(dictionary, seen, scope, 0, base));
        match missing.next().or(faults.missing_in_group).or(faults.other) {
            Some(rejection) => Err(rejection),
            None => Ok(()),
        }
    }
}

/// The first required field of a scope that was not seen.
fn missing_in<'m>(
    dictionary: &Dictionary,
    seen: &[u32],
    scope: ScopeId,
    depth: usize,
    generation: u32,
) -> Option<Rejection<'m>> {
    let row = depth * dictionary.fields.len();
    let scope = dictionary.scope(scope)?;
    let missing = scope.required.iter().find(|place| seen.get(row + **place) != Some(&generation));
    let field = missing.and_then(|place| dictionary.fields.get(*place))?;
    let reason = RejectReason::RequiredTagMissing;
    Some(Rejection { reason, ref_tag: RefTag::Tag(field.tag) })
}

/// One walk over a message's fields.
struct Pass<'p, 'm> {
    dictionary: &'p Dictionary,
    rules: Rules,
    seen: &'p mut [u32],
    generation: &'p mut u32,
    /// The generation of the fields outside groups.
    base: u32,
    /// The message's own scope; none for an unknown MsgType.
    body: Option<ScopeId>,
    levels: &'p mut Vec<Level>,
    section: Section,
    faults: Faults<'m>,
    message: Message<'m>,
}

impl<'m> Pass<'_, 'm> {
    fn run(&mut self) {
        self.levels.clear();
        for (field, place) in self.message.fields().zip(0usize..) {
            match self.dictionary.field(field.tag) {
                Some(definition) => self.known(field, definition),
                None => self.unknown(field, place),
            }
        }
        while !self.levels.is_empty() {
            self.leave_group();
        }
    }

    fn fault(&mut self, is_judged: bool, reason: RejectReason, ref_tag: RefTag<'m>) {
        if is_judged {
            self.faults.other.get_or_insert(Rejection { reason, ref_tag });
        }
    }

    /// A tag that the dictionary does not have. It neither ends a group nor a section.
    fn unknown(&mut self, field: Field<'m>, place: usize) {
        let ref_tag = match field.tag {
            tag::INVALID => RefTag::AsWritten(self.message.tag_text_at(place)),
            number => RefTag::Tag(number),
        };
        if field.value.is_empty() {
            self.fault(self.rules.values_present, RejectReason::TagWithoutValue, ref_tag);
        }
        // 0 and negative numbers can be no tag, whatever is switched off.
        let is_judged = field.tag == tag::INVALID || self.judges_membership(field.tag);
        self.fault(is_judged, RejectReason::InvalidTagNumber, ref_tag);
    }

    fn known(&mut self, field: Field<'m>, definition: &FieldDef) {
        let tag = RefTag::Tag(field.tag);
        let group = self.place_in_groups(field.tag).or_else(|| self.place_in_sections(field.tag));
        if !self.mark_seen(field.tag) {
            self.fault(self.rules.repeated, RejectReason::TagRepeated, tag);
        }
        if field.value.is_empty() {
            self.fault(self.rules.values_present, RejectReason::TagWithoutValue, tag);
        } else if !definition.kind.takes(field.value) {
            self.fault(self.rules.values, RejectReason::IncorrectDataFormat, tag);
        } else if field.tag != tag::MSG_TYPE && !definition.lists(field.value) {
            // MsgType is judged by the messages that there are: venues forget to list theirs.
            self.fault(self.rules.values, RejectReason::ValueIncorrect, tag);
        }
        match group {
            // Without a known MsgType, nobody can say what belongs to it.
            None if self.body.is_some() => {
                let is_judged = self.judges_membership(field.tag);
                self.fault(is_judged, RejectReason::TagNotDefinedForMessage, tag);
            }
            None | Some(None) => {}
            Some(Some(scope)) => self.enter_group(field, scope),
        }
    }

    fn judges_membership(&self, tag: u32) -> bool {
        if tag >= USER_DEFINED_MIN { self.rules.user_defined } else { self.rules.membership }
    }

    /// Whether a group that is open has this tag; closes those that have not. The answer is the
    /// member's own group, where it counts one.
    fn place_in_groups(&mut self, tag: u32) -> Option<Option<ScopeId>> {
        while let Some(level) = self.levels.last().copied() {
            if let Some(member) = self.dictionary.member(level.scope, tag) {
                let is_delimiter = tag == self.dictionary.delimiter_of(level.scope);
                if is_delimiter {
                    self.next_entry();
                } else if level.found == 0 {
                    // An entry must begin with its first field.
                    let count_tag = RefTag::Tag(level.count_tag);
                    let reason = RejectReason::IncorrectNumInGroup;
                    self.fault(self.rules.group_counts, reason, count_tag);
                }
                return Some(member.group);
            }
            self.leave_group();
        }
        None
    }

    /// Header, body or trailer, outside groups. `None`: the message does not have this tag.
    fn place_in_sections(&mut self, tag: u32) -> Option<Option<ScopeId>> {
        let (section, member) = if let Some(member) = self.dictionary.member(HEADER, tag) {
            (Section::Header, Some(member))
        } else if let Some(member) = self.dictionary.member(self.dictionary.trailer, tag) {
            (Section::Trailer, Some(member))
        } else {
            (Section::Body, self.body.and_then(|body| self.dictionary.member(body, tag)))
        };
        if section < self.section && self.rules.order {
            let reason = RejectReason::TagOutOfOrder;
            self.faults.order.get_or_insert(Rejection { reason, ref_tag: RefTag::Tag(tag) });
        }
        if section > self.section {
            self.section = section;
        }
        member.map(|member| member.group)
    }

    fn enter_group(&mut self, field: Field<'m>, scope: ScopeId) {
        *self.generation += 1;
        self.levels.push(Level {
            scope,
            count_tag: field.tag,
            // No number is a fault of its own, already found.
            declared: value::parse_uint(field.value).unwrap_or(0),
            found: 0,
            generation: *self.generation,
        });
    }

    fn next_entry(&mut self) {
        self.end_entry();
        *self.generation += 1;
        let generation = *self.generation;
        if let Some(level) = self.levels.last_mut() {
            level.found += 1;
            level.generation = generation;
        }
    }

    /// Looks for what the entry that ends here should have had.
    fn end_entry(&mut self) {
        let Some(level) = self.levels.last() else {
            return;
        };
        if level.found > 0 && self.rules.required && self.faults.missing_in_group.is_none() {
            let (scope, generation) = (level.scope, level.generation);
            let depth = self.levels.len();
            self.faults.missing_in_group =
                missing_in(self.dictionary, self.seen, scope, depth, generation);
        }
    }

    fn leave_group(&mut self) {
        self.end_entry();
        if let Some(level) = self.levels.pop()
            && level.found != level.declared
        {
            let count_tag = RefTag::Tag(level.count_tag);
            self.fault(self.rules.group_counts, RejectReason::IncorrectNumInGroup, count_tag);
        }
    }

    /// `false` where the field was there before, in the same entry or outside groups.
    fn mark_seen(&mut self, tag: u32) -> bool {
        let generation = self.levels.last().map_or(self.base, |level| level.generation);
        let row = self.levels.len() * self.dictionary.fields.len();
        let place = self.dictionary.place(tag).map(|place| row + place);
        match place.and_then(|place| self.seen.get_mut(place)) {
            Some(slot) if *slot == generation => false,
            Some(slot) => {
                *slot = generation;
                true
            }
            None => true,
        }
    }
}

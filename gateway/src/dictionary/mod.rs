//! Dictionaries: which fields, values, groups and messages a FIX version or a venue has.
//!
//! FIX 4.4 is compiled in; venues' own come from QuickFIX-format XML at start. Feeds validation (on
//! the thread that owns the socket, read only) and `ballast fix decode`. Made at start, never changed:
//! components are resolved into flat sets then, so that a look-up is an array access or a binary
//! search. The codec itself needs no dictionary.

/// Types of fields and how they are written.
pub mod field_type;

/// What a dictionary file says.
pub mod facts;

/// QuickFIX-format XML.
pub mod xml;

mod fix44;

/// The generated source files: the FIX 4.4 table, tags and message types.
pub mod generate;

/// A message against a dictionary.
pub mod validate;

use facts::{Facts, Member};
use field_type::FieldType;
use std::collections::BTreeMap;

/// Tags are indexes into a table: a dictionary with larger ones is refused.
const TAG_MAX: u32 = 65_535;
/// Deepest nesting of groups in groups; FIX 5.0 SP2 has 6.
const DEPTH_MAX: usize = 8;
/// Deepest nesting of components in components: a circle would have no end.
const COMPONENT_DEPTH_MAX: usize = 32;
/// Most members with all components resolved: components that hold others twice, over some levels,
/// would be more than any machine can read. FIX 5.0 SP2 has fewer than a tenth.
const MEMBERS_MAX: u32 = 4_000_000;
/// The header's scope: always the first.
const HEADER: ScopeId = ScopeId(0);

/// Why a dictionary is not usable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DictionaryError {
    /// The file is no dictionary.
    #[error("the dictionary {text}")]
    Xml {
        /// What it is or has instead.
        text: String,
    },
    /// A line of a table cannot be read.
    #[error("the table's line {line:?} cannot be read")]
    Table {
        /// The line.
        line: String,
    },
    /// A tag is no number from 1 to 65535.
    #[error("field {field} has the tag {tag}; allowed are 1 to 65535")]
    Tag {
        /// The field.
        field: String,
        /// As written.
        tag: String,
    },
    /// A type that FIX does not have.
    #[error("field {field} has the unknown type {kind}")]
    Type {
        /// The field.
        field: String,
        /// As written.
        kind: String,
    },
    /// A message or group has a field that is not defined.
    #[error("field {name} is used but not defined in <fields>")]
    UnknownField {
        /// The field's name, or its tag.
        name: String,
    },
    /// A message or group has a component that is not defined, or that holds itself.
    #[error("component {name} is not defined, or holds itself")]
    UnknownComponent {
        /// The component.
        name: String,
    },
    /// A field or message is defined twice.
    #[error("{what} is defined twice")]
    Twice {
        /// Its name.
        what: String,
    },
    /// Components hold components over and over.
    #[error("the dictionary has more than 4000000 members with its components resolved")]
    TooLarge,
    /// A group has no members, or groups are nested too deep.
    #[error("the group counted by tag {tag} is empty or nested deeper than 8")]
    Group {
        /// The counter.
        tag: u32,
    },
}

/// Which set of members: the header's, the trailer's, a message's or a group's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScopeId(u16);

/// One field of a dictionary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldDef {
    /// The tag.
    pub tag: u32,
    /// The name.
    pub name: String,
    /// The type.
    pub kind: FieldType,
    /// Listed values in the order of their bytes, with their meanings.
    values: Vec<(Vec<u8>, String)>,
}

impl FieldDef {
    /// What a value means, where it is listed.
    pub fn meaning(&self, value: &[u8]) -> Option<&str> {
        let at = self.values.binary_search_by(|(listed, _)| listed.as_slice().cmp(value)).ok()?;
        self.values.get(at).map(|(_, meaning)| meaning.as_str())
    }

    /// The listed values in the order of their bytes, with their meanings; none where anything goes.
    pub fn values(&self) -> impl Iterator<Item = (&[u8], &str)> {
        self.values.iter().map(|(value, meaning)| (value.as_slice(), meaning.as_str()))
    }

    /// Whether the value may be used: listed, or nothing is listed.
    #[inline]
    fn lists(&self, value: &[u8]) -> bool {
        if self.values.is_empty() {
            return true;
        }
        match self.kind {
            FieldType::Several(_) => {
                value.split(|byte| *byte == b' ').all(|one| self.meaning(one).is_some())
            }
            FieldType::Float(_)
            | FieldType::Int
            | FieldType::Uint(_)
            | FieldType::DayOfMonth
            | FieldType::Char
            | FieldType::Boolean
            | FieldType::Text(_)
            | FieldType::Data(_)
            | FieldType::UtcTimestamp
            | FieldType::TimeOnly(_)
            | FieldType::Date(_)
            | FieldType::MonthYear => self.meaning(value).is_some(),
        }
    }
}

/// One message of a dictionary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageDef {
    /// MsgType(35).
    pub msg_type: Vec<u8>,
    /// The name.
    pub name: String,
    /// A session message, not an application's.
    pub is_admin: bool,
    /// The body's members.
    pub scope: ScopeId,
}

/// A member of a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct MemberDef {
    tag: u32,
    /// The members of an entry, where this counts a group.
    group: Option<ScopeId>,
}

/// The members of a message, a group, the header or the trailer, components resolved.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Scope {
    /// By tag.
    members: Vec<MemberDef>,
    /// Places in the field table of those that must be there, by tag.
    required: Vec<usize>,
    /// The first member: it begins every entry of a group.
    delimiter: u32,
}

impl Scope {
    #[inline]
    fn member(&self, tag: u32) -> Option<&MemberDef> {
        let at = self.members.binary_search_by_key(&tag, |member| member.tag).ok()?;
        self.members.get(at)
    }
}

/// A dictionary, ready for look-ups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dictionary {
    begin_string: String,
    fields: Vec<FieldDef>,
    /// Place in `fields` plus 1 by tag; 0 is none.
    by_tag: Vec<u16>,
    /// By MsgType.
    messages: Vec<MessageDef>,
    scopes: Vec<Scope>,
    trailer: ScopeId,
    /// How deep groups nest.
    depth: usize,
}

impl Dictionary {
    /// FIX 4.4, as compiled in.
    pub fn fix44() -> Dictionary {
        Facts::from_table(fix44::TABLE)
            .and_then(|facts| Dictionary::from_facts(&facts))
            // A test builds it; there is nothing that could differ at run time.
            .unwrap_or_else(|error| {
                debug_assert!(false, "the compiled-in table: {error}");
                Dictionary::empty()
            })
    }

    /// A dictionary from the text of a QuickFIX-format XML file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_xml(text: &str) -> Result<Dictionary, DictionaryError> {
        Dictionary::from_facts(&xml::read(text)?)
    }

    /// A dictionary from what a file says.
    ///
    /// # Errors
    /// What does not fit together.
    pub fn from_facts(facts: &Facts) -> Result<Dictionary, DictionaryError> {
        let mut dictionary = Dictionary::empty();
        dictionary.begin_string.clone_from(&facts.begin_string);
        dictionary.take_fields(facts)?;
        let components = facts.components.iter().map(|(n, m)| (n.as_str(), m.as_slice())).collect();
        let mut builder = Builder { dictionary, components, members_left: MEMBERS_MAX };
        builder.scope(&facts.header, 0)?;
        builder.dictionary.trailer = builder.scope(&facts.trailer, 0)?;
        for message in &facts.messages {
            let scope = builder.scope(&message.members, 0)?;
            builder.dictionary.messages.push(MessageDef {
                msg_type: message.msg_type.clone().into_bytes(),
                name: message.name.clone(),
                is_admin: message.is_admin,
                scope,
            });
        }
        let mut dictionary = builder.dictionary;
        dictionary.messages.sort_by(|a, b| a.msg_type.cmp(&b.msg_type));
        let twice = dictionary.messages.windows(2).find_map(|pair| match pair {
            [a, b] if a.msg_type == b.msg_type => Some(b.name.clone()),
            _ => None,
        });
        match twice {
            Some(what) => Err(DictionaryError::Twice { what }),
            None => Ok(dictionary),
        }
    }

    /// BeginString(8) of its messages.
    pub fn begin_string(&self) -> &str {
        &self.begin_string
    }

    /// All fields, by tag.
    pub fn fields(&self) -> &[FieldDef] {
        &self.fields
    }

    /// All messages, by MsgType.
    pub fn messages(&self) -> &[MessageDef] {
        &self.messages
    }

    /// The field with a tag.
    #[inline]
    pub fn field(&self, tag: u32) -> Option<&FieldDef> {
        self.place(tag).and_then(|place| self.fields.get(place))
    }

    /// The field with a name.
    pub fn field_named(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The message with a MsgType.
    #[inline]
    pub fn message(&self, msg_type: &[u8]) -> Option<&MessageDef> {
        let by_type = |message: &MessageDef| message.msg_type.as_slice().cmp(msg_type);
        self.messages.binary_search_by(by_type).ok().and_then(|at| self.messages.get(at))
    }

    /// Whether a tag belongs to the standard header.
    #[inline]
    pub fn is_header(&self, tag: u32) -> bool {
        self.member(HEADER, tag).is_some()
    }

    /// Whether a tag belongs to the standard trailer.
    #[inline]
    pub fn is_trailer(&self, tag: u32) -> bool {
        self.member(self.trailer, tag).is_some()
    }

    /// Whether a scope has a member, and the scope of its entries where it counts a group.
    pub fn member_of(&self, scope: ScopeId, tag: u32) -> Option<Option<ScopeId>> {
        self.member(scope, tag).map(|member| member.group)
    }

    /// The header's members.
    pub const fn header(&self) -> ScopeId {
        HEADER
    }

    /// The trailer's members.
    pub const fn trailer(&self) -> ScopeId {
        self.trailer
    }

    /// The tags of a scope's members, ascending.
    pub fn members_of(&self, scope: ScopeId) -> impl Iterator<Item = u32> {
        self.scope(scope).into_iter().flat_map(|scope| scope.members.iter().map(|m| m.tag))
    }

    /// The tags that must be in a scope, ascending.
    pub fn required_of(&self, scope: ScopeId) -> impl Iterator<Item = u32> {
        let places = self.scope(scope).into_iter().flat_map(|scope| scope.required.iter());
        places.filter_map(|place| self.fields.get(*place)).map(|field| field.tag)
    }

    /// The tag that begins every entry of a group.
    pub fn delimiter_of(&self, scope: ScopeId) -> u32 {
        self.scope(scope).map_or(0, |scope| scope.delimiter)
    }

    #[inline]
    fn place(&self, tag: u32) -> Option<usize> {
        let place = *self.by_tag.get(tag as usize)?;
        usize::from(place).checked_sub(1)
    }

    #[inline]
    fn scope(&self, id: ScopeId) -> Option<&Scope> {
        self.scopes.get(usize::from(id.0))
    }

    #[inline]
    fn member(&self, scope: ScopeId, tag: u32) -> Option<&MemberDef> {
        self.scope(scope)?.member(tag)
    }

    fn empty() -> Dictionary {
        Dictionary {
            begin_string: String::new(),
            fields: Vec::new(),
            by_tag: Vec::new(),
            messages: Vec::new(),
            scopes: Vec::new(),
            trailer: HEADER,
            depth: 0,
        }
    }

    fn take_fields(&mut self, facts: &Facts) -> Result<(), DictionaryError> {
        for fact in &facts.fields {
            let mut values: Vec<(Vec<u8>, String)> = fact
                .values
                .iter()
                .map(|(value, meaning)| (value.clone().into_bytes(), meaning.clone()))
                .collect();
            values.sort();
            let (name, kind) = (fact.name.clone(), fact.kind);
            self.fields.push(FieldDef { tag: fact.tag, name, kind, values });
        }
        self.fields.sort_by_key(|field| field.tag);
        let last = self.fields.last().map_or(0, |field| field.tag);
        self.by_tag = vec![0; last.min(TAG_MAX) as usize + 1];
        for (field, place) in self.fields.iter().zip(1u16..) {
            match self.by_tag.get_mut(field.tag as usize) {
                Some(slot) if *slot == 0 && field.tag > 0 => *slot = place,
                Some(_) => return Err(DictionaryError::Twice { what: field.name.clone() }),
                None => {
                    let (field, tag) = (field.name.clone(), field.tag.to_string());
                    return Err(DictionaryError::Tag { field, tag });
                }
            }
        }
        Ok(())
    }
}

/// Resolves components while scopes are made.
struct Builder<'f> {
    dictionary: Dictionary,
    components: BTreeMap<&'f str, &'f [Member]>,
    members_left: u32,
}

impl<'f> Builder<'f> {
    fn scope(&mut self, members: &'f [Member], depth: usize) -> Result<ScopeId, DictionaryError> {
        self.dictionary.depth = self.dictionary.depth.max(depth);
        let number = self.dictionary.scopes.len();
        let id = ScopeId(u16::try_from(number).map_err(|_| DictionaryError::Xml {
            text: "has more than 65535 groups and messages".into(),
        })?);
        self.dictionary.scopes.push(Scope::default());
        let mut scope = Scope::default();
        self.add(&mut scope, members, true, depth, 0)?;
        scope.members.sort_by_key(|member| member.tag);
        scope.required.sort_unstable();
        scope.required.dedup();
        if let Some(slot) = self.dictionary.scopes.get_mut(number) {
            *slot = scope;
        }
        Ok(id)
    }

    fn add(
        &mut self,
        scope: &mut Scope,
        members: &'f [Member],
        is_required_here: bool,
        depth: usize,
        component_depth: usize,
    ) -> Result<(), DictionaryError> {
        for member in members {
            self.members_left =
                self.members_left.checked_sub(1).ok_or(DictionaryError::TooLarge)?;
            match member {
                Member::Component { name, is_required } => {
                    let unknown = || DictionaryError::UnknownComponent { name: name.clone() };
                    if component_depth >= COMPONENT_DEPTH_MAX {
                        return Err(unknown());
                    }
                    let inner = *self.components.get(name.as_str()).ok_or_else(unknown)?;
                    let is_required = is_required_here && *is_required;
                    self.add(scope, inner, is_required, depth, component_depth + 1)?;
                }
                Member::Field { tag, is_required } => {
                    self.member(scope, *tag, is_required_here && *is_required, None)?;
                }
                Member::Group { tag, is_required, members } => {
                    if depth >= DEPTH_MAX || members.is_empty() {
                        return Err(DictionaryError::Group { tag: *tag });
                    }
                    let entry = self.scope(members, depth + 1)?;
                    self.member(scope, *tag, is_required_here && *is_required, Some(entry))?;
                }
            }
        }
        Ok(())
    }

    fn member(
        &self,
        scope: &mut Scope,
        tag: u32,
        is_required: bool,
        group: Option<ScopeId>,
    ) -> Result<(), DictionaryError> {
        let unknown = || DictionaryError::UnknownField { name: tag.to_string() };
        let place = self.dictionary.place(tag).ok_or_else(unknown)?;
        if scope.members.is_empty() {
            scope.delimiter = tag;
        }
        // A component may be named twice in a message: the first counts.
        if !scope.members.iter().any(|member| member.tag == tag) {
            scope.members.push(MemberDef { tag, group });
        }
        if is_required {
            scope.required.push(place);
        }
        Ok(())
    }
}

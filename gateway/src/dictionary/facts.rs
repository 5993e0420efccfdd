//! A dictionary as it is written down: fields, enumerations, components, groups, messages.
//!
//! Fed by the XML loader and by the compiled-in table; feeds [`super::Dictionary`], which resolves
//! components into flat sets, and the generator, which writes the table. Start-up only.

use super::DictionaryError;
use super::field_type::FieldType;
use std::fmt::Write;

/// Everything a dictionary file says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// BeginString(8) of its messages.
    pub begin_string: String,
    /// In the file's order.
    pub fields: Vec<FieldFacts>,
    /// In the file's order.
    pub components: Vec<(String, Vec<Member>)>,
    /// The standard header's members.
    pub header: Vec<Member>,
    /// The standard trailer's members.
    pub trailer: Vec<Member>,
    /// In the file's order.
    pub messages: Vec<MessageFacts>,
}

/// One field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldFacts {
    /// The tag.
    pub tag: u32,
    /// The name.
    pub name: String,
    /// The type.
    pub kind: FieldType,
    /// Listed values with their meanings; empty where anything goes.
    pub values: Vec<(String, String)>,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageFacts {
    /// MsgType(35).
    pub msg_type: String,
    /// The name.
    pub name: String,
    /// A session message, not an application's.
    pub is_admin: bool,
    /// The body's members.
    pub members: Vec<Member>,
}

/// What a message, group or component is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Member {
    /// A field.
    Field {
        /// Its tag.
        tag: u32,
        /// It must be there.
        is_required: bool,
    },
    /// A repeating group.
    Group {
        /// Its counter's tag.
        tag: u32,
        /// It must be there.
        is_required: bool,
        /// The members of an entry; the first begins each entry.
        members: Vec<Member>,
    },
    /// The members of a component stand here.
    Component {
        /// Its name.
        name: String,
        /// Its required fields are required here.
        is_required: bool,
    },
}

impl Facts {
    /// FIX 5.0 and later have the session's header, trailer and messages in a file of their own: adds
    /// `transport` to these application messages.
    pub fn with_transport(mut self, transport: Facts) -> Facts {
        for field in transport.fields {
            if !self.fields.iter().any(|own| own.tag == field.tag) {
                self.fields.push(field);
            }
        }
        for component in transport.components {
            if !self.components.iter().any(|own| own.0 == component.0) {
                self.components.push(component);
            }
        }
        for message in transport.messages {
            if !self.messages.iter().any(|own| own.msg_type == message.msg_type) {
                self.messages.push(message);
            }
        }
        self.begin_string = transport.begin_string;
        self.header = transport.header;
        self.trailer = transport.trailer;
        self
    }

    /// One line a fact: what the compiled-in table holds.
    pub fn to_table(&self) -> String {
        let mut table = format!("version {}\n", self.begin_string);
        for field in &self.fields {
            let _ = write!(table, "field {} {} {}", field.tag, field.name, field.kind.name());
            for (value, meaning) in &field.values {
                let _ = write!(table, " {value}={meaning}");
            }
            table.push('\n');
        }
        for (name, members) in &self.components {
            line(&mut table, &format!("component {name}"), members);
        }
        line(&mut table, "header", &self.header);
        line(&mut table, "trailer", &self.trailer);
        for message in &self.messages {
            let category = if message.is_admin { "admin" } else { "app" };
            let head = format!("message {} {} {category}", message.msg_type, message.name);
            line(&mut table, &head, &message.members);
        }
        table
    }

    /// Reads what [`Facts::to_table`] wrote.
    ///
    /// # Errors
    /// The line that is not one of a table.
    pub fn from_table(table: &str) -> Result<Facts, DictionaryError> {
        let mut facts = Facts::default();
        for text in table.lines() {
            facts.take_line(text).ok_or_else(|| DictionaryError::Table { line: text.into() })?;
        }
        Ok(facts)
    }

    fn take_line(&mut self, text: &str) -> Option<()> {
        let mut words = text.split(' ');
        match words.next()? {
            "version" => self.begin_string = words.next()?.into(),
            "field" => self.fields.push(FieldFacts {
                tag: words.next()?.parse().ok()?,
                name: words.next()?.into(),
                kind: FieldType::named(words.next()?)?,
                values: words
                    .map(|word| word.split_once('=').map(|(v, m)| (v.into(), m.into())))
                    .collect::<Option<_>>()?,
            }),
            "component" => {
                let name = words.next()?.into();
                self.components.push((name, read_members(&mut words)?));
            }
            "header" => self.header = read_members(&mut words)?,
            "trailer" => self.trailer = read_members(&mut words)?,
            "message" => self.messages.push(MessageFacts {
                msg_type: words.next()?.into(),
                name: words.next()?.into(),
                is_admin: words.next()? == "admin",
                members: read_members(&mut words)?,
            }),
            _ => return None,
        }
        Some(())
    }
}

fn line(table: &mut String, head: &str, members: &[Member]) {
    table.push_str(head);
    write_members(table, members);
    table.push('\n');
}

/// `11!` is a required field, `@Parties` a component, `453 [ … ]` a group.
fn write_members(table: &mut String, members: &[Member]) {
    let mark = |is_required: &bool| if *is_required { "!" } else { "" };
    for member in members {
        let _ = match member {
            Member::Field { tag, is_required } => write!(table, " {tag}{}", mark(is_required)),
            Member::Component { name, is_required } => {
                write!(table, " @{name}{}", mark(is_required))
            }
            Member::Group { tag, is_required, members } => {
                let _ = write!(table, " {tag}{} [", mark(is_required));
                write_members(table, members);
                write!(table, " ]")
            }
        };
    }
}

fn read_members<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    while let Some(word) = words.next() {
        let (text, is_required) = match word.strip_suffix('!') {
            Some(text) => (text, true),
            None => (word, false),
        };
        if word == "]" {
            return Some(members);
        } else if word == "[" {
            let Some(Member::Field { tag, is_required }) = members.pop() else {
                return None;
            };
            members.push(Member::Group { tag, is_required, members: read_members(words)? });
        } else if let Some(name) = text.strip_prefix('@') {
            members.push(Member::Component { name: name.into(), is_required });
        } else {
            members.push(Member::Field { tag: text.parse().ok()?, is_required });
        }
    }
    Some(members)
}

//! `ballast fix decode --json`: a log for programs, one document, groups as lists within the field
//! that counts them.
//!
//! Fed by `fix_decode` with the messages that its filters let through; feeds standard output, a message
//! at a time, so that a log of any length is never held whole. Passwords and signatures are masked.
//! Deliberately absent: finding messages, and filters.

use super::fix_decode::{Entry, masked_text, printable};
use ballast_gateway::dictionary::{Dictionary, ScopeId};
use ballast_gateway::fix::message::{Field, Message};
use ballast_gateway::fix::secret::SECRET_TAGS;
use serde_json::{Map, Value, json};

/// A group that is being read.
struct Open {
    scope: ScopeId,
    /// The field that counts its entries.
    counter: Map<String, Value>,
    entries: Vec<Vec<Value>>,
}

/// Fields of a message, the open groups of which are closed as their members end.
#[derive(Default)]
struct Tree {
    fields: Vec<Value>,
    open: Vec<Open>,
}

impl Tree {
    fn push(&mut self, field: Value) {
        match self.open.last_mut() {
            None => self.fields.push(field),
            Some(group) => match group.entries.last_mut() {
                Some(entry) => entry.push(field),
                None => group.entries.push(vec![field]),
            },
        }
    }

    fn close(&mut self) {
        if let Some(Open { mut counter, entries, .. }) = self.open.pop() {
            counter.insert("entries".into(), json!(entries));
            self.push(Value::Object(counter));
        }
    }

    fn take(&mut self, field: &Field<'_>, dictionary: &Dictionary, body: Option<ScopeId>) {
        let is_known = dictionary.field(field.tag).is_some();
        let is_alien = |group: &Open| dictionary.member_of(group.scope, field.tag).is_none();
        // A tag that the dictionary does not have leaves the group open.
        while is_known && self.open.last().is_some_and(is_alien) {
            self.close();
        }
        if let Some(group) = self.open.last_mut()
            && dictionary.delimiter_of(group.scope) == field.tag
        {
            group.entries.push(Vec::new());
        }
        let scopes = [self.open.last().map(|group| group.scope), Some(dictionary.header()), body];
        let member =
            scopes.into_iter().flatten().find_map(|scope| dictionary.member_of(scope, field.tag));
        let object = object_of(field, dictionary);
        match member.flatten() {
            Some(scope) => self.open.push(Open { scope, counter: object, entries: Vec::new() }),
            None => self.push(Value::Object(object)),
        }
    }

    fn finish(mut self) -> Vec<Value> {
        while !self.open.is_empty() {
            self.close();
        }
        self.fields
    }
}

fn object_of(field: &Field<'_>, dictionary: &Dictionary) -> Map<String, Value> {
    let definition = dictionary.field(field.tag);
    let mut object = Map::new();
    object.insert("tag".into(), json!(field.tag));
    object.insert("name".into(), json!(definition.map(|definition| &definition.name)));
    let is_secret = SECRET_TAGS.contains(&field.tag);
    let value = if is_secret { "***".to_string() } else { printable(field.value) };
    object.insert("value".into(), json!(value));
    if let Some(meaning) = definition.and_then(|definition| definition.meaning(field.value)) {
        object.insert("meaning".into(), json!(meaning));
    }
    object
}

/// A message.
pub(super) fn message(entry: &Entry, message: &Message<'_>, dictionary: &Dictionary) -> Value {
    let definition = dictionary.message(message.msg_type());
    let mut tree = Tree::default();
    for field in message.fields() {
        tree.take(&field, dictionary, definition.map(|definition| definition.scope));
    }
    json!({
        "line": printable(entry.before.trim_ascii()),
        "type": printable(message.msg_type()),
        "name": definition.map(|definition| &definition.name),
        "fault": entry.fault,
        "fields": tree.finish(),
    })
}

/// What cannot be decoded, up to the first secret in it.
pub(super) fn garbled(entry: &Entry) -> Value {
    json!({
        "line": printable(entry.before.trim_ascii()),
        "type": null,
        "name": null,
        "fault": "garbled: a tag is not a number, or a field has no =",
        "text": masked_text(&entry.message),
    })
}

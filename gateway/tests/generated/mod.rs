//! Messages of every type of a dictionary, made from its facts: what is required, what is optional,
//! groups with one or two entries, values of each field's type, listed ones where they are listed.
//!
//! Feeds `generated_messages.rs`, `mutation.rs` and `gateway/oracle`. The same seed gives the same
//! messages on every machine. Fields stand ascending by tag, groups behind them, so that no field can
//! be taken for one of an entry before it.

use ballast_gateway::dictionary::field_type::FieldType;
use ballast_gateway::dictionary::{Dictionary, FieldDef, MessageDef, ScopeId};
use ballast_gateway::fix::checksum::{checksum, digits};

/// SplitMix64 (Steele, Lea & Flood 2014): small, and the same on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap()
    }
}

/// How many of the optional members a message gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// None.
    Required,
    /// One of four, by lot.
    Some,
    /// All that there are.
    All,
}

/// One field of a generated message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    pub tag: u32,
    pub value: Vec<u8>,
    /// 0 outside groups.
    pub depth: usize,
    /// The length field of a data field stands before it.
    pub length_tag: Option<u32>,
    /// It counts a group.
    pub is_counter: bool,
}

/// A message but for BeginString, BodyLength and CheckSum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generated {
    pub msg_type: Vec<u8>,
    pub header: Vec<Field>,
    pub body: Vec<Field>,
    pub trailer: Vec<Field>,
}

impl Generated {
    /// From MsgType(35) to the field before CheckSum(10), length fields included.
    pub fn fields(&self) -> Vec<(u32, Vec<u8>)> {
        let mut fields = vec![(35, self.msg_type.clone())];
        for field in self.header.iter().chain(&self.body).chain(&self.trailer) {
            if let Some(length) = field.length_tag {
                fields.push((length, field.value.len().to_string().into_bytes()));
            }
            fields.push((field.tag, field.value.clone()));
        }
        fields
    }

    /// The whole message.
    pub fn bytes(&self) -> Vec<u8> {
        seal(&self.fields())
    }
}

/// A whole FIX 4.4 message of these fields, with a true BodyLength and CheckSum.
pub fn seal(fields: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, value) in fields {
        body.extend_from_slice(format!("{tag}=").as_bytes());
        body.extend_from_slice(value);
        body.push(1);
    }
    let mut bytes = format!("8=FIX.4.4\x019={}\x01", body.len()).into_bytes();
    bytes.extend_from_slice(&body);
    let sum = digits(checksum(&bytes));
    bytes.extend_from_slice(b"10=");
    bytes.extend_from_slice(&sum);
    bytes.push(1);
    bytes
}

/// Makes messages by one dictionary.
pub struct Generator<'d> {
    pub dictionary: &'d Dictionary,
    pub random: Random,
}

impl<'d> Generator<'d> {
    pub fn new(dictionary: &'d Dictionary, seed: u64) -> Generator<'d> {
        Generator { dictionary, random: Random(seed) }
    }

    /// One message of a type.
    pub fn message(&mut self, definition: &MessageDef, fill: Fill) -> Generated {
        let (header, trailer) = (self.dictionary.header(), self.dictionary.trailer());
        Generated {
            msg_type: definition.msg_type.clone(),
            header: self.scope(header, fill, 0),
            body: self.scope(definition.scope, fill, 0),
            trailer: self.scope(trailer, fill, 0),
        }
    }

    fn scope(&mut self, scope: ScopeId, fill: Fill, depth: usize) -> Vec<Field> {
        let dictionary = self.dictionary;
        let lengths: Vec<u32> =
            dictionary.members_of(scope).filter_map(|tag| length_of(dictionary, tag)).collect();
        let delimiter = if depth > 0 { dictionary.delimiter_of(scope) } else { 0 };
        let (mut plain, mut groups) = (Vec::new(), Vec::new());
        for tag in dictionary.members_of(scope) {
            // The encoder writes the first three and the last; length fields go with their data.
            let is_framing = depth == 0 && matches!(tag, 8 | 9 | 10 | 35);
            let is_needed = tag == delimiter
                || dictionary.required_of(scope).any(|required| required == tag)
                || fill == Fill::All
                || (fill == Fill::Some && self.random.below(4) == 0);
            if is_framing || lengths.contains(&tag) || !is_needed {
                continue;
            }
            match dictionary.member_of(scope, tag).flatten() {
                Some(entry) => groups.push((tag, entry)),
                None => plain.push(tag),
            }
        }
        plain.sort_by_key(|tag| (*tag != delimiter, *tag));
        let mut fields: Vec<Field> = plain.into_iter().map(|tag| self.field(tag, depth)).collect();
        while !groups.is_empty() {
            // A group whose counter another one's entries may hold too must not come after that one.
            let next = (0..groups.len())
                .find(|at| {
                    let (tag, own) = groups[*at];
                    let holds = |entry| entry != own && dictionary.member_of(entry, tag).is_some();
                    groups.iter().any(|(_, entry)| holds(*entry))
                })
                .unwrap_or(0);
            let (tag, entry) = groups.remove(next);
            let at = if tag == delimiter { 0 } else { fields.len() };
            fields.splice(at..at, self.group(tag, entry, fill, depth));
        }
        fields
    }

    fn group(&mut self, tag: u32, entry: ScopeId, fill: Fill, depth: usize) -> Vec<Field> {
        let count = 1 + self.random.below(2);
        let value = count.to_string().into_bytes();
        let mut fields = vec![Field { tag, value, depth, length_tag: None, is_counter: true }];
        for _ in 0..count {
            fields.extend(self.scope(entry, fill, depth + 1));
        }
        fields
    }

    fn field(&mut self, tag: u32, depth: usize) -> Field {
        let definition = self.dictionary.field(tag).expect("members are defined");
        let value = self.value(definition);
        let length_tag = length_of(self.dictionary, tag);
        Field { tag, value, depth, length_tag, is_counter: false }
    }

    fn value(&mut self, field: &FieldDef) -> Vec<u8> {
        let random = &mut self.random;
        let listed: Vec<&[u8]> = field.values().map(|(value, _)| value).collect();
        if !listed.is_empty() {
            let one = listed[random.below(listed.len())].to_vec();
            let is_several = matches!(field.kind, FieldType::Several(_)) && random.below(2) == 0;
            let other = listed[random.below(listed.len())];
            return if is_several { [&one, other].join(&b' ') } else { one };
        }
        let n = random.below(10_000);
        match field.kind {
            FieldType::Float(_) if n.is_multiple_of(3) => format!("-{n}.{:05}", n * 7),
            FieldType::Float(_) => format!("{}.{:02}", n, n % 100),
            FieldType::Int => format!("{}", n as i64 - 5_000),
            FieldType::Uint(_) => format!("{}", n + 1),
            FieldType::DayOfMonth => format!("{}", n % 31 + 1),
            FieldType::Char => char::from(b'a' + (n % 26) as u8).to_string(),
            FieldType::Boolean => ["Y", "N"][n % 2].to_string(),
            FieldType::Text(_) | FieldType::Several(_) => format!("T={n} x"),
            FieldType::Data(_) => format!("d\x01{n}=\x0110=000\x01\u{e9}"),
            FieldType::UtcTimestamp if n.is_multiple_of(2) => {
                format!("20240229-23:59:{:02}.{n:04}", n % 60)
            }
            FieldType::UtcTimestamp => format!("20241231-00:{:02}:60", n % 60),
            FieldType::TimeOnly(_) => format!("12:{:02}:00.{:03}", n % 60, n % 1000),
            FieldType::Date(_) => format!("202402{:02}", n % 29 + 1),
            FieldType::MonthYear => ["202402", "20240229", "202402w5"][n % 3].to_string(),
        }
        .into_bytes()
    }
}

/// The length field of a data field: `RawDataLength` of `RawData`, `XmlDataLen` of `XmlData`.
pub fn length_of(dictionary: &Dictionary, tag: u32) -> Option<u32> {
    let field = dictionary.field(tag)?;
    let FieldType::Data(_) = field.kind else { return None };
    let named = |suffix| dictionary.field_named(&format!("{}{suffix}", field.name));
    named("Len").or_else(|| named("Length")).map(|length| length.tag)
}

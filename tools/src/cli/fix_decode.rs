//! `ballast fix decode`: a FIX log for people, one message a block, with names and meanings.
//!
//! Fed by a file or standard input of any length: our own logs, raw FIX, or text whose separator is
//! `|`, `^A` or `␁`. Passwords and signatures are masked. A message whose frame is not true is shown as
//! far as it can be read, with what is wrong: a log is often all that is left.

use super::fix::{load, usage};
use super::{Failure, fix_json};
use ballast_gateway::dictionary::{Dictionary, ScopeId};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::frame::{Frame, GarbledReason, frame};
use ballast_gateway::fix::message::{Field, Message};
use ballast_gateway::fix::secret::{SECRET_TAGS, mask_text};
use ballast_gateway::fix::{SOH, tag};
use clap::Args;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;
/// The longest message that is looked for.
const MESSAGE_LEN_MAX: usize = 1 << 20;
/// The most fields of a message.
const FIELDS_MAX: usize = 1 << 16;
/// How a message begins, and the longest first field: `8=FIXT.1.1`, and some.
const BEGIN: &[u8] = b"8=FIX";
const BEGIN_STRING_LEN_MAX: usize = 24;
/// How separators are written where they are not SOH.
const SEPARATORS: [&[u8]; 4] = [b"\x01", b"|", b"^A", "␁".as_bytes()];

/// What to print.
#[derive(Args, Default)]
pub struct DecodeArgs {
    /// The log; standard input where absent or `-`.
    file: Option<PathBuf>,
    /// A venue's dictionary (QuickFIX-format XML) instead of the compiled-in FIX 4.4.
    #[arg(long)]
    dictionary: Option<PathBuf>,
    /// With --dictionary: the file with the session's header, trailer and messages (FIXT11.xml).
    #[arg(long, requires = "dictionary")]
    transport: Option<PathBuf>,
    /// Only messages of these types: a MsgType (8) or a name (ExecutionReport). May be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only messages that have this field (44) or this value (55=BTCUSDT). May be repeated; all hold.
    #[arg(long = "tag", value_name = "TAG[=VALUE]", value_parser = parse_tag_filter)]
    tags: Vec<TagFilter>,
    /// Only messages whose ClOrdID(11) or OrigClOrdID(41) is this.
    #[arg(long, value_name = "ID")]
    cl_ord_id: Option<String>,
    /// One JSON document: an array of messages, groups within the fields that count them.
    #[arg(long)]
    json: bool,
}

/// A field that a message must have.
#[derive(Clone)]
struct TagFilter {
    tag: u32,
    value: Option<String>,
}

fn parse_tag_filter(text: &str) -> Result<TagFilter, String> {
    let (number, value) = match text.split_once('=') {
        Some((number, value)) => (number, Some(value.to_string())),
        None => (text, None),
    };
    let tag =
        number.parse().map_err(|_| format!("{number:?} is no tag; write 44 or 55=BTCUSDT"))?;
    Ok(TagFilter { tag, value })
}

/// Prints what the filters let through.
///
/// # Errors
/// A file that cannot be read (usage), or input without any FIX message (failed).
pub fn run(args: &DecodeArgs) -> Result<(), Failure> {
    let dictionary = load(args.dictionary.as_deref(), args.transport.as_deref())?;
    let out = BufWriter::new(std::io::stdout().lock());
    let file = args.file.as_ref().filter(|path| path.as_os_str() != "-");
    let found = match file {
        None => print_all(std::io::stdin().lock(), out, &dictionary, args),
        Some(path) => {
            let input = std::fs::File::open(path).map_err(|e| usage(path, &e))?;
            print_all(input, out, &dictionary, args)
        }
    };
    match found {
        Ok(0) => Err(Failure::Failed("no FIX message found (none begins with 8=FIX)".into())),
        Ok(_) => Ok(()),
        // The reader of our output has seen enough: `| head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Failed(error.to_string())),
    }
}

/// Prints all of a log.
pub(super) fn print_log(
    input: impl Read,
    out: impl Write,
    dictionary: &Dictionary,
) -> std::io::Result<u64> {
    print_all(input, out, dictionary, &DecodeArgs::default())
}

/// Prints; the answer is how many messages there were, printed or not.
fn print_all(
    input: impl Read,
    mut out: impl Write,
    dictionary: &Dictionary,
    args: &DecodeArgs,
) -> std::io::Result<u64> {
    let mut log = LogText::new(input);
    let mut decoder = Decoder::new(FIELDS_MAX);
    let mut found = 0;
    let mut document = args.json.then_some(Document { before: "[" });
    while let Some(entry) = log.next_entry()? {
        found += 1;
        let decoded = decoder.decode(&entry.message);
        match (decoded, &mut document) {
            (Ok(message), _) if !passes(&message, dictionary, args) => {}
            (Ok(message), Some(document)) => {
                document.add(&mut out, &fix_json::message(&entry, &message, dictionary))?;
            }
            (Ok(message), None) => print_message(&mut out, &entry, &message, dictionary)?,
            (Err(_), Some(document)) => document.add(&mut out, &fix_json::garbled(&entry))?,
            (Err(_), None) => {
                let head = printable(&entry.before);
                writeln!(out, "{head}garbled: a tag is not a number, or a field has no =")?;
                writeln!(out, "    {}\n", masked_text(&entry.message))?;
            }
        }
    }
    if let Some(document) = document {
        document.end(&mut out)?;
    }
    out.flush()?;
    Ok(found)
}

/// An array that is written as its elements come.
struct Document {
    /// What stands before the next element.
    before: &'static str,
}

impl Document {
    fn add(&mut self, out: &mut impl Write, element: &serde_json::Value) -> std::io::Result<()> {
        write!(out, "{}\n{element}", self.before)?;
        self.before = ",";
        Ok(())
    }

    fn end(self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{}\n]", if self.before == "[" { "[" } else { "" })
    }
}

fn passes(message: &Message<'_>, dictionary: &Dictionary, args: &DecodeArgs) -> bool {
    let msg_type = message.msg_type();
    let name = dictionary.message(msg_type).map(|definition| definition.name.as_str());
    let is_type = |wanted: &String| wanted.as_bytes() == msg_type || Some(wanted.as_str()) == name;
    let has = |wanted: &TagFilter| {
        message.fields().any(|field| {
            let is_value = |value: &String| value.as_bytes() == field.value;
            field.tag == wanted.tag && wanted.value.as_ref().is_none_or(is_value)
        })
    };
    let is_order = |id: &String| {
        [tag::CL_ORD_ID, tag::ORIG_CL_ORD_ID].iter().any(|t| message.get(*t) == Some(id.as_bytes()))
    };
    (args.types.is_empty() || args.types.iter().any(is_type))
        && args.tags.iter().all(has)
        && args.cl_ord_id.as_ref().is_none_or(is_order)
}

fn print_message(
    out: &mut impl Write,
    entry: &Entry,
    message: &Message<'_>,
    dictionary: &Dictionary,
) -> std::io::Result<()> {
    let msg_type = message.msg_type();
    let definition = dictionary.message(msg_type);
    let name = definition.map_or("unknown message", |definition| definition.name.as_str());
    writeln!(out, "{}{name}({})", printable(&entry.before), printable(msg_type))?;
    let mut groups: Vec<ScopeId> = Vec::new();
    for field in message.fields() {
        let known = dictionary.field(field.tag).is_some();
        // A tag that the dictionary does not have leaves the group open.
        while known
            && groups.last().is_some_and(|group| dictionary.member_of(*group, field.tag).is_none())
        {
            groups.pop();
        }
        let is_first = groups.last().is_some_and(|g| dictionary.delimiter_of(*g) == field.tag);
        print_field(out, &field, groups.len(), is_first, dictionary)?;
        let scopes = [groups.last().copied(), Some(dictionary.header())];
        let scopes = scopes.into_iter().chain([definition.map(|definition| definition.scope)]);
        let member = scopes.flatten().find_map(|scope| dictionary.member_of(scope, field.tag));
        groups.extend(member.flatten());
    }
    if let Some(fault) = entry.fault {
        writeln!(out, "    ({fault})")?;
    }
    writeln!(out)
}

fn print_field(
    out: &mut impl Write,
    field: &Field<'_>,
    depth: usize,
    is_first: bool,
    dictionary: &Dictionary,
) -> std::io::Result<()> {
    let definition = dictionary.field(field.tag);
    let name = definition.map_or("?", |definition| definition.name.as_str());
    let indent = 4 * depth;
    let mark = if is_first { '-' } else { ' ' };
    let value =
        if SECRET_TAGS.contains(&field.tag) { "***".to_string() } else { printable(field.value) };
    write!(out, "  {:indent$}{mark} {:>5} {name:<24} {value}", "", field.tag)?;
    match definition.and_then(|definition| definition.meaning(field.value)) {
        Some(meaning) => writeln!(out, "  {meaning}"),
        None => writeln!(out),
    }
}

/// Text without control characters, a separator inside a data field shown as `␁`.
pub(super) fn printable(bytes: &[u8]) -> String {
    let shown = |c: char| match c {
        '\x01' => '␁',
        c if c.is_control() => '·',
        c => c,
    };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

/// A message that cannot be decoded, up to the first secret in it.
pub(super) fn masked_text(message: &[u8]) -> String {
    let mut shown = Vec::new();
    mask_text(message, &mut shown);
    shown.split(|byte| *byte == SOH).map(printable).collect::<Vec<_>>().join("|")
}

/// One message of a log.
pub(super) struct Entry {
    /// What stands before it on its line: a time, a direction.
    pub(super) before: Vec<u8>,
    /// With SOH as the separator, whatever it was.
    pub(super) message: Vec<u8>,
    /// What is wrong with its frame.
    pub(super) fault: Option<&'static str>,
}

/// Finds messages in text of any length, holding at most one of them and a chunk.
struct LogText<R> {
    input: R,
    buffer: Vec<u8>,
    is_ended: bool,
}

impl<R: Read> LogText<R> {
    fn new(input: R) -> LogText<R> {
        LogText { input, buffer: Vec::new(), is_ended: false }
    }

    fn next_entry(&mut self) -> std::io::Result<Option<Entry>> {
        // What stands before it begins no message.
        let mut from = 0;
        loop {
            let begin = find_begin(&self.buffer, from);
            match begin.map(|at| (at, self.entry_at(at))) {
                Some((at, Look::Found(len, entry))) => {
                    self.buffer.drain(..at + len);
                    return Ok(Some(entry));
                }
                Some((at, Look::Nothing)) => {
                    from = at + BEGIN.len();
                    continue;
                }
                Some((_, Look::Cut)) | None if self.is_ended => return Ok(None),
                Some((_, Look::Cut)) | None => {}
            }
            if begin.is_none() && self.buffer.len() > CHUNK {
                // No message so far: keep what may be the line before one.
                let spare = self.buffer.len() - CHUNK;
                self.buffer.drain(..spare);
                from = from.saturating_sub(spare);
            }
            let len = self.buffer.len();
            self.buffer.resize(len + CHUNK, 0);
            let room = self.buffer.get_mut(len..).unwrap_or_default();
            let count = self.input.read(room)?;
            self.buffer.truncate(len + count);
            self.is_ended = count == 0;
        }
    }

    /// The message that begins at `at` and its length in the text, once its end is there.
    fn entry_at(&self, at: usize) -> Look {
        let text = self.buffer.get(at..).unwrap_or_default();
        if let Frame::Message { len } = frame(text, MESSAGE_LEN_MAX) {
            let message = text.get(..len).unwrap_or_default().to_vec();
            return Look::Found(len, Entry { before: self.before(at), message, fault: None });
        }
        let separator = match separator_of(text) {
            Separator::Is(separator) => separator,
            Separator::Cut if !self.is_ended => return Look::Cut,
            Separator::Cut | Separator::Unknown => return Look::Nothing,
        };
        let is_text = separator != [SOH];
        let line = text.iter().position(|byte| is_text && *byte == b'\n');
        let next = find_begin(text, 1);
        let limit = line.into_iter().chain(next).min();
        let end = end_of(text, separator);
        let is_final = self.is_ended || limit.is_some() || text.len() > MESSAGE_LEN_MAX;
        let len = match (end, limit) {
            (Some(end), Some(limit)) => end.min(limit),
            (Some(end), None) => end,
            (None, _) if !is_final => return Look::Cut,
            (None, Some(limit)) => limit,
            (None, None) => text.len().min(MESSAGE_LEN_MAX),
        };
        let shown = text.get(..len).unwrap_or_default().trim_ascii_end();
        let mut message = replace(shown, separator);
        if message.last() != Some(&SOH) {
            message.push(SOH);
        }
        let fault = match frame(&message, MESSAGE_LEN_MAX) {
            Frame::Message { .. } => None,
            Frame::Incomplete => Some("the message is cut short"),
            Frame::Garbled { reason, .. } => Some(fault_text(reason)),
        };
        Look::Found(len, Entry { before: self.before(at), message, fault })
    }

    /// What stands on the line before the message up to the first secret in it, with a blank after it.
    fn before(&self, at: usize) -> Vec<u8> {
        let text = self.buffer.get(..at).unwrap_or_default();
        let line = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut masked = Vec::new();
        mask_text(line, &mut masked);
        let shown = masked.rsplit(|byte| *byte == SOH).next().unwrap_or_default();
        let mut before = shown.trim_ascii().to_vec();
        if !before.is_empty() {
            before.push(b' ');
        }
        before
    }
}

const fn fault_text(reason: GarbledReason) -> &'static str {
    match reason {
        GarbledReason::NoBeginString | GarbledReason::FirstThreeFields => {
            "BeginString(8), BodyLength(9) and MsgType(35) do not come first"
        }
        GarbledReason::BodyLengthInvalid => "BodyLength(9) is no possible length",
        GarbledReason::BodyLengthWrong => "BodyLength(9) does not match; masked or changed text?",
        GarbledReason::CheckSumWrong => "CheckSum(10) does not match; masked or changed text?",
        GarbledReason::FieldMalformed => "a field is malformed",
    }
}

/// What is found where `8=FIX` stands.
enum Look {
    /// A message, and its length in the text.
    Found(usize, Entry),
    /// Its end is not there yet.
    Cut,
    /// No message: prose, or one that was cut short before its first separator.
    Nothing,
}

/// How fields are separated.
#[derive(PartialEq, Eq, Debug)]
enum Separator {
    Is(&'static [u8]),
    /// The text ends before it.
    Cut,
    /// By nothing that is known.
    Unknown,
}

/// The next `8=FIX` that is not the end of a longer tag.
fn find_begin(text: &[u8], from: usize) -> Option<usize> {
    let is_begin = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !before.is_some_and(u8::is_ascii_digit)
    };
    let windows = text.windows(5).enumerate().skip(from);
    windows.filter(|(_, window)| *window == BEGIN).map(|(at, _)| at).find(is_begin)
}

/// What follows BeginString's value.
fn separator_of(text: &[u8]) -> Separator {
    let is_value = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'.' || **byte == b'=';
    let len = text.iter().take_while(is_value).count();
    let rest = text.get(len..).unwrap_or_default();
    match SEPARATORS.into_iter().find(|separator| rest.starts_with(separator)) {
        Some(separator) => Separator::Is(separator),
        None if len > BEGIN_STRING_LEN_MAX => Separator::Unknown,
        None if SEPARATORS.iter().any(|separator| separator.starts_with(rest)) => Separator::Cut,
        None => Separator::Unknown,
    }
}

/// The place behind CheckSum(10), its separator included where there is one.
fn end_of(text: &[u8], separator: &[u8]) -> Option<usize> {
    let head = [separator, b"10="].concat();
    let start = text.windows(head.len()).position(|window| window == head)? + head.len();
    let rest = text.get(start..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let behind = rest.get(digits..)?;
    // At the very end of what was read, the rest of the number may still come.
    (!behind.is_empty()).then_some(())?;
    let tail = if behind.starts_with(separator) { separator.len() } else { 0 };
    Some(start + digits + tail)
}

fn replace(text: &[u8], separator: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(byte) = rest.first() {
        match rest.strip_prefix(separator) {
            Some(behind) => {
                replaced.push(SOH);
                rest = behind;
            }
            None => {
                replaced.push(*byte);
                rest = rest.get(1..).unwrap_or_default();
            }
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> DecodeArgs {
        DecodeArgs::default()
    }

    fn decoded(text: &[u8], args: &DecodeArgs) -> (u64, String) {
        let mut out = Vec::new();
        let found = print_all(text, &mut out, &Dictionary::fix44(), args).unwrap();
        (found, String::from_utf8(out).unwrap())
    }

    const ORDER: &str = "8=FIX.4.4|9=103|35=D|34=3|49=BANZAI|52=20121105-23:24:42|56=EXEC|11=7-1|\
        453=2|448=me|452=1|448=you|55=MSFT|54=1|10=062|";

    #[test]
    fn names_meanings_and_groups_are_printed_from_any_separator() {
        for separator in ["|", "\x01", "^A", "␁"] {
            let text = format!("12:00:00 IN {}\n", ORDER.replace('|', separator));
            let (found, out) = decoded(text.as_bytes(), &args());
            assert_eq!(found, 1);
            assert!(out.starts_with("12:00:00 IN NewOrderSingle(D)\n"), "{out}");
            assert!(out.contains("54 Side                     1  BUY"), "{out}");
            assert!(out.contains("      -   448 PartyID                  you"), "{out}");
            assert!(out.contains("\n       55 Symbol"), "{out}");
        }
    }

    #[test]
    fn secrets_are_masked_even_in_garbled_messages() {
        for text in [
            "8=FIX.4.4|9=5|35=A|553=me|554=geheim|95=6|96=geheim|10=000|",
            "8=FIX.4.4|9=5|35=A|x|554=geheim|10=000|",
        ] {
            let (_, out) = decoded(text.as_bytes(), &args());
            assert!(!out.contains("geheim") && out.contains("***"), "{out}");
        }
    }

    #[test]
    fn secrets_are_masked_before_a_message_too() {
        let text = format!("login 554=geheim now {ORDER}\n96=ab\x01geheim {ORDER}\n");
        for json in [false, true] {
            let (found, out) = decoded(text.as_bytes(), &DecodeArgs { json, ..args() });
            assert_eq!(found, 2);
            assert!(!out.contains("geheim") && out.contains("login 554=***"), "{out}");
        }
    }

    #[test]
    fn what_begins_like_a_message_and_is_none_hides_no_message_behind_it() {
        let beat = "8=FIX.4.4|9=5|35=0|34=4|10=000|\n";
        let long = "x".repeat(3 * CHUNK);
        for stray in [
            "IN  cut short: 8=FIX.4.4\n",
            "prose about 8=FIX; and more ",
            "8=FIX",
            "8=FIX.4.4;9=5;35=0;10=000;\n",
            &format!("8=FIX{long} "),
            &format!("8=FIX.4.4 {long} "),
            "8=FIX.4.4^B",
        ] {
            let text = format!("{beat}12:00 {stray}{beat}{beat}");
            let (found, out) = decoded(text.as_bytes(), &args());
            assert!(found >= 3 && out.matches("Heartbeat(0)").count() == 3, "{out}");
        }
        assert_eq!(decoded(b"8=FIX.4.4", &args()).0, 0);
    }

    #[test]
    fn text_without_messages_is_not_kept() {
        let mut log = LogText::new(std::io::repeat(b' ').take(40 * CHUNK as u64));
        log.buffer.extend_from_slice(b"8=FIX.4.4; ");
        assert!(log.next_entry().unwrap().is_none());
        assert!(log.buffer.capacity() < 10 * CHUNK, "{}", log.buffer.capacity());
    }

    #[test]
    fn filters_by_type_tag_and_order() {
        let text = format!("{ORDER}\n8=FIX.4.4|9=5|35=0|34=4|10=000|\n");
        let count =
            |args: DecodeArgs| decoded(text.as_bytes(), &args).1.matches("BeginString").count();
        let tag = |text| vec![parse_tag_filter(text).unwrap()];
        assert_eq!(count(args()), 2);
        assert_eq!(count(DecodeArgs { types: vec!["0".into()], ..args() }), 1);
        assert_eq!(count(DecodeArgs { types: vec!["NewOrderSingle".into()], ..args() }), 1);
        assert_eq!(count(DecodeArgs { tags: tag("34=4"), ..args() }), 1);
        assert_eq!(count(DecodeArgs { tags: tag("55"), ..args() }), 1);
        assert_eq!(count(DecodeArgs { tags: tag("55=IBM"), ..args() }), 0);
        assert_eq!(count(DecodeArgs { cl_ord_id: Some("7-1".into()), ..args() }), 1);
        assert!(parse_tag_filter("x=1").is_err());
    }

    #[test]
    fn one_json_document_holds_groups_within_their_counters_and_no_secret() {
        let logon = "8=FIX.4.4|9=5|35=A|553=me|554=geheim|95=6|96=geheim|10=000|";
        let json = DecodeArgs { json: true, ..args() };
        let (_, out) = decoded(format!("12:00 IN {ORDER}\n{logon}\n").as_bytes(), &json);
        assert!(!out.contains("geheim"), "{out}");
        let messages: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
        let order = &messages[0];
        let head = [&order["line"], &order["type"], &order["name"]];
        assert_eq!(head, ["12:00 IN", "D", "NewOrderSingle"]);
        let fields = order["fields"].as_array().unwrap();
        let field = |tag: u32| fields.iter().find(|field| field["tag"] == tag).unwrap();
        assert_eq!(field(54)["meaning"], "BUY");
        let parties = field(453)["entries"].as_array().unwrap();
        let tags = |entry: usize| -> Vec<u64> {
            let entry = parties[entry].as_array().unwrap();
            entry.iter().map(|field| field["tag"].as_u64().unwrap()).collect()
        };
        assert_eq!((tags(0), tags(1)), (vec![448, 452], vec![448]));
        assert_eq!(field(55)["value"], "MSFT", "the group has ended");
        let masked = messages[1]["fields"].as_array().unwrap();
        assert_eq!(masked.iter().filter(|field| field["value"] == "***").count(), 2);
        let nothing = DecodeArgs { types: vec!["8".into()], json: true, ..args() };
        let (_, out) = decoded(ORDER.as_bytes(), &nothing);
        assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&out).unwrap().len(), 0);
    }

    #[test]
    fn a_text_that_ends_in_the_middle_is_shown_as_far_as_it_goes() {
        let (found, out) = decoded(b"8=FIX.4.4|9=50|35=D|34=3|49=BAN", &args());
        assert_eq!(found, 1);
        assert!(out.contains("BAN") && out.contains("cut short"), "{out}");
        assert_eq!(decoded(b"nothing to see", &args()).0, 0);
    }
}

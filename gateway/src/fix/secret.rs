//! Which fields are secret, and messages written down without them.
//!
//! Fed by the message log and by `ballast fix decode`; any cold thread. In doubt it hides too much:
//! a length that does not fit, or text that is no message, hides everything behind the secret's tag.
//! Deliberately absent: secrets inside Text(58) or inside fields of a venue's own.

use super::{SOH, tag};

/// Password(554), RawData(96), NewPassword(925), EncryptedPassword(1402), EncryptedNewPassword(1404).
pub const SECRET_TAGS: [u32; 5] = [tag::PASSWORD, tag::RAW_DATA, 925, 1402, 1404];
/// The secret fields that may hold SOH, each behind its length.
const SECRET_DATA: [(u32, u32); 3] =
    [(tag::RAW_DATA_LENGTH, tag::RAW_DATA), (1401, 1402), (1403, 1404)];
/// What stands where a secret stood.
const HIDDEN: &[u8] = b"***";
/// `10=ddd` and its SOH.
const TRAILER_LEN: usize = 7;

/// Appends a message whose frame is right to `out`, its secrets hidden. Its BodyLength(9) and
/// CheckSum(10) stay those of the true message. Says whether it held a secret.
pub fn mask_message(message: &[u8], out: &mut Vec<u8>) -> bool {
    let body_end = message.len().saturating_sub(TRAILER_LEN);
    let (body, trailer) = message.split_at_checked(body_end).unwrap_or((message, &[]));
    let mut rest = body;
    let mut before: Option<(u32, &[u8])> = None;
    let mut has_secret = false;
    while !rest.is_empty() {
        let (field, behind) = split_field(rest);
        let (number, value_at) = number_of(field);
        let value = field.get(value_at..).unwrap_or_default();
        if SECRET_TAGS.contains(&number) {
            has_secret = true;
            out.extend_from_slice(field.get(..value_at).unwrap_or_default());
            out.extend_from_slice(HIDDEN);
            out.push(SOH);
            let text = rest.get(value_at..).unwrap_or_default();
            rest = behind_secret(number, before, text).unwrap_or_default();
            before = None;
        } else {
            out.extend_from_slice(rest.get(..rest.len() - behind.len()).unwrap_or_default());
            rest = behind;
            before = Some((number, value));
        }
    }
    out.extend_from_slice(trailer);
    has_secret
}

/// Appends text that is no whole message to `out`: everything from the first secret tag on is
/// hidden, wherever it stands, and control characters but SOH are shown as blanks. Says whether
/// something was hidden.
pub fn mask_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let end = SECRET_TAGS.iter().filter_map(|number| {
        let head = format!("{number}=");
        let at = text.windows(head.len()).position(|window| window == head.as_bytes())?;
        Some(at + head.len())
    });
    let end = end.min();
    let shown = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let is_shown = |byte: u8| byte == SOH || !byte.is_ascii_control();
    out.extend(shown.iter().map(|byte| if is_shown(*byte) { *byte } else { b' ' }));
    if end.is_some() {
        out.extend_from_slice(HIDDEN);
    }
    end.is_some()
}

/// The first field without its SOH, and what is behind that.
fn split_field(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == SOH) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, &[]),
    }
}

/// A field's tag and where its value begins. Anything but digits in the tag is passed over: ` 554=`
/// is not a tag, and a secret all the same.
fn number_of(field: &[u8]) -> (u32, usize) {
    let Some(equals) = field.iter().position(|byte| *byte == b'=') else { return (0, field.len()) };
    let digits = field.iter().take(equals).filter(|byte| byte.is_ascii_digit());
    let number = digits.fold(0u32, |number, digit| {
        number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
    });
    (number, equals + 1)
}

/// What stands behind the secret at the head of `text`; `None` where its end is not certain.
fn behind_secret<'a>(
    number: u32,
    before: Option<(u32, &[u8])>,
    text: &'a [u8],
) -> Option<&'a [u8]> {
    let Some((length_tag, _)) = SECRET_DATA.iter().find(|(_, data)| *data == number) else {
        return Some(split_field(text).1);
    };
    let (_, length) = before.filter(|(tag, _)| tag == length_tag)?;
    let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
    let rest = text.get(length..)?.strip_prefix(&[SOH])?;
    // A length that is too short may end at an SOH of the secret itself.
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_field = digits > 0 && rest.get(digits) == Some(&b'=');
    (rest.is_empty() || is_field).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut out = Vec::new();
        mask_message(text.replace('|', "\x01").as_bytes(), &mut out);
        String::from_utf8(out).unwrap().replace('\x01', "|")
    }

    fn masked_text(text: &str) -> String {
        let mut out = Vec::new();
        mask_text(text.replace('|', "\x01").as_bytes(), &mut out);
        String::from_utf8(out).unwrap().replace('\x01', "|")
    }

    #[test]
    fn secrets_are_hidden_and_the_rest_stays_to_the_byte() {
        for (text, wanted) in [
            ("8=FIX|35=A|553=me|554=geheim|98=0|10=000|", "8=FIX|35=A|553=me|554=***|98=0|10=000|"),
            ("8=FIX|95=6|96=gehe|m|98=0|10=000|", "8=FIX|95=6|96=***|98=0|10=000|"),
            ("8=FIX|95=6|96=geheim|10=000|", "8=FIX|95=6|96=***|10=000|"),
            (
                "8=FIX|1401=3|1402=x|y|1403=3|1404=x|y|10=000|",
                "8=FIX|1401=3|1402=***|1403=3|1404=***|10=000|",
            ),
            ("8=FIX| 925=geheim|10=000|", "8=FIX| 925=***|10=000|"),
            ("8=FIX|1554=open|10=000|", "8=FIX|1554=open|10=000|"),
        ] {
            assert_eq!(masked(text), wanted);
        }
    }

    #[test]
    fn a_length_that_does_not_fit_hides_everything_behind() {
        for text in [
            "8=FIX|95=2|96=geheim|98=0|10=000|",
            "8=FIX|95=99|96=geheim|98=0|10=000|",
            "8=FIX|95=x|96=geheim|98=0|10=000|",
            "8=FIX|96=ge|heim|98=0|10=000|",
            "8=FIX|95=2|96=ge|heim|98=0|10=000|",
        ] {
            let masked = masked(text);
            assert!(masked.ends_with("|96=***|10=000|"), "{masked}");
        }
    }

    #[test]
    fn text_that_is_no_message_is_shown_up_to_the_first_secret() {
        assert_eq!(masked_text("x554=geheim|58=hallo"), "x554=***");
        assert_eq!(masked_text("58=a\nb\tc|95=4|96=geheim"), "58=a b c|95=4|96=***");
        assert_eq!(masked_text("58=hallo"), "58=hallo");
    }
}

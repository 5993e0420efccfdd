//! News(B): what a venue tells people, and what the line does about it.
//!
//! Posted by the [`Line`](super::line::Line), on its stage's thread; taken by whoever alerts people. A
//! maintenance notice is repeated for minutes: the same words wait once. Cold. Deliberately absent:
//! alerts, and reading meaning out of words: a venue's rules say what its notices mean.

use crate::fix::message::Message;
use crate::fix::tag;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Notices that wait for people; more than these push out the oldest.
const WAITING_MAX: usize = 16;
/// Characters of a notice.
const LEN_MAX: usize = 512;
/// Lines of a notice.
const LINES_MAX: usize = 8;

/// What a venue's News(B) asks of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnNews {
    /// People are told.
    #[default]
    Tell,
    /// People are told, and the session moves, at most once a minute: Logout, then a Logon at the same
    /// address as it was resolved at the start, behind which the venue has another server. While it moves
    /// nothing is quoted; what is out is reconciled after the Logon as after any.
    Move,
}

/// A board for one session's notices: one posts, one takes.
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    waiting: VecDeque<String>,
    last: String,
}

impl Notices {
    /// Posts what a News(B) says; the same words as last time are not news.
    pub fn post(&self, news: &Message<'_>) {
        let text = text_of(news);
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if board.last == text {
            return;
        }
        if board.waiting.len() >= WAITING_MAX {
            board.waiting.pop_front();
        }
        board.last.clone_from(&text);
        board.waiting.push_back(text);
    }

    /// The oldest notice that nobody has taken.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front()
    }
}

/// Headline(148) and the lines of Text(58).
fn text_of(news: &Message<'_>) -> String {
    let is_said = |tag| tag == tag::HEADLINE || tag == tag::TEXT;
    let said = news.fields().filter(|field| is_said(field.tag)).take(LINES_MAX);
    let lines: Vec<_> = said.map(|field| String::from_utf8_lossy(field.value)).collect();
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    lines.join("; ").chars().map(shown).take(LEN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fix::decode::Decoder;
    use crate::fix::encode::Encoder;

    fn post(notices: &Notices, headline: &str) {
        let mut room = [0; 1024];
        let mut encoder = Encoder::begin(&mut room, b"FIX.4.4", b"B");
        encoder.uint(34, 1).str(148, headline).str(58, "see you");
        let len = encoder.finish().unwrap();
        let mut decoder = Decoder::new(16);
        notices.post(&decoder.decode(&room[..len]).unwrap());
    }

    #[test]
    fn a_repeated_notice_is_told_once_and_another_one_again() {
        let notices = Notices::default();
        for headline in ["closing", "closing", "closed", "closing"] {
            post(&notices, headline);
        }
        let told: Vec<String> = std::iter::from_fn(|| notices.take()).collect();
        assert_eq!(told, ["closing; see you", "closed; see you", "closing; see you"]);
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_length() {
        let notices = Notices::default();
        for n in 0..40 {
            post(&notices, &format!("{n}{}", "x".repeat(800)));
        }
        let told: Vec<String> = std::iter::from_fn(|| notices.take()).collect();
        assert_eq!(told.len(), WAITING_MAX);
        assert!(told[0].starts_with("24x") && told[0].len() == LEN_MAX);
    }
}

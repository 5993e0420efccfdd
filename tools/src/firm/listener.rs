//! What the others say, handed to the maker where it is news, and shown to operators.
//!
//! Fed by the firm's thread with words and with the link's state; feeds the maker's control ring and the
//! status. Cold thread. Deliberately absent: what a word means (`book.rs`).

use super::book::FirmBook;
use crate::cold_thread::hand_over;
use crate::operator::desk::Desk;
use ballast_engine::maker::input::Control;
use ballast_engine::risk::firm::FirmView;
use ballast_engine::units::Nanos;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What comes in.
pub(super) struct Listener {
    pub(super) book: FirmBook,
    pub(super) desk: Arc<Desk>,
    /// The last view that the maker was given, by underlying.
    told: BTreeMap<u8, FirmView>,
    is_linked: bool,
}

impl Listener {
    /// Nothing heard and nothing told yet.
    pub(super) fn new(book: FirmBook, desk: Arc<Desk>) -> Listener {
        Listener { book, desk, told: BTreeMap::new(), is_linked: false }
    }

    /// Gives the maker what is new: the ring of controls is not for what it knows.
    pub(super) fn tell(&mut self, now: Nanos) {
        let mut is_new = false;
        for view in self.book.views(now) {
            if self.told.get(&view.underlying) != Some(&view) {
                is_new = true;
                self.told.insert(view.underlying, view);
                if !hand_over(&self.desk, Control::Firm(view)) {
                    tracing::warn!("the maker took no word of the firm for a second");
                }
            }
        }
        if is_new {
            self.show();
        }
    }

    /// The link came up or went down.
    pub(super) fn on_link(&mut self, is_linked: bool) {
        self.is_linked = is_linked;
        self.show();
    }

    fn show(&self) {
        let document = self.book.document(self.is_linked);
        self.desk.standing().firm = Some(document);
    }
}

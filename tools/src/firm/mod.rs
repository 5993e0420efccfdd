//! Several engines of one firm: what this one holds goes to the others, what they hold comes to the maker.
//!
//! Fed by the journal's stage with every input that the maker consumed, in that order, and by the link with
//! the others' words. Steps a shadow of the maker through the inputs, so that what it tells is what the
//! account says; feeds the broker with fills and holdings, and the maker's control ring with journaled
//! views. Two cold threads: this one and the link's. A shadow that falls behind tells old news, and old
//! news is none. Deliberately absent: any decision, and a way from the broker to anything but views.
//!
//! | file | holds |
//! | --- | --- |
//! | `message.rs` | what is told |
//! | `shadow.rs` | a second maker, and what it says |
//! | `teller.rs` | when that is told |
//! | `earlier.rs` | what the runs before did not get told |
//! | `book.rs` | what the others said last |
//! | `listener.rs` | what of it the maker is given |
//! | `link.rs` | the broker: NATS JetStream |

mod book;
mod earlier;
mod link;
mod listener;
mod message;
mod shadow;
mod teller;

use crate::config::ConfigFile;
use crate::operator::desk::Desk;
use crate::state_dir::StateDir;
use ballast_engine::journal::recorder::Watch;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Input;
use ballast_engine::units::Nanos;
use book::FirmBook;
use earlier::Earlier;
use link::Broker;
pub use link::LinkFault;
use listener::Listener;
use shadow::Shadow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use teller::Teller;
use tokio::sync::mpsc::channel as bounded;

/// A shadow so many inputs behind is given up: its words end, and the others' limits narrow.
const BEHIND_MAX: usize = 4_000_000;
/// Messages that may wait for the link.
const OUTGOING_MAX: usize = 65_536;
/// How often a thread to which nothing is told looks whether the run is over.
const LOOK: Duration = Duration::from_millis(500);

/// What the shadow's thread waits for.
enum Event {
    /// The maker consumed an input.
    Input(u64, Nanos, Input),
    /// An engine said what it holds.
    Heard(Vec<u8>),
    /// The link to the broker came up or went down.
    Linked(bool),
}

/// Starts both threads, where a config has a firm: what the journal's stage must call with every record.
/// They end when that is dropped.
///
/// # Errors
/// A file that the section names cannot be read.
pub fn tap_of(
    file: &ConfigFile,
    config: &MakerConfig,
    state: &StateDir,
    desk: &Arc<Desk>,
) -> Result<Option<Watch>, LinkFault> {
    let (Some(firm), Some(book)) = (&file.raw.firm, FirmBook::new(&file.raw, &file.table)) else {
        return Ok(None);
    };
    // Paths, not the folder itself: its lock goes with the run, and these threads end a little later.
    let journals = (1..state.epoch()).map(|epoch| (epoch, state.journal_of(epoch))).collect();
    let broker = Broker::new(firm, Earlier::new(&firm.engine, journals))?;
    let Some(shadow) = Shadow::new(file, config, &firm.engine) else { return Ok(None) };
    let (events, inbox) = channel();
    let (outgoing, to_send) = bounded(OUTGOING_MAX);
    let heard = events.clone();
    std::thread::spawn(move || broker.serve(to_send, &heard));
    let behind = Arc::new(AtomicUsize::new(0));
    let teller = Teller::new(shadow, firm.publish_ms.saturating_mul(1_000_000), outgoing);
    let listener = Listener::new(book, desk.clone());
    let waiting = behind.clone();
    std::thread::spawn(move || run(teller, listener, &inbox, &behind));
    let mut sender = Some(events);
    Ok(Some(Box::new(move |record| {
        if let (Some((number, now, input)), Some(to)) = (record.input(), &sender) {
            if waiting.fetch_add(1, Ordering::Relaxed) >= BEHIND_MAX {
                tracing::error!("the firm's shadow does not keep up: this engine tells no more");
                sender = None;
                return;
            }
            // Nobody listens any more at the end of a run.
            let _ = to.send(Event::Input(number, now, input));
        }
    })))
}

fn run(mut teller: Teller, mut listener: Listener, inbox: &Receiver<Event>, behind: &AtomicUsize) {
    let mut now = Nanos(0);
    loop {
        let event = match inbox.recv_timeout(LOOK) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) if !listener.desk.is_over() => continue,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        };
        match event {
            Event::Input(number, at, input) => {
                behind.fetch_sub(1, Ordering::Relaxed);
                now = at;
                listener.book.begin(at);
                teller.step(number, at, &input);
                // The timer's beat: words that came are looked at by then at the latest.
                if input == Input::Timer {
                    listener.tell(now);
                }
            }
            // What the maker consumed before its end is told; what others say after it, nobody needs.
            Event::Heard(_) if listener.desk.is_over() => return,
            Event::Heard(body) => {
                if listener.book.hear(now, &body) {
                    listener.tell(now);
                }
            }
            Event::Linked(is_linked) => listener.on_link(is_linked),
        }
    }
}

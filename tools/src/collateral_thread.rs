//! Collateral watched live: the maker's shadow on a cold thread.
//!
//! Fed by the journal's stage with every input that the maker consumed, in that order; steps a maker of
//! its own through them, so that positions, marks and Greeks are the same ones, and assesses that. Feeds
//! the maker's control ring with journaled views, and what operators are shown. A shadow that falls behind
//! gives old views, and old views are none. Deliberately absent: any decision.

use crate::cold_thread::hand_over;
use crate::collateral::Assessor;
use crate::config::ConfigFile;
use crate::operator::desk::Desk;
use crate::operator::standing::Watched;
use ballast_engine::journal::recorder::Watch;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::{Control, Input};
use ballast_engine::maker::intents::Intents;
use ballast_engine::units::Nanos;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

/// Room for a step's records, which nobody reads here.
const RECORDS_MAX: usize = 64;
/// A shadow so many inputs behind is given up: its views end, and so does all that adds risk.
const BEHIND_MAX: usize = 4_000_000;

/// Starts the thread, where a config watches its collateral: what the journal's stage must call with
/// every record. The thread ends when that is dropped.
pub fn tap_of(file: &ConfigFile, config: &MakerConfig, desk: &Arc<Desk>) -> Option<Watch> {
    let assessor = Assessor::new(file)?;
    let shadow = Maker::new(config).ok()?;
    let out = Intents::new(Maker::intents_max(config), RECORDS_MAX);
    let (sender, inputs) = channel();
    let (desk, behind) = (desk.clone(), Arc::new(AtomicUsize::new(0)));
    let waiting = behind.clone();
    std::thread::spawn(move || run(shadow, out, assessor, (&inputs, &behind), &desk));
    let mut sender = Some(sender);
    Some(Box::new(move |record| {
        if let (Some((_, now, input)), Some(to)) = (record.input(), &sender) {
            if waiting.fetch_add(1, Ordering::Relaxed) >= BEHIND_MAX {
                tracing::error!("the collateral's shadow does not keep up: no more views of it");
                sender = None;
                return;
            }
            // Nobody listens any more at the end of a run.
            let _ = to.send((now, input));
        }
    }))
}

fn run(
    mut shadow: Maker,
    mut out: Intents,
    mut assessor: Assessor,
    (inputs, behind): (&Receiver<(Nanos, Input)>, &AtomicUsize),
    desk: &Desk,
) {
    while let Ok((now, input)) = inputs.recv() {
        behind.fetch_sub(1, Ordering::Relaxed);
        shadow.step(now, &input, &mut out);
        out.clear();
        if let Some(view) = assessor.look(&shadow) {
            desk.standing().collateral = Some(Watched { view, document: assessor.document() });
            if !hand_over(desk, Control::Collateral(view)) {
                tracing::warn!("the maker took no view of its collateral for a second");
            }
        }
    }
}

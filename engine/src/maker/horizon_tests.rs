//! What a horizon that ends does to a maker that quotes by the time left.

use crate::calibration::{QuoteParameters, Real, quoter};
use crate::event::{OrderAction, OrderIntent};
use crate::maker::config::ConfigError;
use crate::maker::guard_tests::{guarded, settle, state};
use crate::maker::intents::Record;
use crate::maker::tests::{Desk, SPOT, config, news};
use crate::quote::{Model, Quoter, Session};
use crate::risk::state::{Reason, State};
use crate::units::Nanos;

const SECOND: u64 = 1_000_000_000;
const ENDING: [Model; 2] = [Model::AvellanedaStoikovFinite, Model::AvellanedaStoikovConstantSpread];

fn of(model: Model) -> Quoter {
    let parameters = QuoteParameters::new(Real::from(0.001), Real::from(1.0), Real::from(0.1));
    quoter(model, &parameters).unwrap()
}

/// Quoted from the start to the tenth second, and from the twentieth to the thirtieth.
fn desk(model: Model) -> (Desk, Vec<OrderIntent>) {
    let session = |begin, end| Session { begin: Nanos(begin), end: Nanos(end) };
    guarded(|guards, config| {
        guards.sessions = Some([session(0, 10 * SECOND), session(20 * SECOND, 30 * SECOND)].into());
        let spot = &mut config.settings[0];
        spot.quote.as_mut().unwrap().quoter = of(model);
        spot.stale_after_ns = 1_000 * SECOND;
    })
}

#[test]
fn after_its_end_nothing_is_quoted_until_the_next_horizon_begins() {
    for model in ENDING {
        let (mut desk, quotes) = desk(model);
        assert_eq!(quotes.len(), 4, "{model:?}");
        desk.now = 10 * SECOND - 2_000;
        let sent = desk.timer();
        settle(&mut desk, sent);
        assert_eq!(state(&desk), (State::Quoting, Reason::Normal), "a microsecond before");
        desk.now = 10 * SECOND - 1_000;
        let sent = desk.image(SPOT, 600_000);
        assert_eq!(sent.len(), 4, "the market tells of it before any timer: {sent:?}");
        assert!(sent.iter().all(|intent| intent.action == OrderAction::Cancel), "{sent:?}");
        let told =
            desk.out.records().iter().any(|record| {
                matches!(record, Record::State { reason: Reason::OutsideHorizon, .. })
            });
        assert!(told, "it is journaled with its reason");
        assert_eq!(state(&desk), (State::Paused, Reason::OutsideHorizon), "{model:?}");
        settle(&mut desk, sent);
        assert!(desk.image(SPOT, 600_010).is_empty() && desk.timer().is_empty());
        let entered: Vec<_> = desk.maker.counters().entered.iter().collect();
        assert!(entered.contains(&(Reason::OutsideHorizon, 1)), "{entered:?}");
        desk.now = 20 * SECOND;
        let sent = desk.timer();
        assert_eq!(news(&sent), 4, "{model:?}");
        assert_eq!(state(&desk), (State::Quoting, Reason::Normal));
        desk.now = 30 * SECOND;
        desk.timer();
        assert_eq!(state(&desk), (State::Paused, Reason::OutsideHorizon), "after the last");
    }
}

#[test]
fn a_model_that_counts_down_to_an_end_is_refused_without_one() {
    for model in Model::ALL {
        let mut config = config();
        config.settings[0].quote.as_mut().unwrap().quoter = of(model);
        let refused = config.faults().contains(&ConfigError::NoHorizonEnd { index: 0 });
        assert_eq!(refused, ENDING.contains(&model), "{model:?}");
        assert_eq!((model.has_end(), of(model).has_end()), (refused, refused), "{model:?}");
    }
}

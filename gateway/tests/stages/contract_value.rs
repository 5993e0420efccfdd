//! A contract that is worth something else than the config says: the maker is told before the fill, once a
//! report that says so, and the fill is booked all the same.

use crate::world::World;
use ballast_engine::event::{InstrumentId, OrderUpdate};

/// Our order of 1.5 at 61685.99, filled by one; `more` is what else the report says.
fn filled(more: &str) -> (World, Vec<String>) {
    let mut world = World::up();
    world.accept(11);
    world.say(&format!(
        "35=8|37=O|11=11|17=F1|150=F|39=1|55=BTC|54=2|31=61685.99|32=1|151=0.5|14=1|6=61685.99{more}"
    ));
    let names = world.names();
    (world, names)
}

#[test]
fn a_venue_that_agrees_or_says_nothing_of_it_changes_nothing() {
    for more in ["", "|231=1", "|231=1.000|381=61685.99", "|381=61686", "|381=0"] {
        assert_eq!(filled(more).1, ["Fill"], "{more}");
    }
}

#[test]
fn a_venue_that_does_not_is_told_of_before_the_fill() {
    for more in ["|231=0.001", "|381=61.69", "|231=1|381=616859.90", "|231=10|381=61685.99"] {
        assert_eq!(filled(more).1, ["ContractDiffers", "Fill"], "{more}");
    }
}

#[test]
fn it_names_the_instrument_and_an_acknowledgement_says_it_as_well() {
    let mut world = World::up();
    world.accept(11);
    world.say("35=8|37=O|11=11|17=S|150=I|39=0|55=BTC|54=2|151=1.5|14=0|6=0|231=100");
    let events = world.events();
    assert_eq!(events[0].update, OrderUpdate::ContractDiffers);
    assert_eq!((events[0].instrument, events[0].msg_seq_num), (InstrumentId(3), 0));
}

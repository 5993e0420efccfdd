//! Who is another operator, and what a lowering does to a raise that waits: over the desk of the kill's tests.

use super::{ask, folder, rig, set_position_max, take};
use ballast::operator::hand::Hand;
use ballast::operator::request::{Ask, Request};
use ballast::state_dir::StateDir;
use ballast_engine::stage::Stage;
use ballast_engine::units::Nanos;

#[test]
fn root_confirms_and_is_confirmed_only_where_the_config_names_it() {
    let none: [u32; 0] = [];
    let cases: [(&[u32], u32, u32, bool); 5] = [
        (&none, 1000, 1001, true),
        // Who may `sudo` is both.
        (&none, 1000, 0, false),
        (&none, 0, 1000, false),
        (&[0], 1000, 0, true),
        (&[0], 0, 1000, true),
    ];
    for (n, (uids, one, other, is_another)) in cases.into_iter().enumerate() {
        let folder = folder(&format!("root-{n}"));
        let state = StateDir::open(&folder).unwrap();
        let (floor, desk, mut file, config) = rig(&state, Vec::new());
        file.raw.operator.second = vec!["bob".into()];
        file.raw.operator.uids = uids.to_vec();
        let watch = desk.journal_watch();
        let mut hand = Hand::new(desk, &file, &config);
        let maker = std::thread::spawn(move || take(1, floor, watch));
        let asked = ask(&mut hand, one, set_position_max("5"));
        assert!(asked.text.contains("a second operator"), "{asked:?}");
        let confirmed = ask(&mut hand, other, Ask::Confirm { id: 1 });
        assert_eq!(confirmed.ok, is_another, "{one}, {other}: {confirmed:?}");
        if !is_another {
            assert!(confirmed.text.contains("operator.uids names 0"), "{confirmed:?}");
            // A name is a claim, whoever makes it.
            let by_name = Request { name: Some("bob".into()), ask: Ask::Confirm { id: 1 } };
            assert!(hand.answer(other, &by_name).ok);
        }
        maker.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_lowering_drops_the_raise_that_waits_on_the_same_limit() {
    let folder = folder("dropped");
    let state = StateDir::open(&folder).unwrap();
    let (mut floor, desk, file, config) = rig(&state, Vec::new());
    let mut journal = desk.journal_watch();
    let mut hand = Hand::new(desk, &file, &config);
    let maker = std::thread::spawn(move || {
        let mut taken = 0;
        while taken < 2 {
            floor.now += 1_000_000;
            floor.stage.turn(Nanos(floor.now));
            taken = floor.ends.progress.controls();
            std::iter::from_fn(|| floor.ends.journal.pop()).for_each(|record| journal(&record));
            while floor.ends.telemetry.pop().is_some() {}
        }
    });
    assert!(ask(&mut hand, 1000, set_position_max("5")).text.contains("a second operator"));
    assert!(ask(&mut hand, 1000, set_position_max("1")).ok, "an emergency");
    let confirmed = ask(&mut hand, 1001, Ask::Confirm { id: 1 });
    assert!(!confirmed.ok && confirmed.text.contains("lowered"), "{confirmed:?}");
    // What is asked for after that is another question.
    assert!(ask(&mut hand, 1000, set_position_max("2")).text.contains("a second operator"));
    assert!(ask(&mut hand, 1001, Ask::Confirm { id: 2 }).ok);
    maker.join().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

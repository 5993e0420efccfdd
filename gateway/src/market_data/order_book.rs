//! A book of single orders, where a venue's entries are orders: each has a MDEntryID(278), several stand at
//! one price, and a change or delete names the order, often without its price.
//!
//! Fed by the feed with entries; feeds it with the sizes of the levels that they change, which is all that
//! the maker's book knows. Feed thread; two open-addressed tables taken at start, nothing allocates. An entry
//! that the book does not know, knows already, or has no room for is [`Unknown`]: from there on the levels
//! are not what the venue shows, and a snapshot must come. Budget: two or three cache lines an entry.
//! Deliberately absent: places in the queue.

use super::refresh::{Action, Entry, EntryKind};
use ballast_engine::units::{Lots, Side, Ticks};

/// An MDEntryID(278): its text where that has at most 16 bytes, else a hash of it; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EntryId(u128);

impl EntryId {
    /// Of this text.
    pub fn of(text: &[u8]) -> EntryId {
        let mut bytes = [0; 16];
        match bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text);
                EntryId(u128::from_le_bytes(bytes))
            }
            // FNV-1a of 128 bits.
            None => {
                EntryId(text.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |sum, byte| {
                    (sum ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
                }))
            }
        }
    }

    /// There is one.
    pub fn is_given(self) -> bool {
        self != EntryId::default()
    }
}

/// What is displayed at a price now.
pub type LevelSize = (Side, Ticks, Lots);

/// The book has lost its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unknown;

/// One order.
#[derive(Clone, Copy, Debug)]
struct Order {
    side: Side,
    price: Ticks,
    size: Lots,
}

/// The book of one instrument.
pub struct OrderBook {
    orders: Table<Order>,
    levels: Table<Lots>,
}

impl OrderBook {
    /// Room for so many orders.
    pub fn new(orders_max: usize) -> OrderBook {
        let none = Order { side: Side::Buy, price: Ticks(0), size: Lots(0) };
        OrderBook { orders: Table::new(orders_max, none), levels: Table::new(orders_max, Lots(0)) }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.orders.clear();
        self.levels.clear();
    }

    /// Takes an entry of a level; the answer is what is displayed now at the one or two prices that it
    /// touches, the one that it left first.
    pub fn take(&mut self, entry: &Entry) -> Result<[Option<LevelSize>; 2], Unknown> {
        // A venue that gives a changed order a new name says its old one in MDEntryRefID(280).
        let old = if entry.ref_id.is_given() { entry.ref_id } else { entry.id };
        match entry.action {
            Action::New => Ok([None, Some(self.add(entry)?)]),
            Action::Delete => Ok([None, Some(self.remove(old)?)]),
            Action::Change => {
                let before = self.orders.get(old.0).ok_or(Unknown)?;
                let left = self.remove(old)?;
                let after = Entry {
                    kind: EntryKind::Level(before.side),
                    id: if entry.id.is_given() { entry.id } else { old },
                    price: entry.price.or(Some(before.price)),
                    size: entry.size.or(Some(before.size)),
                    ..*entry
                };
                let stands = self.add(&after)?;
                let is_moved = before.price != stands.1;
                Ok([Some(left).filter(|_| is_moved), Some(stands)])
            }
        }
    }

    fn add(&mut self, entry: &Entry) -> Result<LevelSize, Unknown> {
        let EntryKind::Level(side) = entry.kind else { return Err(Unknown) };
        let (Some(price), Some(size)) = (entry.price, entry.size) else { return Err(Unknown) };
        let is_new = entry.id.is_given() && self.orders.get(entry.id.0).is_none();
        if !is_new || size.0 < 0 || !self.orders.put(entry.id.0, Order { side, price, size }) {
            return Err(Unknown);
        }
        let level = level_key(side, price);
        let shown = self.levels.get(level).unwrap_or_default();
        let shown = Lots(shown.0.saturating_add(size.0));
        // A level is put where an order was, of which there are no more than levels fit.
        match self.levels.put(level, shown) {
            true => Ok((side, price, shown)),
            false => Err(Unknown),
        }
    }

    fn remove(&mut self, id: EntryId) -> Result<LevelSize, Unknown> {
        let Order { side, price, size } = self.orders.remove(id.0).ok_or(Unknown)?;
        let level = level_key(side, price);
        let shown = self.levels.get(level).ok_or(Unknown)?;
        let shown = Lots(shown.0.saturating_sub(size.0));
        if shown.0 > 0 {
            self.levels.put(level, shown);
        } else {
            self.levels.remove(level);
        }
        Ok((side, price, shown))
    }
}

/// Never 0: the side stands above the price.
fn level_key(side: Side, price: Ticks) -> u128 {
    let side: u128 = if side == Side::Buy { 1 } else { 2 };
    side << 64 | u128::from(u64::from_le_bytes(price.0.to_le_bytes()))
}

/// A key's place; empty with the key 0, and in every life of the table but its own.
#[derive(Clone, Copy)]
struct Slot<V> {
    key: u128,
    value: V,
    life: u32,
}

/// Open addressing with linear probing, at most half full; the key 0 is none.
struct Table<V> {
    slots: Box<[Slot<V>]>,
    empty: Slot<V>,
    used: usize,
    used_max: usize,
    /// Counts how often the table was emptied: to write five megabytes of 20,000 orders at each snapshot
    /// would cost the feed's thread a millisecond.
    life: u32,
}

impl<V: Copy> Table<V> {
    fn new(used_max: usize, none: V) -> Table<V> {
        let used_max = used_max.clamp(1, 1 << 24);
        let empty = Slot { key: 0, value: none, life: 0 };
        let slots = vec![empty; (used_max * 2).next_power_of_two()].into_boxed_slice();
        Table { slots, empty, used: 0, used_max, life: 0 }
    }

    fn clear(&mut self) {
        self.life = self.life.wrapping_add(1);
        if self.life == 0 {
            // Counted through: a slot of the first life would look like one of this.
            self.slots.fill(self.empty);
        }
        self.used = 0;
    }

    /// What is taken at a place.
    fn taken(&self, place: usize) -> Option<&Slot<V>> {
        self.slots.get(place).filter(|slot| slot.key != 0 && slot.life == self.life)
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    fn home(&self, key: u128) -> usize {
        let [low, high] = [key & u128::from(u64::MAX), key >> 64].map(|half| {
            // Either half fits.
            u64::try_from(half).unwrap_or(0)
        });
        let mixed = (low ^ high.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 32).unwrap_or(0) & self.mask()
    }

    /// Where the key stands, or the empty slot where it would.
    fn place(&self, key: u128) -> usize {
        let mut place = self.home(key);
        // At most half of the slots are taken: an empty one ends the walk.
        for _ in 0..self.slots.len() {
            match self.taken(place) {
                Some(slot) if slot.key != key => place = (place + 1) & self.mask(),
                Some(_) | None => break,
            }
        }
        place
    }

    fn get(&self, key: u128) -> Option<V> {
        self.taken(self.place(key)).filter(|slot| slot.key == key).map(|slot| slot.value)
    }

    /// `false` where there is no room, and then nothing is changed.
    fn put(&mut self, key: u128, value: V) -> bool {
        let place = self.place(key);
        let is_new = self.taken(place).is_none();
        if is_new && self.used >= self.used_max {
            return false;
        }
        let life = self.life;
        let Some(slot) = self.slots.get_mut(place) else { return false };
        *slot = Slot { key, value, life };
        self.used += usize::from(is_new);
        true
    }

    fn remove(&mut self, key: u128) -> Option<V> {
        let value = self.get(key)?;
        let mut hole = self.place(key);
        let mut walker = hole;
        // What had to walk past the hole moves back into it, so that no walk ends too early.
        for _ in 0..self.slots.len() {
            walker = (walker + 1) & self.mask();
            let Some(slot) = self.taken(walker).copied() else { break };
            let from_home = walker.wrapping_sub(self.home(slot.key)) & self.mask();
            let from_hole = walker.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                if let Some(target) = self.slots.get_mut(hole) {
                    *target = slot;
                }
                hole = walker;
            }
        }
        if let Some(target) = self.slots.get_mut(hole) {
            *target = self.empty;
        }
        self.used -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::units::Nanos;
    use std::collections::BTreeMap;

    fn entry(action: Action, id: &str, price: i64, size: i64) -> Entry {
        Entry {
            action,
            kind: EntryKind::Level(Side::Buy),
            place: Some(0),
            id: EntryId::of(id.as_bytes()),
            ref_id: EntryId::default(),
            price: Some(Ticks(price)),
            size: Some(Lots(size)),
            is_off_grid: false,
            aggressor: None,
            venue_at: Nanos(0),
            is_last: false,
        }
    }

    fn only(price: i64, size: i64) -> Result<[Option<LevelSize>; 2], Unknown> {
        Ok([None, Some((Side::Buy, Ticks(price), Lots(size)))])
    }

    #[test]
    fn orders_at_one_price_are_one_level_and_leave_it_one_by_one() {
        let mut book = OrderBook::new(4);
        assert_eq!(book.take(&entry(Action::New, "A", 100, 5)), only(100, 5));
        assert_eq!(book.take(&entry(Action::New, "B", 100, 7)), only(100, 12));
        let gone = Entry {
            kind: EntryKind::Unsaid,
            price: None,
            size: None,
            ..entry(Action::Delete, "A", 0, 0)
        };
        assert_eq!(book.take(&gone), only(100, 7));
        assert_eq!(book.take(&gone), Err(Unknown));
        let moved = Entry { size: None, ..entry(Action::Change, "B", 101, 0) };
        let left = Some((Side::Buy, Ticks(100), Lots(0)));
        let stands = Some((Side::Buy, Ticks(101), Lots(7)));
        assert_eq!(book.take(&moved), Ok([left, stands]));
        let renamed = Entry {
            ref_id: EntryId::of(b"B"),
            ..entry(Action::Change, "a-name-of-more-than-16", 101, 6)
        };
        assert_eq!(book.take(&renamed), only(101, 6));
        assert_eq!(book.take(&entry(Action::Delete, "a-name-of-more-than-16", 0, 0)), only(101, 0));
    }

    #[test]
    fn an_order_that_is_known_already_or_finds_no_room_loses_the_book() {
        let mut book = OrderBook::new(2);
        assert!(book.take(&entry(Action::New, "A", 1, 1)).is_ok());
        assert_eq!(book.take(&entry(Action::New, "A", 2, 1)), Err(Unknown));
        assert!(book.take(&entry(Action::New, "B", 2, 1)).is_ok());
        assert_eq!(book.take(&entry(Action::New, "C", 3, 1)), Err(Unknown));
        assert_eq!(book.take(&entry(Action::New, "", 3, 1)), Err(Unknown), "without a name");
        book.clear();
        assert_eq!(book.take(&entry(Action::New, "C", 3, 1)), only(3, 1));
    }

    #[test]
    fn whatever_comes_and_goes_the_levels_are_the_sums_of_their_orders() {
        let mut book = OrderBook::new(300);
        let mut model: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        let mut random = 88_172_645_463_325_252_u64;
        for turn in 0..20_000 {
            if turn % 3_000 == 2_999 {
                // The last snapshot comes as the lives are counted through.
                let is_last = turn > 15_000;
                book.orders.life = if is_last { u32::MAX } else { book.orders.life };
                book.levels.life = if is_last { u32::MAX } else { book.levels.life };
                book.clear();
                model.clear();
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (id, price) = (random % 250, i64::try_from(random / 250 % 20).unwrap());
            let size = i64::try_from(random / 5_000 % 50).unwrap() + 1;
            let action = match model.contains_key(&id) {
                false => Action::New,
                true if (random / 250_000).is_multiple_of(2) => Action::Change,
                true => Action::Delete,
            };
            let told = book.take(&entry(action, &format!("id-{id}"), price, size)).unwrap();
            match action {
                Action::Delete => _ = model.remove(&id),
                Action::New | Action::Change => _ = model.insert(id, (price, size)),
            }
            for (_, price, shown) in told.into_iter().flatten() {
                let at_price = model.values().filter(|(at, _)| *at == price.0);
                assert_eq!(shown.0, at_price.map(|(_, size)| size).sum::<i64>());
            }
        }
    }
}

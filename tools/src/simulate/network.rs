//! The network between Ballast and the venue: bytes with delays, splits, losses, cuts and silence.
//!
//! Fed by both ends' sessions through [`WireEnd`], by the loop with virtual time, and by the plan with
//! what goes wrong; feeds both ends. One thread; the lock is there because a transport must be
//! `Send`. Bytes of a connection stay in order, as TCP keeps them; two connections overtake each other.

use super::repeats::Repeats;
use super::wire::Wiretap;
use crate::random::Random;
use ballast_engine::units::Nanos;
use ballast_gateway::transport::{Lost, Received, Transport, Written};
use ballast_gateway::venue::line::{Dial, Dialled};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One way without faults.
const LATENCY_NS: u64 = 200_000;
/// Bytes under way in one direction before a write is refused.
const CAPACITY: usize = 64 << 10;
/// The same towards an end that does not read: what a window that closes and the buffer before it hold.
const CAPACITY_UNREAD: usize = 1 << 10;
/// Segments whose room is kept.
const SPARE_MAX: usize = 64;
/// The end of a FIX message: SOH, tag 10, three digits, SOH.
const TRAILER: &[u8] = b"\x0110=";
const TRAILER_LEN: usize = 8;

/// Which of Ballast's two sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Market data.
    Feed,
    /// Orders.
    Orders,
}

impl Link {
    /// Both.
    pub const BOTH: [Link; 2] = [Link::Feed, Link::Orders];

    fn index(self) -> usize {
        match self {
            Link::Feed => 0,
            Link::Orders => 1,
        }
    }
}

/// Who writes: an end's number in its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Ballast.
    Ours,
    /// The venue.
    Theirs,
}

impl End {
    fn index(self) -> usize {
        match self {
            End::Ours => 0,
            End::Theirs => 1,
        }
    }
}

/// What the network did to the bytes. Each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetworkCounters {
    /// Connections made.
    pub connections: u64,
    /// Dials that found nobody.
    pub refused: u64,
    /// Messages that were lost whole.
    pub messages_lost: u64,
    /// Connections that were cut.
    pub cuts: u64,
    /// Writes that found no room.
    pub writes_refused: u64,
}

/// Bytes that arrive together.
#[derive(Debug)]
struct Segment {
    due: Nanos,
    bytes: Vec<u8>,
    taken: usize,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Lane {
    segments: VecDeque<Segment>,
    under_way: usize,
    latest: Nanos,
    /// The connection ends when so many more bytes were written.
    cut_after: Option<usize>,
    /// The next whole message is lost.
    loses_next: bool,
    /// What was written so far ends with a whole message.
    is_mid_message: bool,
    /// What may come again.
    repeats: Repeats,
}

impl Lane {
    fn keep(&mut self, mut bytes: usize) {
        for segment in &mut self.segments {
            let left = segment.bytes.len() - segment.taken;
            let kept = left.min(bytes);
            segment.bytes.truncate(segment.taken + kept);
            bytes -= kept;
        }
        self.segments.retain(|segment| segment.bytes.len() > segment.taken);
        self.under_way = self.segments.iter().map(|s| s.bytes.len() - s.taken).sum();
    }
}

/// One connection.
#[derive(Debug, Default)]
struct Line {
    /// By the end that writes.
    lanes: [Lane; 2],
    is_closed: [bool; 2],
    is_cut: bool,
    /// Half-open: nothing arrives, and nobody is told of an end.
    is_silent: bool,
}

/// All connections and what goes wrong with them.
#[derive(Debug)]
pub struct Network {
    now: Nanos,
    random: Random,
    lines: Vec<Line>,
    current: [Option<usize>; 2],
    /// Room of segments that have arrived, for the next ones.
    spare: Vec<Vec<u8>>,
    knocking: Vec<(usize, Link)>,
    fragment_max: usize,
    jitter_ns: u64,
    /// By the end that does not read, then by link.
    stalled_until: [[Nanos; 2]; 2],
    down_until: [Nanos; 2],
    counters: NetworkCounters,
    wiretap: Wiretap,
}

/// The network, shared by its ends.
#[derive(Clone, Debug)]
pub struct Net(Arc<Mutex<Network>>);

impl Net {
    /// A quiet network.
    pub fn new(random: Random, start: Nanos) -> Net {
        Net(Arc::new(Mutex::new(Network {
            now: start,
            random,
            lines: Vec::new(),
            current: [None, None],
            spare: Vec::new(),
            knocking: Vec::new(),
            fragment_max: 0,
            jitter_ns: 0,
            stalled_until: [[start; 2]; 2],
            down_until: [start; 2],
            counters: NetworkCounters::default(),
            wiretap: Wiretap::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time goes on.
    pub fn advance(&self, now: Nanos) {
        self.lock().now = now;
    }

    /// When the next bytes arrive.
    pub fn next_due(&self) -> Option<Nanos> {
        let net = self.lock();
        let current = net.current.iter().flatten().filter_map(|line| net.lines.get(*line));
        let fronts = current.flat_map(|line| &line.lanes).filter_map(|lane| lane.segments.front());
        fronts.map(|segment| segment.due).filter(|due| *due > net.now).min()
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        let net = self.lock();
        let mut current = net.current.iter().flatten().filter_map(|line| net.lines.get(*line));
        current.all(|line| line.lanes.iter().all(|lane| lane.under_way == 0))
    }

    /// The venue's ends of connections that were made since the last call.
    pub fn accept(&self) -> Vec<WireEnd> {
        let lines = std::mem::take(&mut self.lock().knocking);
        let end = |(line, link)| WireEnd { net: self.clone(), line, link, end: End::Theirs };
        lines.into_iter().map(end).collect()
    }

    /// From now on each read and write moves at most so many bytes; 0 ends it.
    pub fn fragment(&self, most: usize) {
        self.lock().fragment_max = most;
    }

    /// From now on each segment takes up to so much longer; 0 ends it.
    pub fn jitter(&self, most_ns: u64) {
        self.lock().jitter_ns = most_ns;
    }

    /// An end does not read this session until then.
    pub fn stall(&self, link: Link, end: End, until: Nanos) {
        self.lock().stalled_until[end.index()][link.index()] = until;
    }

    /// The current connection ends when `end` has written so many more bytes.
    pub fn cut(&self, link: Link, end: End, after: usize) {
        if let Some(line) = self.lock().current_line(link) {
            line.lanes[end.index()].cut_after = Some(after);
        }
    }

    /// The current connection goes half-open: nothing arrives any more, on either side.
    pub fn silence(&self, link: Link) {
        if let Some(line) = self.lock().current_line(link) {
            line.is_silent = true;
            line.lanes.iter_mut().for_each(|lane| lane.keep(0));
        }
    }

    /// The next whole message that `end` writes is lost.
    pub fn lose_next(&self, link: Link, end: End) {
        if let Some(line) = self.lock().current_line(link) {
            line.lanes[end.index()].loses_next = true;
        }
    }

    /// A message that the venue sent before comes again, marked PossDupFlag(43); false where none can.
    pub fn repeat(&self, link: Link, dice: u64) -> bool {
        let mut net = self.lock();
        let now = net.now;
        let Some(line) = net.current_line(link).filter(|line| !line.is_silent && !line.is_cut)
        else {
            return false;
        };
        let lane = &mut line.lanes[End::Theirs.index()];
        // Between two messages, or both would be garbled.
        let Some(copy) = lane.repeats.again(now, dice).filter(|_| !lane.is_mid_message) else {
            return false;
        };
        lane.latest = lane.latest.max(now.plus(LATENCY_NS));
        lane.under_way += copy.len();
        lane.segments.push_back(Segment { due: lane.latest, bytes: copy, taken: 0 });
        true
    }

    /// The venue is not there until then: connections end at once and dials find nobody.
    pub fn take_down(&self, until: Nanos) {
        for link in Link::BOTH {
            self.stop(link, until);
        }
    }

    /// One link is not there until then.
    pub fn stop(&self, link: Link, until: Nanos) {
        let mut net = self.lock();
        let down = &mut net.down_until[link.index()];
        *down = (*down).max(until);
        if let Some(line) = net.current_line(link) {
            line.is_cut = true;
            line.lanes.iter_mut().for_each(|lane| lane.keep(0));
        }
    }

    /// Whoever listens to Ballast's end of the order session.
    pub fn wiretap<T>(&self, ask: impl FnOnce(&mut Wiretap) -> T) -> T {
        ask(&mut self.lock().wiretap)
    }

    /// What happened so far.
    pub fn counters(&self) -> NetworkCounters {
        self.lock().counters
    }
}

impl Network {
    fn current_line(&mut self, link: Link) -> Option<&mut Line> {
        let line = self.current[link.index()]?;
        self.lines.get_mut(line)
    }

    /// An end does not read now.
    fn is_stalled(&self, link: Link, end: End) -> bool {
        self.stalled_until[end.index()][link.index()] > self.now
    }

    /// How much of `len` bytes moves at once.
    fn portion(&mut self, len: usize) -> usize {
        match self.fragment_max {
            0 => len,
            most => len.min(1 + self.random.below(most as u64) as usize),
        }
    }

    fn write(&mut self, line: usize, link: Link, end: End, bytes: &[u8]) -> Written {
        let me = end.index();
        let is_unread = end == End::Ours && self.is_stalled(link, End::Theirs);
        let capacity = if is_unread { CAPACITY_UNREAD } else { CAPACITY };
        let portion = self.portion(bytes.len());
        let delay = LATENCY_NS + self.random.below(self.jitter_ns + 1);
        let due = self.now.plus(delay);
        let line = &mut self.lines[line];
        if line.is_closed[me] {
            return Written::Closed(Lost::ByUs);
        }
        if line.is_silent {
            return Written::Bytes(bytes.len());
        }
        if line.is_cut || line.is_closed[1 - me] {
            return Written::Closed(Lost::ByPeer);
        }
        let lane = &mut line.lanes[me];
        if let Some(len) = lost_message(lane, bytes) {
            lane.loses_next = false;
            self.counters.messages_lost += 1;
            return Written::Bytes(len);
        }
        let mut count = portion.min(capacity.saturating_sub(lane.under_way));
        if count == 0 {
            self.counters.writes_refused += 1;
            return Written::Full;
        }
        let is_cut = lane.cut_after.is_some_and(|after| count >= after);
        if let Some(after) = &mut lane.cut_after {
            count = count.min(*after);
            *after -= count;
        }
        let sent = &bytes[..count];
        lane.latest = lane.latest.max(due);
        lane.under_way += count;
        if end == End::Theirs && !lane.is_mid_message && ends_message(sent) {
            lane.repeats.hear(self.now, first_message(sent));
        }
        lane.is_mid_message = !ends_message(sent);
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(sent);
        lane.segments.push_back(Segment { due: lane.latest, bytes, taken: 0 });
        if is_cut {
            self.counters.cuts += 1;
            line.is_cut = true;
            let other = &mut line.lanes[1 - me];
            let kept = self.random.below(other.under_way as u64 + 1) as usize;
            other.keep(kept);
            if count == 0 {
                return Written::Closed(Lost::ByPeer);
            }
        }
        Written::Bytes(count)
    }

    fn read(&mut self, line: usize, link: Link, end: End, room: &mut [u8]) -> Received {
        let (now, me) = (self.now, end.index());
        let most = self.portion(room.len());
        let is_stalled = self.is_stalled(link, end);
        let line = &mut self.lines[line];
        if line.is_silent || is_stalled {
            return Received::Nothing;
        }
        let is_over = line.is_cut || line.is_closed[1 - me];
        let lane = &mut line.lanes[1 - me];
        let mut count = 0;
        while count < most
            && let Some(segment) = lane.segments.front_mut().filter(|s| s.due <= now)
        {
            let bytes = &segment.bytes[segment.taken..];
            let len = bytes.len().min(most - count);
            room[count..count + len].copy_from_slice(&bytes[..len]);
            count += len;
            segment.taken += len;
            lane.under_way -= len;
            if segment.taken == segment.bytes.len() {
                let arrived = lane.segments.pop_front().map(|segment| segment.bytes);
                self.spare.extend(arrived.filter(|_| self.spare.len() < SPARE_MAX));
            }
        }
        match count {
            0 if is_over && lane.segments.is_empty() => Received::Closed(Lost::ByPeer),
            0 => Received::Nothing,
            count => Received::Bytes(count),
        }
    }
}

fn ends_message(bytes: &[u8]) -> bool {
    bytes.len() >= TRAILER_LEN
        && bytes.ends_with(b"\x01")
        && bytes[bytes.len() - TRAILER_LEN..].starts_with(TRAILER)
}

/// The first of some whole messages.
fn first_message(bytes: &[u8]) -> &[u8] {
    let trailer = bytes.windows(TRAILER.len()).position(|window| window == TRAILER);
    trailer.and_then(|at| bytes.get(..at + TRAILER_LEN)).unwrap_or(bytes)
}

/// The length of the message to lose, where one is to be lost and stands whole at the front. A Logon
/// and a Logout are not lost: without them there is no sequence to gap.
fn lost_message(lane: &Lane, bytes: &[u8]) -> Option<usize> {
    if !lane.loses_next || lane.is_mid_message || !bytes.starts_with(b"8=FIX") {
        return None;
    }
    let trailer = bytes.windows(TRAILER.len()).position(|window| window == TRAILER)?;
    let len = trailer + TRAILER_LEN;
    let message = bytes.get(..len)?;
    let is_kept = [b"\x0135=A\x01", b"\x0135=5\x01"]
        .iter()
        .any(|tag| message.windows(tag.len()).any(|window| window == *tag));
    (!is_kept).then_some(len)
}

/// One end of a connection.
#[derive(Debug)]
pub struct WireEnd {
    net: Net,
    line: usize,
    link: Link,
    end: End,
}

impl Transport for WireEnd {
    fn read(&mut self, room: &mut [u8]) -> Received {
        self.net.lock().read(self.line, self.link, self.end, room)
    }

    fn write(&mut self, bytes: &[u8]) -> Written {
        let mut net = self.net.lock();
        let written = net.write(self.line, self.link, self.end, bytes);
        if let (Written::Bytes(count), Link::Orders, End::Ours) = (written, self.link, self.end) {
            net.wiretap.hear(self.line, &bytes[..count]);
        }
        written
    }

    fn close(&mut self) {
        let mut net = self.net.lock();
        net.lines[self.line].is_closed[self.end.index()] = true;
    }
}

impl Drop for WireEnd {
    /// As the system closes a socket whose owner is gone.
    fn drop(&mut self) {
        self.close();
    }
}

/// Connects one of Ballast's sessions to the venue.
#[derive(Debug)]
pub struct WireDial {
    net: Net,
    link: Link,
}

impl WireDial {
    /// A dial of this session.
    pub fn new(net: Net, link: Link) -> WireDial {
        WireDial { net, link }
    }
}

impl Dial for WireDial {
    type Link = WireEnd;

    /// `_now` is the host's clock, which may be wrong; the network knows the time.
    fn dial(&mut self, _now: Nanos) -> Dialled<WireEnd> {
        let mut net = self.net.lock();
        if net.down_until[self.link.index()] > net.now {
            net.counters.refused += 1;
            return Dialled::Failed;
        }
        let line = net.lines.len();
        net.lines.push(Line::default());
        net.current[self.link.index()] = Some(line);
        net.knocking.push((line, self.link));
        net.counters.connections += 1;
        Dialled::Connected(WireEnd { net: self.net.clone(), line, link: self.link, end: End::Ours })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"8=FIX.4.4\x019=5\x0135=0\x0110=161\x01";

    fn joined() -> (Net, WireEnd, WireEnd) {
        let net = Net::new(Random::new(1), Nanos(0));
        let Dialled::Connected(ours) = WireDial::new(net.clone(), Link::Orders).dial(Nanos(0))
        else {
            panic!("nobody there");
        };
        let theirs = net.accept().pop().unwrap();
        (net, ours, theirs)
    }

    fn read(end: &mut WireEnd) -> Received {
        end.read(&mut [0; 256])
    }

    #[test]
    fn bytes_arrive_after_the_latency_and_not_before() {
        let (net, mut ours, mut theirs) = joined();
        ours.write(b"hello");
        assert_eq!(net.next_due(), Some(Nanos(LATENCY_NS)));
        net.advance(Nanos(LATENCY_NS - 1));
        assert_eq!(read(&mut theirs), Received::Nothing);
        net.advance(Nanos(LATENCY_NS));
        assert_eq!(read(&mut theirs), Received::Bytes(5));
        assert!(net.is_idle());
    }

    #[test]
    fn a_cut_lets_exactly_so_many_bytes_through() {
        let (net, mut ours, mut theirs) = joined();
        net.cut(Link::Orders, End::Ours, 3);
        assert_eq!(ours.write(b"hello"), Written::Bytes(3));
        assert_eq!(ours.write(b"lo"), Written::Closed(Lost::ByPeer));
        net.advance(Nanos(LATENCY_NS));
        assert_eq!(read(&mut theirs), Received::Bytes(3));
        assert_eq!(read(&mut theirs), Received::Closed(Lost::ByPeer));
    }

    #[test]
    fn towards_an_end_that_does_not_read_there_is_soon_no_room_and_then_again() {
        let (net, mut ours, mut theirs) = joined();
        net.stall(Link::Orders, End::Theirs, Nanos(LATENCY_NS + 1));
        assert_eq!(ours.write(&[b'x'; 2 * CAPACITY_UNREAD]), Written::Bytes(CAPACITY_UNREAD));
        assert_eq!(ours.write(b"x"), Written::Full);
        assert_eq!(theirs.write(b"y"), Written::Bytes(1), "it writes all the same");
        net.advance(Nanos(LATENCY_NS));
        assert_eq!(read(&mut theirs), Received::Nothing);
        net.advance(Nanos(LATENCY_NS + 1));
        assert_eq!(read(&mut theirs), Received::Bytes(256));
        assert_eq!(ours.write(b"x"), Written::Bytes(1));
        assert_eq!(net.counters().writes_refused, 1);
    }

    #[test]
    fn a_silent_connection_swallows_and_tells_nobody() {
        let (net, mut ours, mut theirs) = joined();
        ours.write(b"lost");
        net.silence(Link::Orders);
        assert_eq!(ours.write(b"too"), Written::Bytes(3));
        ours.close();
        net.advance(Nanos(LATENCY_NS));
        assert_eq!(read(&mut theirs), Received::Nothing);
    }

    #[test]
    fn one_whole_message_is_lost_and_the_next_arrives() {
        let (net, mut ours, mut theirs) = joined();
        net.lose_next(Link::Orders, End::Ours);
        let two = [MESSAGE, MESSAGE].concat();
        assert_eq!(ours.write(&two), Written::Bytes(MESSAGE.len()));
        assert_eq!(ours.write(MESSAGE), Written::Bytes(MESSAGE.len()));
        net.advance(Nanos(LATENCY_NS));
        assert_eq!(read(&mut theirs), Received::Bytes(MESSAGE.len()));
        assert_eq!(net.counters().messages_lost, 1);
    }

    #[test]
    fn what_the_venue_sent_comes_again_behind_what_is_under_way() {
        let (net, mut ours, mut theirs) = joined();
        assert!(!net.repeat(Link::Orders, 0), "nothing was sent");
        let report = b"8=FIX.4.4\x019=10\x0135=8\x0134=2\x0110=093\x01";
        theirs.write(report);
        assert!(net.repeat(Link::Orders, 0));
        net.advance(Nanos(LATENCY_NS));
        let mut room = [0; 256];
        let Received::Bytes(len) = ours.read(&mut room) else { panic!("nothing") };
        assert!(room.starts_with(report));
        assert!(room[report.len()..len].windows(5).any(|window| window == b"43=Y\x01"));
    }

    #[test]
    fn a_venue_that_is_down_ends_connections_and_is_not_dialled() {
        let (net, _ours, mut theirs) = joined();
        net.take_down(Nanos(10));
        assert_eq!(read(&mut theirs), Received::Closed(Lost::ByPeer));
        let mut dial = WireDial::new(net.clone(), Link::Feed);
        net.advance(Nanos(9));
        assert!(matches!(dial.dial(Nanos(9)), Dialled::Failed));
        net.advance(Nanos(10));
        assert!(matches!(dial.dial(Nanos(10)), Dialled::Connected(_)));
    }
}

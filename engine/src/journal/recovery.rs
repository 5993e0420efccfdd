//! What a journal still knows after a crash.
//!
//! Fed by the reader; feeds the start of the next run: the inputs are replayed through a maker, the
//! message store re-delivers what came after the last order event, then the venue is asked. Cold.
//! Absent: the replay itself (it needs a maker), repair of damage (damage refuses to recover).
//!
//! A torn tail is what a crash leaves and costs the records that were not yet written; a record
//! damaged before the tail is not, and is an error.

use super::fault::JournalFault;
use super::header::Header;
use super::reader::JournalReader;
use super::record::{End, Record};
use crate::event::{ClOrdId, OrderEvent, OrderUpdate, VenueId};
use crate::maker::resumption::Delivered;
use crate::units::Nanos;
use std::collections::BTreeMap;
use std::path::Path;

/// How a journal ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// With its end record: the run ended in order.
    Ended(End),
    /// After a whole record, without an end record: the process died.
    Unfinished,
    /// Inside a record: the process or the power died while it was written.
    Torn {
        /// How many bytes are no whole record.
        bytes: u64,
    },
}

/// What the good part of a journal says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// Which run.
    pub header: Header,
    /// How many inputs were consumed.
    pub inputs: u64,
    /// How many intents were made.
    pub intents: u64,
    /// The maker's time at the last input.
    pub last_now: Option<Nanos>,
    /// The highest ClOrdID sent: the next run's ids must lie above it.
    pub cl_ord_id_max: ClOrdId,
    /// The last message that reached the maker, a venue: the store re-delivers from the next.
    pub delivered: BTreeMap<VenueId, Delivered>,
    /// Bytes up to the last good record.
    pub good_bytes: u64,
    /// How it ends.
    pub tail: Tail,
}

impl Survey {
    /// Reads a whole journal. A torn tail is an answer; damage before it is a fault.
    pub fn of(path: &Path) -> Result<Survey, JournalFault> {
        let mut reader = JournalReader::open(path)?;
        let mut survey = Survey::begin(reader.header().clone());
        survey.good_bytes = reader.offset();
        while let Some(next) = reader.next() {
            match next {
                Ok(record) => survey.take(&record),
                Err(JournalFault::Torn { bytes, .. }) => survey.tail = Tail::Torn { bytes },
                Err(fault) => return Err(fault),
            }
            survey.good_bytes = reader.offset();
        }
        Ok(survey)
    }

    /// Of a journal whose records are still to be taken in.
    pub fn begin(header: Header) -> Survey {
        let delivered = header.resumption.iter().flat_map(|earlier| &earlier.delivered);
        let delivered = delivered.map(|delivered| (delivered.venue, *delivered)).collect();
        Survey {
            header,
            inputs: 0,
            intents: 0,
            last_now: None,
            cl_ord_id_max: ClOrdId::NONE,
            delivered,
            good_bytes: 0,
            tail: Tail::Unfinished,
        }
    }

    /// Takes in the next record.
    pub fn take(&mut self, record: &Record) {
        match *record {
            Record::Market { now, .. }
            | Record::Control { now, .. }
            | Record::Timer { now, .. } => self.input(now),
            Record::Order { now, event, .. } => {
                self.input(now);
                self.deliver(&event);
            }
            Record::Intent { intent, .. } => {
                self.intents += 1;
                self.cl_ord_id_max = self.cl_ord_id_max.max(intent.cl_ord_id);
            }
            Record::State { .. } => {}
            Record::End(end) => self.tail = Tail::Ended(end),
        }
    }

    fn deliver(&mut self, event: &OrderEvent) {
        let venue = event.venue;
        let last = self.delivered.entry(venue).or_insert(Delivered::nothing(venue));
        if event.update == OrderUpdate::SessionReconciling && last.numbers_since != event.venue_at {
            (last.numbers_since, last.msg_seq_num) = (event.venue_at, 0);
        }
        last.msg_seq_num = last.msg_seq_num.max(event.msg_seq_num);
        last.exec_id = last.exec_id.max(event.update.exec_id());
    }

    fn input(&mut self, now: Nanos) {
        self.inputs += 1;
        self.last_now = Some(now);
    }
}

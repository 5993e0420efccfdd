//! Order entry in FIX 4.4, inbound: D, F, G, H, q, AF and AN become requests.
//!
//! Fed by `fix_face.rs` with decoded messages; feeds it requests, or refusals of what the exchange
//! need not see. The venue's thread; cold, so it may allocate. Deliberately absent: sessions, what an
//! order does (`exchange.rs`), and the answers (`fix_answers.rs`).
//!
//! | in | fields that are read |
//! | --- | --- |
//! | D | 11 55 54 38 44, 40 = 2, 59 (0, 1, 3; none is 0), 18 = 6 for post-only, 60 |
//! | G | 11 41 55 38 44, 60 |
//! | F | 11 41, 60 |
//! | H | 11, 790 |
//! | q | 11, 530 (1 with 55, or 7) |
//! | AF | 584, 585 = 7 |
//! | AN | 710, 724 = 0 |

use super::order::{Lifetime, NewOrder, Request};
use ballast_engine::event::{ClOrdId, InstrumentId};
use ballast_engine::instrument::Instrument;
use ballast_engine::units::{Decimal, Lots, Nanos, Side, Ticks};
use ballast_gateway::fix::message::{FieldError, Message, optional};
use ballast_gateway::fix::{msg_type, tag};
use std::collections::BTreeMap;

/// ClOrdIDs of one participant, as texts and as numbers.
#[derive(Debug, Default)]
pub struct ClientNames {
    by_text: BTreeMap<Box<[u8]>, ClOrdId>,
    /// The text of each number, and the seat it came from.
    texts: Vec<(Box<[u8]>, usize)>,
}

impl ClientNames {
    /// The number of a text, which is new where the text is.
    pub fn number(&mut self, text: &[u8], seat: usize) -> ClOrdId {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        self.texts.push((text.into(), seat));
        let number = ClOrdId(self.texts.len() as u64);
        self.by_text.insert(text.into(), number);
        number
    }

    /// The text of a number; empty for none.
    pub fn text(&self, number: ClOrdId) -> &[u8] {
        self.entry(number).map_or(&[], |entry| &entry.0)
    }

    /// Which seat a number came from.
    pub fn seat(&self, number: ClOrdId) -> Option<usize> {
        self.entry(number).map(|entry| entry.1)
    }

    fn entry(&self, number: ClOrdId) -> Option<&(Box<[u8]>, usize)> {
        self.texts.get(usize::try_from(number.0.checked_sub(1)?).ok()?)
    }
}

/// What a client asked.
#[derive(Debug)]
pub enum Asked {
    /// A request for the exchange, and when the client says that it decided: TransactTime(60).
    Request(Request, Option<Nanos>),
    /// OrderStatusRequest(H), with its OrdStatusReqID(790).
    Status(Request, Option<Vec<u8>>),
    /// OrderMassCancelRequest(q), with its ClOrdID(11) and MassCancelRequestType(530).
    MassCancel(Request, Vec<u8>, u8),
    /// OrderMassStatusRequest(AF) or RequestForPositions(AN), with its own id: 584 or 710.
    List(Request, Vec<u8>),
    /// It cannot be taken to the exchange.
    Refused(Refused),
}

/// A request that is answered before the exchange sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// ExecutionReport(8) with ExecType 8, echoing what was sent.
    Order {
        /// Tags to echo: 11, 55, 54, 38, 44.
        echo: Vec<(u32, Vec<u8>)>,
        /// OrdRejReason(103).
        reason: u16,
        /// Text(58).
        text: String,
    },
    /// BusinessMessageReject(j).
    Business {
        /// RefSeqNum(45).
        ref_seq_num: u64,
        /// RefMsgType(372).
        ref_msg_type: Vec<u8>,
        /// BusinessRejectReason(380): 2 unknown security, 3 unsupported message, 5 a field is
        /// missing or no value.
        reason: u16,
        /// Text(58).
        text: String,
    },
}

/// The instruments as clients name them.
#[derive(Debug)]
pub struct Listing {
    instruments: Vec<Instrument>,
    by_symbol: BTreeMap<Vec<u8>, InstrumentId>,
}

impl Listing {
    /// A listing by Symbol(55).
    pub fn new(instruments: &[Instrument]) -> Listing {
        let name = |i: &Instrument| (i.symbol().as_bytes().to_vec(), i.id());
        Listing {
            instruments: instruments.to_vec(),
            by_symbol: instruments.iter().map(name).collect(),
        }
    }

    /// The instrument of a symbol.
    pub fn find(&self, symbol: &[u8]) -> Option<InstrumentId> {
        self.by_symbol.get(symbol).copied()
    }

    /// An instrument by its number.
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(usize::from(id.0))
    }

    /// All of them, in the order of their numbers.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }
}

/// Reads an order message; `None` for a message that is none.
pub fn read(
    message: &Message<'_>,
    listing: &Listing,
    names: &mut ClientNames,
    seat: usize,
) -> Option<Asked> {
    let mut reading = Reading { message, listing, names, seat };
    let asked = match message.msg_type() {
        msg_type::NEW_ORDER_SINGLE => reading.new_order(),
        msg_type::ORDER_CANCEL_REPLACE_REQUEST => reading.replace(),
        msg_type::ORDER_CANCEL_REQUEST => reading.cancel(),
        msg_type::ORDER_STATUS_REQUEST => reading.status(),
        msg_type::ORDER_MASS_CANCEL_REQUEST => reading.mass_cancel(),
        msg_type::ORDER_MASS_STATUS_REQUEST => reading.mass_status(),
        msg_type::REQUEST_FOR_POSITIONS => reading.positions(),
        _ => return None,
    };
    Some(asked.unwrap_or_else(|fault| Asked::Refused(business(message, 5, fault.to_string()))))
}

/// BusinessMessageReject(j) to a message.
pub fn business(message: &Message<'_>, reason: u16, text: String) -> Refused {
    Refused::Business {
        ref_seq_num: message.msg_seq_num().unwrap_or(0),
        ref_msg_type: message.msg_type().to_vec(),
        reason,
        text,
    }
}

struct Reading<'m, 'a> {
    message: &'m Message<'a>,
    listing: &'m Listing,
    names: &'m mut ClientNames,
    seat: usize,
}

impl Reading<'_, '_> {
    fn new_order(&mut self) -> Result<Asked, FieldError> {
        let message = self.message;
        let cl_ord_id = message.text(tag::CL_ORD_ID)?;
        let symbol = message.text(tag::SYMBOL)?;
        let (side, ord_type) = (message.char(tag::SIDE)?, message.char(tag::ORD_TYPE)?);
        let size = message.decimal(tag::ORDER_QTY)?;
        let price = optional(message.decimal(tag::PRICE))?;
        let transact_time = optional(message.timestamp(tag::TRANSACT_TIME))?;
        let side = match side {
            b'1' => Some(Side::Buy),
            b'2' => Some(Side::Sell),
            _ => None,
        };
        let refuse = |reason, text: &str| {
            let tags = [tag::CL_ORD_ID, tag::SYMBOL, tag::SIDE, tag::ORDER_QTY, tag::PRICE];
            let echo = self.echo(&tags);
            Ok(Asked::Refused(Refused::Order { echo, reason, text: text.to_owned() }))
        };
        let Some(instrument) = self.listing.find(symbol) else {
            return refuse(1, "unknown symbol");
        };
        let (Some(lifetime), Some(side), b'2', Some(price)) =
            (self.lifetime()?, side, ord_type, price)
        else {
            return refuse(11, "limit orders only; Side 1 or 2; TimeInForce 0, 1 or 3");
        };
        let (price, size) = match self.counted(instrument, price, size) {
            Ok(counted) => counted,
            Err(text) => return refuse(99, &text),
        };
        let cl_ord_id = self.names.number(cl_ord_id, self.seat);
        let new = NewOrder { cl_ord_id, instrument, side, price, size, lifetime };
        Ok(Asked::Request(Request::New(new), transact_time))
    }

    /// TimeInForce(59) and ExecInst(18); `None` for what this venue does not do.
    fn lifetime(&self) -> Result<Option<Lifetime>, FieldError> {
        let time_in_force = optional(self.message.char(tag::TIME_IN_FORCE))?.unwrap_or(b'0');
        // ExecInst(18) holds several values, apart by blanks.
        let exec_inst = self.message.get(tag::EXEC_INST).unwrap_or_default();
        let is_post_only = exec_inst.split(|byte| *byte == b' ').any(|value| value == b"6");
        Ok(match (time_in_force, is_post_only) {
            (b'0' | b'1', true) => Some(Lifetime::PostOnly),
            (b'0' | b'1', false) => Some(Lifetime::Resting),
            (b'3', false) => Some(Lifetime::ImmediateOrCancel),
            _ => None,
        })
    }

    fn replace(&mut self) -> Result<Asked, FieldError> {
        let message = self.message;
        let (price, size) = (message.decimal(tag::PRICE)?, message.decimal(tag::ORDER_QTY)?);
        let transact_time = optional(message.timestamp(tag::TRANSACT_TIME))?;
        let counted = match self.listing.find(message.text(tag::SYMBOL)?) {
            Some(instrument) => self.counted(instrument, price, size),
            None => Err("unknown symbol".to_owned()),
        };
        let (cl_ord_id, orig_cl_ord_id) = self.both_ids()?;
        let request = match counted {
            Ok((price, size)) => Request::Replace { cl_ord_id, orig_cl_ord_id, price, size },
            Err(_) => Request::ReplaceOffGrid { cl_ord_id, orig_cl_ord_id },
        };
        Ok(Asked::Request(request, transact_time))
    }

    fn cancel(&mut self) -> Result<Asked, FieldError> {
        let transact_time = optional(self.message.timestamp(tag::TRANSACT_TIME))?;
        let (cl_ord_id, orig_cl_ord_id) = self.both_ids()?;
        Ok(Asked::Request(Request::Cancel { cl_ord_id, orig_cl_ord_id }, transact_time))
    }

    fn status(&mut self) -> Result<Asked, FieldError> {
        let cl_ord_id = self.names.number(self.message.text(tag::CL_ORD_ID)?, self.seat);
        let req_id = self.message.get(tag::ORD_STATUS_REQ_ID).map(<[u8]>::to_vec);
        Ok(Asked::Status(Request::Status { cl_ord_id }, req_id))
    }

    fn mass_cancel(&self) -> Result<Asked, FieldError> {
        let cl_ord_id = self.message.text(tag::CL_ORD_ID)?.to_vec();
        let scope = self.message.char(tag::MASS_CANCEL_REQUEST_TYPE)?;
        let refuse = |reason, text: &str| {
            Ok(Asked::Refused(business(self.message, reason, text.to_owned())))
        };
        let instrument = match scope {
            b'7' => None,
            b'1' => match self.listing.find(self.message.text(tag::SYMBOL)?) {
                Some(instrument) => Some(instrument),
                None => return refuse(2, "unknown symbol"),
            },
            _ => return refuse(5, "MassCancelRequestType(530) must be 1 or 7"),
        };
        Ok(Asked::MassCancel(Request::CancelAll { instrument }, cl_ord_id, scope))
    }

    fn mass_status(&self) -> Result<Asked, FieldError> {
        let id = self.message.text(tag::MASS_STATUS_REQ_ID)?.to_vec();
        match self.message.char(tag::MASS_STATUS_REQ_TYPE)? {
            b'7' => Ok(Asked::List(Request::StatusAll, id)),
            _ => {
                let text = "MassStatusReqType(585) must be 7".to_owned();
                Ok(Asked::Refused(business(self.message, 5, text)))
            }
        }
    }

    fn positions(&self) -> Result<Asked, FieldError> {
        let id = self.message.text(tag::POS_REQ_ID)?.to_vec();
        match self.message.char(tag::POS_REQ_TYPE)? {
            b'0' => Ok(Asked::List(Request::Positions, id)),
            _ => {
                let text = "PosReqType(724) must be 0".to_owned();
                Ok(Asked::Refused(business(self.message, 5, text)))
            }
        }
    }

    fn both_ids(&mut self) -> Result<(ClOrdId, ClOrdId), FieldError> {
        let cl_ord_id = self.message.text(tag::CL_ORD_ID)?;
        let orig_cl_ord_id = self.message.text(tag::ORIG_CL_ORD_ID)?;
        let mut number = |text| self.names.number(text, self.seat);
        Ok((number(cl_ord_id), number(orig_cl_ord_id)))
    }

    fn counted(
        &self,
        id: InstrumentId,
        price: Decimal,
        size: Decimal,
    ) -> Result<(Ticks, Lots), String> {
        let instrument = self.listing.instrument(id).ok_or("unknown symbol")?;
        let spec = instrument.spec();
        let ticks = instrument
            .ticks(price)
            .map_err(|error| format!("Price(44) {price} {error}; the tick is {}", spec.tick))?;
        let lots = instrument
            .lots(size)
            .map_err(|error| format!("OrderQty(38) {size} {error}; the lot is {}", spec.lot))?;
        Ok((ticks, lots))
    }

    fn echo(&self, tags: &[u32]) -> Vec<(u32, Vec<u8>)> {
        let value = |&tag: &u32| self.message.get(tag).map(|value| (tag, value.to_vec()));
        tags.iter().filter_map(value).collect()
    }
}

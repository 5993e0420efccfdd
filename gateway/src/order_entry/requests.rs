//! Intents as NewOrderSingle(D), OrderCancelReplaceRequest(G) and OrderCancelRequest(F).
//!
//! Fed by the stage with intents; feeds the session with whole messages. Order-entry thread. Every
//! instrument has its prepared messages, resting, taking, replace and cancel; only what differs is
//! written. Deliberately absent: ClOrdIDs of its own, and any order that is not a limit order.

use crate::fix::tag;
use crate::fix::template::{OrderFields, OrderMessage, OrderShape, OrderTemplate, TemplateError};
use crate::fix::value::NumberText;
use crate::session::{SendError, SessionConfig};
use crate::venue::dialect::Rules;
use crate::venue::symbols::{Symbol, Symbols};
use ballast_engine::event::{OrderAction, OrderIntent, TimeInForce};
use ballast_engine::units::Nanos;
use thiserror::Error;

/// Longest order message: header, the fields below, and an account.
const MESSAGE_MAX: usize = 1024;

/// Why an intent did not go out. Nothing was sent.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The session did not take it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It cannot be written.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The instrument is not this venue's.
    #[error("the instrument is not traded at this venue")]
    UnknownInstrument,
    /// The venue has no such message.
    #[error("the venue takes no OrderCancelReplaceRequest; cancel and send anew")]
    NoReplace,
}

struct Prepared {
    resting: OrderTemplate,
    taking: OrderTemplate,
    replace: OrderTemplate,
    cancel: OrderTemplate,
}

/// The prepared messages of one venue.
pub struct Requests {
    /// By place in [`Symbols`].
    prepared: Vec<Prepared>,
    has_replace: bool,
}

impl Requests {
    /// Prepares all messages. `account` is Account(1), where the venue wants it.
    ///
    /// # Errors
    /// A fixed value cannot be written.
    pub fn new(
        session: &SessionConfig,
        symbols: &Symbols,
        rules: &Rules,
        account: Option<&str>,
    ) -> Result<Requests, TemplateError> {
        let limit: (u32, &[u8]) = (tag::ORD_TYPE, b"2");
        let good: (u32, &[u8]) = (tag::TIME_IN_FORCE, rules.resting_time_in_force);
        let resting = [(tag::EXEC_INST, &b"6"[..]), limit, good];
        let taking = [limit, (tag::TIME_IN_FORCE, b"3")];
        let mut prepared = Vec::with_capacity(symbols.count());
        for symbol in symbols.iter() {
            let make = |kind, terms| template(session, symbol, rules, account, kind, terms);
            prepared.push(Prepared {
                resting: make(OrderMessage::New, &resting)?,
                taking: make(OrderMessage::New, &taking)?,
                replace: make(OrderMessage::Replace, &resting)?,
                cancel: make(OrderMessage::Cancel, &[])?,
            });
        }
        Ok(Requests { prepared, has_replace: rules.has_replace })
    }

    /// The whole message for an intent on the symbol at `place`.
    ///
    /// # Errors
    /// The instrument or the message is not this venue's, or a value does not fit.
    pub fn encode(
        &mut self,
        place: usize,
        intent: &OrderIntent,
        msg_seq_num: u64,
        sending_time: Nanos,
    ) -> Result<&[u8], RequestError> {
        let prepared = self.prepared.get_mut(place).ok_or(RequestError::UnknownInstrument)?;
        let template = match (intent.action, intent.time_in_force) {
            (OrderAction::New, TimeInForce::PostOnly) => &mut prepared.resting,
            (OrderAction::New, TimeInForce::ImmediateOrCancel) => &mut prepared.taking,
            (OrderAction::Replace, _) if !self.has_replace => return Err(RequestError::NoReplace),
            (OrderAction::Replace, _) => &mut prepared.replace,
            (OrderAction::Cancel, _) => &mut prepared.cancel,
        };
        Ok(template.encode(&OrderFields {
            msg_seq_num,
            sending_time,
            cl_ord_id: NumberText::uint(intent.cl_ord_id.0).as_bytes(),
            orig_cl_ord_id: NumberText::uint(intent.orig_cl_ord_id.0).as_bytes(),
            side: intent.side,
            price: intent.price,
            size: intent.size,
            transact_time: intent.at,
        })?)
    }
}

/// One prepared message. SendingTime(52) and TransactTime(60) have the digits that the session writes.
fn template(
    session: &SessionConfig,
    symbol: &Symbol,
    rules: &Rules,
    account: Option<&str>,
    kind: OrderMessage,
    terms: &[(u32, &[u8])],
) -> Result<OrderTemplate, TemplateError> {
    let mut fixed: Vec<(u32, &[u8])> = Vec::new();
    if let Some(account) = account {
        fixed.push((tag::ACCOUNT, account.as_bytes()));
    }
    if rules.has_handl_inst && kind != OrderMessage::Cancel {
        fixed.push((tag::HANDL_INST, b"1"));
    }
    fixed.push((tag::SYMBOL, symbol.text()));
    fixed.extend(terms);
    let shape = OrderShape {
        begin_string: session.begin_string.as_bytes(),
        sender_comp_id: session.sender_comp_id.as_bytes(),
        target_comp_id: session.target_comp_id.as_bytes(),
        fixed: &fixed,
        tick: symbol.tick(),
        lot: symbol.lot(),
        precision: session.sending_time,
        len_max: MESSAGE_MAX,
    };
    OrderTemplate::new(kind, &shape)
}

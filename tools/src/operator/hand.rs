//! What the operator's socket does with a request: who may, what it means, what is answered.
//!
//! Fed by the socket with a request and the system's word on the peer; feeds the desk. The socket's
//! threads: a kill ([`KillHand`]) waits for nobody, all else is done one at a time. A raised limit waits
//! here for a second operator: another uid, or a name of `operator.second` other than the first one's (a
//! name is a claim; two uids are proof). Root is another uid only where `operator.uids` names it: who may
//! `sudo` would confirm what they asked for themselves.

use super::desk::{Desk, Kill, Killed, NotDone, Taken};
use super::request::{Ask, Reply, Request, TransferStep};
use super::rules::Rules;
use super::status;
use super::words;
use crate::config::ConfigFile;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::control::{Act, KillCause, Knob, User};
use ballast_engine::units::{Lots, Side};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most raised limits that wait at once.
const PENDING_MAX: usize = 16;

/// The uid that any operator may have.
pub(super) const ROOT: u32 = 0;

/// A raised limit that waits.
struct Pending {
    id: u64,
    by: User,
    knob: Knob,
    value: i64,
    until: Instant,
}

/// The part of the hand that kills: it needs nothing that another act might hold.
#[derive(Clone)]
pub struct KillHand {
    desk: Arc<Desk>,
    second: Arc<[String]>,
}

/// The hand.
pub struct Hand {
    desk: Arc<Desk>,
    killer: KillHand,
    rules: Rules,
    names: status::Names,
    /// Root is an operator of its own.
    is_root_named: bool,
    confirm_within: Duration,
    pending: Vec<Pending>,
    next_id: u64,
}

/// The system's monotonic clock: a confirmation runs out in real time.
#[allow(clippy::disallowed_methods, reason = "an edge: people's time, off every hot thread")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The login name of a uid, from the system's list; `uid-N` where it has none.
pub fn login_name(uid: u32) -> String {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, of) = (fields.next()?, fields.next()?, fields.next()?);
        (of.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid-{uid}"))
}

impl KillHand {
    /// Who asks, by the system's word and a name that may be claimed.
    fn user(&self, uid: u32, request: &Request) -> Result<User, String> {
        match &request.name {
            None => Ok(User::new(uid, &login_name(uid))),
            Some(name) if self.second.contains(name) => Ok(User::new(uid, name)),
            Some(name) => Err(format!("{name:?} does not stand in operator.second")),
        }
    }

    /// Kills, where that is what is asked by the peer `uid`.
    pub fn answer(&self, uid: u32, request: &Request) -> Option<Reply> {
        let Ask::Kill { reason } = &request.ask else { return None };
        let user = self.user(uid, request);
        Some(user.map_or_else(Reply::refused, |user| self.kill(user, reason)))
    }

    fn kill(&self, user: User, reason: &str) -> Reply {
        let Kill { how, unnoted } = self.desk.kill(KillCause::Operator, user, reason);
        let how = match how {
            Killed::ByMaker => "the maker has cancelled everything",
            Killed::ByOrderEntry => "the maker does not turn: order entry cancels by itself",
            Killed::ByDisconnect => {
                "maker and order entry do not turn: the connection is closed, the venue cancels where \
                 it cancels on disconnect: ask it"
            }
            Killed::Unread => {
                "a venue does not read what is sent to it, and cancels may lie in our buffer: its connection \
                 is closed and dialled again to cancel; until then orders may still work there: ask it"
            }
        };
        tracing::error!(by = %user, reason, how, "killed");
        let text = format!("killed by {user}: {how}; no new order goes out in this run");
        if let Some(why) = unnoted {
            return Reply::refused(format!(
                "{text}. BUT the kill is not on disk ({why}): A RESTART WOULD TRADE AGAIN. Keep the run from \
                 being started, make room there and kill again"
            ));
        }
        Reply::done(text.clone(), json!({ "done": text }))
    }
}

impl Hand {
    /// A hand on the maker behind `desk`.
    pub fn new(desk: Arc<Desk>, file: &ConfigFile, config: &MakerConfig) -> Hand {
        let operator = &file.raw.operator;
        let killer = KillHand { desk: desk.clone(), second: operator.second.clone().into() };
        Hand {
            desk,
            killer,
            rules: Rules::new(file, config),
            names: status::Names::new(file, config),
            is_root_named: operator.uids.contains(&ROOT),
            confirm_within: Duration::from_secs(operator.confirm_s()),
            pending: Vec::new(),
            next_id: 1,
        }
    }

    /// What kills while this hand is busy.
    pub fn killer(&self) -> KillHand {
        self.killer.clone()
    }

    /// Does what is asked by the peer `uid`.
    pub fn answer(&mut self, uid: u32, request: &Request) -> Reply {
        let user = self.killer.user(uid, request);
        user.and_then(|user| self.serve(user, &request.ask)).unwrap_or_else(Reply::refused)
    }

    fn serve(&mut self, user: User, ask: &Ask) -> Result<Reply, String> {
        match ask {
            Ask::Status => {
                let document = status::document(&self.names, &self.desk);
                Ok(Reply::done(status::for_people(&document), document))
            }
            Ask::Limits => Ok(self.limits()),
            Ask::Pause { what } => {
                let scope = self.rules.scope(what)?;
                self.order(user, User::NOBODY, Act::Pause { scope })
            }
            Ask::Resume { what } => {
                let scope = self.rules.scope(what)?;
                if let Some(note) = self.desk.killed() {
                    return Err(format!("{note}; end this run, lift the kill, start anew"));
                }
                self.order(user, User::NOBODY, Act::Resume { scope })
            }
            Ask::Flatten { what } => {
                let scope = self.rules.scope(what)?;
                if let Some(note) = self.desk.killed() {
                    return Err(format!("{note}; nothing is traded any more"));
                }
                self.order(user, User::NOBODY, Act::Flatten { scope })
            }
            Ask::Kill { reason } => Ok(self.killer.kill(user, reason)),
            Ask::Set { of, key, value } => self.set(user, of, key, value),
            Ask::Confirm { id } => self.confirm(user, *id),
            Ask::Trade { symbol, side, size, price } => {
                let (instrument, lots, price) = self.rules.trade(symbol, size, price)?;
                let side = match side.as_str() {
                    "buy" => Side::Buy,
                    "sell" => Side::Sell,
                    other => return Err(format!("side {other:?}: buy or sell")),
                };
                let act = Act::Trade { instrument, side, price, size: Lots(lots) };
                self.order(user, User::NOBODY, act)
            }
            Ask::Transfer { of, amount } => {
                let (holding, amount) = self.rules.holding(of, amount)?;
                self.order(user, User::NOBODY, Act::Transfer { holding, amount })
            }
            Ask::TransferStep { id, step, amount } => self.transfer(user, id, *step, amount),
            Ask::Funding { symbol, received } => self.funding(user, symbol, received),
            Ask::FundingRate { symbol, bps } => self.funding_rate(user, symbol, bps),
            Ask::Adjust { of, amount } => {
                let (holding, amount) = self.rules.adjustment(of, amount)?;
                self.order(user, User::NOBODY, Act::Adjust { holding, amount })
            }
            Ask::Expire { symbol, price } => {
                let act = self.rules.expiry(&self.desk.standing(), symbol, price)?;
                self.end_option(user, act)
            }
            Ask::Exercise { symbol, size, price } => {
                let price = price.as_deref();
                let act = self.rules.exercise(&self.desk.standing(), symbol, size, price)?;
                self.end_option(user, act)
            }
        }
    }

    fn transfer(
        &self,
        user: User,
        id: &str,
        step: TransferStep,
        amount: &Option<String>,
    ) -> Result<Reply, String> {
        let open = self.desk.standing().transfers.clone();
        let act = self.rules.transfer_step(&open, id, step, amount.as_deref())?;
        self.order(user, User::NOBODY, act)
    }

    fn funding(&self, user: User, symbol: &str, received: &str) -> Result<Reply, String> {
        let (instrument, received) = self.rules.funding(symbol, received)?;
        self.order(user, User::NOBODY, Act::Funding { instrument, received })
    }

    fn funding_rate(&self, user: User, symbol: &str, bps: &str) -> Result<Reply, String> {
        let (instrument, rate) = self.rules.funding_rate(symbol, bps)?;
        self.order(user, User::NOBODY, Act::FundingRate { instrument, rate })
    }

    /// What is held may have changed since the sample that the request was checked by.
    fn end_option(&self, user: User, act: Act) -> Result<Reply, String> {
        let (text, taken) = self.hand_over(user, User::NOBODY, act).map_err(|(_, text)| text)?;
        if !taken.is_refused {
            return Ok(Reply::done(text.clone(), json!({ "done": text })));
        }
        Err(format!(
            "{text}: refused, nothing is booked: more than is held now, or a future without a mark is \
             delivered; look at `ballast status`"
        ))
    }

    fn order(&self, user: User, second: User, act: Act) -> Result<Reply, String> {
        let (text, taken) = self.hand_over(user, second, act).map_err(|(_, text)| text)?;
        if !taken.is_refused {
            return Ok(Reply::done(text.clone(), json!({ "done": text })));
        }
        if self.desk.killed().is_some() || self.desk.has_maker_killed_itself() {
            return Err(format!("{text}: refused, everything is stopped for good in this run"));
        }
        let in_doubt = self.in_doubt();
        if in_doubt.is_empty() {
            return Err(format!(
                "{text}: refused where the run is ending or what is held is in doubt; see status"
            ));
        }
        Err(format!(
            "{text}: done, but for what is held in doubt ({in_doubt}): look at what the venue says, then \
             `ballast book adjust SYMBOL AMOUNT` (0 where our number is right), and again"
        ))
    }

    /// The act in words, once the maker and its journal have it.
    fn hand_over(
        &self,
        user: User,
        second: User,
        act: Act,
    ) -> Result<(String, Taken), (NotDone, String)> {
        let text = words::act_by(self.rules.table(), user, second, &act);
        tracing::info!(act = text, "operator");
        match self.desk.order(user, second, act) {
            Ok(taken) => Ok((text, taken)),
            Err(why) => Err((why, format!("{text}: {why}"))),
        }
    }

    /// Sets a limit or a parameter. What was not answered may hold or not: the rules keep both.
    fn set_now(
        &mut self,
        user: User,
        second: User,
        knob: Knob,
        value: i64,
    ) -> Result<Reply, String> {
        match self.hand_over(user, second, Act::Set { knob, value }) {
            Ok((text, _)) => {
                self.rules.changed(knob, value);
                Ok(Reply::done(text.clone(), json!({ "done": text })))
            }
            Err((why, text)) => {
                if why.may_hold() {
                    self.rules.doubt(knob, value);
                }
                Err(text)
            }
        }
    }

    /// The instruments whose account is in doubt, and why.
    fn in_doubt(&self) -> String {
        let standing = self.desk.standing();
        let states = standing.states.iter().zip(&self.rules.table().instruments);
        let doubted = states.filter(|((_, reason), _)| reason.doubts_account());
        let told = doubted.map(|((_, reason), of)| format!("{}: {}", of.symbol(), reason.name()));
        told.collect::<Vec<_>>().join(", ")
    }

    fn set(&mut self, user: User, of: &str, key: &str, value: &str) -> Result<Reply, String> {
        let (knob, value, is_raise) = self.rules.change(of, key, value)?;
        if !is_raise {
            // Who lowers knows more than who asked before it: what waits on the same limit is not confirmed.
            self.pending.retain(|pending| pending.knob != knob);
            return self.set_now(user, User::NOBODY, knob, value);
        }
        let at = now();
        self.pending.retain(|pending| pending.until > at);
        if self.pending.len() >= PENDING_MAX {
            return Err("too many raised limits wait for a confirmation".into());
        }
        let id = self.next_id;
        self.next_id += 1;
        self.pending.push(Pending { id, by: user, knob, value, until: at + self.confirm_within });
        let act = words::act(self.rules.table(), &Act::Set { knob, value });
        let seconds = self.confirm_within.as_secs();
        let text = format!(
            "{act} raises a limit: a second operator confirms it within {seconds} s by `ballast limits \
             --confirm {id}`"
        );
        tracing::warn!(id, act, by = %user, "a raised limit waits for a second operator");
        Ok(Reply::done(text, json!({ "pending": id, "act": act, "within_s": seconds })))
    }

    fn confirm(&mut self, user: User, id: u64) -> Result<Reply, String> {
        let at = now();
        self.pending.retain(|pending| pending.until > at);
        let place = self.pending.iter().position(|pending| pending.id == id);
        let place = place.ok_or_else(|| {
            format!("nothing waits under {id}: its time is over, or the limit was lowered")
        })?;
        let by = self.pending[place].by;
        let is_named = by.name != user.name && self.is_second(user);
        if !is_named && !self.are_two(by.uid, user.uid) {
            return Err(format!(
                "{by} asked for it: the confirmation is another operator's (another uid, which root is only \
                 where operator.uids names 0, or --as a name of operator.second)"
            ));
        }
        let Pending { knob, value, .. } = self.pending.remove(place);
        // Limits may have moved while it waited.
        let owner = words::knob_owner(self.rules.table(), knob);
        let text = words::knob_value(self.rules.table(), knob, value);
        self.rules.change(&owner, knob.name(), &text)?;
        self.set_now(by, user, knob, value)
    }

    /// Do these uids prove two people?
    fn are_two(&self, one: u32, other: u32) -> bool {
        one != other && (self.is_root_named || ![one, other].contains(&ROOT))
    }

    fn is_second(&self, user: User) -> bool {
        self.killer.second.iter().any(|name| User::new(user.uid, name) == user)
    }

    fn limits(&mut self) -> Reply {
        let at = now();
        self.pending.retain(|pending| pending.until > at);
        let pending = self.pending.iter().map(|pending| {
            let act = Act::Set { knob: pending.knob, value: pending.value };
            json!({
                "id": pending.id,
                "act": words::act(self.rules.table(), &act),
                "by": pending.by.to_string(),
                "seconds_left": pending.until.duration_since(at).as_secs(),
            })
        });
        let pending: Vec<_> = pending.collect();
        let document = json!({ "values": self.rules.document(), "pending": pending });
        Reply::done(status::limits_for_people(&document), document)
    }
}

//! Mass quotes as Deribit's documents have them, by nobody's code but its own: MassQuote(i), QuoteCancel(Z),
//! what b, r and 8 say. For the peers of tests here and in `tools`: fields in, messages out as `8|39=0|…`.
//!
//! What a client may not send is a fault; what the venue may refuse is answered.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};

pub type Field = (u32, String);

const SENT: &str = "20240808-23:59:59.000000";
const NOT_FOUND: u32 = 10004;
const POST_ONLY: u32 = 11054;
const OFF_TICK: u32 = 10043;
const FROZEN: u32 = 11040;

/// A quote in the book, or one that was.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Quote {
    pub group: String,
    pub symbol: String,
    pub side: String,
    pub price: f64,
    pub size: f64,
    pub cum: f64,
    /// Price times size of what traded.
    pub value: f64,
    pub order_id: String,
    pub quote_id: String,
    pub entry: String,
}

/// One side of one entry as it was asked.
#[derive(Clone, Default, Debug)]
struct Asked {
    entry: String,
    symbol: String,
    side: String,
    price: Option<String>,
    size: Option<String>,
    exec_inst: Option<String>,
}

#[derive(Default)]
pub struct QuoteVenue {
    /// MMP groups, and whether they are frozen.
    pub groups: BTreeMap<String, bool>,
    /// What may be quoted, and its tick.
    pub symbols: BTreeMap<String, f64>,
    pub open: Vec<Quote>,
    pub closed: Vec<Quote>,
    /// The best price of others: a bid at or above the offer would take, and the other way.
    pub market: BTreeMap<String, (f64, f64)>,
    /// A refused move takes the quote out: the venue's rule until November 2025.
    pub cancels_on_error: bool,
    /// Reports name no entry.
    pub hides_entries: bool,
    /// b comes before the reports.
    pub answers_first: bool,
    /// The next MassQuote(i) is refused as a whole.
    pub refuses_next: bool,
    /// So many entries of the next MassQuote(i) are passed over, and nothing is said of them.
    pub loses_entries: usize,
    /// With what number it says that there is no quote, where it is another than `order_not_found`.
    pub not_found: Option<u32>,
    /// It says once that there is no quote where there is one.
    pub denies_next: bool,
    /// Z is answered and does nothing.
    pub keeps_all: bool,
    /// It does not answer AF.
    pub hides_fates: bool,
    /// Every QuoteID(117), and every QuoteEntryID(299).
    names: BTreeSet<String>,
    ids: u64,
    pub messages: u64,
    pub entries: u64,
    pub fills: Vec<(String, f64)>,
    pub faults: Vec<String>,
}

impl QuoteVenue {
    fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("BTC-{}", 6_653_851 + self.ids)
    }

    /// Nothing but what is listed, and all that is required.
    fn know(&mut self, fields: &[Field], known: &[u32], required: &[u32]) {
        for (tag, value) in fields {
            let is_header = [8, 9, 35, 34, 49, 52, 56, 10].contains(tag);
            if !is_header && !known.contains(tag) || value.is_empty() {
                self.fault(format!("tag {tag} in {fields:?}"));
            }
        }
        for tag in required {
            if !fields.iter().any(|(t, _)| t == tag) {
                self.fault(format!("{tag} is missing in {fields:?}"));
            }
        }
    }

    fn get(fields: &[Field], tag: u32) -> String {
        fields.iter().find(|(t, _)| *t == tag).map(|(_, v)| v.clone()).unwrap_or_default()
    }

    /// The sides that a MassQuote(i) asks for, in its order.
    fn asked(&mut self, fields: &[Field]) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        for (tag, value) in fields {
            if *tag == 299 {
                asked.push(Asked { entry: value.clone(), ..Asked::default() });
            }
            let Some(last) = asked.last_mut() else { continue };
            let (side, is_price) = match tag {
                55 => {
                    last.symbol = value.clone();
                    continue;
                }
                18 => {
                    last.exec_inst = Some(value.clone());
                    continue;
                }
                132 => ("1", true),
                134 => ("1", false),
                133 => ("2", true),
                135 => ("2", false),
                _ => continue,
            };
            if !last.side.is_empty() && last.side != side {
                // Legal at the venue; but one side's refusal may then be the other's, too.
                self.faults.push(format!("both sides in one entry: {last:?}"));
            }
            last.side = side.to_owned();
            if is_price {
                last.price = Some(value.clone());
            } else {
                last.size = Some(value.clone());
            }
        }
        asked
    }

    /// MassQuote(i): the messages that answer it.
    pub fn mass_quote(&mut self, fields: &[Field]) -> Vec<String> {
        let known = [117, 9019, 62, 296, 302, 304, 295, 299, 55, 132, 133, 134, 135, 18];
        self.know(fields, &known, &[117, 9019, 296, 302, 295, 299]);
        let (quote_id, group) = (Self::get(fields, 117), Self::get(fields, 9019));
        let asked = self.asked(fields);
        self.messages += 1;
        self.entries += asked.len() as u64;
        let count = asked.len().to_string();
        if (Self::get(fields, 295), Self::get(fields, 304)) != (count.clone(), count) {
            self.fault("the counts of entries are not theirs");
        }
        if asked.len() > 100 {
            self.fault("at most a hundred quotes");
        }
        for name in std::iter::once(&quote_id).chain(asked.iter().map(|a| &a.entry)) {
            if !self.names.insert(name.clone()) {
                self.faults.push(format!("{name} was used before"));
            }
        }
        let sides: BTreeSet<_> = asked.iter().map(|a| (&a.symbol, &a.side)).collect();
        if sides.len() != asked.len() {
            self.fault(format!("a side stands twice: {asked:?}"));
        }
        if std::mem::take(&mut self.refuses_next) || !self.groups.contains_key(&group) {
            return vec![format!("b|117={quote_id}|297=5|300=99|58=no such group")];
        }
        let lost = std::mem::take(&mut self.loses_entries);
        let (mut reports, mut entries) = (Vec::new(), Vec::new());
        for asked in asked.iter().skip(lost) {
            self.one_side(asked, &group, &quote_id, &mut reports, &mut entries);
        }
        let b = format!("b|117={quote_id}|297=0|295={}|{}", entries.len(), entries.join("|"));
        match self.answers_first {
            true => std::iter::once(b).chain(reports).collect(),
            false => reports.into_iter().chain([b]).collect(),
        }
    }

    /// One side, judged alone.
    fn one_side(
        &mut self,
        asked: &Asked,
        group: &str,
        quote_id: &str,
        reports: &mut Vec<String>,
        entries: &mut Vec<String>,
    ) {
        if !self.symbols.contains_key(&asked.symbol) {
            return self.fault(format!("no quotes of {}", asked.symbol));
        }
        let stands = self.open.iter().position(|quote| {
            (&*quote.group, &quote.symbol, &quote.side) == (group, &asked.symbol, &asked.side)
        });
        let number = |text: &Option<String>| text.as_ref().map(|text| text.parse::<f64>().unwrap());
        let (price, size) = (number(&asked.price), number(&asked.size));
        if size == Some(0.0) {
            let is_denied = std::mem::take(&mut self.denies_next);
            return match stands.filter(|_| !is_denied) {
                Some(place) => {
                    reports.push(self.end(place, "58=success|"));
                    entries.push(self.entry(self.closed.len() - 1, asked, "17"));
                }
                None => entries.push(refused(
                    asked,
                    self.not_found.unwrap_or(NOT_FOUND),
                    "order_not_found",
                )),
            };
        }
        if asked.exec_inst.as_deref() != Some("6A") {
            self.fault(format!("it must not take: {asked:?}"));
        }
        if stands.is_some() && size.is_some() {
            self.fault(format!("it would replace a quote that stands: {asked:?}"));
        }
        let why = self.refusal(asked, group, stands.is_some());
        if let Some((code, text)) = why {
            entries.push(refused(asked, code, text));
            if let Some(place) = stands.filter(|_| self.cancels_on_error) {
                reports.push(self.end(place, ""));
            }
            return;
        }
        let place = stands.unwrap_or_else(|| self.place(asked, group));
        let quote = &mut self.open[place];
        quote.size = size.unwrap_or(quote.size);
        quote.price = price.unwrap_or(quote.price);
        quote.quote_id = quote_id.to_owned();
        quote.entry = asked.entry.clone();
        let status = if quote.cum > 0.0 { "1" } else { "0" };
        let quote = quote.clone();
        reports.push(self.report(&quote, status, ""));
        let (px, qty) = if quote.side == "1" { (132, 134) } else { (133, 135) };
        entries.push(format!(
            "299={}|9020=0|302=1|1167=21|55={}|54={}|37={}|60={SENT}|{px}={}|{qty}={}",
            asked.entry, quote.symbol, quote.side, quote.order_id, quote.price, quote.size
        ));
    }

    /// Where a new quote stands.
    fn place(&mut self, asked: &Asked, group: &str) -> usize {
        let order_id = self.id();
        self.open.push(Quote {
            group: group.to_owned(),
            symbol: asked.symbol.clone(),
            side: asked.side.clone(),
            order_id,
            ..Quote::default()
        });
        self.open.len() - 1
    }

    /// Why a priced side is refused.
    fn refusal(&self, asked: &Asked, group: &str, stands: bool) -> Option<(u32, &'static str)> {
        let number = |text: &String| text.parse::<f64>().unwrap();
        let price = asked.price.as_ref().map(number);
        match price {
            _ if self.groups[group] => Some((FROZEN, "mmp_frozen")),
            None => Some((OFF_TICK, "a quote without a price")),
            Some(_) if !stands && asked.size.is_none() => {
                Some((self.not_found.unwrap_or(NOT_FOUND), "order_not_found"))
            }
            Some(price) if !is_multiple(price, self.symbols[&asked.symbol]) => {
                Some((OFF_TICK, "price_wrong_tick"))
            }
            Some(price) if self.would_take(asked, price) => Some((POST_ONLY, "post_only_reject")),
            Some(_) => None,
        }
    }

    fn would_take(&self, asked: &Asked, price: f64) -> bool {
        let Some((bid, offer)) = self.market.get(&asked.symbol) else { return false };
        let others = self.open.iter().filter(|q| q.symbol == asked.symbol && q.side != asked.side);
        if asked.side == "1" {
            others.map(|q| q.price).fold(*offer, f64::min) <= price
        } else {
            others.map(|q| q.price).fold(*bid, f64::max) >= price
        }
    }

    fn entry(&self, place: usize, asked: &Asked, status: &str) -> String {
        let quote = &self.closed[place];
        format!(
            "299={}|9020=0|302=1|1167={status}|55={}|54={}|37={}",
            asked.entry, quote.symbol, quote.side, quote.order_id
        )
    }

    /// The quote at a place is cancelled.
    fn end(&mut self, place: usize, more: &str) -> String {
        let quote = self.open.remove(place);
        self.closed.push(quote.clone());
        self.report(&quote, "4", more)
    }

    fn report(&mut self, quote: &Quote, status: &str, more: &str) -> String {
        self.ids += 1;
        let change = self.ids;
        let Quote { order_id, side, size, cum, price, symbol, group, quote_id, entry, .. } = quote;
        let named = if self.hides_entries { String::new() } else { format!("|299={entry}") };
        let average = if *cum > 0.0 { quote.value / cum } else { 0.0 };
        // OrderQty(38) less CumQty(14), also of what is over.
        let leaves = round(size - cum);
        format!(
            "8|527=C{change}|37={order_id}|11={order_id}|39={status}|54={side}|60={SENT}|12=0|\
             151={leaves}|14={cum}|38={size}|40=2|44={price}|150=I|103=0|55={symbol}|9008=Y|\
             9019={group}|302=1|117={quote_id}{named}|{more}6={average}"
        )
    }

    /// QuoteCancel(Z) of everything.
    pub fn quote_cancel(&mut self, fields: &[Field]) -> Vec<String> {
        self.know(fields, &[1166, 298, 55, 15, 9031, 167, 302, 9032, 9033], &[1166]);
        if !["", "4"].contains(&Self::get(fields, 298).as_str()) {
            self.fault("we want all quotes cancelled");
        }
        let name = Self::get(fields, 1166);
        if !self.names.insert(name.clone()) {
            self.fault(format!("{name} was used before"));
        }
        let count = if self.keeps_all { 0 } else { self.open.len() };
        let mut said = vec![format!("r|11={name}|530=11|531=11|298=4|58=success|533={count}")];
        for _ in 0..count {
            said.push(self.end(0, "58=notification|"));
        }
        said
    }

    /// It works a quote of that name after all.
    pub fn work(&mut self, symbol: &str, side: &str, group: &str, entry: &str) -> Vec<String> {
        let order_id = self.id();
        let text = str::to_owned;
        let quote = Quote {
            group: text(group),
            symbol: text(symbol),
            side: text(side),
            price: 0.005,
            size: 0.3,
            cum: 0.0,
            value: 0.0,
            order_id,
            quote_id: text("1"),
            entry: text(entry),
        };
        self.open.push(quote.clone());
        vec![self.report(&quote, "0", "")]
    }

    /// What it said, or would have said, of a quote at some time.
    pub fn late(&mut self, quote: &Quote, status: &str) -> String {
        self.report(quote, status, "")
    }

    /// Others trade with what stands there.
    pub fn trade(&mut self, symbol: &str, side: &str, size: f64) -> Vec<String> {
        let is_it = |quote: &Quote| quote.symbol == symbol && quote.side == side;
        let Some(place) = self.open.iter().position(is_it) else { return Vec::new() };
        let quote = &mut self.open[place];
        let size = size.min(round(quote.size - quote.cum));
        quote.cum = round(quote.cum + size);
        quote.value += size * quote.price;
        let quote = quote.clone();
        let is_all = round(quote.size - quote.cum) == 0.0;
        if is_all {
            self.open.remove(place);
            self.closed.push(quote.clone());
        }
        let signed = if side == "1" { size } else { -size };
        self.fills.push((symbol.to_owned(), signed));
        let trade = self.fills.len();
        let fill = format!("1362=1|1363=T{trade}|1364={}|1365={size}|1443=1|", quote.price);
        vec![self.report(&quote, if is_all { "2" } else { "1" }, &fill)]
    }

    /// The group's protection trips: its quotes go, and new ones are refused until it is reset.
    pub fn trip(&mut self, group: &str) -> Vec<String> {
        self.groups.insert(group.to_owned(), true);
        let mut said = Vec::new();
        while let Some(place) = self.open.iter().position(|quote| quote.group == group) {
            said.push(self.end(place, ""));
        }
        said
    }

    /// The session is over: cancel on disconnect, told to nobody.
    pub fn session_over(&mut self) {
        self.closed.append(&mut self.open);
    }

    /// OrderMassStatusRequest(AF) of one order by OrderID(37), closed or not.
    pub fn status(&mut self, fields: &[Field]) -> Vec<String> {
        self.know(fields, &[584, 585, 9014, 55], &[584, 585]);
        let id = Self::get(fields, 584);
        if Self::get(fields, 585) != "1" {
            self.fault("585=1 asks by OrderID(37), and a quote has no other name");
            return Vec::new();
        }
        if self.hides_fates {
            return Vec::new();
        }
        let all = self.open.iter().chain(&self.closed);
        let Some(quote) = all.clone().find(|quote| quote.order_id == id).cloned() else {
            return Vec::new();
        };
        let is_open = self.open.contains(&quote);
        let status = match (is_open, round(quote.size - quote.cum) == 0.0) {
            (true, _) => "0",
            (false, true) => "2",
            (false, false) => "4",
        };
        vec![self.report(&quote, status, "585=1|")]
    }

    /// What was traded of a symbol.
    pub fn traded(&self, symbol: &str) -> f64 {
        round(self.fills.iter().filter(|(of, _)| of == symbol).map(|(_, size)| size).sum())
    }
}

fn refused(asked: &Asked, code: u32, text: &str) -> String {
    let Asked { entry, symbol, side, .. } = asked;
    format!("299={entry}|9020=2|55={symbol}|54={side}|368={code}|58={text}")
}

/// Sums of decimals as the wire has them.
fn round(number: f64) -> f64 {
    (number * 1e8).round() / 1e8
}

fn is_multiple(price: f64, tick: f64) -> bool {
    let count = price / tick;
    (count - count.round()).abs() < 1e-6
}

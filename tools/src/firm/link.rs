//! The link to the broker: NATS JetStream, on a thread and a runtime of its own.
//!
//! Fed by the shadow with what this engine tells; feeds it with what the others told. Two streams a firm:
//! `ballast-FIRM-positions` keeps the last word of each engine, so that one that starts hears all at once;
//! `ballast-FIRM-fills` keeps every fill for a week, each once. A fill stays queued until the broker has it;
//! what the runs before left is told first. The broker is asked for the last fill that it has: what it took
//! and this end does not know of is not told twice, however long that was ago. Where the broker is away,
//! the link tries again for ever: nothing waits for it, limits narrow meanwhile. An engine hears its own
//! words too: one that hears nothing at all connects anew.

use super::Event;
use super::earlier::Earlier;
use super::message::{FillWord, Outgoing, bytes_of};
use crate::config::firm::RawFirm;
use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long fills are kept there.
const FILLS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the broker knows a fill that it was given twice.
const TWICE_WITHIN: Duration = Duration::from_secs(600);
/// Fills that may wait for it; the oldest goes first, the words say what is held.
const FILLS_MAX: usize = 100_000;
/// How many are on their way at once.
const BATCH: usize = 64;

/// Why the link cannot be made at all.
#[derive(Debug, Error)]
pub enum LinkFault {
    /// The token cannot be read.
    #[error("firm.token_file {path}: {source}")]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Anything that goes wrong on the way: all of it ends in another try.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Where the broker is.
pub(super) struct Broker {
    firm: String,
    engine: String,
    servers: Vec<String>,
    token: Option<String>,
    ca_file: Option<PathBuf>,
    silence_max: Duration,
    earlier: Earlier,
}

/// What has not gone yet.
#[derive(Default)]
struct Queue {
    word: Option<Vec<u8>>,
    fills: VecDeque<FillWord>,
    lost: u64,
    earlier: Told,
}

/// The fills of the runs before.
#[derive(Default)]
enum Told {
    /// The broker has not been asked how far they went.
    #[default]
    Unasked,
    /// Being read; this run's own wait behind them.
    Read(oneshot::Receiver<Vec<FillWord>>),
    /// In the queue, or gone.
    Queued,
}

impl Queue {
    fn take(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Word(body) => self.word = Some(body),
            Outgoing::Fill(fill) => {
                self.fills.push_back(fill);
                self.bound();
            }
        }
    }

    fn bound(&mut self) {
        while self.fills.len() > FILLS_MAX {
            self.fills.pop_front();
            self.lost += 1;
            let lost = self.lost;
            tracing::warn!(lost, "a fill is lost to the firm: the broker is away");
        }
    }

    /// The fills of the runs before, ahead of this one's.
    fn put_ahead(&mut self, earlier: Vec<FillWord>) {
        for fill in earlier.into_iter().rev() {
            self.fills.push_front(fill);
        }
        self.earlier = Told::Queued;
        self.bound();
    }

    /// The broker has this one, and with it all before it.
    fn drop_told(&mut self, last: (u32, u64)) {
        if let Some(place) = self.fills.iter().position(|fill| fill.key() == last) {
            self.fills.drain(..=place);
        }
    }
}

/// The fills of the runs before, once they are read; for ever where nobody reads.
async fn read(earlier: &mut Told) -> Vec<FillWord> {
    match earlier {
        // A reader that died told why; this run's fills need not wait for it.
        Told::Read(fills) => fills.await.unwrap_or_default(),
        Told::Unasked | Told::Queued => std::future::pending().await,
    }
}

impl Broker {
    pub(super) fn new(firm: &RawFirm, earlier: Earlier) -> Result<Broker, LinkFault> {
        let token = firm.token_file.as_ref().map(|path| {
            let token = std::fs::read_to_string(path);
            let token = token.map_err(|source| LinkFault::Token { path: path.clone(), source });
            token.map(|token| token.trim().to_owned())
        });
        Ok(Broker {
            firm: firm.name.clone(),
            engine: firm.engine.clone(),
            servers: firm.servers.clone(),
            token: token.transpose()?,
            ca_file: firm.ca_file.clone(),
            silence_max: Duration::from_millis(firm.publish_ms.saturating_mul(4)).max(ANSWER),
            earlier,
        })
    }

    /// Runs until whoever tells is gone.
    pub(super) fn serve(self, mut outgoing: Receiver<Outgoing>, heard: &Sender<Event>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "no link to the firm's broker: limits stay narrow");
                return;
            }
        };
        let mut queue = Queue::default();
        let mut is_told = false;
        runtime.block_on(async {
            while let Err(error) = self.session(&mut outgoing, &mut queue, heard).await {
                if !std::mem::replace(&mut is_told, true) {
                    let servers = self.servers.join(", ");
                    tracing::warn!(%error, servers, "the firm's broker is away; limits narrow");
                }
                if heard.send(Event::Linked(false)).is_err() {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    /// One connection; `Ok` where nobody tells anything any more.
    async fn session(
        &self,
        outgoing: &mut Receiver<Outgoing>,
        queue: &mut Queue,
        heard: &Sender<Event>,
    ) -> Result<(), Trouble> {
        let mut context = jetstream::new(self.options().connect(self.servers.as_slice()).await?);
        context.set_timeout(ANSWER);
        let (mut words, fills) = self.streams(&context).await?;
        self.ask_how_far(&fills, queue).await?;
        if heard.send(Event::Linked(true)).is_err() {
            return Ok(());
        }
        let silence = tokio::time::sleep(self.silence_max);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                told = outgoing.recv() => {
                    let Some(told) = told else { return Ok(()) };
                    queue.take(told);
                    while let Ok(told) = outgoing.try_recv() {
                        queue.take(told);
                    }
                    self.flush(&context, queue).await?;
                }
                earlier = read(&mut queue.earlier) => queue.put_ahead(earlier),
                word = words.next() => {
                    let word = word.ok_or("the broker ended the stream of words")??;
                    silence.as_mut().reset(Instant::now() + self.silence_max);
                    if heard.send(Event::Heard(word.payload.to_vec())).is_err() {
                        return Ok(());
                    }
                }
                () = &mut silence => return Err("nothing is heard, not even this engine".into()),
            }
        }
    }

    fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new()
            .name(format!("ballast {}", self.engine))
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER));
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        if let Some(path) = &self.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        options
    }

    fn fill_subject(&self) -> String {
        format!("ballast.{}.fill.{}", self.firm, self.engine)
    }

    /// What of this engine's fills the broker has: what waits here and is there goes, and the runs before
    /// are read from there on.
    async fn ask_how_far(&self, fills: &Stream, queue: &mut Queue) -> Result<(), Trouble> {
        let last = match fills.get_last_raw_message_by_subject(&self.fill_subject()).await {
            Ok(message) => Some(serde_json::from_slice::<FillWord>(&message.payload)?.key()),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(last) = last {
            queue.drop_told(last);
        }
        if matches!(queue.earlier, Told::Unasked) {
            let (sender, fills) = oneshot::channel();
            queue.earlier = Told::Read(fills);
            let earlier = self.earlier.clone();
            // Nobody waits any more at the end of a run.
            std::thread::spawn(move || drop(sender.send(earlier.untold(last))));
        }
        Ok(())
    }

    /// The firm's streams, made where they are not there: the words of all engines, and the fills.
    async fn streams(&self, context: &Context) -> Result<(Ordered, Stream), Trouble> {
        let firm = &self.firm;
        let fills = Config {
            name: format!("ballast-{firm}-fills"),
            subjects: vec![format!("ballast.{firm}.fill.*")],
            max_age: FILLS_KEPT,
            duplicate_window: TWICE_WITHIN,
            ..Config::default()
        };
        let fills = context.get_or_create_stream(fills).await?;
        let subject = format!("ballast.{firm}.position.*");
        let words = Config {
            name: format!("ballast-{firm}-positions"),
            subjects: vec![subject.clone()],
            max_messages_per_subject: 1,
            ..Config::default()
        };
        let words = context.get_or_create_stream(words).await?;
        let consumer = words
            .create_consumer(OrderedConfig {
                filter_subject: subject,
                deliver_policy: DeliverPolicy::LastPerSubject,
                ..OrderedConfig::default()
            })
            .await?;
        Ok((consumer.messages().await?, fills))
    }

    /// Everything that waits, the word last: what it says holds after the fills.
    async fn flush(&self, context: &Context, queue: &mut Queue) -> Result<(), Trouble> {
        let are_due = matches!(queue.earlier, Told::Queued);
        while are_due && !queue.fills.is_empty() {
            let mut acks = Vec::with_capacity(BATCH);
            for fill in queue.fills.iter().take(BATCH) {
                let message = PublishMessage::build().payload(bytes_of(fill).into());
                let message = message.message_id(fill.id());
                acks.push(context.send_publish(self.fill_subject(), message).await?);
            }
            for ack in acks {
                ack.await?;
                queue.fills.pop_front();
            }
        }
        if let Some(body) = queue.word.take() {
            let subject = format!("ballast.{}.position.{}", self.firm, self.engine);
            context.publish(subject, body.into()).await?.await?;
        }
        Ok(())
    }
}

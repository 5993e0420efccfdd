//! `ballast status | pause | resume | flatten | kill | limits | set | book`: the operator's hand on a
//! running maker, over its socket.
//!
//! Each is one request and one answer; exit 1 where the run refuses or nobody answers. Two work without a
//! run that answers: `kill` notes itself in the state folder, and `resume --all --after-kill` lifts the
//! kill that keeps the next run from starting.

use super::Failure;
use crate::operator::desk::now_text;
use crate::operator::hand::login_name;
use crate::operator::kill_note::KillNote;
use crate::operator::request::{Ask, Reply, Request, TransferStep};
use crate::operator::socket::{self, SOCKET};
use crate::state_dir::StateDir;
use ballast_engine::maker::control::KillCause;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Where the run is, and how to answer.
#[derive(Args)]
pub struct Where {
    /// The run's socket, or its state folder.
    #[arg(long, default_value = "ballast-run")]
    socket: PathBuf,
    /// One JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// The name of operator.second to act as.
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
}

/// What an act is about.
#[derive(Args)]
pub struct What {
    /// Symbols or underlyings.
    what: Vec<String>,
    /// Everything.
    #[arg(long, conflicts_with = "what")]
    all: bool,
    #[command(flatten)]
    at: Where,
}

/// `ballast resume`
#[derive(Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    scope: What,
    /// Lift a kill, so that the next run may start. Needs --all and no run.
    #[arg(long, requires = "all")]
    after_kill: bool,
    /// The killed run's state folder.
    #[arg(long, default_value = "ballast-run")]
    state_dir: PathBuf,
}

/// `ballast kill`
#[derive(Args)]
pub struct KillArgs {
    /// For the record.
    #[arg(long, default_value = "by command")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

/// `ballast limits`
#[derive(Args)]
pub struct LimitsArgs {
    /// Confirm another operator's raised limit, by its number.
    #[arg(long, value_name = "ID")]
    confirm: Option<u64>,
    #[command(flatten)]
    at: Where,
}

/// `ballast set`
#[derive(Args)]
pub struct SetArgs {
    /// Symbol or underlying.
    of: String,
    /// A key that `ballast limits` lists.
    key: String,
    /// Its new value, in the config's unit.
    #[arg(allow_hyphen_values = true)]
    value: String,
    #[command(flatten)]
    at: Where,
}

/// `ballast book`
#[derive(Subcommand)]
pub enum BookCommand {
    /// A trade of ours that was made elsewhere; the taker's fee is charged.
    Trade {
        /// buy or sell.
        side: String,
        /// Size, in size units.
        size: String,
        /// What.
        symbol: String,
        /// Price.
        #[arg(allow_hyphen_values = true)]
        price: String,
        #[command(flatten)]
        at: Where,
    },
    /// Holdings that came, or with a minus went, without gain or loss.
    Transfer {
        /// Symbol, currency, or CURRENCY@VENUE.
        of: String,
        /// Size units, or money.
        #[arg(allow_hyphen_values = true)]
        amount: String,
        #[command(flatten)]
        at: Where,
    },
    /// A transfer that treasury was asked for (`status` names it) has left.
    TransferSent {
        /// Which, such as 7-1.
        id: String,
        /// How much left; left out: as asked for.
        amount: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// A transfer has arrived.
    TransferArrived {
        /// Which, such as 7-1.
        id: String,
        /// How much came; left out: as expected.
        amount: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// A transfer is not made, or what was sent came back.
    TransferRefused {
        /// Which, such as 7-1.
        id: String,
        /// How much came back; left out: what was expected to arrive.
        amount: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// A funding payment that the venue made, in the settlement currency; negative was paid.
    Funding {
        /// What.
        symbol: String,
        /// How much was received.
        #[arg(allow_hyphen_values = true)]
        received: String,
        #[command(flatten)]
        at: Where,
    },
    /// The venue's funding rate from now on; longs pay where it is positive.
    FundingRate {
        /// What.
        symbol: String,
        /// Basis points of the value an instant.
        #[arg(allow_hyphen_values = true)]
        bps: String,
        #[command(flatten)]
        at: Where,
    },
    /// Holdings that turned out otherwise than booked: the difference is gain or loss.
    Adjust {
        /// Symbol or currency.
        of: String,
        /// What is added to the books.
        #[arg(allow_hyphen_values = true)]
        amount: String,
        #[command(flatten)]
        at: Where,
    },
    /// An option's whole position expires: in the money it pays or delivers, else it is gone.
    Expire {
        /// Which option.
        symbol: String,
        /// The underlying's settlement price.
        price: String,
        #[command(flatten)]
        at: Where,
    },
    /// We exercise an option before or at its expiry.
    Exercise {
        /// How much, in size units.
        size: String,
        /// Which option.
        symbol: String,
        /// The underlying's settlement price, where the option pays cash or coin.
        price: Option<String>,
        #[command(flatten)]
        at: Where,
    },
    /// We are assigned on an option that we are short.
    Assign {
        /// How much, in size units.
        size: String,
        /// Which option.
        symbol: String,
        /// The underlying's settlement price, where the option pays cash or coin.
        price: Option<String>,
        #[command(flatten)]
        at: Where,
    },
}

/// The state folder that is named by itself or by the socket in it: where a run has been, and so where one looks
/// for a note.
fn state_folder(socket: &Path) -> Option<&Path> {
    let folder = if socket.is_dir() {
        socket
    } else {
        let folder = socket.parent().filter(|_| socket.file_name() == Some(SOCKET.as_ref()))?;
        // A bare name lies in the current folder.
        if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
    };
    (StateDir::newest(folder) != 0).then_some(folder)
}

/// Asks the run; `Err`, in words, where none answers.
fn asked(at: &Where, ask: Ask) -> Result<Reply, String> {
    let path = match at.socket.is_dir() {
        true => at.socket.join(SOCKET),
        false => at.socket.clone(),
    };
    let request = Request { name: at.name.clone(), ask };
    socket::ask(&path, &request).map_err(|error| {
        format!(
            "{}: {error}; does a run listen there? name its socket or state folder with --socket",
            path.display()
        )
    })
}

fn ask(at: &Where, ask: Ask) -> Result<(), Failure> {
    tell(at, asked(at, ask).map_err(Failure::Failed)?)
}

fn tell(at: &Where, reply: Reply) -> Result<(), Failure> {
    if at.json {
        println!("{:#}", reply.document);
    } else if reply.ok {
        println!("{}", reply.text);
    }
    if reply.ok { Ok(()) } else { Err(Failure::Failed(reply.text)) }
}

fn each(scope: &What, make: impl Fn(String) -> Ask) -> Result<(), Failure> {
    let whats = match (scope.all, scope.what.is_empty()) {
        (true, _) => vec!["all".to_owned()],
        (false, false) => scope.what.clone(),
        (false, true) => {
            return Err(Failure::Usage("name symbols or underlyings, or give --all".into()));
        }
    };
    whats.into_iter().try_for_each(|what| ask(&scope.at, make(what)))
}

pub(super) fn status(at: &Where) -> Result<(), Failure> {
    ask(at, Ask::Status)
}

pub(super) fn pause(scope: &What) -> Result<(), Failure> {
    each(scope, |what| Ask::Pause { what })
}

pub(super) fn flatten(scope: &What) -> Result<(), Failure> {
    each(scope, |what| Ask::Flatten { what })
}

pub(super) fn resume(args: &ResumeArgs) -> Result<(), Failure> {
    if args.after_kill {
        return lift(&args.state_dir);
    }
    each(&args.scope, |what| Ask::Resume { what })
}

fn lift(folder: &Path) -> Result<(), Failure> {
    let Some(note) = KillNote::read(folder) else {
        return Err(Failure::Failed(format!("{}: no kill is in force there", folder.display())));
    };
    match StateDir::is_held(folder) {
        Ok(false) => {}
        Ok(true) => {
            let why = "the run that was killed is still there: end it first, then lift the kill";
            return Err(Failure::Failed(format!("{}: {why}", folder.display())));
        }
        Err(error) => return Err(Failure::Failed(error.to_string())),
    }
    let by = login_name(rustix::process::geteuid().as_raw());
    // A note that cannot be read names no run, and one by hand may not: it is of the last one.
    let epoch = if note.epoch == 0 { StateDir::newest(folder) } else { note.epoch };
    let kept = KillNote::lift(folder, epoch, &by)
        .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
    println!("{note}\nlifted by {by}; kept as {}", kept.display());
    Ok(())
}

/// Kills the run. Where none answers (it still replays the one before, or its socket's thread hangs) the kill is
/// noted in its state folder: a run that is there or about to begin looks for that, and none starts.
pub(super) fn kill(args: &KillArgs) -> Result<(), Failure> {
    let silent = match asked(&args.at, Ask::Kill { reason: args.reason.clone() }) {
        Ok(reply) => return tell(&args.at, reply),
        Err(silent) => silent,
    };
    let Some(folder) = state_folder(&args.at.socket) else {
        return Err(Failure::Failed(format!(
            "{silent}\nthe kill is NOT noted: give the run's state folder with --socket, as the run's user"
        )));
    };
    let note = KillNote {
        cause: KillCause::Operator.name().into(),
        by: login_name(rustix::process::geteuid().as_raw()),
        reason: args.reason.clone(),
        at: now_text(),
        epoch: StateDir::newest(folder),
    };
    let (shown, noted) = (folder.display(), note.write(folder));
    Err(Failure::Failed(match noted {
        Ok(()) => format!(
            "{silent}\nthe kill is noted in {shown}: a run there sees it within 50 ms and none starts; look at \
             its log, and at the venue, whether its orders are gone"
        ),
        Err(error) => format!("{silent}\nand the kill cannot be noted in {shown}: {error}"),
    }))
}

pub(super) fn limits(args: &LimitsArgs) -> Result<(), Failure> {
    match args.confirm {
        Some(id) => ask(&args.at, Ask::Confirm { id }),
        None => ask(&args.at, Ask::Limits),
    }
}

pub(super) fn set(args: &SetArgs) -> Result<(), Failure> {
    let (of, key, value) = (args.of.clone(), args.key.clone(), args.value.clone());
    ask(&args.at, Ask::Set { of, key, value })
}

pub(super) fn book(command: BookCommand) -> Result<(), Failure> {
    match command {
        BookCommand::Trade { side, size, symbol, price, at } => {
            ask(&at, Ask::Trade { symbol, side, size, price })
        }
        BookCommand::Transfer { of, amount, at } => ask(&at, Ask::Transfer { of, amount }),
        BookCommand::TransferSent { id, amount, at } => {
            ask(&at, Ask::TransferStep { id, step: TransferStep::Sent, amount })
        }
        BookCommand::TransferArrived { id, amount, at } => {
            ask(&at, Ask::TransferStep { id, step: TransferStep::Arrived, amount })
        }
        BookCommand::TransferRefused { id, amount, at } => {
            ask(&at, Ask::TransferStep { id, step: TransferStep::Refused, amount })
        }
        BookCommand::Funding { symbol, received, at } => {
            ask(&at, Ask::Funding { symbol, received })
        }
        BookCommand::FundingRate { symbol, bps, at } => ask(&at, Ask::FundingRate { symbol, bps }),
        BookCommand::Adjust { of, amount, at } => ask(&at, Ask::Adjust { of, amount }),
        BookCommand::Expire { symbol, price, at } => ask(&at, Ask::Expire { symbol, price }),
        BookCommand::Exercise { size, symbol, price, at } => {
            ask(&at, Ask::Exercise { symbol, size, price })
        }
        BookCommand::Assign { size, symbol, price, at } => {
            ask(&at, Ask::Exercise { symbol, size: format!("-{size}"), price })
        }
    }
}

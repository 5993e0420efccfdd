//! `ballast fix`: a FIX log for people, and dictionary tools.
//!
//! Fed by files and standard input; feeds a person, or the repository's generated sources.

use super::{Failure, fix_decode};
use ballast_gateway::dictionary::facts::Facts;
use ballast_gateway::dictionary::{Dictionary, generate, xml};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// What can be done with FIX text.
#[derive(Subcommand)]
pub enum FixCommand {
    /// Prints a FIX log (ours, SOH- or |-separated text, standard input) with names and meanings.
    Decode(fix_decode::DecodeArgs),
    /// Says what a QuickFIX-format dictionary holds; makes or checks the sources generated from it.
    Dictionary(DictionaryArgs),
}

/// A dictionary file and what to do with it.
#[derive(Args)]
pub struct DictionaryArgs {
    /// The XML file.
    file: PathBuf,
    /// FIX 5.0 and later: the file with the session's header, trailer and messages (FIXT11.xml).
    #[arg(long)]
    transport: Option<PathBuf>,
    /// Writes the generated sources below this folder (gateway/src).
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    generate: Option<PathBuf>,
    /// Exit code 1 where the sources below this folder differ from what would be generated.
    #[arg(long, value_name = "DIR")]
    check: Option<PathBuf>,
}

/// Runs one of the commands.
///
/// # Errors
/// A file that cannot be read or is no dictionary (usage), stale sources or a garbled log (failed).
pub fn run(command: FixCommand) -> Result<(), Failure> {
    match command {
        FixCommand::Decode(args) => fix_decode::run(&args),
        FixCommand::Dictionary(args) => dictionary(&args),
    }
}

fn dictionary(args: &DictionaryArgs) -> Result<(), Failure> {
    let facts = read_facts(&args.file, args.transport.as_deref())?;
    let dictionary = Dictionary::from_facts(&facts).map_err(|e| usage(&args.file, &e))?;
    if let Some(folder) = &args.generate {
        for file in generate::source_files(&facts) {
            let path = folder.join(file.path);
            std::fs::write(&path, file.content)
                .map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
            println!("wrote {}", path.display());
        }
        return Ok(());
    }
    if let Some(folder) = &args.check {
        for file in generate::source_files(&facts) {
            let path = folder.join(file.path);
            let on_disk = std::fs::read_to_string(&path).map_err(|e| usage(&path, &e))?;
            if on_disk != file.content {
                let text = format!("{} differs; run with --generate", path.display());
                return Err(Failure::Failed(text));
            }
            println!("{} is as generated", path.display());
        }
        return Ok(());
    }
    println!("{}: {}", args.file.display(), dictionary.begin_string());
    println!("{} fields, {} messages", dictionary.fields().len(), dictionary.messages().len());
    for message in dictionary.messages() {
        println!(
            "  {:>3} {:<40} {} fields, {} required",
            String::from_utf8_lossy(&message.msg_type),
            message.name,
            dictionary.members_of(message.scope).count(),
            dictionary.required_of(message.scope).count()
        );
    }
    Ok(())
}

/// The compiled-in FIX 4.4, or a venue's dictionary.
pub(super) fn load(file: Option<&Path>, transport: Option<&Path>) -> Result<Dictionary, Failure> {
    match file {
        None => Ok(Dictionary::fix44()),
        Some(file) => {
            let facts = read_facts(file, transport)?;
            Dictionary::from_facts(&facts).map_err(|e| usage(file, &e))
        }
    }
}

fn read_facts(file: &Path, transport: Option<&Path>) -> Result<Facts, Failure> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).map_err(|e| usage(path, &e))?;
        xml::read(&text).map_err(|e| usage(path, &e))
    };
    let facts = read(file)?;
    match transport {
        None => Ok(facts),
        Some(transport) => Ok(facts.with_transport(read(transport)?)),
    }
}

pub(super) fn usage(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}

//! The first bytes of a journal: which format, which run, which binary, and the whole config, so that
//! a replay can build the same maker.
//!
//! Fed by whoever starts a run; feeds replay and recovery. Layout, little-endian: magic (8), version
//! (4), body length (4), CRC-32C of these and the body (4), body. Version 1 had no resumption, version 2
//! not what the exits knew, version 3 none of holdings by venue, version 4 none of the last fills,
//! version 5 no first names of orders, version 6 neither the loss stops that were reached nor the day's
//! messages and trades, version 7 no volume of the fee tiers,
//! version 8 not which execution of a venue was the last. Absent: secrets; the config names the files that hold them.

use super::codec::Field;
use super::hash::Sha;
use crate::maker::resumption::Resumption;
use crate::units::Nanos;

/// What every journal starts with.
pub const MAGIC: [u8; 8] = *b"BALLASTJ";
/// The format that this code writes.
pub const VERSION: u32 = 9;
/// The oldest that it reads.
const VERSION_MIN: u32 = 1;
/// Magic, version, length and checksum.
pub const PREFIX_BYTES: usize = 20;
/// Largest body that is believed: 16 MiB.
pub const BODY_BYTES_MAX: usize = 1 << 24;

/// Which run a journal is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The run's epoch: the upper bits of its ClOrdIDs.
    pub epoch: u32,
    /// When the run started.
    pub started: Nanos,
    /// Version of the binary that ran.
    pub binary: String,
    /// The config's full text.
    pub config: String,
    /// Where the run before ended, if this one goes on from it.
    pub resumption: Option<Resumption>,
}

/// What is wrong with a header's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderFault {
    /// No journal at all.
    Magic,
    /// Another format.
    Version(u32),
    /// Damaged, and how.
    Damaged(&'static str),
}

/// Reads the prefix: the body's length, or why there is none.
pub fn body_length(prefix: &[u8; PREFIX_BYTES]) -> Result<usize, HeaderFault> {
    let mut rest: &[u8] = prefix;
    let damaged = HeaderFault::Damaged("its length is not believable");
    if rest.split_first_chunk::<8>().map(|(magic, _)| *magic) != Some(MAGIC) {
        return Err(HeaderFault::Magic);
    }
    rest = rest.get(8..).ok_or(damaged)?;
    let version = u32::take(&mut rest).ok_or(damaged)?;
    if !(VERSION_MIN..=VERSION).contains(&version) {
        return Err(HeaderFault::Version(version));
    }
    let length = u32::take(&mut rest).and_then(|length| usize::try_from(length).ok());
    length.filter(|&length| length <= BODY_BYTES_MAX).ok_or(damaged)
}

/// The checksum over what stands before it and the body.
fn checksum(prefix: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(prefix), body)
}

fn put_text(text: &str, to: &mut Vec<u8>) -> Option<()> {
    u32::try_from(text.len()).ok()?.put(to);
    to.extend_from_slice(text.as_bytes());
    Some(())
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(u32::take(from)?).ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(text.to_vec()).ok()
}

impl Header {
    /// The hash of the config's text.
    pub fn config_sha(&self) -> Sha {
        Sha::of(self.config.as_bytes())
    }

    /// The header's bytes and its checksum, which every record's checksum starts from. `None` where
    /// the config is longer than [`BODY_BYTES_MAX`].
    pub fn encode(&self) -> Option<(Vec<u8>, u32)> {
        let mut body = Vec::new();
        self.epoch.put(&mut body);
        self.started.put(&mut body);
        put_text(&self.binary, &mut body)?;
        put_text(&self.config, &mut body)?;
        body.extend_from_slice(&self.config_sha().0);
        self.resumption.put(&mut body);
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= BODY_BYTES_MAX)?;
        let mut bytes = MAGIC.to_vec();
        VERSION.put(&mut bytes);
        length.put(&mut bytes);
        let sum = checksum(&bytes, &body);
        sum.put(&mut bytes);
        bytes.extend_from_slice(&body);
        Some((bytes, sum))
    }

    /// The header of a prefix that [`body_length`] accepted and the body behind it, with its checksum.
    pub fn decode(prefix: &[u8; PREFIX_BYTES], body: &[u8]) -> Result<(Header, u32), HeaderFault> {
        let damaged = HeaderFault::Damaged("it fails its checksum");
        let (covered, mut sum) = prefix.split_at_checked(PREFIX_BYTES - 4).ok_or(damaged)?;
        let sum = u32::take(&mut sum).ok_or(damaged)?;
        if checksum(covered, body) != sum {
            return Err(damaged);
        }
        let mut rest = body;
        let header = Header::fields(&mut rest).filter(|_| rest.is_empty());
        header.map(|header| (header, sum)).ok_or(HeaderFault::Damaged("its fields do not parse"))
    }

    fn fields(from: &mut &[u8]) -> Option<Header> {
        let epoch = u32::take(from)?;
        let started = Nanos::take(from)?;
        let binary = take_text(from)?;
        let config = take_text(from)?;
        let (sha, rest) = from.split_first_chunk::<32>()?;
        *from = rest;
        // Version 1 ends here.
        let resumption = if from.is_empty() { None } else { Field::take(from)? };
        let header = Header { epoch, started, binary, config, resumption };
        (header.config_sha() == Sha(*sha)).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written() {
        let header = Header {
            epoch: 7,
            started: Nanos(1_700_000_000_000_000_000),
            binary: "0.1.0".into(),
            config: "[limits]\norder_size_max = \"1\" # ±".into(),
            resumption: Some(Resumption { epoch: 6, ..Resumption::default() }),
        };
        let (bytes, sum) = header.encode().unwrap();
        let (prefix, body) = bytes.split_first_chunk::<PREFIX_BYTES>().unwrap();
        assert_eq!(body_length(prefix), Ok(body.len()));
        assert_eq!(Header::decode(prefix, body), Ok((header, sum)));
    }
}

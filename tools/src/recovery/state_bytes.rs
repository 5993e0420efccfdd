//! A state's bytes while they are written and read: tens of thousands of numbers of eight bytes each.
//!
//! Fed by `replaying.rs`; feeds snapshots. Cold, but every snapshot that is proved is written twice and
//! read once: a call for each number is most of what that costs, so these are copied in place.

use std::io::{self, ErrorKind, Read, Write};

/// Bytes at whose end is written, or from whose front is read.
pub(super) struct StateBytes<B>(pub(super) B);

impl Write for StateBytes<Vec<u8>> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline(always)]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for StateBytes<&[u8]> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }

    #[inline(always)]
    fn read_exact(&mut self, room: &mut [u8]) -> io::Result<()> {
        let Some((bytes, rest)) = self.0.split_at_checked(room.len()) else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        room.copy_from_slice(bytes);
        self.0 = rest;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borsh::{BorshDeserialize, BorshSerialize};

    #[test]
    fn what_is_written_is_borsh_s_and_is_read_back_to_the_last_byte() {
        let state = (7u64, -3i128, vec![Some(1u8), None], "text".to_owned());
        let mut written = StateBytes(Vec::new());
        state.serialize(&mut written).unwrap();
        assert_eq!(written.0, borsh::to_vec(&state).unwrap());
        let mut read = StateBytes(&written.0[..]);
        let back = <(u64, i128, Vec<Option<u8>>, String)>::deserialize_reader(&mut read).unwrap();
        assert_eq!((back, read.0.len()), (state, 0));
        let mut short = StateBytes(&written.0[..written.0.len() - 1]);
        assert!(<(u64, i128, Vec<Option<u8>>, String)>::deserialize_reader(&mut short).is_err());
    }
}

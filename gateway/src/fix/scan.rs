//! Where the SOH bytes of a message are, 64 bytes at a time.
//!
//! Feeds the decoder, on its thread. Sixteen bytes are one comparison and one gathering of its bits
//! (`wide`, which has the unsafe calls for it; in general registers the same took four times the
//! instructions). Finding all field ends first makes
//! them independent of what stands in the fields, so that the processor reads several fields at once.

use super::SOH;
use wide::u8x16;

/// Bytes looked at in one step.
pub(super) const BLOCK: usize = 64;

/// One bit a byte of `bytes[base..base + 64]`, set where it is SOH; bit 0 is the byte at `base`.
/// Bits beyond the end are 0.
#[inline(always)]
pub(super) fn soh_bits(bytes: &[u8], base: usize) -> u64 {
    let rest = bytes.get(base..).unwrap_or_default();
    if let Some(block) = rest.first_chunk::<BLOCK>() {
        return bits_of(block);
    }
    if let Some(block) = bytes.last_chunk::<BLOCK>() {
        // The last block overlaps the one before; its bits are shifted to where `base` is.
        let overlap = BLOCK - rest.len();
        return bits_of(block).checked_shr(u32::try_from(overlap).unwrap_or(64)).unwrap_or(0);
    }
    let mut block = [0u8; BLOCK];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    bits_of(&block)
}

#[inline(always)]
fn bits_of(block: &[u8; BLOCK]) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    let mut bits = 0u64;
    for quarter in quarters.iter().rev() {
        bits = (bits << 16) | bits_of_quarter(quarter);
    }
    bits
}

/// One bit a byte of `quarter`, set where it is SOH.
#[inline(always)]
fn bits_of_quarter(quarter: &[u8; 16]) -> u64 {
    let mask = u8x16::from(*quarter).cmp_eq(u8x16::splat(SOH)).move_mask();
    u64::from(mask.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        for base in (0..bytes.len()).step_by(BLOCK) {
            let bits = soh_bits(bytes, base);
            found.extend((0..BLOCK).filter(|n| bits >> n & 1 == 1).map(|n| base + n));
        }
        found
    }

    #[test]
    fn every_soh_is_found_at_every_length_and_nothing_else() {
        let text: Vec<u8> = (0..300u32).map(|n| (n * n % 7) as u8).collect();
        for len in 0..text.len() {
            let plain: Vec<usize> = (0..len).filter(|n| text[*n] == 1).collect();
            assert_eq!(all(&text[..len]), plain, "length {len}");
        }
    }

    #[test]
    fn a_byte_beside_a_soh_is_not_taken_for_one() {
        for seed in 0..2000u128 {
            let word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c83_1af5_7e29)
                & 0x8303_0181_0301_8003_0101_ff03_8100_0302;
            let bytes = word.to_le_bytes();
            let plain = bytes.iter().rev().fold(0, |b, n| b << 1 | u64::from(*n == 1));
            assert_eq!(bits_of_quarter(&bytes), plain, "{word:x}");
        }
    }
}

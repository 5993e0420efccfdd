//! CheckSum(10): the sum of all bytes before it, modulo 256.
//!
//! Fed by framing and by the encoders. Any thread.

use wide::u8x16;

/// The sum of `bytes` modulo 256 (FIX 4.4 Volume 2, "Checksum Calculation").
#[inline]
pub fn checksum(bytes: &[u8]) -> u8 {
    // Sixteen sums side by side.
    let (blocks, tail) = bytes.as_chunks::<16>();
    let mut lanes = u8x16::splat(0);
    for block in blocks {
        lanes += u8x16::from(*block);
    }
    let Some(last) = bytes.last_chunk::<16>() else {
        return tail.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    };
    // The incomplete block is the end of the last sixteen; what was summed already falls out.
    if let Some(mask) = LAST.get(tail.len()..).and_then(|rest| rest.first_chunk::<16>()) {
        lanes += u8x16::from(*last) & u8x16::from(*mask);
    }
    let [low, high] = halves(lanes);
    // Nothing is carried over: four sums of four bytes, each below 1,024.
    sum_of_pairs(pairs_of(low) + pairs_of(high))
}

/// The two halves of sixteen bytes.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "each half is what is asked for")]
fn halves(lanes: u8x16) -> [u64; 2] {
    let word = u128::from_le_bytes(lanes.to_array());
    [word as u64, (word >> 64) as u64]
}

/// Sixteen bytes from here keep as many at the end of sixteen as stand before them.
#[rustfmt::skip]
const LAST: [u8; 32] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
];

/// The sum of the eight bytes of `word`, modulo 256.
#[inline(always)]
pub(super) fn sum_of_word(word: u64) -> u8 {
    sum_of_pairs(pairs_of(word))
}

/// Four sums of two bytes, each below 512.
#[inline(always)]
const fn pairs_of(word: u64) -> u64 {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    (word & EVEN) + (word >> 8 & EVEN)
}

/// The sum of four, below 65,536, modulo 256.
#[inline(always)]
fn sum_of_pairs(pairs: u64) -> u8 {
    let [.., sum, _] = pairs.wrapping_mul(0x0001_0001_0001_0001).to_le_bytes();
    sum
}

/// The three digits of CheckSum(10).
#[inline]
pub fn digits(sum: u8) -> [u8; 3] {
    let [hundreds, tens, ones, _] = trailer_end(sum);
    [hundreds, tens, ones]
}

/// They and the separator behind them.
#[inline(always)]
pub(super) fn trailer_end(sum: u8) -> [u8; 4] {
    const EMPTY: u32 = u32::from_le_bytes([b'0', b'0', b'0', super::SOH]);
    let sum = u32::from(sum);
    // n × 41 >> 12 is n / 100 below 256, n × 103 >> 10 is n / 10 below 100.
    let hundreds = (sum * 41) >> 12;
    let rest = sum - hundreds * 100;
    let tens = (rest * 103) >> 10;
    (EMPTY + hundreds + (tens << 8) + ((rest - tens * 10) << 16)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_published_logon_is_right() {
        let logon = b"8=FIX.4.1\x019=61\x0135=A\x0134=1\x0149=EXEC\x0152=20121105-23:24:06\x01\
            56=BANZAI\x0198=0\x01108=30\x01";
        assert_eq!(digits(checksum(logon)), *b"003");
    }

    #[test]
    fn every_sum_has_its_three_digits() {
        for sum in 0..=255u8 {
            assert_eq!(digits(sum).to_vec(), format!("{sum:03}").into_bytes());
        }
    }

    #[test]
    fn lanes_and_tail_add_up_at_every_length() {
        let bytes: Vec<u8> = (0..200u8).map(|n| n.wrapping_mul(37)).collect();
        for end in 0..bytes.len() {
            let plain = bytes[..end].iter().map(|b| u32::from(*b)).sum::<u32>() % 256;
            assert_eq!(u32::from(checksum(&bytes[..end])), plain);
        }
    }
}

//! CheckSum(10): the sum of all bytes before it, modulo 256.
//!
//! Fed by framing and by the encoders. Any thread.

/// The sum of `bytes` modulo 256 (FIX 4.4 Volume 2, "Checksum Calculation").
#[inline]
pub fn checksum(bytes: &[u8]) -> u8 {
    // Sixteen sums side by side: the compiler keeps them in one register.
    let mut lanes = [0u8; 16];
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        for (lane, byte) in lanes.iter_mut().zip(block) {
            *lane = lane.wrapping_add(*byte);
        }
    }
    let tail = blocks.remainder().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    lanes.iter().fold(tail, |sum, lane| sum.wrapping_add(*lane))
}

/// The three digits of CheckSum(10).
#[inline]
pub fn digits(sum: u8) -> [u8; 3] {
    [b'0' + sum / 100, b'0' + sum / 10 % 10, b'0' + sum % 10]
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
    fn lanes_and_tail_add_up_at_every_length() {
        let bytes: Vec<u8> = (0..200u8).map(|n| n.wrapping_mul(37)).collect();
        for end in 0..bytes.len() {
            let plain = bytes[..end].iter().map(|b| u32::from(*b)).sum::<u32>() % 256;
            assert_eq!(u32::from(checksum(&bytes[..end])), plain);
        }
    }
}

//! A quoter as bytes, for the journal and the parameter ring, and back to the same bits.
//!
//! Fed by `calibration` through whoever sends parameters; feeds the journal and its replay. Any
//! thread. One byte says the model, little-endian integers follow. Decoding takes no more than the
//! bytes say: anything short, long or out of range is `None`, and the journal reports its record.
//! Deliberately absent: versions and checksums, which are the journal's.

use super::avellaneda_stoikov::Horizon;
use super::glft_exact::STEPS_MAX;
use super::{AvellanedaStoikov, Glft, GlftTable, Quoter};
use crate::fixed::{Fixed, Scaled};
use crate::units::{Lots, SubTicks};

/// Most bytes of an encoded closed form.
pub const CLOSED_FORM_BYTES_MAX: usize = 96;
/// Most bytes of an encoded quoter.
pub const BYTES_MAX: usize = 64 + 8 * STEPS_MAX;

const SYMMETRIC: u8 = 1;
const GLFT: u8 = 2;
const GLFT_EXACT: u8 = 3;
const AS_FINITE: u8 = 4;
const AS_ROLLING: u8 = 5;
const AS_CONSTANT_SPREAD: u8 = 6;

impl Quoter {
    /// Writes it to the front of `out` and says how many bytes that took; `None` where they do not
    /// fit. [`BYTES_MAX`] always do.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer { out, at: 0 };
        match self {
            Quoter::Symmetric(glft) => writer.glft(SYMMETRIC, glft)?,
            Quoter::Glft(glft) => writer.glft(GLFT, glft)?,
            Quoter::AvellanedaStoikov(model) => writer.avellaneda_stoikov(model)?,
            Quoter::GlftExact(table) => writer.table(table)?,
        }
        Some(writer.at)
    }

    /// Reads what [`Quoter::encode`] wrote; `None` where `bytes` is anything else.
    pub fn decode(bytes: &[u8]) -> Option<Quoter> {
        let (&model, left) = bytes.split_first()?;
        let mut reader = Reader { left };
        let quoter = match model {
            SYMMETRIC => Quoter::Symmetric(reader.glft()?),
            GLFT => Quoter::Glft(reader.glft()?),
            GLFT_EXACT => Quoter::GlftExact(reader.table()?),
            AS_FINITE | AS_ROLLING | AS_CONSTANT_SPREAD => {
                Quoter::AvellanedaStoikov(reader.avellaneda_stoikov(model)?)
            }
            _ => return None,
        };
        reader.left.is_empty().then_some(quoter)
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.at.checked_add(bytes.len())?;
        self.out.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    fn scaled(&mut self, value: Scaled) -> Option<()> {
        let (mantissa, shift) = value.parts();
        self.put(&mantissa.to_le_bytes())?;
        self.put(&shift.to_le_bytes())
    }

    fn glft(&mut self, model: u8, glft: &Glft) -> Option<()> {
        self.put(&[model])?;
        self.put(&glft.base.0.to_le_bytes())?;
        self.scaled(glft.half_order)?;
        self.scaled(glft.per_lot)?;
        self.scaled(glft.drift)
    }

    fn avellaneda_stoikov(&mut self, model: &AvellanedaStoikov) -> Option<()> {
        let (name, seconds) = match model.horizon {
            Horizon::Finite => (AS_FINITE, Scaled::ZERO),
            Horizon::Rolling { seconds } => (AS_ROLLING, seconds),
            Horizon::ConstantSpread => (AS_CONSTANT_SPREAD, Scaled::ZERO),
        };
        self.put(&[name])?;
        self.put(&model.base.0.to_le_bytes())?;
        self.scaled(model.gamma_per_lot)?;
        self.scaled(model.gamma_half_order)?;
        self.scaled(seconds)
    }

    fn table(&mut self, table: &GlftTable) -> Option<()> {
        let (base, order_size, sigma_inverse, first, steps) = table.parts();
        self.put(&[GLFT_EXACT])?;
        self.put(&base.0.to_le_bytes())?;
        self.put(&order_size.0.to_le_bytes())?;
        self.scaled(sigma_inverse)?;
        self.put(&first.to_le_bytes())?;
        steps.iter().try_for_each(|step| self.put(&step.0.to_le_bytes()))
    }
}

struct Reader<'a> {
    left: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, left) = self.left.split_first_chunk::<N>()?;
        self.left = left;
        Some(*bytes)
    }

    fn fixed(&mut self) -> Option<Fixed> {
        self.take().map(i128::from_le_bytes).map(Fixed)
    }

    fn whole(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn scaled(&mut self) -> Option<Scaled> {
        let mantissa = self.whole()?;
        let shift = self.take().map(i32::from_le_bytes)?;
        Scaled::from_parts(mantissa, shift)
    }

    fn glft(&mut self) -> Option<Glft> {
        let base = self.fixed()?;
        let half_order = self.scaled()?;
        let per_lot = self.scaled()?;
        Some(Glft { base, half_order, per_lot, drift: self.scaled()? })
    }

    fn avellaneda_stoikov(&mut self, name: u8) -> Option<AvellanedaStoikov> {
        let base = self.fixed()?;
        let gamma_per_lot = self.scaled()?;
        let gamma_half_order = self.scaled()?;
        let seconds = self.scaled()?;
        let horizon = match name {
            AS_FINITE => Horizon::Finite,
            AS_ROLLING => Horizon::Rolling { seconds },
            AS_CONSTANT_SPREAD => Horizon::ConstantSpread,
            _ => return None,
        };
        Some(AvellanedaStoikov { base, gamma_per_lot, gamma_half_order, horizon })
    }

    fn table(&mut self) -> Option<GlftTable> {
        let base = self.fixed()?;
        let order_size = Lots(self.whole()?);
        let sigma_inverse = self.scaled()?;
        let first = self.whole()?;
        let mut steps = [SubTicks(0); STEPS_MAX];
        let mut len = 0;
        while !self.left.is_empty() {
            *steps.get_mut(len)? = SubTicks(self.whole()?);
            len += 1;
        }
        GlftTable::new(base, order_size, sigma_inverse, first, steps.get(..len)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{QuoteParameters, Real, quoter};
    use crate::quote::Model;

    fn every_model() -> impl Iterator<Item = Quoter> {
        let real = |text| Real::parse(text).unwrap();
        let mut parameters = QuoteParameters::new(real("0.01"), real("0.9"), real("0.3"));
        parameters.drift = real("-0.002");
        parameters.inventory_bound = 64;
        Model::ALL.into_iter().map(move |model| quoter(model, &parameters).unwrap())
    }

    #[test]
    fn a_quoter_comes_back_from_its_bytes_to_the_bit() {
        let mut bytes = [0; BYTES_MAX];
        for quoter in every_model() {
            let len = quoter.encode(&mut bytes).unwrap();
            assert_eq!(Quoter::decode(&bytes[..len]), Some(quoter));
        }
    }

    #[test]
    fn bytes_that_are_no_quoter_are_refused() {
        let mut bytes = [0; BYTES_MAX];
        for quoter in every_model() {
            let len = quoter.encode(&mut bytes).unwrap();
            // A table may lose whole steps and still be one; the journal's checksum sees to that.
            if !matches!(quoter, Quoter::GlftExact(_)) {
                assert!((0..len).all(|short| Quoter::decode(&bytes[..short]).is_none()));
            }
            assert_eq!(Quoter::decode(&bytes[..len - 1]), None);
            assert_eq!(quoter.encode(&mut bytes[..len - 1]), None);
        }
        assert_eq!(Quoter::decode(&[9; 60]), None);
        assert_eq!(Quoter::decode(&[GLFT; BYTES_MAX]), None);
    }
}

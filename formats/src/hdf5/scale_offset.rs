//! The filter `scaleoffset`: whole numbers less their least one in as few bits as they need, and floating-point numbers scaled to such.
//!
//! Layout: "HDF5 Reference Manual", `H5Pset_scaleoffset`, and the files that the library writes.

/// The parameters of the filter, as the library stores them.
struct Parameters {
    floats: bool,
    scale: i32,
    count: usize,
    size: usize,
    big: bool,
    fill: Option<u64>,
}

/// The elements of a chunk of `whole` bytes.
pub(super) fn undo(values: &[u32], bytes: &[u8], whole: u64) -> Result<Vec<u8>, String> {
    let value = |place: usize| values.get(place).copied().ok_or_else(|| format!("scale-offset needs its parameter {place}"));
    let size = value(4)? as usize;
    let fill = if value(7)? == 1 { Some(u64::from(value(8)?) | (u64::from(value(9).unwrap_or(0)) << 32)) } else { None };
    let own = Parameters { floats: value(3)? == 1, scale: value(1)? as i32, count: value(2)? as usize, size, big: value(6)? == 1, fill };
    if ![1, 2, 4, 8].contains(&size) || (own.floats && size < 4) || (own.count as u64).checked_mul(size as u64) != Some(whole) {
        return Err(format!("scale-offset of {} elements of {size} bytes in a chunk of {whole}", own.count));
    }
    if own.floats && value(0)? != 0 {
        return Err("scale-offset by powers of two (E-scaling) is not read".to_owned());
    }
    let short = || "a chunk with scale-offset ends too early".to_owned();
    let number = |from: usize, count: usize| -> Option<u64> {
        bytes.get(from..from + count).map(|own| own.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    };
    let bits = number(0, 4).ok_or_else(short)? as usize;
    let least = number(5, 8).ok_or_else(short)?;
    let packed = bytes.get(21..).ok_or_else(short)?;
    if bits > size * 8 {
        return Err(format!("scale-offset with {bits} bits for elements of {size} bytes"));
    }
    if packed.len() < (own.count.saturating_mul(bits)).div_ceil(8) {
        return Err(short());
    }
    let mut out = Vec::with_capacity(own.count * size);
    if bits == size * 8 {
        // Nothing was gained, so the elements stand as they are.
        out.extend_from_slice(packed.get(..own.count * size).ok_or_else(short)?);
        return Ok(out);
    }
    let mut stream = Bits { bytes: packed, at: 0 };
    let empty = if bits == 0 { None } else { Some((1u64 << bits) - 1) };
    for _ in 0..own.count {
        let raw = stream.next(bits);
        let element = match own.fill {
            Some(fill) if empty == Some(raw) => fill,
            _ if own.floats => scaled(&own, raw, least),
            _ => raw.wrapping_add(least),
        };
        let element = element.to_le_bytes();
        let element = element.get(..size).unwrap_or_default();
        if own.big {
            out.extend(element.iter().rev());
        } else {
            out.extend_from_slice(element);
        }
    }
    Ok(out)
}

/// A scaled floating-point number as its bits.
fn scaled(own: &Parameters, raw: u64, least: u64) -> u64 {
    if own.size == 4 {
        let least = f32::from_bits(least as u32);
        let value = raw as i32 as f32 / 10f32.powi(own.scale) + least;
        u64::from(value.to_bits())
    } else {
        let value = raw as i64 as f64 / 10f64.powi(own.scale) + f64::from_bits(least);
        value.to_bits()
    }
}

/// Numbers of a few bits each, the greatest bit first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self, count: usize) -> u64 {
        let mut number = 0u64;
        let mut left = count;
        while left > 0 {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            let free = 8 - self.at % 8;
            let taken = free.min(left);
            let part = (u64::from(byte) >> (free - taken)) & ((1 << taken) - 1);
            number = (number << taken) | part;
            self.at += taken;
            left -= taken;
        }
        number
    }
}

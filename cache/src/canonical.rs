//! The canonical encoding that action keys are made of.
//!
//! Every value begins with a byte that says its type. Text and bytes are preceded by their length, lists and maps by their number of entries; maps must be
//! given in the order of their keys. Integers are eight bytes, little end first; floats are the eight bytes of their IEEE 754 bits, with −0 written as
//! 0 and every NaN as one NaN. The whole begins with the format's name, so that a key of another format can never be the same. So equal values have
//! equal encodings, different ones have different encodings, and no encoding is the beginning of another.

use crate::digest::Digest;

/// The name of the format, the first thing in every key.
pub const FORMAT: &str = "neuroflow-action-1";

/// Encodes values and hashes the encoding.
#[derive(Debug, Clone)]
pub struct KeyEncoder {
    bytes: Vec<u8>,
}

impl Default for KeyEncoder {
    fn default() -> KeyEncoder {
        KeyEncoder::new()
    }
}

impl KeyEncoder {
    /// An encoder that has written the format's name.
    pub fn new() -> KeyEncoder {
        let mut encoder = KeyEncoder { bytes: Vec::with_capacity(256) };
        encoder.text(FORMAT);
        encoder
    }

    fn tagged(&mut self, tag: u8, payload: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(payload);
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        self.tagged(b's', &(text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A whole number that can't be negative.
    pub fn uint(&mut self, value: u64) {
        self.tagged(b'u', &value.to_le_bytes());
    }

    /// A whole number.
    pub fn int(&mut self, value: i64) {
        self.tagged(b'i', &value.to_le_bytes());
    }

    /// A floating-point number.
    pub fn float(&mut self, value: f64) {
        let bits = match value {
            value if value.is_nan() => f64::NAN.to_bits() & 0x7fff_ffff_ffff_ffff,
            0.0 => 0,
            value => value.to_bits(),
        };
        self.tagged(b'f', &bits.to_le_bytes());
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.tagged(b'b', &[u8::from(value)]);
    }

    /// A digest.
    pub fn digest(&mut self, digest: &Digest) {
        self.tagged(b'd', digest.as_bytes());
    }

    /// The beginning of a list of so many entries.
    pub fn list(&mut self, entries: usize) {
        self.tagged(b'l', &(entries as u64).to_le_bytes());
    }

    /// The beginning of a map of so many entries; each is a text and a value, in the order of the texts.
    pub fn map(&mut self, entries: usize) {
        self.tagged(b'm', &(entries as u64).to_le_bytes());
    }

    /// The key.
    pub fn finish(self) -> Digest {
        Digest::of(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, PartialEq)]
    enum Item {
        Text(String),
        Int(i64),
        Uint(u64),
        Float(u64),
        Bool(bool),
        List(Vec<Item>),
    }

    fn encode(encoder: &mut KeyEncoder, item: &Item) {
        match item {
            Item::Text(text) => encoder.text(text),
            Item::Int(value) => encoder.int(*value),
            Item::Uint(value) => encoder.uint(*value),
            Item::Float(bits) => encoder.float(f64::from_bits(*bits)),
            Item::Bool(value) => encoder.bool(*value),
            Item::List(items) => {
                encoder.list(items.len());
                items.iter().for_each(|item| encode(encoder, item));
            }
        }
    }

    fn key(items: &[Item]) -> Digest {
        let mut encoder = KeyEncoder::new();
        items.iter().for_each(|item| encode(&mut encoder, item));
        encoder.finish()
    }

    fn item() -> impl Strategy<Value = Item> {
        let float = any::<f64>().prop_filter("normal numbers have one encoding", |v| v.is_finite() && *v != 0.0);
        let leaf = prop_oneof![
            ".{0,6}".prop_map(Item::Text),
            any::<i64>().prop_map(Item::Int),
            any::<u64>().prop_map(Item::Uint),
            float.prop_map(|value| Item::Float(value.to_bits())),
            any::<bool>().prop_map(Item::Bool),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Item::List))
    }

    proptest! {
        #[test]
        fn equal_values_have_equal_keys_and_different_ones_do_not(a in prop::collection::vec(item(), 0..4), b in prop::collection::vec(item(), 0..4)) {
            prop_assert_eq!(key(&a) == key(&b), a == b);
            prop_assert_eq!(key(&a), key(&a.clone()));
        }
    }

    #[test]
    fn zero_has_one_encoding_and_so_has_not_a_number() {
        let one = |value: f64| {
            let mut encoder = KeyEncoder::new();
            encoder.float(value);
            encoder.finish()
        };
        assert_eq!(one(0.0), one(-0.0));
        assert_eq!(one(f64::NAN), one(-f64::NAN));
        assert_ne!(one(0.0), one(f64::NAN));
    }

    #[test]
    fn keys_never_change() {
        let mut encoder = KeyEncoder::new();
        encoder.text("decode.classify");
        encoder.uint(1);
        encoder.map(1);
        encoder.text("folds");
        encoder.int(8);
        encoder.list(1);
        encoder.digest(&Digest::of(b"responses"));
        assert_eq!(encoder.finish().short(), "01e786599c18");
    }
}

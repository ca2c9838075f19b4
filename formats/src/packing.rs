//! Values that are stored packed: a factor, a summand and numbers that stand for nothing, as attributes of an array say.
//!
//! | attributes | whose |
//! |---|---|
//! | `scale_factor`, `add_offset`, `_FillValue`, `missing_value`, `_Unsigned` | the CF conventions of netCDF, as xarray reads and writes them |
//! | `conversion` beside `unit`, with `offset` | NWB's series |
//!
//! They are undone in double precision: first what is no number, then the factor, then the summand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The value of an attribute, as far as packing needs it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    Numbers(Vec<f64>),
    Text(String),
}

impl Attribute {
    /// An attribute of JSON: a number, several, or a text.
    pub fn of_json(value: &Value) -> Option<Attribute> {
        match value {
            Value::Number(number) => Some(Attribute::Numbers(vec![number.as_f64()?])),
            Value::Array(values) => values.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>().map(Attribute::Numbers),
            Value::Bool(truth) => Some(Attribute::Text(truth.to_string())),
            Value::String(text) => Some(Attribute::Text(text.clone())),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Attribute::Numbers(numbers) => numbers.first().copied().filter(|number| numbers.len() == 1 && number.is_finite()),
            Attribute::Text(_) => None,
        }
    }
}

/// How the values of an array are packed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packing {
    factor: f64,
    summand: f64,
    /// Stored numbers that stand for nothing, after the change of sign.
    missing: Vec<f64>,
    /// Whole numbers from here on, or below zero, are those of the other sort: 2 to the power of their bits.
    turned: Option<Turned>,
}

/// Whole numbers that are meant with or without a sign, other than they are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turned {
    Unsigned(f64),
    Signed(f64),
}

impl Turned {
    fn of(self, value: f64) -> f64 {
        match self {
            Turned::Unsigned(all) if value < 0.0 => value + all,
            Turned::Signed(all) if value >= all / 2.0 => value - all,
            _ => value,
        }
    }
}

impl Packing {
    /// What the attributes of an array of `element`s say; none when its values are as they are stored.
    pub fn of(element: &str, attribute: impl Fn(&str) -> Option<Attribute>) -> Option<Packing> {
        let number = |name: &str| attribute(name).as_ref().and_then(Attribute::number);
        let (factor, summand) = match (number("scale_factor"), number("add_offset")) {
            (None, None) => match number("conversion").filter(|_| matches!(attribute("unit"), Some(Attribute::Text(_)))) {
                Some(factor) => (factor, number("offset").unwrap_or(0.0)),
                None => (1.0, 0.0),
            },
            (factor, summand) => (factor.unwrap_or(1.0), summand.unwrap_or(0.0)),
        };
        let bits = |word: &str| element.strip_prefix(word).and_then(|bits| bits.parse().ok()).map(|bits: i32| 2f64.powi(bits.min(64)));
        let turned = match attribute("_Unsigned") {
            Some(Attribute::Text(said)) if said.eq_ignore_ascii_case("true") => bits("int").map(Turned::Unsigned),
            Some(Attribute::Text(said)) if said.eq_ignore_ascii_case("false") => bits("uint").map(Turned::Signed),
            _ => None,
        };
        let mut missing: Vec<f64> = ["_FillValue", "missing_value"]
            .iter()
            .filter_map(|name| match attribute(name)? {
                Attribute::Numbers(numbers) => Some(numbers),
                Attribute::Text(text) if element.starts_with("float") => of_base64(&text).map(|number| vec![number]),
                Attribute::Text(_) => None,
            })
            .flatten()
            // As the array stores it.
            .map(|number| if element == "float32" { f64::from(number as f32) } else { number })
            .map(|number| turned.map_or(number, |turned| turned.of(number)))
            .filter(|number| !number.is_nan())
            .collect();
        missing.sort_by(f64::total_cmp);
        missing.dedup();
        let packing = Packing { factor, summand, missing, turned };
        (element != "bool" && packing != Packing { factor: 1.0, summand: 0.0, missing: Vec::new(), turned: None }).then_some(packing)
    }

    /// The value that a stored one stands for.
    pub fn value(&self, stored: f64) -> f64 {
        let stored = self.turned.map_or(stored, |turned| turned.of(stored));
        if self.missing.contains(&stored) {
            return f64::NAN;
        }
        let scaled = if self.factor == 1.0 { stored } else { stored * self.factor };
        if self.summand == 0.0 { scaled } else { scaled + self.summand }
    }

    /// Values in the place of the stored ones.
    pub fn undo(&self, values: &mut [f64]) {
        values.iter_mut().for_each(|value| *value = self.value(*value));
    }

    /// What is done, in words, and what else is said of the array.
    pub fn told(&self, about: &str) -> String {
        let mut words = Vec::new();
        match self.turned {
            Some(Turned::Unsigned(_)) => words.push("without sign".to_owned()),
            Some(Turned::Signed(_)) => words.push("with sign".to_owned()),
            None => {}
        }
        if self.factor != 1.0 {
            words.push(format!("× {}", self.factor));
        }
        if self.summand != 0.0 {
            words.push(format!("{} {}", if self.summand < 0.0 { '−' } else { '+' }, self.summand.abs()));
        }
        let mut said = if words.is_empty() { String::new() } else { format!("values are the stored ones {}", words.join(" ")) };
        if !self.missing.is_empty() {
            let listed = self.missing.iter().take(4).map(f64::to_string).collect::<Vec<_>>().join(", ");
            let more = if self.missing.len() > 4 { ", …" } else { "" };
            said.push_str(&format!("{}{listed}{more} is missing", if said.is_empty() { "stored " } else { "; stored " }));
        }
        if about.is_empty() { said } else { format!("{said}. {about}") }
    }
}

/// A number as xarray writes those of floats into Zarr 3: the base 64 of its eight bytes.
fn of_base64(text: &str) -> Option<f64> {
    // Twelve letters are eight bytes.
    let bytes = STANDARD.decode(Some(text).filter(|text| text.len() == 12)?).ok()?;
    Some(f64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn packing(element: &str, attributes: &Value) -> Option<Packing> {
        Packing::of(element, |name| Attribute::of_json(attributes.get(name)?))
    }

    fn values(element: &str, attributes: &Value, stored: &[f64]) -> Vec<f64> {
        let mut values = stored.to_vec();
        packing(element, attributes).unwrap().undo(&mut values);
        values
    }

    /// As `xarray.conventions.decode_cf` 2026.9 has them, with factors of double precision.
    #[test]
    fn conventions_of_netcdf_are_undone() {
        let own = json!({"scale_factor": 0.01, "add_offset": 1.0, "_FillValue": -32768, "missing_value": [5, 6]});
        let read = values("int16", &own, &[53.0, -90.0, -32768.0, 5.0, 6.0]);
        assert_eq!(read[..2], [53.0 * 0.01 + 1.0, -90.0 * 0.01 + 1.0]);
        assert!(read[2..].iter().all(|value| value.is_nan()));
        let unsigned = json!({"_Unsigned": "true", "_FillValue": -1, "scale_factor": 0.5});
        let read = values("int8", &unsigned, &[-2.0, 3.0, -1.0]);
        assert_eq!(read[..2], [127.0, 1.5]);
        assert!(read[2].is_nan());
        assert_eq!(values("uint8", &json!({"_Unsigned": "false"}), &[255.0, 127.0, 128.0]), [-1.0, 127.0, -128.0]);
        // 1e20 in single precision is another number than in double.
        let single = values("float32", &json!({"_FillValue": 1e20}), &[f64::from(1e20f32), 2.0]);
        assert!(single[0].is_nan() && single[1] == 2.0);
        let coded = values("float64", &json!({"_FillValue": "AAAAAACI08A="}), &[-20000.0, 1.0]);
        assert!(coded[0].is_nan() && coded[1] == 1.0);
    }

    #[test]
    fn a_conversion_counts_beside_a_unit() {
        assert_eq!(values("int16", &json!({"conversion": 1e-6, "offset": 0.5, "unit": "V"}), &[3.0]), [3.0 * 1e-6 + 0.5]);
        for none in [
            json!({"conversion": 2.0}),
            json!({"offset": 5.0, "unit": "V"}),
            json!({"conversion": 1.0, "unit": "V"}),
            json!({"scale_factor": "0.1"}),
            json!({"scale_factor": [1.0, 2.0]}),
            json!({"_FillValue": "AAAAAAAA+H8="}),
            json!({}),
        ] {
            assert_eq!(packing("int16", &none), None, "{none}");
        }
    }

    #[test]
    fn what_is_done_is_told() {
        let own = packing("int16", &json!({"scale_factor": 0.01, "add_offset": -1.0, "_FillValue": -32768})).unwrap();
        assert_eq!(own.told("field potential"), "values are the stored ones × 0.01 − 1; stored -32768 is missing. field potential");
        assert_eq!(packing("float32", &json!({"missing_value": 9})).unwrap().told(""), "stored 9 is missing");
    }
}

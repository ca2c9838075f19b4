//! Functions of each element, of one array or of two.

use bytemuck::{Pod, Zeroable};

use super::super::{Buffer, GpuError, Recording};
use super::tile::fill;

/// A function of one element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `scale · x + shift`.
    Linear {
        /// The factor.
        scale: f32,
        /// What is added.
        shift: f32,
    },
    /// The square root.
    Sqrt,
    /// The exponential.
    Exp,
    /// The natural logarithm.
    Log,
    /// The element where it is above zero, else zero.
    Relu,
}

/// A function of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `x + y`.
    Sum,
    /// `x − y`.
    Difference,
    /// `x · y`.
    Product,
    /// `x / y`.
    Ratio,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    count: u32,
    unused: u32,
    scale: f32,
    shift: f32,
}

impl Recording<'_> {
    /// A function of each element.
    ///
    /// # Errors
    /// When memory is short.
    pub fn map(&mut self, x: &Buffer, function: Unary) -> Result<Buffer, GpuError> {
        let (name, expression) = match function {
            Unary::Linear { .. } => ("linear", "map.scale * x[place] + map.shift"),
            Unary::Sqrt => ("sqrt", "sqrt(x[place])"),
            Unary::Exp => ("exp", "exp(x[place])"),
            Unary::Log => ("log", "log(x[place])"),
            Unary::Relu => ("relu", "max(x[place], 0.0)"),
        };
        let (scale, shift) = if let Unary::Linear { scale, shift } = function { (scale, shift) } else { (1.0, 0.0) };
        let mapped = self.gpu().empty(x.len())?;
        self.elements(name, expression, [scale, shift], &[x], &mapped)?;
        Ok(mapped)
    }

    /// A function of the elements of two arrays at the same places.
    ///
    /// # Errors
    /// When lengths differ, or memory is short.
    pub fn zip(&mut self, x: &Buffer, y: &Buffer, function: Binary) -> Result<Buffer, GpuError> {
        if x.len() != y.len() {
            return Err(GpuError::shape("element-wise function", format!("{} and {} elements", x.len(), y.len())));
        }
        let (name, expression) = match function {
            Binary::Sum => ("sum", "x[place] + y[place]"),
            Binary::Difference => ("difference", "x[place] - y[place]"),
            Binary::Product => ("product", "x[place] * y[place]"),
            Binary::Ratio => ("ratio", "x[place] / y[place]"),
        };
        let mapped = self.gpu().empty(x.len())?;
        self.elements(name, expression, [1.0, 0.0], &[x, y], &mapped)?;
        Ok(mapped)
    }

    /// A copy in half precision, for reading by products; `None` where the device has none.
    ///
    /// # Errors
    /// When memory is short.
    pub fn halved(&mut self, x: &Buffer) -> Result<Option<Buffer>, GpuError> {
        if !self.gpu().abilities().half {
            return Ok(None);
        }
        let halved = self.gpu().empty_half(x.len())?;
        self.elements("halved", "f16(x[place])", [1.0, 0.0], &[x], &halved)?;
        Ok(Some(halved))
    }

    fn elements(
        &mut self,
        name: &str,
        expression: &str,
        [scale, shift]: [f32; 2],
        operands: &[&Buffer],
        mapped: &Buffer,
    ) -> Result<(), GpuError> {
        let two = operands.len() == 2;
        let source = || {
            let own = |value: &str| value.to_owned();
            let values = [
                ("enable", own(if mapped.is_half() { "enable f16;" } else { "" })),
                ("second", own(if two { "@group(0) @binding(2) var<storage, read> y: array<f32>;" } else { "" })),
                ("out", own(if two { "3" } else { "2" })),
                ("type", own(if mapped.is_half() { "f16" } else { "f32" })),
                ("expression", own(expression)),
            ];
            fill(include_str!("map.wgsl"), &values)
        };
        let written: Vec<bool> = (0..=operands.len()).map(|place| place == operands.len()).collect();
        let kernel = self.gpu().kernel(&format!("map {name}"), source, &written)?;
        let buffers: Vec<&Buffer> = operands.iter().copied().chain([mapped]).collect();
        let parameters = Parameters { count: mapped.len() as u32, unused: 0, scale, shift };
        self.call_each(&kernel, &parameters, &buffers, mapped.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::device::testing;
    use super::*;
    use crate::gpu::kernels::tests::{normal, worst};

    #[test]
    fn functions_of_elements_equal_those_of_the_cpu() {
        let Some(gpu) = testing() else { return };
        for count in [0, 1, 255, 1000] {
            let (x, y) = (normal(1, count), normal(2, count));
            let (left, right) = (gpu.upload(&x).unwrap(), gpu.upload(&y).unwrap());
            let mut recording = gpu.record();
            let linear = recording.map(&left, Unary::Linear { scale: 2.0, shift: 5.0 }).unwrap();
            let square = recording.zip(&left, &left, Binary::Product).unwrap();
            let root = recording.map(&square, Unary::Sqrt).unwrap();
            let exponential = recording.map(&left, Unary::Exp).unwrap();
            let logarithm = recording.map(&exponential, Unary::Log).unwrap();
            let relu = recording.map(&left, Unary::Relu).unwrap();
            let pairs = [Binary::Sum, Binary::Difference, Binary::Product, Binary::Ratio];
            let zipped: Vec<Buffer> = pairs.iter().map(|function| recording.zip(&left, &right, *function).unwrap()).collect();
            let found =
                recording.read(&[&linear, &exponential, &logarithm, &relu, &root, &zipped[0], &zipped[1], &zipped[2], &zipped[3]]).unwrap();
            let one = |function: fn(f64) -> f64| x.iter().map(|x| function(f64::from(*x))).collect::<Vec<_>>();
            let two =
                |function: fn(f64, f64) -> f64| x.iter().zip(&y).map(|(x, y)| function(f64::from(*x), f64::from(*y))).collect::<Vec<_>>();
            let expected = [
                one(|x| 2.0 * x + 5.0),
                one(f64::exp),
                one(|x| x),
                one(|x| x.max(0.0)),
                one(f64::abs),
                two(|x, y| x + y),
                two(|x, y| x - y),
                two(|x, y| x * y),
            ];
            for (found, expected) in found.iter().zip(&expected) {
                assert!(worst(found, expected) < 2e-5);
            }
            assert!(
                found[8]
                    .iter()
                    .zip(two(|x, y| x / y))
                    .all(|(found, expected)| (f64::from(*found) - expected).abs() <= 1e-6 * expected.abs())
            );
        }
        let (x, y) = (gpu.upload(&[1.0f32]).unwrap(), gpu.upload(&[1.0f32; 2]).unwrap());
        assert!(gpu.record().zip(&x, &y, Binary::Sum).is_err());
    }
}

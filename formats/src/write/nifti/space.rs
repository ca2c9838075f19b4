//! Where voxels lie and when volumes were taken.

use super::{Options, bad};
use neuroflow_data::formats::FormatError;
use neuroflow_data::{Axis, Coordinates};

/// The space of an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Space {
    /// From voxel to place, three rows.
    pub(super) affine: [[f64; 4]; 3],
    /// `sform_code`.
    pub(super) code: i16,
    /// `qform_code`: the same where nothing else is said and the affine is a rotation with steps, 0 where it shears.
    pub(super) q_code: i16,
    /// b, c and d of the rotation's quaternion.
    pub(super) quaternion: [f64; 3],
    /// −1 when the axes are left-handed, else 1.
    pub(super) handed: f64,
    /// The steps along the axes after the third.
    pub(super) further: Vec<f64>,
    /// The time of the first volume.
    pub(super) start: f64,
    space_unit: u8,
    time_unit: u8,
}

impl Space {
    /// The space that the options give, or the axes where they do not. `axes` are those of the image, the fastest first.
    pub(super) fn new(axes: &[&Axis], options: &Options) -> Result<Space, FormatError> {
        let mut space_unit = unit_of_space(&options.space_unit);
        let affine = match options.affine {
            Some(affine) => affine,
            None => {
                let mut affine = [[0.0; 4]; 3];
                let mut units = Vec::new();
                for (place, row) in affine.iter_mut().enumerate() {
                    let (start, step) = axes.get(place).map_or(Ok((0.0, 1.0)), |axis| {
                        units.extend(matches!(axis.coordinates, Coordinates::Numbers(_)).then(|| axis.unit.as_deref().unwrap_or_default()));
                        spacing(axis)
                    })?;
                    row.iter_mut().skip(place).take(1).for_each(|number| *number = step);
                    row.iter_mut().skip(3).for_each(|number| *number = start);
                }
                space_unit = match units.as_slice() {
                    [first, rest @ ..] if rest.iter().all(|unit| unit == first) => unit_of_space(first),
                    _ => 0,
                };
                affine
            }
        };
        if affine.as_flattened().iter().any(|number| !number.is_finite()) {
            return Err(bad("the affine has numbers that are not finite", "give another affine"));
        }
        let mut further = Vec::new();
        let (mut start, mut time_unit) = (0.0, 0);
        for (place, axis) in axes.iter().enumerate().skip(3) {
            let (first, step) = spacing(axis)?;
            let known = matches!(axis.coordinates, Coordinates::Numbers(_));
            if place == 3 {
                (start, time_unit) = (first, if known { unit_of_time(axis.unit.as_deref().unwrap_or_default()) } else { 0 });
            }
            further.push(step);
        }
        if let (Some(given), Some(step)) = (options.repetition_time, further.first_mut()) {
            if !(given.is_finite() && given > 0.0) {
                return Err(bad(format!("a repetition time of {given} s"), "give a time above 0, or none"));
            }
            if time_unit != 8 {
                start = 0.0;
            }
            *step = given;
            time_unit = 8;
        }
        let rotation = rotation(&affine);
        let (quaternion, handed) = rotation.map_or(([0.0; 3], 1.0), |found| found);
        let placed = options.affine.is_some() || affine.iter().any(|[.., origin]| *origin != 0.0);
        let one = options.code.unwrap_or(if placed { 2 } else { 0 });
        let [q_code, code] = match (options.forms, rotation) {
            (Some(forms), Some(_)) => forms,
            // No quaternion says it, so the rows do.
            (Some([q_code, 0]), None) => [0, q_code],
            (Some([_, code]), None) => [0, code],
            (None, Some(_)) => [one; 2],
            (None, None) => [0, one],
        };
        Ok(Space { affine, code, q_code, quaternion, handed, further, start, space_unit, time_unit })
    }

    /// `pixdim`: handedness, then the steps along seven axes.
    pub(super) fn steps(&self) -> [f64; 8] {
        let mut steps = [1.0; 8];
        let known = std::iter::once(self.handed).chain(lengths(&self.affine)).chain(self.further.iter().copied());
        steps.iter_mut().zip(known).for_each(|(place, step)| *place = step);
        steps
    }

    /// Where the first voxel is.
    pub(super) fn origin(&self) -> [f64; 3] {
        self.affine.map(|[.., origin]| origin)
    }

    /// `xyzt_units`.
    pub(super) fn units(&self) -> u8 {
        self.space_unit | self.time_unit
    }
}

/// First place and step of an axis; places must be evenly spaced.
fn spacing(axis: &Axis) -> Result<(f64, f64), FormatError> {
    let Coordinates::Numbers(numbers) = &axis.coordinates else { return Ok((0.0, 1.0)) };
    let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else { return Ok((0.0, 1.0)) };
    let steps = numbers.len().saturating_sub(1);
    if steps == 0 {
        return Ok((first, 1.0));
    }
    let step = (last - first) / steps as f64;
    let off = |pair: &[f64]| matches!(pair, [one, two] if ((two - one) - step).abs() > 1e-6 * step.abs());
    if !step.is_finite() || step == 0.0 || numbers.windows(2).any(off) {
        let reason = format!("axis `{}` is not evenly spaced, and NIfTI has one step for an axis", axis.name);
        return Err(bad(reason, "give an affine, or an axis that is only counted"));
    }
    Ok((first, step))
}

fn unit_of_space(unit: &str) -> u8 {
    match unit {
        "m" => 1,
        "mm" => 2,
        "um" | "µm" | "μm" => 3,
        _ => 0,
    }
}

fn unit_of_time(unit: &str) -> u8 {
    match unit {
        "s" => 8,
        "ms" => 16,
        "us" | "µs" | "μs" => 24,
        "Hz" => 32,
        "ppm" => 40,
        "rad/s" => 48,
        _ => 0,
    }
}

/// The lengths of the affine's columns: the steps between voxels.
fn lengths(affine: &[[f64; 4]; 3]) -> [f64; 3] {
    let [[a, b, c, _], [d, e, f, _], [g, h, i, _]] = *affine;
    [[a, d, g], [b, e, h], [c, f, i]].map(|column| column.iter().map(|number| number * number).sum::<f64>().sqrt())
}

/// The quaternion and handedness of an affine that is a rotation with steps; `None` when it shears or has a step of 0 (`nifti1.h`, "QUATERNION
/// REPRESENTATION OF ROTATION MATRIX").
fn rotation(affine: &[[f64; 4]; 3]) -> Option<([f64; 3], f64)> {
    let [sx, sy, sz] = lengths(affine);
    if sx <= 0.0 || sy <= 0.0 || sz <= 0.0 {
        return None;
    }
    let mut r = affine.map(|[x, y, z, _]| [x / sx, y / sy, z / sz]);
    let column = |of: &[[f64; 3]; 3], which: usize| of.map(|row| row.get(which).copied().unwrap_or(0.0));
    let dot = |one: [f64; 3], two: [f64; 3]| one.iter().zip(two).map(|(one, two)| one * two).sum::<f64>();
    let sheared = [(0, 1), (0, 2), (1, 2)].iter().any(|&(one, two)| dot(column(&r, one), column(&r, two)).abs() > 1e-6);
    if sheared {
        return None;
    }
    let [[a, b, c], [d, e, f], [g, h, i]] = r;
    let handed = if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0.0 { -1.0 } else { 1.0 };
    r = r.map(|[x, y, z]| [x, y, z * handed]);
    let [[a, b, c], [d, e, f], [g, h, i]] = r;
    // The largest part of the quaternion is found first, and the others from it.
    let parts = [1.0 + a + e + i, 1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i];
    let largest = parts.iter().enumerate().max_by(|one, two| one.1.total_cmp(two.1)).map_or(0, |(place, _)| place);
    let root = |part: f64| part.max(0.0).sqrt() / 2.0;
    let [w, x, y, z] = parts.map(root);
    let quaternion = match largest {
        0 => [w, (h - f) / (4.0 * w), (c - g) / (4.0 * w), (d - b) / (4.0 * w)],
        1 => [(h - f) / (4.0 * x), x, (b + d) / (4.0 * x), (c + g) / (4.0 * x)],
        2 => [(c - g) / (4.0 * y), (b + d) / (4.0 * y), y, (f + h) / (4.0 * y)],
        _ => [(d - b) / (4.0 * z), (c + g) / (4.0 * z), (f + h) / (4.0 * z), z],
    };
    let [w, x, y, z] = quaternion;
    let sign = if w < 0.0 { -1.0 } else { 1.0 };
    Some(([x * sign, y * sign, z * sign], handed))
}

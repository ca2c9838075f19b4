//! Where voxels lie: the affine matrix, and the words for codes.

use super::header::{Header, Version};

/// The matrix from voxel positions to the space of the scan, and what it comes from: `sform`, `qform` or `voxel sizes`.
///
/// The rule is nibabel's: the sform where its code is not zero, else the qform where its code is not zero, else voxel sizes about the middle of the
/// image with x flipped. `None` when the numbers make no rotation.
pub(super) fn affine(header: &Header) -> Option<([[f64; 4]; 4], &'static str)> {
    const LAST: [f64; 4] = [0.0, 0.0, 0.0, 1.0];
    if header.sform.0 != 0 {
        let [x, y, z] = header.sform.1;
        return Some(([x, y, z, LAST], "sform"));
    }
    if header.qform.0 != 0 {
        let [x, y, z] = rotated(header)?;
        return Some(([x, y, z, LAST], "qform"));
    }
    let mut rows = [[0.0; 4]; 4];
    for (axis, row) in rows.iter_mut().enumerate().take(3) {
        let (length, size) = match header.shape.get(axis) {
            Some(length) => (*length as f64, header.pixdim.get(axis + 1).copied().unwrap_or(1.0)),
            None => (1.0, 1.0),
        };
        let size = if axis == 0 { -size } else { size };
        if let Some(place) = row.get_mut(axis) {
            *place = size;
        }
        if let Some(place) = row.get_mut(3) {
            *place = -((length - 1.0) / 2.0) * size;
        }
    }
    rows[3] = LAST;
    Some((rows, "voxel sizes"))
}

/// The codes of qform and sform; 0 for a qform beside an sform that leads elsewhere, for one affine can't say both.
pub(super) fn forms(header: &Header) -> [i64; 2] {
    let (qform, sform) = (header.qform.0, header.sform.0);
    if qform == 0 || sform == 0 {
        return [qform, sform];
    }
    // A quaternion in single precision turns voxels by less than this.
    const NEAR: f64 = 1e-3;
    let near = rotated(header).is_some_and(|rows| {
        let size = header.pixdim.iter().skip(1).take(3).copied().fold(f64::INFINITY, f64::min);
        rows.as_flattened().iter().zip(header.sform.1.as_flattened()).all(|(one, two)| (one - two).abs() <= NEAR * size)
    });
    [if near { qform } else { 0 }, sform]
}

/// A number as the sum of two floats, for the few steps that nibabel does in the longest floats of the machine.
#[derive(Debug, Clone, Copy)]
struct Long(f64, f64);

impl Long {
    fn new(value: f64) -> Long {
        Long(value, 0.0)
    }

    fn of(high: f64, low: f64) -> Long {
        let sum = high + low;
        Long(sum, low - (sum - high))
    }

    fn plus(self, other: Long) -> Long {
        let sum = self.0 + other.0;
        let part = sum - self.0;
        let lost = (self.0 - (sum - part)) + (other.0 - part);
        Long::of(sum, lost + self.1 + other.1)
    }

    fn minus(self, other: Long) -> Long {
        self.plus(Long(-other.0, -other.1))
    }

    fn times(self, other: Long) -> Long {
        let product = self.0 * other.0;
        let lost = self.0.mul_add(other.0, -product);
        Long::of(product, lost + self.0 * other.1 + self.1 * other.0)
    }

    fn over(self, other: Long) -> Long {
        let first = self.0 / other.0;
        let rest = self.minus(other.times(Long::new(first)));
        let second = rest.0 / other.0;
        let rest = rest.minus(other.times(Long::new(second)));
        Long::of(first, second).plus(Long::new(rest.0 / other.0))
    }

    fn root(self) -> Long {
        let first = self.0.sqrt();
        let rest = self.minus(Long::new(first).times(Long::new(first)));
        Long::of(first, rest.0 / (2.0 * first))
    }
}

/// The rows of the qform: a rotation by a unit quaternion, times voxel sizes, and an offset.
fn rotated(header: &Header) -> Option<[[f64; 4]; 3]> {
    let (_, vector, offsets) = header.qform;
    let [x, y, z] = vector.map(Long::new);
    let threshold = if header.version == Version::One { f64::from(f32::EPSILON) * 3.0 } else { f64::EPSILON * 3.0 };
    let one = Long::new(1.0);
    let squared = one.minus(x.times(x).plus(y.times(y)).plus(z.times(z)));
    let w = match squared.0 {
        size if size.abs() < threshold => Long::new(0.0),
        size if size > 0.0 => squared.root(),
        _ => return None,
    };
    let norm = w.times(w).plus(x.times(x)).plus(y.times(y)).plus(z.times(z));
    let zero = Long::new(0.0);
    let rows = if norm.0 < f64::EPSILON {
        [[one, zero, zero], [zero, one, zero], [zero, zero, one]]
    } else {
        let s = Long::new(2.0).over(norm);
        let (xs, ys, zs) = (x.times(s), y.times(s), z.times(s));
        let (wx, wy, wz) = (w.times(xs), w.times(ys), w.times(zs));
        let (xx, xy, xz) = (x.times(xs), x.times(ys), x.times(zs));
        let (yy, yz, zz) = (y.times(ys), y.times(zs), z.times(zs));
        [
            [one.minus(yy.plus(zz)), xy.minus(wz), xz.plus(wy)],
            [xy.plus(wz), one.minus(xx.plus(zz)), yz.minus(wx)],
            [xz.minus(wy), yz.plus(wx), one.minus(xx.plus(yy))],
        ]
    };
    let [_, dx, dy, dz, ..] = header.pixdim;
    if dx < 0.0 || dy < 0.0 || dz < 0.0 {
        return None;
    }
    // The handedness stands in the first voxel size; anything but -1 means 1.
    let hand = if header.pixdim[0] == -1.0 { -1.0 } else { 1.0 };
    let mut out = [[0.0; 4]; 3];
    for ((row, [a, b, c]), offset) in out.iter_mut().zip(rows).zip(offsets) {
        let sized = |own: Long, size: f64| own.times(Long::new(size)).0;
        *row = [sized(a, dx), sized(b, dy), sized(c, dz * hand), offset];
    }
    Some(out)
}

/// Units of the three axes of space, and of the fourth axis with the factor that makes it seconds.
pub(super) fn units(code: u8) -> (&'static str, &'static str, f64) {
    let space = match code & 7 {
        1 => "m",
        2 => "mm",
        3 => "µm",
        _ => "",
    };
    let (time, factor) = match code & 0x38 {
        8 => ("s", 1.0),
        16 => ("s", 1e-3),
        24 => ("s", 1e-6),
        32 => ("Hz", 1.0),
        40 => ("ppm", 1.0),
        48 => ("rad/s", 1.0),
        _ => ("", 1.0),
    };
    (space, time, factor)
}

/// Seconds, by a division, as people write `1350 ms / 1000`.
pub(super) fn seconds(value: f64, factor: f64) -> f64 {
    if factor == 1.0 { value } else { value / (1.0 / factor).round() }
}

/// The word for the space that a form leads to.
pub(super) fn space(code: i64) -> String {
    match code {
        1 => "scanner".into(),
        2 => "aligned".into(),
        3 => "talairach".into(),
        4 => "mni".into(),
        5 => "template".into(),
        other => other.to_string(),
    }
}

/// The word for an intent.
pub(super) fn intent(code: i64) -> String {
    let word = match code {
        0 => "none",
        2 => "correlation",
        3 => "t test",
        4 => "f test",
        5 => "z score",
        6 => "chi2",
        7 => "beta",
        8 => "binomial",
        9 => "gamma",
        10 => "poisson",
        11 => "normal",
        12 => "non central f test",
        13 => "non central chi2",
        14 => "logistic",
        15 => "laplace",
        16 => "uniform",
        17 => "non central t test",
        18 => "weibull",
        19 => "chi",
        20 => "inverse gaussian",
        21 => "extreme value 1",
        22 => "p value",
        23 => "log p value",
        24 => "log10 p value",
        1001 => "estimate",
        1002 => "label",
        1003 => "neuroname",
        1004 => "general matrix",
        1005 => "symmetric matrix",
        1006 => "displacement vector",
        1007 => "vector",
        1008 => "pointset",
        1009 => "triangle",
        1010 => "quaternion",
        1011 => "dimensionless",
        2001 => "time series",
        2002 => "node index",
        2003 => "rgb vector",
        2004 => "rgba vector",
        2005 => "shape",
        3001 => "dense connectivity",
        3002 => "dense series",
        3003 => "parcellated connectivity",
        3004 => "parcellated series",
        3006 => "dense scalars",
        3007 => "dense labels",
        3008 => "parcellated scalars",
        other => return format!("code {other}"),
    };
    word.to_owned()
}

/// The word for a code of a header extension.
pub(super) fn extension(code: i32) -> String {
    let word = match code {
        0 => "ignore",
        2 => "dicom",
        4 => "afni",
        6 => "comment",
        8 => "xcede",
        10 => "jimdiminfo",
        12 => "workflow_fwds",
        14 => "freesurfer",
        16 => "pypickle",
        18 => "mind_ident",
        32 => "cifti",
        44 => "bids/bruker",
        other => return format!("code {other}"),
    };
    word.to_owned()
}

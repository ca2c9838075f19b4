//! Colours that survive print and colour-blindness.

/// Okabe & Ito's palette (2008), black last: eight colours that people with any colour vision can tell apart.
pub(crate) const CATEGORIES: [&str; 8] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#000000"];

/// A category's colour; they repeat after eight.
pub(crate) fn category(position: usize) -> &'static str {
    CATEGORIES[position % CATEGORIES.len()]
}

/// Control points of the cividis map (Nuñez, Anderton & Renslow 2018): dark blue over grey to yellow, even in lightness.
const CIVIDIS: [(f64, f64, f64); 6] =
    [(0.0, 32.0, 77.0), (45.0, 67.0, 108.0), (107.0, 109.0, 113.0), (147.0, 143.0, 120.0), (199.0, 182.0, 102.0), (255.0, 234.0, 70.0)];

/// From purple over white to orange: the ends of the PuOr map of ColorBrewer.
const DIVERGING: [(f64, f64, f64); 5] =
    [(84.0, 39.0, 136.0), (178.0, 171.0, 210.0), (247.0, 247.0, 247.0), (253.0, 184.0, 99.0), (179.0, 88.0, 6.0)];

/// A colour map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    /// For values from little to much.
    Sequential,
    /// For values around zero.
    Diverging,
}

impl Map {
    /// The colour at `share` in `[0, 1]`; grey for NaN.
    pub(crate) fn at(self, share: f64) -> String {
        if share.is_nan() {
            return "#bbbbbb".into();
        }
        let points: &[(f64, f64, f64)] = match self {
            Map::Sequential => &CIVIDIS,
            Map::Diverging => &DIVERGING,
        };
        let place = share.clamp(0.0, 1.0) * (points.len() - 1) as f64;
        let low = (place.floor() as usize).min(points.len() - 2);
        let part = place - low as f64;
        let ((r0, g0, b0), (r1, g1, b1)) = (points[low], points[low + 1]);
        let blend = |from: f64, to: f64| (from + (to - from) * part).round() as u8;
        format!("#{:02x}{:02x}{:02x}", blend(r0, r1), blend(g0, g1), blend(b0, b1))
    }

    /// Whether dark text is easier to read on the colour at `share` than white text.
    pub(crate) fn wants_dark_text(self, share: f64) -> bool {
        match self {
            Map::Sequential => share > 0.55,
            Map::Diverging => (share - 0.5).abs() < 0.38,
        }
    }
}

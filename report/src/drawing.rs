//! A drawing as a list of shapes of fixed size, in user units. It is written as SVG, or filled as a picture of points.

use std::borrow::Cow;

mod raster;
mod svg;

/// Where text begins relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A colour as `#rgb` or `#rrggbb`.
type Colour = Cow<'static, str>;

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    /// A rectangle with what fills it and what is drawn around it: colour, width, dashed.
    Rect {
        place: [f64; 4],
        round: f64,
        fill: Option<Colour>,
        stroke: Option<(Colour, f64, bool)>,
        title: Option<String>,
    },
    Line {
        from: (f64, f64),
        to: (f64, f64),
        stroke: Colour,
        width: f64,
        dashed: bool,
    },
    Polyline {
        points: Vec<(f64, f64)>,
        stroke: Colour,
        width: f64,
    },
    /// A cubic curve through its begin, two handles and its end.
    Curve {
        points: [(f64, f64); 4],
        stroke: Colour,
        width: f64,
    },
    Circle {
        at: (f64, f64),
        radius: f64,
        fill: Colour,
        title: Option<String>,
    },
    Text {
        at: (f64, f64),
        text: String,
        size: f64,
        anchor: Anchor,
        fill: Colour,
        vertical: bool,
    },
    /// Bars of one colour, each as x, y, width, height.
    Bars {
        bars: Vec<[f64; 4]>,
        fill: Colour,
    },
    /// A matrix of cells: the corner, the size of a cell, and for each colour runs of `(row, column, length)`.
    Cells {
        corner: (f64, f64),
        cell: (f64, f64),
        runs: Vec<(Colour, Vec<(usize, usize, usize)>)>,
    },
    /// What follows, up to [`Shape::Close`], stands for a step.
    Open {
        step: String,
    },
    Close,
}

/// Where the positions of an axis are in a drawing, so that a page can find the same position in other drawings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marks {
    /// What the positions are: `unit`, `condition`.
    pub(crate) axis: String,
    /// What they are called in this drawing: `true`, for conditions that were shown.
    pub(crate) shown: String,
    /// The name of each position, without its unit: an axis that lost its unit on the way is the same axis still.
    pub(crate) labels: Vec<String>,
    /// What is shown behind each name.
    pub(crate) unit: String,
    /// Their places.
    pub(crate) places: Places,
}

/// Places of positions, each as x, y, width, height.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Places {
    /// The first one, and the way to the next.
    Row([f64; 4], (f64, f64)),
    /// Each one.
    Each(Vec<[f64; 4]>),
}

/// A finished drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
    title: String,
    description: String,
    marks: Vec<Marks>,
    /// The values of a matrix over the first two marks, as text, where they are few.
    values: Vec<String>,
}

impl Drawing {
    pub(crate) fn new(width: f64, height: f64) -> Drawing {
        Drawing {
            width,
            height,
            shapes: Vec::new(),
            title: String::new(),
            description: String::new(),
            marks: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(crate) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: impl Into<Colour>, title: Option<&str>) {
        let title = title.map(str::to_owned);
        self.shapes.push(Shape::Rect { place: [x, y, width, height], round: 0.0, fill: Some(fill.into()), stroke: None, title });
    }

    pub(crate) fn bars(&mut self, bars: Vec<[f64; 4]>, fill: impl Into<Colour>) {
        self.shapes.push(Shape::Bars { bars, fill: fill.into() });
    }

    pub(crate) fn frame(&mut self, x: f64, y: f64, width: f64, height: f64, stroke: impl Into<Colour>) {
        let stroke = Some((stroke.into(), 1.0, false));
        self.shapes.push(Shape::Rect { place: [x, y, width, height], round: 0.0, fill: None, stroke, title: None });
    }

    /// A box with round corners; `stroke` is its colour, and whether it is dashed.
    pub(crate) fn rounded(&mut self, place: [f64; 4], fill: impl Into<Colour>, (stroke, dashed): (&'static str, bool)) {
        let stroke = Some((stroke.into(), 1.2, dashed));
        self.shapes.push(Shape::Rect { place, round: 5.0, fill: Some(fill.into()), stroke, title: None });
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: impl Into<Colour>, width: f64, dashed: bool) {
        self.shapes.push(Shape::Line { from, to, stroke: stroke.into(), width, dashed });
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: impl Into<Colour>, width: f64) {
        self.shapes.push(Shape::Polyline { points: points.to_vec(), stroke: stroke.into(), width });
    }

    pub(crate) fn curve(&mut self, points: [(f64, f64); 4], stroke: impl Into<Colour>, width: f64) {
        self.shapes.push(Shape::Curve { points, stroke: stroke.into(), width });
    }

    pub(crate) fn circle(&mut self, x: f64, y: f64, radius: f64, fill: impl Into<Colour>, title: Option<&str>) {
        self.shapes.push(Shape::Circle { at: (x, y), radius, fill: fill.into(), title: title.map(str::to_owned) });
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, text: &str, size: f64, anchor: Anchor, fill: impl Into<Colour>) {
        self.shapes.push(Shape::Text { at: (x, y), text: text.to_owned(), size, anchor, fill: fill.into(), vertical: false });
    }

    /// Text that runs upwards, with its middle at the point.
    pub(crate) fn vertical_text(&mut self, x: f64, y: f64, text: &str, size: f64) {
        let text = text.to_owned();
        self.shapes.push(Shape::Text { at: (x, y), text, size, anchor: Anchor::Middle, fill: "#333".into(), vertical: true });
    }

    /// Cells of a matrix, row by row; neighbours of one colour become one shape, so that large matrices stay small files.
    pub(crate) fn cells(&mut self, corner: (f64, f64), cell: (f64, f64), columns: usize, colours: impl Iterator<Item = Colour>) {
        let mut runs: Vec<(Colour, Vec<(usize, usize, usize)>)> = Vec::new();
        let mut places: std::collections::HashMap<Colour, usize> = std::collections::HashMap::new();
        let columns = columns.max(1);
        for (position, colour) in colours.enumerate() {
            let (row, column) = (position / columns, position % columns);
            let place = *places.entry(colour.clone()).or_insert(runs.len());
            if place == runs.len() {
                runs.push((colour, Vec::new()));
            }
            let Some((_, of_colour)) = runs.get_mut(place) else { continue };
            match of_colour.last_mut() {
                Some((last_row, begin, length)) if *last_row == row && *begin + *length == column => *length += 1,
                _ => of_colour.push((row, column, 1)),
            }
        }
        self.shapes.push(Shape::Cells { corner, cell, runs });
    }

    /// What follows stands for a step, until [`Drawing::close`].
    pub(crate) fn open(&mut self, step: &str) {
        self.shapes.push(Shape::Open { step: step.to_owned() });
    }

    pub(crate) fn close(&mut self) {
        self.shapes.push(Shape::Close);
    }

    /// Says where the positions of an axis are.
    pub(crate) fn mark(&mut self, marks: Marks) {
        self.marks.push(marks);
    }

    /// The values of a matrix whose rows and columns were marked first, row by row.
    pub(crate) fn values(&mut self, values: Vec<String>) {
        self.values = values;
    }

    /// The drawing with its name and, for those who can't see it, what is in it.
    pub(crate) fn finish(mut self, title: &str, description: impl Into<String>) -> Drawing {
        self.title = title.to_owned();
        self.description = description.into();
        self
    }

    /// What it shows, in a line.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The drawing as an SVG file.
    pub fn svg(&self) -> String {
        svg::write(self)
    }

    /// The drawing as a PNG file: `scale` points a unit, letters as the font draws them (a TrueType or OpenType file).
    ///
    /// # Errors
    /// When the font can't be read, or the picture would be too large.
    pub fn png(&self, scale: f32, font: &[u8]) -> Result<Vec<u8>, crate::ReportError> {
        raster::png(self, scale, font)
    }
}

/// A few round numbers that cover `[low, high]`.
pub(crate) fn ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 {
        return vec![low];
    }
    let rough = span / about.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(power);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|count| count as f64 * step).collect()
}

/// A number for an axis, a label or a cell: three significant digits; as a power of ten where six decimals would not show them.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if value.abs() < 1e-4 {
        return format!("{value:.2e}");
    }
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(ticks(0.0, 1.0, 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(-1.0, 2.0, 3), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!(ticks(3.0, 3.0, 5), [3.0]);
        assert_eq!((number(-0.000_012_34), number(0.000_123_4)), ("-1.23e-5".into(), "0.000123".into()));
        assert_eq!((number(0.125), number(1234.0), number(0.0), number(45.0)), ("0.125".into(), "1234".into(), "0".into(), "45".into()));
    }

    #[test]
    fn neighbours_of_one_colour_are_one_run() {
        let mut drawing = Drawing::new(10.0, 10.0);
        drawing.cells((0.0, 0.0), (1.0, 1.0), 3, ["#111", "#111", "#222", "#111", "#222", "#222"].into_iter().map(Colour::from));
        let Shape::Cells { runs, .. } = &drawing.shapes[0] else { panic!("no cells") };
        assert_eq!(runs, &[("#111".into(), vec![(0, 0, 2), (1, 0, 1)]), ("#222".into(), vec![(0, 2, 1), (1, 1, 2)])]);
    }
}

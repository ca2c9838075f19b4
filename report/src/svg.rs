//! Writing SVG: a drawing of fixed size in user units, with a title for those who can't see it.

use std::fmt::Write as _;

/// Where text begins relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing under construction.
#[derive(Debug, Clone)]
pub(crate) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    pub(crate) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str, title: Option<&str>) {
        let (x, y, width, height) = (short(x), short(y), short(width), short(height));
        let _ = write!(self.body, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"");
        match title {
            Some(title) => {
                let _ = write!(self.body, "><title>{}</title></rect>", escape(title));
            }
            None => self.body.push_str("/>"),
        }
    }

    pub(crate) fn frame(&mut self, x: f64, y: f64, width: f64, height: f64, stroke: &str) {
        let (x, y, width, height) = (short(x), short(y), short(width), short(height));
        let _ = write!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1\"/>"
        );
    }

    pub(crate) fn rounded(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str, stroke: &str, dashed: bool) {
        let (x, y, width, height) = (short(x), short(y), short(width), short(height));
        let dash = if dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        let _ = write!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.2\"{dash}/>"
        );
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: &str, width: f64, dashed: bool) {
        let dash = if dashed { " stroke-dasharray=\"4 3\"" } else { "" };
        let _ = write!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{stroke}\" stroke-width=\"{}\"{dash}/>",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1),
            short(width)
        );
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: &str, width: f64) {
        let points = points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect::<Vec<_>>().join(" ");
        let _ = write!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{}\" stroke-linejoin=\"round\"/>",
            short(width)
        );
    }

    pub(crate) fn path(&mut self, commands: &str, stroke: &str, width: f64) {
        let _ = write!(self.body, "<path d=\"{commands}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{}\"/>", short(width));
    }

    pub(crate) fn circle(&mut self, x: f64, y: f64, radius: f64, fill: &str, title: Option<&str>) {
        let (x, y, radius) = (short(x), short(y), short(radius));
        let _ = write!(self.body, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\"");
        match title {
            Some(title) => {
                let _ = write!(self.body, "><title>{}</title></circle>", escape(title));
            }
            None => self.body.push_str("/>"),
        }
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, text: &str, size: f64, anchor: Anchor, fill: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, size) = (short(x), short(y), short(size));
        let _ = write!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{}</text>",
            escape(text)
        );
    }

    pub(crate) fn vertical_text(&mut self, x: f64, y: f64, text: &str, size: f64) {
        let (x, y, size) = (short(x), short(y), short(size));
        let _ = write!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"middle\" fill=\"#333\" transform=\"rotate(-90 {x} {y})\">{}</text>",
            escape(text)
        );
    }

    /// The drawing, with a title for screen readers.
    pub(crate) fn finish(self, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\"><title>{}</title>{}</svg>",
            escape(title),
            self.body,
            w = short(self.width),
            h = short(self.height)
        )
    }
}

/// Text with the five special characters of XML replaced, and control characters left out.
pub(crate) fn escape(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).fold(String::with_capacity(text.len()), |mut out, character| {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

/// At most two decimals, without trailing zeros: keeps files small.
fn short(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded == 0.0 || !rounded.is_finite() { "0".into() } else { format!("{rounded}") }
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
    fn text_from_outside_can_not_leave_its_place() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text(0.0, 0.0, "</text><script>alert(1)</script>", 8.0, Anchor::Start, "#000");
        assert!(!svg.finish("\"><script>").contains("<script"));
    }

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(ticks(0.0, 1.0, 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(-1.0, 2.0, 3), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!(ticks(3.0, 3.0, 5), [3.0]);
        assert_eq!((number(-0.000_012_34), number(0.000_123_4)), ("-1.23e-5".into(), "0.000123".into()));
        assert_eq!((number(0.125), number(1234.0), number(0.0), number(45.0)), ("0.125".into(), "1234".into(), "0".into(), "45".into()));
    }
}

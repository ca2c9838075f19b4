//! A drawing as SVG, with a title and a description for those who can't see it.

use super::{Anchor, Drawing, Marks, Places, Shape};
use std::fmt::Write as _;

pub(super) fn write(drawing: &Drawing) -> String {
    let mut out = String::new();
    let (w, h) = (short(drawing.width), short(drawing.height));
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\""
    );
    if !drawing.marks.is_empty() {
        let _ = write!(out, " data-axes=\"{}\"", escape(&axes(&drawing.marks)));
    }
    if !drawing.values.is_empty() {
        let _ = write!(out, " data-values=\"{}\"", escape(&drawing.values.join(",")));
    }
    let _ = write!(out, "><title>{}</title>", escape(&drawing.title));
    if !drawing.description.is_empty() {
        let _ = write!(out, "<desc>{}</desc>", escape(&drawing.description));
    }
    drawing.shapes.iter().for_each(|shape| write_shape(&mut out, shape));
    out.push_str("</svg>");
    out
}

/// Where positions are, for the page's script: `a` the axis, `n` its name here, `l` the labels, `u` their unit, `p` the first place and the way to the next, or `r` each place.
fn axes(marks: &[Marks]) -> String {
    let numbers = |numbers: &[f64]| numbers.iter().map(|number| (number * 100.0).round() / 100.0).collect::<Vec<f64>>();
    let one = |marks: &Marks| match &marks.places {
        Places::Row(first, (dx, dy)) => {
            let place: Vec<f64> = first.iter().copied().chain([*dx, *dy]).collect();
            serde_json::json!({ "a": marks.axis, "n": marks.shown, "u": marks.unit, "l": marks.labels, "p": numbers(&place) })
        }
        Places::Each(places) => {
            let places: Vec<Vec<f64>> = places.iter().map(|place| numbers(place)).collect();
            serde_json::json!({ "a": marks.axis, "n": marks.shown, "u": marks.unit, "l": marks.labels, "r": places })
        }
    };
    serde_json::Value::Array(marks.iter().map(one).collect()).to_string()
}

fn write_shape(out: &mut String, shape: &Shape) {
    let dash = |dashed: bool| if dashed { " stroke-dasharray=\"4 3\"" } else { "" };
    let _ = match shape {
        Shape::Rect { place, round, fill, stroke, title } => {
            let [x, y, width, height] = place.map(short);
            let _ = write!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
            if *round > 0.0 {
                let _ = write!(out, " rx=\"{}\"", short(*round));
            }
            let _ = write!(out, " fill=\"{}\"", fill.as_deref().unwrap_or("none"));
            if let Some((colour, width, dashed)) = stroke {
                let _ = write!(out, " stroke=\"{colour}\" stroke-width=\"{}\"{}", short(*width), dash(*dashed));
            }
            close(out, "rect", title.as_deref())
        }
        Shape::Line { from, to, stroke, width, dashed } => write!(
            out,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{stroke}\" stroke-width=\"{}\"{}/>",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1),
            short(*width),
            dash(*dashed)
        ),
        Shape::Polyline { points, stroke, width } => {
            let points = points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect::<Vec<_>>().join(" ");
            let width = short(*width);
            write!(
                out,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>"
            )
        }
        Shape::Curve { points, stroke, width } => {
            let [begin, one, two, end] = points.map(|(x, y)| format!("{} {}", short(x), short(y)));
            write!(out, "<path d=\"M{begin} C{one} {two} {end}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{}\"/>", short(*width))
        }
        Shape::Circle { at, radius, fill, title } => {
            let _ = write!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"", short(at.0), short(at.1), short(*radius));
            close(out, "circle", title.as_deref())
        }
        Shape::Text { at, text, size, anchor, fill, vertical } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let (x, y, size) = (short(at.0), short(at.1), short(*size));
            let turn = if *vertical { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let text = escape(text);
            write!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{fill}\"{turn}>{text}</text>")
        }
        Shape::Bars { bars, fill } => {
            let _ = write!(out, "<path fill=\"{fill}\" d=\"");
            for [x, y, width, height] in bars.iter().map(|bar| bar.map(short)) {
                let _ = write!(out, "M{x} {y}h{width}v{height}h-{width}z");
            }
            write!(out, "\"/>")
        }
        Shape::Cells { corner, cell, runs } => {
            // Runs are strokes as wide as a row: half as long as outlines, and there may be many thousands.
            let (x, y, width, height) = (short(corner.0), short(corner.1 + cell.1 / 2.0), precise(cell.0), precise(cell.1));
            let _ =
                write!(out, "<g transform=\"translate({x} {y}) scale({width} {height})\" shape-rendering=\"crispEdges\" fill=\"none\">");
            for (colour, runs) in runs {
                let _ = write!(out, "<path stroke=\"{colour}\" d=\"");
                for (row, column, length) in runs {
                    let _ = write!(out, "M{column} {row}h{length}");
                }
                out.push_str("\"/>");
            }
            out.push_str("</g>");
            Ok(())
        }
        Shape::Open { step } => write!(out, "<g data-step=\"{}\">", escape(step)),
        Shape::Close => write!(out, "</g>"),
    };
}

fn close(out: &mut String, element: &str, title: Option<&str>) -> std::fmt::Result {
    match title {
        Some(title) => write!(out, "><title>{}</title></{element}>", escape(title)),
        None => write!(out, "/>"),
    }
}

/// Text with the five special characters of XML replaced, and control characters left out.
fn escape(text: &str) -> String {
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

/// A factor that many cells are multiplied with.
fn precise(value: f64) -> String {
    let rounded = (value * 1e5).round() / 1e5;
    if rounded.is_finite() { format!("{rounded}") } else { "1".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_can_not_leave_its_place() {
        let mut drawing = Drawing::new(10.0, 10.0);
        drawing.text(0.0, 0.0, "</text><script>alert(1)</script>", 8.0, Anchor::Start, "#000");
        let labels = vec!["\"><script>".to_owned()];
        drawing.mark(Marks {
            axis: "'><script>".into(),
            shown: "<script>".into(),
            unit: "<script>".into(),
            labels,
            places: Places::Row([0.0; 4], (1.0, 0.0)),
        });
        drawing.open("\"><script>");
        drawing.close();
        assert!(!drawing.finish("\"><script>", "<script>").svg().contains("<script"));
    }

    #[test]
    fn a_drawing_has_a_name_and_a_description_and_says_where_positions_are() {
        let mut drawing = Drawing::new(20.0, 10.0);
        drawing.cells((1.0, 2.0), (3.0, 4.0), 2, ["#111", "#222"].into_iter().map(Into::into));
        let labels = vec!["a".to_owned(), "b".to_owned()];
        drawing.mark(Marks {
            axis: "unit".into(),
            shown: "unit".into(),
            unit: String::new(),
            labels,
            places: Places::Row([1.0, 2.0, 3.0, 4.0], (3.0, 0.0)),
        });
        drawing.values(vec!["0.5".into(), "1".into()]);
        let svg = drawing.finish("name", "what is in it").svg();
        assert!(svg.contains("<title>name</title><desc>what is in it</desc>") && svg.contains("data-values=\"0.5,1\""), "{svg}");
        assert!(svg.contains("scale(3 4)") && svg.contains("<path stroke=\"#111\" d=\"M0 0h1\"/>"), "{svg}");
        assert!(svg.contains("&quot;l&quot;:[&quot;a&quot;,&quot;b&quot;]"), "{svg}");
    }
}

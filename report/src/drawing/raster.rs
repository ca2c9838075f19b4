//! A drawing as points: shapes filled by tiny-skia, letters outlined from a font, and written as PNG.

use super::{Anchor, Drawing, Shape};
use crate::error::ReportError;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write as _;
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform};
use ttf_parser::{Face, OutlineBuilder};

/// The longest side of a picture, in points.
const LONGEST: f64 = 16_000.0;

pub(super) fn png(drawing: &Drawing, scale: f32, font: &[u8]) -> Result<Vec<u8>, ReportError> {
    let face = Face::parse(font, 0).map_err(|error| ReportError::Picture(format!("the font can't be read: {error}")))?;
    let side = |units: f64| (units * f64::from(scale)).ceil();
    let (width, height) = (side(drawing.width), side(drawing.height));
    let fits = |side: f64| (1.0..=LONGEST).contains(&side);
    let pixmap = if fits(width) && fits(height) { Pixmap::new(width as u32, height as u32) } else { None };
    let too_large = || ReportError::Picture(format!("{width} × {height} points are too many for one; take SVG, or a smaller scale"));
    let mut pixmap = pixmap.ok_or_else(too_large)?;
    pixmap.fill(Color::WHITE);
    let mut canvas = Canvas { pixmap: &mut pixmap, scale: Transform::from_scale(scale, scale), face };
    drawing.shapes.iter().for_each(|shape| canvas.shape(shape));
    let (width, height) = (pixmap.width(), pixmap.height());
    // The ground is white and nothing is see-through, so three bytes a point are enough.
    let rgb = pixmap.data().chunks_exact(4).flat_map(|point| point.iter().take(3).copied()).collect::<Vec<u8>>();
    encode(width, height, &rgb).map_err(|error| ReportError::Picture(error.to_string()))
}

struct Canvas<'a> {
    pixmap: &'a mut Pixmap,
    scale: Transform,
    face: Face<'a>,
}

impl Canvas<'_> {
    fn fill(&mut self, path: Option<Path>, colour: &str, transform: Transform, smooth: bool) {
        let Some(path) = path else { return };
        let mut paint = paint(colour);
        paint.anti_alias = smooth;
        self.pixmap.fill_path(&path, &paint, FillRule::Winding, transform, None);
    }

    fn stroke(&mut self, path: Option<Path>, colour: &str, width: f64, dashed: bool) {
        let Some(path) = path else { return };
        let dash = if dashed { StrokeDash::new(vec![4.0, 3.0], 0.0) } else { None };
        let stroke = Stroke { width: width as f32, line_cap: LineCap::Butt, line_join: LineJoin::Round, dash, ..Stroke::default() };
        self.pixmap.stroke_path(&path, &paint(colour), &stroke, self.scale, None);
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Rect { place, round, fill, stroke, .. } => {
                let path = rect(*place, *round);
                if let Some(fill) = fill {
                    self.fill(path.clone(), fill, self.scale, true);
                }
                if let Some((colour, width, dashed)) = stroke {
                    self.stroke(path, colour, *width, *dashed);
                }
            }
            Shape::Line { from, to, stroke, width, dashed } => self.stroke(line(&[*from, *to]), stroke, *width, *dashed),
            Shape::Polyline { points, stroke, width } => self.stroke(line(points), stroke, *width, false),
            Shape::Curve { points: [begin, one, two, end], stroke, width } => {
                let mut path = PathBuilder::new();
                path.move_to(begin.0 as f32, begin.1 as f32);
                path.cubic_to(one.0 as f32, one.1 as f32, two.0 as f32, two.1 as f32, end.0 as f32, end.1 as f32);
                self.stroke(path.finish(), stroke, *width, false);
            }
            Shape::Circle { at, radius, fill, .. } => {
                self.fill(PathBuilder::from_circle(at.0 as f32, at.1 as f32, *radius as f32), fill, self.scale, true);
            }
            Shape::Text { at, text, size, anchor, fill, vertical } => self.text(*at, text, *size, *anchor, fill, *vertical),
            Shape::Bars { bars, fill } => {
                let mut path = PathBuilder::new();
                for [x, y, width, height] in bars {
                    if let Some(bar) = Rect::from_xywh(*x as f32, *y as f32, *width as f32, *height as f32) {
                        path.push_rect(bar);
                    }
                }
                self.fill(path.finish(), fill, self.scale, true);
            }
            Shape::Cells { corner, cell, runs } => {
                let place = Transform::from_row(cell.0 as f32, 0.0, 0.0, cell.1 as f32, corner.0 as f32, corner.1 as f32);
                let place = place.post_concat(self.scale);
                for (colour, runs) in runs {
                    let mut path = PathBuilder::new();
                    for &(row, column, length) in runs {
                        if let Some(run) = Rect::from_xywh(column as f32, row as f32, length as f32, 1.0) {
                            path.push_rect(run);
                        }
                    }
                    // Without smoothing, so that no seams show between neighbours.
                    self.fill(path.finish(), colour, place, false);
                }
            }
            Shape::Open { .. } | Shape::Close => {}
        }
    }

    /// Text letter by letter: labels are short, and need no more than the width of each letter.
    fn text(&mut self, at: (f64, f64), text: &str, size: f64, anchor: Anchor, fill: &str, vertical: bool) {
        let letter = size / f64::from(self.face.units_per_em().max(1));
        let glyphs: Vec<_> = text.chars().map(|letter| self.face.glyph_index(letter).unwrap_or_default()).collect();
        let advance = |glyph| f64::from(self.face.glyph_hor_advance(glyph).unwrap_or(0)) * letter;
        let width: f64 = glyphs.iter().map(|glyph| advance(*glyph)).sum();
        let begin = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        let mut outline = Outline { path: PathBuilder::new(), at: begin as f32, scale: letter as f32 };
        for glyph in glyphs {
            self.face.outline_glyph(glyph, &mut outline);
            outline.at += advance(glyph) as f32;
        }
        let turned = if vertical { Transform::from_rotate(-90.0) } else { Transform::identity() };
        let place = turned.post_translate(at.0 as f32, at.1 as f32).post_concat(self.scale);
        self.fill(outline.path.finish(), fill, place, true);
    }
}

/// Takes the outline of a letter over, with `y` downwards.
struct Outline {
    path: PathBuilder,
    at: f32,
    scale: f32,
}

impl Outline {
    fn x(&self, x: f32) -> f32 {
        self.at + x * self.scale
    }

    fn y(&self, y: f32) -> f32 {
        -y * self.scale
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = (self.x(x), self.y(y));
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = (self.x(x), self.y(y));
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (x1, y1, x, y) = (self.x(x1), self.y(y1), self.x(x), self.y(y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (x1, y1, x2, y2, x, y) = (self.x(x1), self.y(y1), self.x(x2), self.y(y2), self.x(x), self.y(y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

fn rect([x, y, width, height]: [f64; 4], round: f64) -> Option<Path> {
    let rect = Rect::from_xywh(x as f32, y as f32, width as f32, height as f32)?;
    if round <= 0.0 {
        return Some(PathBuilder::from_rect(rect));
    }
    let (r, k) = (round as f32, round as f32 * 0.552_284_8);
    let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
    let mut path = PathBuilder::new();
    path.move_to(left + r, top);
    path.line_to(right - r, top);
    path.cubic_to(right - r + k, top, right, top + r - k, right, top + r);
    path.line_to(right, bottom - r);
    path.cubic_to(right, bottom - r + k, right - r + k, bottom, right - r, bottom);
    path.line_to(left + r, bottom);
    path.cubic_to(left + r - k, bottom, left, bottom - r + k, left, bottom - r);
    path.line_to(left, top + r);
    path.cubic_to(left, top + r - k, left + r - k, top, left + r, top);
    path.close();
    path.finish()
}

fn line(points: &[(f64, f64)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (position, (x, y)) in points.iter().enumerate() {
        match position {
            0 => path.move_to(*x as f32, *y as f32),
            _ => path.line_to(*x as f32, *y as f32),
        }
    }
    path.finish()
}

/// A colour as it stands in a drawing; black for anything else.
fn paint(colour: &str) -> Paint<'static> {
    let digits: Vec<u8> = colour.trim_start_matches('#').chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    let (red, green, blue) = match digits.as_slice() {
        [r, g, b] => (r * 17, g * 17, b * 17),
        [r1, r0, g1, g0, b1, b0] => (r1 * 16 + r0, g1 * 16 + g0, b1 * 16 + b0),
        _ => (0, 0, 0),
    };
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, 255);
    paint
}

/// Points as PNG (ISO/IEC 15948), three bytes each, every line as the difference from the one above.
fn encode(width: u32, height: u32, rgb: &[u8]) -> std::io::Result<Vec<u8>> {
    let line = width as usize * 3;
    let mut lines = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut above = vec![0u8; line];
    for row in rgb.chunks_exact(line.max(1)) {
        let difference: Vec<u8> = row.iter().zip(&above).map(|(now, above)| now.wrapping_sub(*above)).collect();
        lines.write_all(&[2])?;
        lines.write_all(&difference)?;
        above.copy_from_slice(row);
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = Vec::with_capacity(13);
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    // Eight bits, red, green and blue; the usual compression and filters; not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    chunk(&mut out, b"IHDR", &header);
    chunk(&mut out, b"IDAT", &lines.finish()?);
    chunk(&mut out, b"IEND", &[]);
    Ok(out)
}

fn chunk(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    out.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(name);
    out.extend(content);
    let mut sum = flate2::Crc::new();
    sum.update(name);
    sum.update(content);
    out.extend(sum.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_written_as_a_picture_that_reads_back() {
        let rgb = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7];
        let png = encode(2, 2, &rgb).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xaeB`\x82"));
        let begin = png.windows(4).position(|window| window == b"IDAT").unwrap();
        let length = u32::from_be_bytes(png[begin - 4..begin].try_into().unwrap()) as usize;
        let mut lines = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&png[begin + 4..begin + 4 + length]), &mut lines).unwrap();
        assert_eq!(lines, [2, 255, 0, 0, 0, 255, 0, 2, 1, 0, 255, 9, 9, 7]);
    }

    #[test]
    fn a_font_that_is_none_is_told() {
        let told = Drawing::new(10.0, 10.0).png(1.0, b"no font").unwrap_err().to_string();
        assert!(told.contains("the font can't be read"), "{told}");
    }

    #[test]
    fn colours_are_read_as_they_are_written() {
        let bytes = |colour: &str| {
            let mut pixmap = Pixmap::new(1, 1).unwrap();
            let rect = Rect::from_xywh(0.0, 0.0, 1.0, 1.0).unwrap();
            pixmap.fill_rect(rect, &paint(colour), Transform::identity(), None);
            pixmap.data()[..3].to_vec()
        };
        assert_eq!((bytes("#0072B2"), bytes("#fa0"), bytes("none")), (vec![0, 0x72, 0xb2], vec![255, 170, 0], vec![0, 0, 0]));
    }
}

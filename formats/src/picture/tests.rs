//! Pictures built in code: PNG by its own encoder, TIFF by hand, and damage.

use super::*;
use arrow::buffer::Buffer;
use neuroflow_data::FileTree;

fn opened(bytes: &[u8]) -> Result<PictureDocument, FormatError> {
    open(Arc::new(Buffer::from_vec(bytes.to_vec())), &Limits::default())
}

fn png(width: u32, height: u32, colour: png::ColorType, depth: png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == png::ColorType::Indexed {
        encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
    }
    encoder.add_text_chunk("Software".into(), "by hand".into()).unwrap();
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

/// A TIFF of grey pages without compression: tags of every page, then its values.
fn tiff(pages: &[(u32, u32)], bits: u16, format: u16, big: bool, description: &str, values: &dyn Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let short = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = if big { b"MM\0\x2a".to_vec() } else { b"II\x2a\0".to_vec() };
    out.extend(long(8));
    let mut first = 0;
    for (place, (width, height)) in pages.iter().enumerate() {
        let data: Vec<u8> = (first..first + width * height).flat_map(values).collect();
        first += width * height;
        let mut words = description.as_bytes().to_vec();
        words.push(0);
        let tags = 10u32;
        let start = out.len() as u32 + 2 + tags * 12 + 4;
        let text_at = start;
        let data_at = text_at + words.len() as u32 + (words.len() as u32 & 1);
        let end = data_at + data.len() as u32 + (data.len() as u32 & 1);
        out.extend(short(tags as u16));
        let mut tag = |number: u16, sort: u16, count: u32, value: u32| {
            out.extend(short(number));
            out.extend(short(sort));
            out.extend(long(count));
            if sort == 3 {
                out.extend(short(value as u16));
                out.extend([0, 0]);
            } else {
                out.extend(long(value));
            }
        };
        tag(256, 4, 1, *width);
        tag(257, 4, 1, *height);
        tag(258, 3, 1, bits.into());
        tag(259, 3, 1, 1);
        tag(262, 3, 1, 1);
        tag(270, 2, words.len() as u32, text_at);
        tag(273, 4, 1, data_at);
        tag(278, 4, 1, *height);
        tag(279, 4, 1, data.len() as u32);
        tag(339, 3, 1, format.into());
        out.extend(long(if place + 1 < pages.len() { end } else { 0 }));
        out.extend(&words);
        out.resize(data_at as usize, 0);
        out.extend(data);
        out.resize(end as usize, 0);
    }
    out
}

#[test]
fn png_of_every_colour_and_depth() {
    use png::{BitDepth, ColorType};
    let read = |bytes: &[u8]| {
        let document = opened(bytes).unwrap();
        assert_eq!(document.contents().facts["Software"], "by hand");
        let tensor = document.tensor("image", None).unwrap();
        (tensor.shape(), tensor.values().to_vec())
    };
    assert_eq!(read(&png(2, 1, ColorType::Grayscale, BitDepth::Eight, &[1, 250])), (vec![1, 2, 1], vec![1.0, 250.0]));
    assert_eq!(read(&png(1, 1, ColorType::GrayscaleAlpha, BitDepth::Eight, &[1, 2])), (vec![1, 1, 2], vec![1.0, 2.0]));
    assert_eq!(read(&png(1, 2, ColorType::Rgb, BitDepth::Eight, &[1, 2, 3, 4, 5, 6])), (vec![2, 1, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_eq!(read(&png(1, 1, ColorType::Rgba, BitDepth::Eight, &[1, 2, 3, 4])), (vec![1, 1, 4], vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(read(&png(1, 1, ColorType::Grayscale, BitDepth::Sixteen, &[1, 2])), (vec![1, 1, 1], vec![258.0]));
    assert_eq!(read(&png(4, 1, ColorType::Grayscale, BitDepth::Two, &[0b0001_1011])), (vec![1, 4, 1], vec![0.0, 85.0, 170.0, 255.0]));
    assert_eq!(read(&png(2, 1, ColorType::Indexed, BitDepth::Eight, &[1, 0])), (vec![1, 2, 3], vec![40.0, 50.0, 60.0, 10.0, 20.0, 30.0]));
}

#[test]
fn tiff_stacks_of_every_type_give_parts() {
    let sorts: [(u16, u16, &dyn Fn(u32) -> Vec<u8>); 5] = [
        (8, 1, &|value| vec![value as u8]),
        (16, 1, &|value| (value as u16).to_le_bytes().to_vec()),
        (16, 2, &|value| (value as i16).to_le_bytes().to_vec()),
        (32, 3, &|value| (value as f32).to_le_bytes().to_vec()),
        (64, 3, &|value| f64::from(value).to_le_bytes().to_vec()),
    ];
    for (bits, format, value) in sorts {
        for big in [false, true] {
            let ordered = |number| {
                let mut bytes = value(number);
                if big {
                    bytes.reverse();
                }
                bytes
            };
            let bytes = tiff(&[(3, 2), (3, 2), (3, 2)], bits, format, big, "ImageJ=1.53\nfinterval=0.1\n", &ordered);
            let document = opened(&bytes).unwrap();
            assert_eq!(document.contents().facts["finterval"], "0.1");
            let stack = document.tensor("stack", None).unwrap();
            assert_eq!((stack.shape(), stack.values()), (vec![3, 2, 3, 1], &(0..18).map(f64::from).collect::<Vec<_>>()[..]));
            let part = document.tensor("", Some(&[2..3, 1..2, 1..3, 0..1])).unwrap();
            assert_eq!(part.values(), [16.0, 17.0]);
        }
    }
    let several = tiff(&[(3, 2), (2, 2)], 8, 1, false, "", &|value| vec![value as u8]);
    let document = opened(&several).unwrap();
    assert_eq!(document.contents().items[1].path, "page 2");
    assert_eq!(document.tensor("page 2", None).unwrap().values(), [6.0, 7.0, 8.0, 9.0]);
}

#[test]
fn files_of_one_size_make_a_stack() {
    let grey = |value: u8| png(1, 1, png::ColorType::Grayscale, png::BitDepth::Eight, &[value]);
    let mut tree = FileTree::default();
    for (name, bytes) in
        [("a.png", grey(1)), ("b.png", grey(2)), ("c.png", png(2, 1, png::ColorType::Grayscale, png::BitDepth::Eight, &[1, 2]))]
    {
        tree.insert(name, Buffer::from_vec(bytes)).unwrap();
    }
    let folder: Arc<dyn Folder> = Arc::new(tree);
    let limits = Limits::default();
    let tensor = stack(&folder, &["b.png", "a.png"], &limits).unwrap();
    assert_eq!((tensor.shape(), tensor.values()), (vec![2, 1, 1, 1], &[2.0, 1.0][..]));
    assert_eq!(tensor.axes()[0].coordinates.label(0), "b.png");
    let error = |paths: &[&str]| stack(&folder, paths, &limits).unwrap_err().to_string();
    assert!(error(&["a.png", "c.png"]).contains("object `c.png`: the picture is 1 × 2 × 1, those before it are 1 × 1 × 1"));
    assert!(error(&["x.png"]).contains("there is no such file"));
    assert!(error(&[]).contains("no pictures"));
}

#[test]
fn damage_and_bombs_are_told() {
    let error = |bytes: &[u8]| opened(bytes).and_then(|document| document.tensor("", None)).unwrap_err().to_string();
    assert!(error(b"GIF89a").starts_with("picture: byte 0: the file begins like none"));
    let good = png(2, 2, png::ColorType::Grayscale, png::BitDepth::Eight, &[1, 2, 3, 4]);
    assert!(error(&good[..good.len() - 20]).starts_with("picture: "));
    let mut broken = good.clone();
    broken[18] ^= 0x40;
    assert!(error(&broken).starts_with("picture: "));
    // Pixels are bounded before anything is decoded.
    let huge = {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 60_000, 60_000);
        encoder.set_color(png::ColorType::Grayscale);
        let _ = encoder.write_header().unwrap();
        bytes
    };
    let error = error(&huge);
    assert!(error.contains("pixels, more than the") || error.contains("picture"), "{error}");
    let strict = Limits { free_bytes: 16, max_inflation: 1, ..Limits::default() };
    let document = open(Arc::new(Buffer::from_vec(good)), &strict);
    assert!(document.is_err() || document.unwrap().tensor("", None).is_ok());
    let text = open(Arc::new(Buffer::from_vec(b"II\x2a\0\xff\xff\xff\xff".to_vec())), &Limits::default()).unwrap_err().to_string();
    assert!(text.starts_with("picture: the file: "), "{text}");
}

//! Stacks of TIFF: without directories of their own, with axes that a description says, and ways to store pixels that are read or not.

use crate::reading::source;
use neuroflow_data::Axis;
use neuroflow_formats::{Document, FormatError, Limits, What, picture};

/// A page: width, height, values a pixel, bits of each, tags besides, and its bytes.
#[derive(Clone)]
struct Page {
    size: (u32, u32, u32),
    bits: u16,
    tags: Vec<(u16, u32)>,
    colours: Vec<u16>,
    bytes: Vec<u8>,
}

impl Page {
    fn grey(width: u32, height: u32, bits: u16, bytes: Vec<u8>) -> Page {
        Page { size: (width, height, 1), bits, tags: Vec::new(), colours: Vec::new(), bytes }
    }

    fn with(mut self, tag: u16, value: u32) -> Page {
        self.tags.push((tag, value));
        self
    }
}

/// A TIFF of pages, each in one strip, with a description of the first and bytes behind all.
fn tiff(pages: &[Page], description: &str, behind: &[u8], big_end: bool) -> Vec<u8> {
    let short = |value: u16| if big_end { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if big_end { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut out = if big_end { b"MM\0\x2a".to_vec() } else { b"II\x2a\0".to_vec() };
    out.extend(long(8));
    for (place, page) in pages.iter().enumerate() {
        let (width, height, samples) = page.size;
        let planes = if page.tags.contains(&(284, 2)) { samples } else { 1 };
        let words = [description.as_bytes(), b"\0"].concat();
        let mut tags = vec![(256, width), (257, height), (258, page.bits.into()), (277, samples), (278, height)];
        // Places of what does not fit into a tag are filled in below.
        tags.extend([(270, 0), (273, 0), (279, 0)]);
        tags.extend(page.tags.iter().copied());
        for usual in [(259, 1), (262, 1)] {
            if !tags.iter().any(|(tag, _)| *tag == usual.0) {
                tags.push(usual);
            }
        }
        if !page.colours.is_empty() {
            tags.push((320, 0));
        }
        tags.sort_unstable();
        let mut after = out.len() as u32 + 2 + tags.len() as u32 * 12 + 4;
        let mut kept: Vec<u8> = Vec::new();
        let mut keep = |bytes: Vec<u8>| {
            let at = after;
            after += bytes.len() as u32 + (bytes.len() as u32 & 1);
            kept.extend(&bytes);
            kept.resize(kept.len() + (bytes.len() & 1), 0);
            at
        };
        let words_at = keep(words.clone());
        let colours_at = keep(page.colours.iter().flat_map(|own| short(*own)).collect());
        let length = page.bytes.len() as u32 / planes;
        // Of one strip the place stands in the tag, of several a list of them.
        let lengths_at = keep((0..planes).flat_map(|_| long(length)).collect());
        let starts = keep(Vec::new()) + 4 * planes;
        let starts_at = keep((0..planes).flat_map(|plane| long(starts + plane * length)).collect());
        let pixels_at = keep(page.bytes.clone());
        assert_eq!(pixels_at, starts);
        out.extend(short(tags.len() as u16));
        for (tag, value) in tags {
            let (sort, count, value) = match tag {
                270 => (2, words.len() as u32, words_at),
                273 => (4, planes, if planes == 1 { pixels_at } else { starts_at }),
                279 => (4, planes, if planes == 1 { length } else { lengths_at }),
                320 => (3, page.colours.len() as u32, colours_at),
                258 if samples > 1 => (3, 1, value),
                _ => (3, 1, value),
            };
            out.extend(short(tag));
            out.extend(short(sort));
            out.extend(long(count));
            if sort == 3 && count == 1 {
                out.extend(short(value as u16));
                out.extend([0, 0]);
            } else {
                out.extend(long(value));
            }
        }
        out.extend(long(if place + 1 < pages.len() { after } else { 0 }));
        out.extend(kept);
    }
    out.extend(behind);
    out
}

fn opened(bytes: Vec<u8>) -> Result<picture::PictureDocument, FormatError> {
    picture::open(source(bytes), &Limits::default())
}

fn shorts(values: std::ops::Range<u16>, big_end: bool) -> Vec<u8> {
    values.flat_map(|value| if big_end { value.to_be_bytes() } else { value.to_le_bytes() }).collect()
}

fn whole(values: std::ops::Range<u16>) -> Vec<f64> {
    values.map(f64::from).collect()
}

#[test]
fn images_behind_the_only_one_with_a_directory_are_read() {
    // Five images of 2 × 3, as `tifffile.imwrite(…, truncate=True)` writes them with `imagej=True` and without.
    let described = ["ImageJ=1.11a\nimages=5\nframes=5\nfinterval=0.5\n", "{\"shape\": [5, 2, 3], \"truncated\": true}"];
    for (description, name) in described.into_iter().zip(["time", "page"]) {
        for big_end in [false, true] {
            let first = Page::grey(3, 2, 16, shorts(0..6, big_end));
            let document = opened(tiff(&[first], description, &shorts(6..30, big_end), big_end)).unwrap();
            assert!(document.contents().damage.is_empty());
            let stack = document.tensor("", None).unwrap();
            assert_eq!((stack.shape(), stack.values()), (vec![5, 2, 3, 1], &whole(0..30)[..]));
            assert_eq!(stack.axes()[0].name, name);
            let part = document.tensor("stack", Some(&[3..5, 1..2, 0..2, 0..1])).unwrap();
            assert_eq!(part.values(), [21.0, 22.0, 27.0, 28.0]);
            if name == "time" {
                assert_eq!(part.axes()[0], Axis::numbers("time", Some("s"), vec![1.5, 2.0]));
            }
        }
    }
}

#[test]
fn images_that_are_stated_and_not_there_are_damage() {
    let description = "ImageJ=1.11a\nimages=5\nslices=5\n";
    let first = || Page::grey(3, 2, 16, shorts(0..6, false));
    let short = opened(tiff(&[first()], description, &shorts(6..15, false), false)).unwrap();
    assert_eq!(short.contents().damage[0].reason, "5 images are stated, the file ends after 2");
    assert_eq!(short.tensor("", None).unwrap().values(), whole(0..12));
    let alone = opened(tiff(&[first()], description, &[], false)).unwrap();
    assert_eq!(alone.contents().damage[0].reason, "5 images are stated, the file ends after 1");
    assert_eq!(alone.tensor("image", None).unwrap().values(), whole(0..6));
    // PackBits: eleven bytes follow as they are.
    let packed = Page::grey(3, 2, 16, [&[11][..], &shorts(0..6, false)].concat()).with(259, 32773);
    let packed = opened(tiff(&[packed], description, &shorts(6..30, false), false)).unwrap();
    assert!(packed.contents().damage[0].reason.contains("compressed or in pieces"), "{:?}", packed.contents().damage);
    assert_eq!(packed.tensor("image", None).unwrap().values(), whole(0..6));
}

/// 24 pages of 1 × 1 that hold their number, described.
fn numbered(description: &str) -> picture::PictureDocument {
    let pages: Vec<Page> = (0..24).map(|page| Page::grey(1, 1, 8, vec![page])).collect();
    opened(tiff(&pages, description, &[], false)).unwrap()
}

#[test]
fn hyperstacks_have_the_axes_that_their_description_says() {
    let image_j = "ImageJ=1.11a\nimages=24\nchannels=2\nslices=3\nframes=4\nhyperstack=true\nfinterval=0.1\nunit=um\nspacing=2.0\n";
    let pixels = "<Pixels DimensionOrder=\"XYCZT\" Type=\"uint8\" SizeX=\"1\" SizeY=\"1\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"4\" TimeIncrement=\"100\" \
                  TimeIncrementUnit=\"ms\" PhysicalSizeZ=\"2\">";
    let ome = |inside: &str| format!("<?xml version=\"1.0\"?><OME><Image ID=\"Image:0\">{pixels}{inside}</Pixels></Image></OME>");
    let tifffile = "{\"shape\": [4, 3, 2, 1, 1], \"axes\": \"TZCYX\"}";
    for (description, stepped) in [(image_j, true), (&ome("<TiffData IFD=\"0\" PlaneCount=\"24\"/>"), true), (tifffile, false)] {
        let document = numbered(description);
        let stack = document.tensor("", None).unwrap();
        assert_eq!((stack.shape(), stack.values()), (vec![4, 3, 2, 1, 1], &whole(0..24)[..]), "{description}");
        let names: Vec<&str> = stack.axes().iter().map(|axis| axis.name.as_str()).collect();
        assert_eq!(names, ["time", "z", "channel", "y", "x"]);
        let part = document.tensor("stack", Some(&[1..3, 2..3, 0..1, 0..1, 0..1])).unwrap();
        // Page of time t, slice z and channel c is 6 t + 2 z + c.
        assert_eq!(part.values(), [10.0, 16.0]);
        if stepped {
            assert_eq!(part.axes()[1], Axis::numbers("z", Some("µm"), vec![4.0]));
            assert_eq!(part.axes()[0], Axis::numbers("time", Some("s"), vec![0.1, 0.2]));
        }
    }
    assert_eq!(numbered(&ome("")).contents().facts["size t"], "4");
    // Another order in the file: times vary fastest.
    let turned = ome("").replace("XYCZT", "XYTZC");
    let What::Array { shape, axes, .. } = numbered(&turned).contents().items[0].what.clone() else { panic!() };
    assert_eq!((&shape[..3], &axes[..3]), (&[2u64, 3, 4][..], &["channel", "z", "time"].map(String::from)[..]));
}

#[test]
fn where_axes_can_not_be_told_pages_are_only_counted_with_a_note() {
    let ome = "<OME><Image><Pixels DimensionOrder=\"XYCZT\" SizeC=\"2\" SizeZ=\"3\" SizeT=\"4\">\
               <TiffData IFD=\"0\" FirstT=\"1\" PlaneCount=\"1\"/></Pixels></Image></OME>";
    for (description, told) in [
        ("ImageJ=1.11a\nimages=24\nchannels=5\nframes=4\n", "the description says 4 time × 5 channel, and there are 24 pages"),
        (ome, "another order than their number"),
        (&ome.replace("</OME>", "<Image/></OME>"), "describes 2 series"),
        ("SI.hChannels.channelSave = [1;2]\n", "pages take turns between the 2 channels"),
    ] {
        let document = numbered(description);
        assert!(document.contents().notes.iter().any(|note| note.contains(told)), "{description}: {:?}", document.contents().notes);
        assert_eq!(document.tensor("", None).unwrap().axes()[0].name, "page");
    }
}

#[test]
fn values_are_those_in_the_file_whatever_they_mean_as_colours() {
    let read = |page: Page, big_end: bool| {
        let document = opened(tiff(&[page], "", &[], big_end)).unwrap();
        let tensor = document.tensor("image", None).unwrap();
        (tensor.shape(), tensor.values().to_vec(), document.contents().notes.join("; "))
    };
    for big_end in [false, true] {
        // 0 is white (262 = 0): tifffile gives 1 and 250, and so on.
        let (shape, values, notes) = read(Page::grey(2, 1, 8, vec![1, 250]).with(262, 0), big_end);
        assert_eq!((shape, values), (vec![1, 2, 1], vec![1.0, 250.0]));
        assert!(notes.contains("0 is white"), "{notes}");
        let mut palette = Page::grey(2, 1, 8, vec![3, 200]).with(262, 3);
        palette.colours = (0..768).collect();
        let (_, values, notes) = read(palette, big_end);
        assert_eq!(values, [3.0, 200.0]);
        assert!(notes.contains("positions in a palette"), "{notes}");
    }
    // Ten pixels of one bit in a row take two bytes; five of four bits take three.
    let (shape, values, notes) = read(Page::grey(10, 2, 1, vec![0b1000_0001, 0b0100_0000, 0b0000_0010, 0b1000_0000]), false);
    let rows = [[1, 0, 0, 0, 0, 0, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0, 1, 0, 1, 0]];
    assert_eq!((shape, values), (vec![2, 10, 1], rows.as_flattened().iter().map(|own| f64::from(*own)).collect()));
    assert!(notes.contains("values of 1 bits"), "{notes}");
    assert_eq!(read(Page::grey(5, 1, 4, vec![0x12, 0x3f, 0xa0]), false).1, [1.0, 2.0, 3.0, 15.0, 10.0]);
    // Red, green and blue in planes of their own.
    let planes = Page { size: (2, 1, 3), ..Page::grey(2, 1, 8, vec![1, 2, 11, 12, 21, 22]) }.with(262, 2).with(284, 2);
    assert_eq!(read(planes, false), (vec![1, 2, 3], vec![1.0, 11.0, 21.0, 2.0, 12.0, 22.0], String::new()));
}

#[test]
fn what_is_not_read_is_not_called_damaged() {
    for (code, method) in [(4, "fax"), (7, "JPEG"), (34925, "LZMA"), (50000, "Zstandard"), (50001, "WebP"), (33005, "JPEG 2000")] {
        let error = opened(tiff(&[Page::grey(2, 1, 8, vec![1, 2]).with(259, code)], "", &[], false)).unwrap_err();
        assert!(error.reason.contains(method) && !error.is_damage() && error.help.contains("deflate"), "{error}");
    }
    let error = opened(tiff(&[Page::grey(2, 1, 12, vec![1, 2, 3])], "", &[], false)).unwrap_err();
    assert!(error.reason.contains("pixels of 12 bits are not read") && !error.is_damage(), "{error}");
}

//! Formats of the field, and of pictures and tables, that are known by their first bytes and not read: what they are, and what to do.

/// What a file is and how to make one of it that is read, by its first bytes, inflated where it is gzip.
pub(crate) fn unread(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let has = |at: usize, mark: &[u8]| bytes.get(at..at.saturating_add(mark.len())) == Some(mark);
    let long = |at: usize| bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    let big = |at: usize| long(at).map_or(-1, i32::from_be_bytes);
    let told = |what: &'static str, help: &'static str| Some((what, help));
    let length = long(4).map_or(0, u32::from_le_bytes);
    match bytes {
        [0xff, 0xff, 0xff, 0xff, ..] if (8..1 << 28).contains(&length) && length % 8 == 0 => told(
            "this is a stream of Arrow IPC, which is not read, while a file of it is",
            "write a file, in Python: `pyarrow.feather.write_feather(pyarrow.ipc.open_stream(\"old.arrow\").read_all(), \"new.feather\")`",
        ),
        [0xff, 0xff, 0xfe, ..] => {
            told("this is a surface of FreeSurfer, which is not read", "convert it to GIFTI: `mris_convert lh.white lh.white.surf.gii`")
        }
        [0xff, 0xff, 0xfd | 0xff, ..] => told(
            "this is a surface of FreeSurfer, or what is measured on one, which is not read",
            "convert it to GIFTI: `mris_convert -c lh.thickness lh.white lh.thickness.gii` of measures, `mris_convert lh.orig lh.orig.surf.gii` of a surface",
        ),
        [0, 0, 0, 1, ..] if (1..=4).all(|field| (1..=1 << 24).contains(&big(4 * field))) && (0..=10).contains(&big(20)) => told(
            "this is a volume of FreeSurfer (MGH), which is not read",
            "convert it to NIfTI: `mri_convert brain.mgz brain.nii.gz`, or in Python `nibabel.save(nibabel.Nifti1Image.from_image(nibabel.load(\"brain.mgz\")), \"brain.nii.gz\")`",
        ),
        [b'T', b'R', b'A', b'C', b'K', 0, ..] => told(
            "these are streamlines of TrackVis, which are not read",
            "take out what is to be analysed, in Python with `nibabel.streamlines.load`, and save it as `.npy` or `.csv`",
        ),
        _ if has(0, b"mrtrix tracks") => told(
            "these are streamlines of MRtrix, which are not read",
            "take out what is to be analysed, in Python with `nibabel.streamlines.load`, and save it as `.npy` or `.csv`",
        ),
        _ if is_matlab_4(bytes) => told(
            "this is a MATLAB 4 file, which is not read",
            "save it again in MATLAB with `save('new.mat', '-v7')`, or in Python: `scipy.io.savemat(\"new.mat\", scipy.io.loadmat(\"old.mat\"))`",
        ),
        _ if is_analyze(bytes) => told(
            "this is a header of Analyze 7.5, which is not read",
            "convert the image to NIfTI: `fslchfiletype NIFTI_GZ image`, or in Python `nibabel.save(nibabel.Nifti1Image.from_image(nibabel.load(\"image.img\")), \"image.nii.gz\")`",
        ),
        _ if has(128, b"DICM\x02\0") => {
            told("this is a DICOM file, which is not read", "convert the series to NIfTI: `dcm2niix -z y folder`")
        }
        _ if has(0, b"GIF87a") || has(0, b"GIF89a") => told("this is a GIF picture, which is not read", "save it as PNG"),
        _ if has(0, b"BM") && has(6, &[0; 4]) && has(14, &[40, 0, 0, 0]) => {
            told("this is a BMP picture, which is not read", "save it as PNG")
        }
        _ if has(0, b"SQLite format 3\0") => told(
            "this is a database of SQLite, which is not read",
            "export the table as CSV: `sqlite3 -header -csv file.db 'select * from name'`",
        ),
        [0x80, 2..=5, ..] => told(
            "this looks like a pickle of Python, which is never read, since reading one may run anything",
            "save arrays with `numpy.save` and tables with `to_parquet`",
        ),
        _ => None,
    }
}

/// MATLAB 4 has no mark: its first variable says type, rows, columns, whether it is complex, and the length of its name.
fn is_matlab_4(bytes: &[u8]) -> bool {
    let number = |at: usize, order: fn([u8; 4]) -> u32| bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).map(order);
    [u32::from_le_bytes as fn([u8; 4]) -> u32, u32::from_be_bytes].into_iter().any(|order| {
        let [Some(kind), Some(rows), Some(columns), Some(complex), Some(name)] = [0, 4, 8, 12, 16].map(|at| number(at, order)) else {
            return false;
        };
        let sized = kind / 1000 <= 1 && kind % 1000 < 60 && kind % 10 <= 2;
        let letters = bytes.get(20..20 + name.clamp(2, 64) as usize).unwrap_or_default();
        let named = matches!(letters.split_last(), Some((0, [first, rest @ ..])) if first.is_ascii_alphabetic()
            && rest.iter().all(|letter| letter.is_ascii_alphanumeric() || *letter == b'_'));
        sized && rows < 1 << 30 && columns < 1 << 30 && complex <= 1 && (2..=64).contains(&name) && named
    })
}

/// A header of 348 bytes without the mark of NIfTI, which says that all its images are of one size.
fn is_analyze(bytes: &[u8]) -> bool {
    let length = bytes.get(..4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    let fits = length.is_some_and(|four| u32::from_le_bytes(four) == 348 || u32::from_be_bytes(four) == 348);
    fits && bytes.get(38) == Some(&b'r') && bytes.get(344..348).is_none_or(|mark| !matches!(mark, b"n+1\0" | b"ni1\0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_what_they_begin_with() {
        let word = |bytes: &[u8]| unread(bytes).map_or("", |(reason, _)| reason);
        assert!(word(&[0xff, 0xff, 0xff, 0xff, 0x78, 1, 0, 0, 0x10, 0]).contains("stream of Arrow"));
        assert!(word(b"\xff\xff\xfecreated by").contains("surface of FreeSurfer"));
        assert!(word(&[0xff, 0xff, 0xff, 0, 0, 0, 4, 0, 0, 0, 0]).contains("measured on one"));
        let mgh: Vec<u8> = [1i32, 4, 3, 2, 1, 3, 0].iter().flat_map(|field| field.to_be_bytes()).collect();
        assert!(word(&mgh).contains("MGH"));
        assert!(word(b"TRACK\0\0\0").contains("TrackVis"));
        // A double matrix `rate` of 1 × 1, as `scipy.io.savemat(…, format="4")` writes it.
        let four: Vec<u8> = [0i32, 1, 1, 0, 5].iter().flat_map(|field| field.to_le_bytes()).chain(*b"rate\0").collect();
        assert!(word(&four).contains("MATLAB 4"));
        let mut analyze = vec![0; 348];
        analyze[..4].copy_from_slice(&348i32.to_be_bytes());
        analyze[38] = b'r';
        assert!(word(&analyze).contains("Analyze"));
        for text in [&b"TRACK,time\n1,2\n"[..], b"BM,GIF89\n1,2\n", b"", &[0; 64], b"\xff\xd8\xff\xe0", b"\x00\x00\x08\x03\0\0\0\x02"] {
            assert_eq!(unread(text), None, "{text:?}");
        }
    }
}

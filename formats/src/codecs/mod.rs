//! Compressors of chunks, each undone with a leash: no more comes out than a chunk can hold, and no more is taken than what is there can make.

pub(crate) mod blosc;
pub(crate) mod shuffle;

use std::io::Read;

/// Zstandard, in frames; grows as bytes arrive.
pub(crate) fn zstd(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let broken = |error: std::io::Error| format!("the zstd data break off or are damaged ({error})");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?;
    let mut out = Vec::with_capacity(usize::try_from(most.min((bytes.len() as u64).saturating_mul(4))).unwrap_or_default());
    decoder.by_ref().take(most).read_to_end(&mut out).map_err(broken)?;
    if out.len() as u64 == most && decoder.read(&mut [0u8; 1]).map_err(broken)? > 0 {
        return Err(format!("the zstd data hold more than the {most} bytes of a chunk"));
    }
    Ok(out)
}

/// One block of lz4 that says how long it is.
pub(crate) fn lz4(block: &[u8], length: u64, most: u64) -> Result<Vec<u8>, String> {
    // A byte of lz4 makes 255 at most.
    if length > most || length > (block.len() as u64).saturating_mul(255).saturating_add(64) {
        return Err(format!("an lz4 block of {} bytes claims to hold {length}", block.len()));
    }
    let mut out = vec![0u8; length as usize];
    let got = lz4_flex::block::decompress_into(block, &mut out).map_err(|error| format!("an lz4 block is damaged ({error})"))?;
    if got as u64 != length {
        return Err(format!("an lz4 block holds {got} bytes, {length} were declared"));
    }
    Ok(out)
}

/// One block of snappy, which says how long it is.
pub(crate) fn snappy(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let broken = |error: snap::Error| format!("the snappy data are damaged ({error})");
    let length = snap::raw::decompress_len(bytes).map_err(broken)?;
    // Three bytes of snappy make 64 at most.
    if length as u64 > most || length > bytes.len().saturating_mul(32).saturating_add(64) {
        return Err(format!("snappy data of {} bytes claim to hold {length}", bytes.len()));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(broken)
}

/// Streams of bzip2.
pub(crate) fn bzip2(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut decoder = bzip2::bufread::MultiBzDecoder::new(bytes);
    let read = decoder.by_ref().take(most.saturating_add(1)).read_to_end(&mut out);
    read.map_err(|error| format!("the bzip2 data break off or are damaged ({error})"))?;
    if out.len() as u64 > most {
        return Err(format!("the bzip2 data hold more than the {most} bytes of a chunk"));
    }
    Ok(out)
}

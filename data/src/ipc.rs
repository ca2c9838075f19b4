//! One record batch as an Arrow IPC file, read without copying.

use crate::error::DataError;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use std::sync::Arc;

/// Writes a batch as an IPC file whose buffers begin at multiples of 64 bytes.
pub(crate) fn write_batch(batch: &RecordBatch) -> Result<Vec<u8>, DataError> {
    let options = IpcWriteOptions::try_new(64, false, arrow::ipc::MetadataVersion::V5)?;
    let mut writer = FileWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// Reads the only batch of an IPC file; its columns share the buffer's memory.
pub(crate) fn read_batch(buffer: &Buffer) -> Result<RecordBatch, DataError> {
    let damaged = |what: &str| DataError::Decode(format!("the Arrow file is damaged: {what}"));
    let length = buffer.len();
    let trailer_start = length.checked_sub(10).ok_or_else(|| damaged("it is too short"))?;
    let trailer: [u8; 10] = buffer[trailer_start..].try_into().map_err(|_| damaged("no trailer"))?;
    let footer_length = read_footer_length(trailer)?;
    let footer_start = trailer_start.checked_sub(footer_length).ok_or_else(|| damaged("the footer is longer than the file"))?;
    let footer = root_as_footer(&buffer[footer_start..trailer_start]).map_err(|error| damaged(&error.to_string()))?;
    let schema = fb_to_schema(footer.schema().ok_or_else(|| damaged("no schema"))?);
    let blocks = footer.recordBatches().ok_or_else(|| damaged("no record batch"))?;
    if blocks.len() != 1 {
        return Err(damaged(&format!("{} record batches where one is expected", blocks.len())));
    }
    let block = blocks.get(0);
    let part = |value: i64| usize::try_from(value).ok();
    let extent = part(block.offset()).zip(part(i64::from(block.metaDataLength()))).zip(part(block.bodyLength()));
    let ((offset, metadata), body) = extent.ok_or_else(|| damaged("a negative length"))?;
    let size = metadata.checked_add(body).filter(|size| offset.checked_add(*size).is_some_and(|end| end <= length));
    let data = buffer.slice_with_length(offset, size.ok_or_else(|| damaged("a batch reaches past the end"))?);
    let decoder = FileDecoder::new(Arc::new(schema), footer.version());
    decoder.read_record_batch(block, &data)?.ok_or_else(|| damaged("an empty record batch"))
}

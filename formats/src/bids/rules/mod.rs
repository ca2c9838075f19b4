//! What the specification asks of files, sidecars and tables, as tables of facts.

mod fields;
mod files;

pub(super) use fields::{CHANNEL_TYPES, COLUMNS, FIELDS, JSON_FIELDS, TOP_LEVEL_FILES, TOP_LEVEL_FOLDERS, section};
pub(super) use files::{FILES, has};

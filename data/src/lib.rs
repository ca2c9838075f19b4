//! The artifact types on Arrow, their axes and units, and the file formats of the field.

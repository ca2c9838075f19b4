//! The pipeline language: text to lossless tree to checked pipeline.

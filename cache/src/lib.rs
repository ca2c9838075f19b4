//! Digests, the object store, action records, run records and garbage collection.

//! the encrypted-message format for files, blobs and streams.

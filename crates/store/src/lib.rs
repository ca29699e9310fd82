//! durable rows, nonces and leaves in one transaction.

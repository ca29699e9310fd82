//! the leaf format, and the way of a grant to a recorded grant.

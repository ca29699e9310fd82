//! the agent in the guest.

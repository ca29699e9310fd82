//! a simulated TEE: genuine layouts, its own encoder, its own root.

//! Attribute macros of the `netref` crate.

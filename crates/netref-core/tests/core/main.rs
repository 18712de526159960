//! Tests of the protocol core, from single bytes to two peers on a simulated link.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod binding;
mod brine;
mod frames;
mod harness;
mod landing;
mod limits;
mod limits_page;
mod malformed;
mod memory;
mod mirror;
mod oracle;
mod orderings;
mod policy;
mod purity;
mod python;
mod regressions;
mod script;
mod sharing;
mod value;
mod vectors;
mod wire;

//! The RPyC protocol without I/O.
//!
//! This crate knows every byte that crosses an RPyC connection and nothing about sockets, threads or clocks. A
//! driver feeds it the bytes that arrived, hands it what the program wants to send, and writes out what it is given.
//!
//! The pieces, from the wire upwards:
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | length-prefixed, optionally compressed frames; a [`Deframer`](frame::Deframer) for any chunking |
//! | [`payload`] | what a frame holds, with large bytes in memory of the driver's |
//! | [`brine`] | plain immutable data as bytes, byte for byte what stock RPyC writes |
//! | [`boxing`] | objects by value or by reference, in one walk between an object [`World`] and bytes |
//! | [`copy`] | the form of copies by value, between netref peers |
//! | [`refs`] | what this side lends ([`Exports`](refs::Exports)) and gives back ([`Releases`](refs::Releases)) |
//! | [`message`] | requests, replies and exceptions in both dialects of the protocol |
//! | [`request`] | the twenty requests as one typed enum |
//! | [`exception`] | exceptions as data |
//! | [`policy`] | which attributes a peer may reach, as a pure function |
//! | [`session`] | one connection's state; **the driving contract is written on [`Session`]** |
//! | [`threads`] | thread numbers on messages, which RPyC calls `bind_threads` |
//! | [`extension`] | what netref peers offer each other beyond stock RPyC |
//! | [`registry`] | messages of the service registry |
//! | [`limits`] | every bound on what a peer can make us do |
//! | [`memory`] | whether there is memory for it |
//!
//! # No trust in the peer
//!
//! No input from the wire panics, recurses without bound or allocates beyond the [`Limits`].
#![forbid(unsafe_code)]

pub mod boxing;
pub mod brine;
pub mod copy;
pub mod description;
pub mod exception;
pub mod extension;
pub mod frame;
pub mod limits;
pub mod memory;
pub mod message;
pub mod payload;
pub mod policy;
pub mod refs;
pub mod registry;
pub mod request;
pub mod session;
pub mod threads;
mod unbegun;
pub mod world;

pub use limits::Limits;
pub use message::Dialect;
pub use request::Request;
pub use session::Session;
pub use world::World;

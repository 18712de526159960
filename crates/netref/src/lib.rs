//! x
#![forbid(unsafe_code)]

mod address;
#[cfg(feature = "tokio")]
pub mod aio;
mod args;
mod chained;
mod compare;
mod connection;
mod containers;
mod convert;
mod dict;
mod dynamic;
mod error;
mod file;
mod function;
mod iter;
mod lines;
mod list;
mod object;
mod operation;
mod peer;
mod place;
mod raising;
mod remote;
mod repr;
mod running;
mod server;
mod service;
mod side;
pub mod threads;
mod value;
mod world;

pub use address::Address;
pub use args::{Args, IntoArgs};
pub use connection::{Connection, Options, Stats, Wire, connect};
pub use convert::{Bytes, FromValue, IntoValue};
pub use dict::Dict;
pub use dynamic::ValueIter;
pub use error::{Error, Exception, Result};
pub use file::File;
pub use function::{Fallible, Infallible, IntoFunction, IntoOutcome, function, function_with_args};
pub use iter::{Prefetched, RemoteIter, iterator, try_iterator};
pub use list::List;
#[cfg(feature = "macros")]
pub use netref_macros::{object, service};
pub use object::{Class, Method, MethodFuture, Object, ObjectRef};
pub use remote::{Comparison, ExtractAll, Remote};
pub use server::{Server, serve};
pub use service::Service;
pub use value::{BigInt, Value};

/// What the options and tools of this crate take from the protocol.
pub mod protocol {
    pub use netref_core::frame::{Compression, FrameError};
    pub use netref_core::limits::Limits;
    pub use netref_core::message::{Dialect, Handler};
    pub use netref_core::policy::Rules;
    pub use netref_core::refs::IdPack;
    pub use netref_core::request::Request;
    pub use netref_core::session::ProtocolError;
}

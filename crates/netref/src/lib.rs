//! x
#![forbid(unsafe_code)]

mod address;
mod args;
mod chained;
mod connection;
mod convert;
mod error;
mod function;
mod iter;
mod object;
mod peer;
mod raising;
mod remote;
mod repr;
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
pub use error::{Error, Exception, Result};
pub use function::{Fallible, Infallible, IntoFunction, IntoOutcome, function, function_with_args};
pub use iter::{Prefetched, RemoteIter, iterator, try_iterator};
pub use object::{Class, Method, Object, ObjectRef};
pub use remote::{Comparison, ExtractAll, Remote};
pub use server::{Server, serve};
pub use service::Service;
pub use value::{BigInt, Value};

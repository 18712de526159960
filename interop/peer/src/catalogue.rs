//! The objects that a peer can make; SERVICE.md is their specification.

mod callables;
mod containers;
mod plain;

pub(crate) use plain::live;

use netref::{Args, Error, Result, Value, iterator, try_iterator};

use crate::errors::named_error;
use crate::policy::Policy;

/// Makes a new object.
pub(crate) fn make(kind: &str, args: Vec<Value>, policy: Policy) -> Result<Value> {
    let mut args = Args::new(args);
    let object = match kind {
        "counter" => plain::Counter::make(policy),
        "record" => plain::Record::make(policy, args.required("colour")?),
        "version" => plain::Version::make(policy, args.required("number")?),
        "context" => plain::Context::make(policy, args.required("suppress")?),
        "tracked" => plain::Tracked::make(policy, args.required("tag")?),
        "recorder" => callables::Recorder::make(policy, args.required("answer")?),
        "raiser" => callables::raiser(args.required("kind")?, args.rest()),
        "relay" => callables::relay(args.required("function")?),
        "bouncer" => callables::Bouncer::make(args.optional("kind")?, args.rest()),
        "iterator" => iterator(0..args.required::<i64>("count")?),
        "failing_iterator" => {
            let (count, kind): (i64, String) = (args.required("count")?, args.required("kind")?);
            let rest = args.rest();
            let failure = std::iter::once_with(move || Err(named_error(&kind, rest)));
            try_iterator((0..count).map(|item| Ok(Value::Int(item))).chain(failure))
        }
        "list" => containers::List::make(policy, args.rest()),
        "dict" => containers::Dict::make(policy, args.rest())?,
        "file" => containers::File::make(policy, args.rest()),
        _ => return Err(Error::raise("KeyError", kind)),
    };
    args.finish()?;
    Ok(Value::Object(object))
}

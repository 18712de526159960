//! What one side can do with the objects of the other, by name. The agent performs these for the test, and the service's
//! `operate` performs them on objects of the client.

use netref::{Args, Connection, Error, IntoValue, Remote, Result, Value};
use netref_core::message::Handler;
use netref_core::request::Request;

use crate::callee;
use crate::errors::{named_error, type_error};

/// BUFFITER chunks grow up to here.
const LARGEST_CHUNK: usize = 1000;

/// True if there is such an operation.
pub(crate) fn exists(operation: &str) -> bool {
    const ON_CONNECTIONS: [&str; 6] = ["root", "ping", "closed", "request", "id_pack", "buffiter"];
    const ON_OBJECTS: [&str; 24] = [
        "getattr", "setattr", "delattr", "call", "method", "repr", "str", "hash", "dir", "eq", "ne", "lt",
        "le", "gt", "ge", "len", "getitem", "setitem", "delitem", "contains", "iter", "next", "collect",
        "with",
    ];
    ON_CONNECTIONS.contains(&operation) || ON_OBJECTS.contains(&operation)
}

/// Does an operation and returns what it gives.
pub(crate) fn perform(connection: Option<&Connection>, operation: &str, mut args: Args) -> Result<Value> {
    if let "root" | "ping" | "closed" | "request" = operation {
        let connection = connection.ok_or_else(|| type_error(format!("{operation} needs a connection")))?;
        return on_connection(connection, operation, &mut args);
    }
    let object: Value = args.required("object")?;
    match operation {
        "getattr" => {
            let name: String = args.required("name")?;
            args.finish()?;
            callee::get_attr(&object, &name)
        }
        "call" => callee::call(&object, callee::remaining(&mut args)),
        "method" => {
            let name: String = args.required("name")?;
            callee::call_method(&object, &name, callee::remaining(&mut args))
        }
        operation => on_remote(&object.extract()?, operation, &mut args),
    }
}

fn on_connection(connection: &Connection, operation: &str, args: &mut Args) -> Result<Value> {
    match operation {
        "root" => Ok(connection.root()?.into_value()),
        "closed" => Ok(connection.closed().is_some().into_value()),
        "ping" => {
            let data: Value = args.required("data")?;
            let echoed = connection.request(Request::Ping { data: data.clone() })?;
            if echoed == data {
                Ok(Value::None)
            } else {
                Err(Error::raise("RuntimeError", "ping mismatches"))
            }
        }
        _ => match args.required("number")? {
            Value::Int(number) => connection.raw_request(Handler::Number(number), &args.rest()),
            Value::Str(name) => connection.raw_request(Handler::Name(&name), &args.rest()),
            other => Err(type_error(format!("no handler: {}", other.repr()))),
        },
    }
}

fn on_remote(remote: &Remote, operation: &str, args: &mut Args) -> Result<Value> {
    match operation {
        "setattr" => {
            let name: String = args.required("name")?;
            remote.set_attr(&name, args.required::<Value>("value")?).map(|()| Value::None)
        }
        "delattr" => remote.del_attr(&args.required::<String>("name")?).map(|()| Value::None),
        "repr" => remote.repr().map(IntoValue::into_value),
        "str" => remote.str().map(IntoValue::into_value),
        "hash" => remote.hash().map(IntoValue::into_value),
        "dir" => remote.dir().map(IntoValue::into_value),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(remote, operation, args.required("other")?),
        "len" => remote.call_method("__len__", ()),
        "getitem" => remote.get_item(args.required::<Value>("key")?),
        "setitem" => {
            let (key, value): (Value, Value) = (args.required("key")?, args.required("value")?);
            remote.set_item(key, value).map(|()| Value::None)
        }
        "delitem" => remote.del_item(args.required::<Value>("key")?).map(|()| Value::None),
        "contains" => remote.contains(args.required::<Value>("item")?).map(IntoValue::into_value),
        "iter" => remote.call_method("__iter__", ()),
        "next" => remote.call_method("__next__", ()),
        "collect" => remote.iter()?.collect::<Result<Vec<_>>>().map(Value::Tuple),
        "with" => enter_and_leave(remote, args),
        "id_pack" => {
            let pack = remote.id_pack();
            Ok((pack.name.to_string(), pack.class, pack.instance).into_value())
        }
        "buffiter" => fetch_in_chunks(remote, args.required("chunk")?),
        other => Err(Error::raise("LookupError", format!("unknown operation '{other}'"))),
    }
}

fn compare(remote: &Remote, operation: &str, other: Value) -> Result<Value> {
    let op = format!("__{operation}__").into_value();
    match remote.request(Request::Cmp { object: remote.into_value(), other, op })? {
        Value::NotImplemented => match operation {
            "eq" => Ok(Value::Bool(false)),
            "ne" => Ok(Value::Bool(true)),
            _ => Err(type_error(format!("'{operation}' is not supported between these objects"))),
        },
        answer => Ok(answer),
    }
}

/// A `with` block that raises an error if one is named. To get to its end in spite of that means that it was suppressed.
fn enter_and_leave(remote: &Remote, args: &mut Args) -> Result<Value> {
    let kind: Option<String> = args.optional("kind")?;
    let entered = remote.call_method("__enter__", ())?;
    let Some(kind) = kind else {
        remote.exit(None)?;
        return Ok((entered, false).into_value());
    };
    let error = named_error(&kind, args.rest());
    if remote.exit(Some(&error))? { Ok((entered, true).into_value()) } else { Err(error) }
}

fn fetch_in_chunks(remote: &Remote, mut chunk: usize) -> Result<Value> {
    let iterator = remote.iter()?;
    let mut items = Vec::new();
    loop {
        let fetched = iterator.as_remote().next_items(chunk)?;
        if fetched.is_empty() {
            return Ok(Value::Tuple(items));
        }
        items.extend(fetched);
        chunk = (chunk * 2).min(LARGEST_CHUNK);
    }
}

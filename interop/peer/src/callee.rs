//! Using an object without caring which side it is on.

use netref::{Args, IntoArgs, ObjectRef, Result, Value, function_with_args};

use crate::errors::{no_attribute, type_error};

/// `value(*args, **kwargs)`
pub(crate) fn call(value: &Value, args: impl IntoArgs) -> Result<Value> {
    match value {
        Value::Remote(remote) => remote.call(args),
        Value::Object(object) if object.class().has("__call__") => {
            object.call_method("__call__", args.into_args())
        }
        other => Err(type_error(format!("'{}' object is not callable", other.type_name()))),
    }
}

/// `value.name(*args, **kwargs)`
pub(crate) fn call_method(value: &Value, name: &str, args: impl IntoArgs) -> Result<Value> {
    match value {
        Value::Remote(remote) => remote.call_method(name, args),
        Value::Object(object) if object.class().has(name) => object.call_method(name, args.into_args()),
        _ => Err(no_attribute(name)),
    }
}

/// `value.name`
pub(crate) fn get_attr(value: &Value, name: &str) -> Result<Value> {
    match value {
        Value::Remote(remote) => remote.get_attr(name),
        Value::Object(object) if object.class().has(name) => Ok(Value::Object(bound(object.clone(), name))),
        Value::Object(object) => object.get_attr(name),
        _ => Err(no_attribute(name)),
    }
}

fn bound(object: ObjectRef, name: &str) -> ObjectRef {
    let method = name.to_owned();
    function_with_args(name, move |args| object.call_method(&method, args))
}

/// What is left of `args` after the first ones were taken, to be passed on.
pub(crate) fn remaining(args: &mut Args) -> Args {
    let named = std::mem::take(&mut args.named);
    let mut rest = args.rest().into_args();
    rest.named = named;
    rest
}

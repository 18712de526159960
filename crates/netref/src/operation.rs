//! Operations on remote objects: what each asks, and what becomes of the answer. The blocking [`Remote`] and the
//! asynchronous one differ only in how they wait in between.

use netref_core::request::Request;

use crate::args::IntoArgs;
use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
use crate::iter::RemoteIter;
use crate::raising::exception_object;
use crate::remote::{Comparison, Remote};
use crate::value::Value;

/// A request, and how its result is read.
pub(crate) struct Operation<T> {
    pub(crate) request: Request<Value>,
    pub(crate) read: fn(Value) -> Result<T>,
}

impl<T: FromValue> Operation<T> {
    pub(crate) fn new(request: Request<Value>) -> Self {
        Self { request, read: Value::extract }
    }

    fn method(object: &Remote, name: &str, args: impl IntoArgs) -> Self {
        let (args, kwargs) = arguments(args);
        Self::new(Request::CallAttr { object: object.into_value(), name: name.into_value(), args, kwargs })
    }
}

impl Operation<()> {
    /// One whose result is of no interest.
    fn effect(operation: Operation<Value>) -> Self {
        Self { request: operation.request, read: |_| Ok(()) }
    }

    pub(crate) fn set_attr(object: &Remote, name: &str, value: impl IntoValue) -> Self {
        let (object, name, value) = (object.into_value(), name.into_value(), value.into_value());
        Self::effect(Operation::new(Request::SetAttr { object, name, value }))
    }

    pub(crate) fn del_attr(object: &Remote, name: &str) -> Self {
        let (object, name) = (object.into_value(), name.into_value());
        Self::effect(Operation::new(Request::DelAttr { object, name }))
    }

    pub(crate) fn set_item(object: &Remote, key: impl IntoValue, value: impl IntoValue) -> Self {
        Self::effect(Operation::method(object, "__setitem__", (key, value)))
    }

    pub(crate) fn del_item(object: &Remote, key: impl IntoValue) -> Self {
        Self::effect(Operation::method(object, "__delitem__", (key,)))
    }

    pub(crate) fn ping() -> Self {
        const DATA: &str = "ping";
        let read = |data: Value| match data.extract::<String>()?.as_str() {
            DATA => Ok(()),
            _ => Err(Error::Unreadable("the ping came back changed".to_owned())),
        };
        Self { request: Request::Ping { data: DATA.into_value() }, read }
    }
}

impl Operation<Value> {
    pub(crate) fn get_attr(object: &Remote, name: &str) -> Self {
        Self::new(Request::GetAttr { object: object.into_value(), name: name.into_value() })
    }

    pub(crate) fn call(object: &Remote, args: impl IntoArgs) -> Self {
        let (args, kwargs) = arguments(args);
        Self::new(Request::Call { object: object.into_value(), args, kwargs })
    }

    pub(crate) fn call_method(object: &Remote, name: &str, args: impl IntoArgs) -> Self {
        Self::method(object, name, args)
    }

    pub(crate) fn get_item(object: &Remote, key: impl IntoValue) -> Self {
        Self::method(object, "__getitem__", (key,))
    }

    pub(crate) fn enter(object: &Remote) -> Self {
        Self::method(object, "__enter__", ())
    }
}

impl Operation<Remote> {
    pub(crate) fn root() -> Self {
        Self::new(Request::GetRoot)
    }
}

impl Operation<RemoteIter> {
    pub(crate) fn iter(object: &Remote) -> Self {
        let read = |iterator| match iterator {
            Value::Remote(iterator) => Ok(RemoteIter::new(iterator)),
            other => Err(Error::conversion("a remote iterator", &other.type_name())),
        };
        Self { request: Operation::<Value>::method(object, "__iter__", ()).request, read }
    }
}

impl Operation<usize> {
    pub(crate) fn len(object: &Remote) -> Self {
        Self::method(object, "__len__", ())
    }
}

impl Operation<bool> {
    pub(crate) fn contains(object: &Remote, item: impl IntoValue) -> Self {
        Self::method(object, "__contains__", (item,))
    }

    pub(crate) fn compare(object: &Remote, operator: Comparison, other: impl IntoValue) -> Self {
        let (other, op) = (other.into_value(), operator.method().into_value());
        Self::new(Request::Cmp { object: object.into_value(), other, op })
    }

    /// Whether the error is to be suppressed.
    pub(crate) fn exit(object: &Remote, error: Option<&Error>) -> Self {
        let exception = error.map_or(Value::None, exception_object);
        let read = |suppress| Ok(!matches!(suppress, Value::None | Value::Bool(false)));
        Self { request: Request::CtxExit { object: object.into_value(), exception }, read }
    }
}

impl Operation<String> {
    pub(crate) fn repr(object: &Remote) -> Self {
        Self::new(Request::Repr { object: object.into_value() })
    }

    pub(crate) fn str(object: &Remote) -> Self {
        Self::new(Request::Str { object: object.into_value() })
    }
}

impl Operation<i64> {
    pub(crate) fn hash(object: &Remote) -> Self {
        Self::new(Request::Hash { object: object.into_value() })
    }
}

impl Operation<Vec<String>> {
    pub(crate) fn dir(object: &Remote) -> Self {
        Self::new(Request::Dir { object: object.into_value() })
    }
}

impl Operation<Vec<Value>> {
    pub(crate) fn next_items(iterator: &Remote, count: usize) -> Self {
        Self::new(Request::BuffIter { object: iterator.into_value(), count: count.into_value() })
    }
}

/// Names of methods, with their documentation.
type Methods = Vec<(String, Option<String>)>;

impl Operation<Methods> {
    pub(crate) fn methods(object: &Remote) -> Self {
        Self::new(Request::Inspect { pack: object.id_pack().clone() })
    }

    /// What the other side answered, unless it is too much.
    pub(crate) fn checked(object: &Remote, methods: Methods) -> Result<Methods> {
        let (count, most) = (methods.len(), object.peer().side().limits.max_methods);
        if count > most {
            let text =
                format!("{} has {count} methods, more than {most} (limit max_methods)", object.class_name());
            return Err(Error::Unreadable(text));
        }
        Ok(methods)
    }
}

fn arguments(args: impl IntoArgs) -> (Value, Value) {
    let args = args.into_args();
    let named = args.named.into_iter().map(|(name, value)| Value::Tuple(vec![Value::Str(name), value]));
    (Value::Tuple(args.positional), Value::Tuple(named.collect()))
}

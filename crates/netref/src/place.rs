//! What a request is about, for the traceback in case it fails.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use netref_core::request::Request;

use crate::object::{BoundMethod, Class};
use crate::raising::text_of;
use crate::value::Value;

/// Noted for every request, and put into words only for the few that fail.
///
/// Objects are named by their class: their own `repr` may be long, or fail.
pub(crate) enum Place {
    Words(&'static str),
    Attribute { class: Option<Arc<Class>>, name: String },
    Method { class: Option<Arc<Class>>, name: String },
    Function(Value),
}

impl Place {
    pub(crate) fn of(request: &Request<Value>) -> Self {
        match request {
            Request::CallAttr { object, name: Value::Str(name), .. } => {
                Self::Method { class: class_of(object), name: name.clone() }
            }
            Request::GetAttr { object, name: Value::Str(name) } => {
                Self::Attribute { class: class_of(object), name: name.clone() }
            }
            Request::Call { object, .. } => match bound_method(object) {
                Some(method) => {
                    Self::Method { class: Some(method.object.class()), name: method.name.clone() }
                }
                None => Self::Function(object.clone()),
            },
            other => Self::Words(Request::<Value>::describe(other.handler())),
        }
    }
}

fn class_of(value: &Value) -> Option<Arc<Class>> {
    match value {
        Value::Object(object) => Some(object.class()),
        _ => None,
    }
}

fn bound_method(value: &Value) -> Option<&BoundMethod> {
    match value {
        Value::Object(object) => (&**object as &dyn Any).downcast_ref(),
        _ => None,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Attribute { class: Some(class), name } => write!(f, "getattr {}.{name}", class.name()),
            Self::Attribute { class: None, name } => write!(f, "getattr {name}"),
            Self::Method { class: Some(class), name } => write!(f, "{}.{name}", class.name()),
            Self::Method { class: None, name } => f.write_str(name),
            Self::Function(function) => f.write_str(&text_of(function)),
        }
    }
}

//! Errors as the suite names them.

use netref::{Error, Exception, Value};

/// The exception called `kind`: a built-in one, or the suite's own.
pub(crate) fn named_error(kind: &str, args: Vec<Value>) -> Error {
    let exception = match kind {
        "CustomError" => Exception::of_class("interop", kind).with_attribute("code", 42),
        _ => Exception::new(kind),
    };
    args.into_iter().fold(exception, Exception::with_arg).into()
}

pub(crate) fn type_error(message: impl Into<String>) -> Error {
    Error::raise("TypeError", message)
}

pub(crate) fn no_attribute(name: &str) -> Error {
    Error::raise("AttributeError", format!("no attribute '{name}'"))
}

/// The exception that a Python program would see in place of `error`.
pub(crate) fn as_exception(error: Error) -> Exception {
    let class = match error {
        Error::Raised(exception) => return *exception,
        Error::Closed(_) => "EOFError",
        Error::TimedOut { .. } => "TimeoutError",
        Error::Conversion { .. } | Error::Unsendable(_) => "TypeError",
        Error::Connect { .. } | Error::Io(_) => "OSError",
        Error::BadUrl { .. } => "ValueError",
        _ => "RuntimeError",
    };
    Exception::new(class).with_arg(error.to_string())
}

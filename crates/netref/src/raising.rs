//! Errors as exceptions on the wire.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netref_core::exception::ExceptionData;

use crate::args::Args;
use crate::convert::IntoValue;
use crate::error::{Error, Exception, Result};
use crate::object::{Class, Object};
use crate::place::Place;
use crate::repr::{joined, repr};
use crate::value::Value;

/// The version that peers are told. A stock peer warns about one whose major part is not its own, so this names the
/// release of RPyC whose protocol is spoken, not this crate.
const REMOTE_VERSION: &str = "6.0.2";

/// What stock peers look for to number nested tracebacks.
const REMOTE_TRACEBACK: &str = "\n\n========= Remote Traceback ";

/// The exception that an error becomes on the other side. `place` is what failed, for the traceback.
pub(crate) fn to_exception(error: &Error, place: &Place) -> ExceptionData<Value> {
    let mut data = data_of(error);
    for item in data.args.iter_mut().chain(data.attributes.iter_mut().map(|(_, value)| value)) {
        if !is_plain(item) {
            *item = Value::Str(text_of(item));
        }
    }
    data.attributes.retain(|(name, _)| name != "_remote_version");
    data.attributes.push(("_remote_version".to_owned(), REMOTE_VERSION.into_value()));
    let summary = Exception { data: data.clone() }.to_string();
    let mut traceback = format!("Traceback (most recent call last):\n  Rust, in {place}\n{summary}\n");
    if !data.traceback.is_empty() {
        let number = data.traceback.matches(REMOTE_TRACEBACK).count() + 1;
        traceback.push_str(&format!("{REMOTE_TRACEBACK}({number}) =========\n{}", data.traceback));
    }
    data.traceback = traceback;
    data
}

/// The exception that an error is worth: the table is on [`Error`].
fn data_of(error: &Error) -> ExceptionData<Value> {
    match error {
        Error::Raised(exception) => exception.data.clone(),
        Error::Conversion { .. } => message("TypeError", error),
        Error::TimedOut { .. } => message("TimeoutError", error),
        Error::Closed(_) | Error::Stale(_) => message("EOFError", error),
        Error::Io(error) => os_error(error),
        error => message("RuntimeError", error),
    }
}

/// Runs `work`, which may run code of objects. A panic is an error like others.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(from_panic(&*panic)))
}

/// The error that a panic becomes.
pub(crate) fn from_panic(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of an unknown kind".to_owned());
    Error::raise("RuntimeError", format!("panicked: {text}"))
}

/// An object's `repr`, or less if that panics: there is nobody to tell of an error in reporting an error.
pub(crate) fn text_of(value: &Value) -> String {
    catch_unwind(AssertUnwindSafe(|| repr(value))).unwrap_or_else(|_| "<an object without a repr>".to_owned())
}

/// True if the wire carries the value by value.
pub(crate) fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Remote(_) => false,
        Value::Tuple(items) | Value::FrozenSet(items) => items.iter().all(is_plain),
        Value::Slice(parts) => parts.iter().all(is_plain),
        _ => true,
    }
}

/// An error as an object to be handed to a peer's `__exit__`.
pub(crate) fn exception_object(error: &Error) -> Value {
    Value::Object(Arc::new(ExceptionObject(Exception { data: data_of(error) })))
}

/// A failure of the operating system about a path.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub(crate) struct OsError {
    path: PathBuf,
    error: io::Error,
}

impl OsError {
    pub(crate) fn at(path: &Path, error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Self { path: path.to_owned(), error })
    }
}

/// `OSError` or the subclass of it that Python has for this kind, with all that Python's has.
fn os_error(error: &io::Error) -> ExceptionData<Value> {
    let class = match error.kind() {
        io::ErrorKind::NotFound => "FileNotFoundError",
        io::ErrorKind::PermissionDenied => "PermissionError",
        io::ErrorKind::AlreadyExists => "FileExistsError",
        io::ErrorKind::IsADirectory => "IsADirectoryError",
        io::ErrorKind::NotADirectory => "NotADirectoryError",
        io::ErrorKind::BrokenPipe => "BrokenPipeError",
        io::ErrorKind::ConnectionRefused => "ConnectionRefusedError",
        io::ErrorKind::ConnectionReset => "ConnectionResetError",
        io::ErrorKind::ConnectionAborted => "ConnectionAbortedError",
        io::ErrorKind::TimedOut => "TimeoutError",
        io::ErrorKind::Interrupted => "InterruptedError",
        io::ErrorKind::WouldBlock => "BlockingIOError",
        _ => "OSError",
    };
    let about = error.get_ref().and_then(|inner| inner.downcast_ref::<OsError>());
    let cause = about.map_or(error, |about| &about.error);
    let Some(number) = cause.raw_os_error() else {
        return ExceptionData::builtin(class, vec![error.to_string().into_value()]);
    };
    // Rust adds the number to the text; Python has it beside it.
    let text = cause.to_string();
    let text = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
    let mut data = ExceptionData::builtin(class, vec![number.into_value(), text.into_value()]);
    let parts = [("errno", number.into_value()), ("strerror", text.into_value())];
    data.attributes.extend(parts.map(|(name, part)| (name.to_owned(), part)));
    if let Some(about) = about {
        data.attributes.push(("filename".to_owned(), about.path.to_string_lossy().into_owned().into_value()));
    }
    data
}

fn message(class: &str, error: &Error) -> ExceptionData<Value> {
    ExceptionData::builtin(class, vec![error.to_string().into_value()])
}

struct ExceptionObject(Exception);

impl Object for ExceptionObject {
    fn class(&self) -> Arc<Class> {
        let data = &self.0.data;
        Class::new(format!("{}.{}", data.module, data.class)).into()
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(Error::no_attribute(&self.0.class(), name))
    }

    fn attributes(&self) -> Vec<String> {
        vec!["args".to_owned()]
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        match name {
            "args" => Ok(Value::Tuple(self.0.args().to_vec())),
            _ => Err(Error::no_attribute(&self.0.class(), name)),
        }
    }

    fn repr(&self) -> String {
        format!("{}({})", self.0.data.class, joined(self.0.args()))
    }

    fn str(&self) -> String {
        match self.0.args() {
            [Value::Str(message)] => message.clone(),
            args => joined(args),
        }
    }
}

use std::fmt;
use std::io;
use std::time::Duration;

use netref_core::exception::ExceptionData;
use netref_core::request::Request;

use crate::failure::Closed;
use crate::value::Value;

/// The result of anything that uses a connection.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, by who is at fault.
///
/// Returned from a method that a peer called, an error reaches the peer as an exception: [`Error::Raised`] as the
/// exception that it is, [`Error::Conversion`] as `TypeError`, [`Error::TimedOut`] as `TimeoutError`, [`Error::Closed`] and
/// [`Error::Stale`] as `EOFError`, [`Error::Io`] as `OSError`, all else as `RuntimeError`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An exception: raised by the other side, or to be raised there.
    #[error(transparent)]
    Raised(Box<Exception>),
    /// The connection ended; the message says who ended it and why.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The remote object was reached over a connection of a [`Reconnecting`](crate::Reconnecting) handle that has ended: get
    /// it anew over the present one.
    #[error(
        "stale reference: the connection that it belongs to is over ({0}); get it anew over the present one"
    )]
    Stale(Closed),
    /// No reply came in time. The connection is still good.
    #[error("{what} got no reply from {peer} within {limit:?} ({setting})")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// Where the peer is, as far as that is known.
        peer: String,
        /// The limit in force.
        limit: Duration,
        /// What the limit is changed by.
        setting: &'static str,
    },
    /// A value is not of the type that was asked for.
    #[error("expected {expected}, got {found}")]
    Conversion {
        /// What was asked for.
        expected: String,
        /// What there was.
        found: String,
    },
    /// A value cannot be sent.
    #[error("cannot send this: {0}")]
    Unsendable(String),
    /// A reply cannot be read.
    #[error("cannot read the reply: {0}")]
    Unreadable(String),
    /// No connection could be made.
    #[error("cannot connect to {url}: {source}")]
    Connect {
        /// Where to.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// A server cannot listen where it is to.
    #[error("cannot listen at {url}: {source}")]
    Listen {
        /// Where.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// A URL is not one of a transport that this crate has.
    #[error("{url:?} is not a URL to connect to: {reason}")]
    BadUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A blocking operation was called in asynchronous code, where it would keep the tasks from running that it waits for.
    #[cfg(feature = "tokio")]
    #[error(
        "a blocking operation in asynchronous code: use netref::aio::Remote::from(remote), or run it in \
         netref::aio::spawn_blocking"
    )]
    WouldBlock,
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// A Python exception of a built-in class, to be returned from a method that the peer called.
    ///
    /// ```
    /// let error = netref::Error::raise("ValueError", "the gain must be positive");
    /// assert_eq!(error.to_string(), "ValueError: the gain must be positive");
    /// ```
    #[must_use]
    pub fn raise(class: &str, message: impl Into<String>) -> Self {
        Exception::new(class).with_arg(message.into()).into()
    }

    /// The exception, if the error is one.
    #[must_use]
    pub fn exception(&self) -> Option<&Exception> {
        match self {
            Self::Raised(exception) => Some(exception),
            _ => None,
        }
    }

    /// Says which method or attribute it was that took too long.
    pub(crate) fn about(mut self, request: &Request<Value>) -> Self {
        if let Self::TimedOut { what, .. } = &mut self
            && let Request::CallAttr { name, .. }
            | Request::GetAttr { name, .. }
            | Request::SetAttr { name, .. }
            | Request::DelAttr { name, .. } = request
        {
            *what = format!("{what} {}", name.repr());
        }
        self
    }

    pub(crate) fn conversion(expected: &str, found: &str) -> Self {
        Self::Conversion { expected: expected.to_owned(), found: found.to_owned() }
    }

    /// `AttributeError` for a name that an object of `class` does not have.
    #[must_use]
    pub fn no_attribute(class: &str, name: &str) -> Self {
        Self::raise("AttributeError", format!("'{class}' object has no attribute '{name}'"))
    }

    /// `AttributeError` for a name that an object of `class` does not let a peer assign to.
    #[must_use]
    pub fn read_only(class: &str, name: &str) -> Self {
        Self::raise("AttributeError", format!("attribute '{name}' of '{class}' object is not writable"))
    }
}

/// An exception: its class, its arguments, and where it came from.
///
/// ```
/// use netref::Exception;
///
/// let error = Exception::new("KeyError").with_arg("gain");
/// assert!(error.is("KeyError"));
/// assert_eq!(error.to_string(), "KeyError: 'gain'");
/// let custom = Exception::of_class("scope.errors", "Overload").with_attribute("channel", 2);
/// assert_eq!(custom.class(), "scope.errors.Overload");
/// ```
#[derive(Clone, PartialEq)]
pub struct Exception {
    pub(crate) data: ExceptionData<Value>,
}

impl Exception {
    /// An exception of one of Python's built-in classes.
    #[must_use]
    pub fn new(class: &str) -> Self {
        Self { data: ExceptionData::builtin(class, Vec::new()) }
    }

    /// An exception of a class in a module. A Python peer makes a generic class of that name, unless it is configured
    /// to import the real one.
    #[must_use]
    pub fn of_class(module: &str, class: &str) -> Self {
        let mut exception = Self::new(class);
        exception.data.module = module.to_owned();
        exception
    }

    /// Adds an argument. One that is not plain data is sent as its text.
    #[must_use]
    pub fn with_arg(mut self, argument: impl crate::IntoValue) -> Self {
        self.data.args.push(argument.into_value());
        self
    }

    /// Adds an attribute. One that is not plain data is sent as its text.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, value: impl crate::IntoValue) -> Self {
        self.data.attributes.push((name.to_owned(), value.into_value()));
        self
    }

    /// `module.Class`, or the bare name of a built-in class.
    #[must_use]
    pub fn class(&self) -> String {
        match self.data.module.as_str() {
            "builtins" | "exceptions" => self.data.class.clone(),
            module => format!("{module}.{}", self.data.class),
        }
    }

    /// True if the class has this name, as [`class`](Self::class) gives it. Subclasses do not count: their relation does not
    /// cross the wire.
    #[must_use]
    pub fn is(&self, class: &str) -> bool {
        self.class() == class
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &[Value] {
        &self.data.args
    }

    /// An attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.data.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The attributes, with their names.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.data.attributes.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The traceback on the side that raised it; empty if it was not received.
    #[must_use]
    pub fn traceback(&self) -> &str {
        &self.data.traceback
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.class())?;
        let [number, text] = ["errno", "strerror"].map(|name| self.attribute(name));
        if let (Some(Value::Int(number)), Some(Value::Str(text))) = (number, text) {
            // An `OSError`, whose arguments do not say which file it is about.
            write!(f, ": [Errno {number}] {text}")?;
            return match self.attribute("filename") {
                None | Some(Value::None) => Ok(()),
                Some(name) => write!(f, ": {}", crate::repr::repr(name)),
            };
        }
        match self.args() {
            [] => Ok(()),
            [Value::Str(message)] if !self.is("KeyError") => write!(f, ": {message}"),
            [argument] => write!(f, ": {}", crate::repr::repr(argument)),
            _ => write!(f, ": {}", crate::repr::repr(&Value::Tuple(self.data.args.clone()))),
        }
    }
}

impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if !self.traceback().is_empty() {
            write!(f, "\n{}", self.traceback())?;
        }
        Ok(())
    }
}

impl std::error::Error for Exception {}

impl From<Exception> for Error {
    fn from(exception: Exception) -> Self {
        Self::Raised(Box::new(exception))
    }
}

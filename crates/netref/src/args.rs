use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
#[cfg(feature = "tokio")]
use crate::raising::is_plain;
use crate::value::Value;

/// The arguments of a call.
///
/// To make a call, anything that is [`IntoArgs`] will do: a tuple of values, or [`Args`] with named ones.
///
/// ```
/// use netref::Args;
///
/// let mut args = Args::new((1, "two")).named("by", 3);
/// let (first, second, by): (i64, String, i64) =
///     (args.required("first")?, args.required("second")?, args.optional("by")?.unwrap_or(1));
/// args.finish()?;
/// assert_eq!((first, second.as_str(), by), (1, "two", 3));
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    /// Positional arguments.
    pub positional: Vec<Value>,
    /// Named arguments.
    pub named: Vec<(String, Value)>,
    taken: usize,
    /// Who is called, for messages; empty if that is not known.
    function: &'static str,
}

impl Args {
    /// Positional arguments.
    #[must_use]
    pub fn new(positional: impl IntoArgs) -> Self {
        positional.into_args()
    }

    /// Adds a named argument.
    #[must_use]
    pub fn named(mut self, name: &str, value: impl IntoValue) -> Self {
        self.named.push((name.to_owned(), value.into_value()));
        self
    }

    /// Names the function that takes the arguments, for messages about wrong ones.
    #[must_use]
    pub fn for_function(mut self, name: &'static str) -> Self {
        self.function = name;
        self
    }

    /// Takes the next argument: the next positional one, or the one named `name`.
    ///
    /// # Errors
    /// `TypeError` if there is neither or both, or if it has the wrong type.
    pub fn required<T: FromValue>(&mut self, name: &str) -> Result<T> {
        match self.optional(name)? {
            Some(value) => Ok(value),
            None => Err(self.wrong(&format!("missing required argument '{name}'"))),
        }
    }

    /// Takes the next argument, if it is there: the next positional one, or the one named `name`.
    ///
    /// # Errors
    /// `TypeError` if it is there twice or has the wrong type.
    pub fn optional<T: FromValue>(&mut self, name: &str) -> Result<Option<T>> {
        let named = self.named.iter().position(|(key, _)| key == name);
        let value = match (self.positional.get_mut(self.taken), named) {
            (Some(_), Some(_)) => {
                return Err(self.wrong(&format!("got multiple values for argument '{name}'")));
            }
            (Some(value), None) => std::mem::take(value),
            (None, Some(index)) => self.named.swap_remove(index).1,
            (None, None) => {
                self.taken += 1;
                return Ok(None);
            }
        };
        self.taken += 1;
        value.extract().map(Some).map_err(|error| match error {
            Error::Conversion { expected, found } => {
                self.wrong(&format!("argument '{name}': expected {expected}, got {found}"))
            }
            error => error,
        })
    }

    /// Takes all positional arguments that are left.
    pub fn rest(&mut self) -> Vec<Value> {
        let start = self.taken.min(self.positional.len());
        self.taken = self.positional.len();
        self.positional.split_off(start)
    }

    /// Takes all arguments that are left, the named ones too.
    #[must_use]
    pub fn take_rest(&mut self) -> Self {
        let positional = self.rest();
        Self { positional, named: std::mem::take(&mut self.named), taken: 0, function: self.function }
    }

    /// Checks that every argument was taken.
    ///
    /// # Errors
    /// `TypeError` if there are more.
    pub fn finish(&mut self) -> Result<()> {
        if let Some((name, _)) = self.named.first() {
            return Err(self.wrong(&format!("got an unexpected keyword argument '{name}'")));
        }
        let (given, taken) = (self.positional.len(), self.taken);
        if given <= taken {
            return Ok(());
        }
        let takes = match taken {
            0 => "takes no arguments".to_owned(),
            1 => "takes 1 argument".to_owned(),
            _ => format!("takes {taken} arguments"),
        };
        let were = if given == 1 { "was" } else { "were" };
        Err(self.wrong(&format!("{takes} but {given} {were} given")))
    }

    /// Takes all arguments by `take` in asynchronous code: where items of the peer's are to be fetched, on a thread that may wait for
    /// them. For the attribute macros.
    ///
    /// # Errors
    /// What `take` returns.
    #[doc(hidden)]
    pub async fn take_async<T: Send + 'static>(mut self, take: fn(&mut Self) -> Result<T>) -> Result<T> {
        #[cfg(feature = "tokio")]
        {
            let mut values = self.positional.iter().chain(self.named.iter().map(|(_, value)| value));
            let kept = (!values.all(is_plain)).then(|| self.clone());
            match (take(&mut self), kept) {
                (Err(Error::WouldBlock), Some(mut kept)) => {
                    crate::aio::on_pool(move || take(&mut kept)).await
                }
                (taken, _) => taken,
            }
        }
        #[cfg(not(feature = "tokio"))]
        take(&mut self)
    }

    fn wrong(&self, message: &str) -> Error {
        let call = if self.function.is_empty() { String::new() } else { format!("{}() ", self.function) };
        Error::raise("TypeError", format!("{call}{message}"))
    }
}

/// What a call can be given: a tuple of values, `()` for none, a `Vec<Value>`, or [`Args`].
#[diagnostic::on_unimplemented(
    message = "a call cannot be given `{Self}` as its arguments",
    note = "arguments are a tuple of up to eight, also if there is only one: `(value,)`; `()` is none; any number of them is a \
            `Vec<Value>`, and `Args` has named ones as well"
)]
pub trait IntoArgs {
    /// Makes the arguments.
    fn into_args(self) -> Args;
}

impl IntoArgs for Args {
    fn into_args(self) -> Args {
        self
    }
}

impl IntoArgs for Vec<Value> {
    fn into_args(self) -> Args {
        Args { positional: self, ..Args::default() }
    }
}

impl IntoArgs for () {
    fn into_args(self) -> Args {
        Args::default()
    }
}

macro_rules! tuple_args {
    ($($name:ident)+) => {
        impl<$($name: IntoValue),+> IntoArgs for ($($name,)+) {
            #[expect(non_snake_case, reason = "each type parameter names its field too")]
            fn into_args(self) -> Args {
                let ($($name,)+) = self;
                vec![$($name.into_value()),+].into_args()
            }
        }
    };
}

tuple_args!(A);
tuple_args!(A B);
tuple_args!(A B C);
tuple_args!(A B C D);
tuple_args!(A B C D E);
tuple_args!(A B C D E F);
tuple_args!(A B C D E F G);
tuple_args!(A B C D E F G H);

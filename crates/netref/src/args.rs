use crate::convert::{FromValue, IntoValue};
use crate::error::{Error, Result};
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

    /// Takes the next argument: the next positional one, or the one named `name`.
    ///
    /// # Errors
    /// `TypeError` if there is neither or both, or if it has the wrong type.
    pub fn required<T: FromValue>(&mut self, name: &str) -> Result<T> {
        let missing = || Error::raise("TypeError", format!("missing required argument {name:?}"));
        self.optional(name)?.ok_or_else(missing)
    }

    /// Takes the next argument, if it is there: the next positional one, or the one named `name`.
    ///
    /// # Errors
    /// `TypeError` if it is there twice or has the wrong type.
    pub fn optional<T: FromValue>(&mut self, name: &str) -> Result<Option<T>> {
        let named = self.named.iter().position(|(key, _)| key == name);
        let value = match (self.positional.get_mut(self.taken), named) {
            (Some(_), Some(_)) => {
                return Err(Error::raise("TypeError", format!("got multiple values for argument {name:?}")));
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
                Error::raise("TypeError", format!("argument {name:?}: expected {expected}, got {found}"))
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

    /// Checks that every argument was taken.
    ///
    /// # Errors
    /// `TypeError` if there are more.
    pub fn finish(&mut self) -> Result<()> {
        if let Some((name, _)) = self.named.first() {
            return Err(Error::raise("TypeError", format!("got an unexpected keyword argument {name:?}")));
        }
        if self.positional.len() > self.taken {
            let (given, taken) = (self.positional.len(), self.taken);
            return Err(Error::raise("TypeError", format!("takes {taken} arguments but {given} were given")));
        }
        Ok(())
    }
}

/// What a call can be given: a tuple of values, `()` for none, a `Vec<Value>`, or [`Args`].
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

//! Attribute macros of the `netref` crate, which re-exports them: depend on that, not on this.
//!
//! Each macro parses its input into a description of the `impl` block and expands that; wrong input is answered with
//! a message that says what to write instead.

use proc_macro::TokenStream;
use syn::parse_macro_input;

mod attributes;
mod expand;
mod exposed;

use attributes::BlockOptions;

/// Makes the methods of an `impl` block callable by a peer.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// struct Dice {
///     sides: AtomicU32,
/// }
///
/// #[netref::object(name = "games.Dice")]
/// impl Dice {
///     /// Rolls the dice `times` times and adds up. (A Python peer reads this as the method's documentation.)
///     fn roll(&self, times: Option<u32>) -> u32 {
///         times.unwrap_or(1) * self.sides.load(Ordering::Relaxed)
///     }
///
///     #[netref(get)]
///     fn sides(&self) -> u32 {
///         self.sides.load(Ordering::Relaxed)
///     }
///
///     #[netref(set)]
///     fn set_sides(&self, sides: u32) -> netref::Result<()> {
///         if sides == 0 {
///             return Err(netref::Error::raise("ValueError", "a dice has sides"));
///         }
///         self.sides.store(sides, Ordering::Relaxed);
///         Ok(())
///     }
///
///     #[netref(name = "__len__")]
///     fn len(&self) -> usize {
///         self.sides() as usize
///     }
///
///     #[netref(skip)]
///     fn explode(&self) {}
/// }
///
/// use netref::IntoValue;
///
/// let dice = Arc::new(Dice { sides: AtomicU32::new(6) }).into_value();
/// assert_eq!(dice.call_method("roll", (2,))?.extract::<u32>()?, 12);
/// assert!(dice.call_method("explode", ()).is_err());
/// # Ok::<(), netref::Error>(())
/// ```
///
/// # What is exposed
///
/// Every function of the block that has `&self`, public or not, unless it is marked `#[netref(skip)]`. Functions without
/// `self` are left alone. A block must be the only one of its type with this attribute.
///
/// # Arguments and results
///
/// Arguments are converted by `FromValue` and can be given by position or by the parameter's name. `Option<T>` may be
/// left out; `&str` and `&[T]` are borrowed for the call. A last parameter `args: Args` takes whatever is left. Whatever is
/// wrong with the arguments reaches the caller as `TypeError`. Results are converted by `IntoValue`; `Result<T, E>` with
/// an `E` that converts to `netref::Error` raises. A panic reaches the caller as `RuntimeError`.
///
/// An `async fn` runs as a task of the runtime, over connections of `netref::aio` only; to others it raises `RuntimeError`. Take
/// objects of the peer's as `netref::aio::Remote` there.
///
/// Peers may call from several threads at once, and call back while a method runs. So receivers are `&self`, and state
/// that changes lives in atomics or behind a `Mutex`, not held while calling a peer.
///
/// # Options of the block
///
/// | | |
/// |---|---|
/// | `name = "module.Class"` | what a Python peer shows as the class; else made of the Rust module and type |
///
/// # Options of a method, in `#[netref(…)]`
///
/// | | |
/// |---|---|
/// | `skip` | not exposed |
/// | `name = "…"` | the name for peers: special methods like `__len__`, `__call__`, `__iter__`, `__getitem__`; `__repr__` and `__str__` are what `repr` and `str` show |
/// | `get` | a property that is read |
/// | `set` | a property that is assigned; without a `name`, what follows `set_` |
#[proc_macro_attribute]
pub fn object(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut parsed = BlockOptions::default();
    let parser = syn::meta::parser(|meta| parsed.parse_object(&meta));
    parse_macro_input!(options with parser);
    expand_block(item, &parsed)
}

/// [`macro@object`] for what a server serves: implements `netref::Service` as well.
///
/// ```
/// struct Calculator;
///
/// #[netref::service]
/// impl Calculator {
///     fn add(&self, a: i64, b: i64) -> netref::Result<i64> {
///         a.checked_add(b).ok_or_else(|| netref::Error::raise("OverflowError", "too large"))
///     }
/// }
///
/// let server = netref::Server::bind("tcp://127.0.0.1:0", || Calculator)?;
/// # Ok::<(), netref::Error>(())
/// ```
///
/// With `#[netref::service(lifecycle)]`, implement `netref::Service` by hand, for what is to happen when a client comes and
/// goes. The other options are those of [`macro@object`].
///
/// ```
/// struct Door;
///
/// #[netref::service(lifecycle)]
/// impl Door {
///     fn knock(&self) {}
/// }
///
/// impl netref::Service for Door {
///     fn connected(&self, client: &netref::Connection) -> netref::Result<()> {
///         client.root().map(|theirs| println!("{} has come", theirs.class_name()))
///     }
///
///     fn disconnected(&self, closed: &netref::Closed) {
///         println!("gone: {closed}");
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn service(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut parsed = BlockOptions { service: true, ..BlockOptions::default() };
    let parser = syn::meta::parser(|meta| parsed.parse_service(&meta));
    parse_macro_input!(options with parser);
    expand_block(item, &parsed)
}

fn expand_block(item: TokenStream, options: &BlockOptions) -> TokenStream {
    let mut block = parse_macro_input!(item as expand::Block);
    let made = expand::expand(&mut block, options).unwrap_or_else(syn::Error::into_compile_error);
    // Whatever is wrong, the block stays: the rest of the program still finds its functions. They have no choice but to
    // take `&self`, and their arguments as they come.
    quote::quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_self)]
        #block
        #made
    }
    .into()
}

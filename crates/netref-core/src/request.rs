//! The twenty requests of RPyC as one typed enum.

use crate::boxing::Boxer;
use crate::message::Inbound;
use crate::refs::IdPack;
use crate::world::World;

/// Handler numbers, as they travel.
#[expect(missing_docs, reason = "each is the number of the Request variant of that name")]
pub mod handlers {
    pub const PING: i64 = 1;
    pub const CLOSE: i64 = 2;
    pub const GETROOT: i64 = 3;
    pub const GETATTR: i64 = 4;
    pub const DELATTR: i64 = 5;
    pub const SETATTR: i64 = 6;
    pub const CALL: i64 = 7;
    pub const CALLATTR: i64 = 8;
    pub const REPR: i64 = 9;
    pub const STR: i64 = 10;
    pub const CMP: i64 = 11;
    pub const HASH: i64 = 12;
    pub const DIR: i64 = 13;
    pub const PICKLE: i64 = 14;
    pub const DEL: i64 = 15;
    pub const INSPECT: i64 = 16;
    pub const BUFFITER: i64 = 17;
    pub const OLDSLICING: i64 = 18;
    pub const CTXEXIT: i64 = 19;
    pub const INSTANCECHECK: i64 = 20;
    /// Not in RPyC: see [`Features::ahead`](crate::extension::Features::ahead).
    pub const AHEAD: i64 = 0x6e73;
}

/// One request, with the objects of a [`World`].
///
/// A driver never meets [`Del`](Self::Del) and has no need to send it: references are given back through
/// [`Releases`](crate::refs::Releases) and taken back inside the session, in wire order, where no program can get them wrong.
/// It is here for tools and tests that send one by hand.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are the arguments that docs/protocol.md lists for the request")]
pub enum Request<T> {
    /// Send `data` back.
    Ping { data: T },
    /// End the connection.
    Close,
    /// The service object.
    GetRoot,
    /// `getattr(object, name)`
    GetAttr { object: T, name: T },
    /// `delattr(object, name)`
    DelAttr { object: T, name: T },
    /// `setattr(object, name, value)`
    SetAttr { object: T, name: T, value: T },
    /// `object(*args, **dict(kwargs))`
    Call { object: T, args: T, kwargs: T },
    /// `object.name(*args, **dict(kwargs))`
    CallAttr { object: T, name: T, args: T, kwargs: T },
    /// `repr(object)`
    Repr { object: T },
    /// `str(object)`
    Str { object: T },
    /// `type(object).op(object, other)`
    Cmp { object: T, other: T, op: T },
    /// `hash(object)`
    Hash { object: T },
    /// `tuple(dir(object))`
    Dir { object: T },
    /// `pickle.dumps(object, protocol)`, where allowed
    Pickle { object: T, protocol: T },
    /// Give back `count` references to `object`.
    Del { object: T, count: T },
    /// The methods `(name, doc)` of the class of the object named.
    Inspect { pack: IdPack },
    /// The next items of an iterator, at most `count`.
    BuffIter { object: T, count: T },
    /// Python 2 slicing: `object.attempt(slice(start, stop), *args)`, else `object.fallback(start, stop, *args)`.
    OldSlicing { object: T, attempt: T, fallback: T, start: T, stop: T, args: T },
    /// `object.__exit__` for the exception, or for none.
    CtxExit { object: T, exception: T },
    /// Whether the object named `other` is an instance of `object`.
    InstanceCheck { object: T, other: T },
    /// Items of a container ahead of its iterator, for `numbers` (taken, taken from the iterator, count).
    Ahead { container: T, iterator: T, numbers: T },
    /// A request that this version does not know.
    Other { handler: i64, args: Vec<T> },
}

impl<T> Request<T> {
    /// The handler number.
    #[must_use]
    pub fn handler(&self) -> i64 {
        use handlers::*;
        match self {
            Self::Ping { .. } => PING,
            Self::Close => CLOSE,
            Self::GetRoot => GETROOT,
            Self::GetAttr { .. } => GETATTR,
            Self::DelAttr { .. } => DELATTR,
            Self::SetAttr { .. } => SETATTR,
            Self::Call { .. } => CALL,
            Self::CallAttr { .. } => CALLATTR,
            Self::Repr { .. } => REPR,
            Self::Str { .. } => STR,
            Self::Cmp { .. } => CMP,
            Self::Hash { .. } => HASH,
            Self::Dir { .. } => DIR,
            Self::Pickle { .. } => PICKLE,
            Self::Del { .. } => DEL,
            Self::Inspect { .. } => INSPECT,
            Self::BuffIter { .. } => BUFFITER,
            Self::OldSlicing { .. } => OLDSLICING,
            Self::CtxExit { .. } => CTXEXIT,
            Self::InstanceCheck { .. } => INSTANCECHECK,
            Self::Ahead { .. } => AHEAD,
            Self::Other { handler, .. } => *handler,
        }
    }

    /// What a user would call the request, for messages.
    #[must_use]
    pub fn describe(handler: i64) -> &'static str {
        use handlers::*;
        match handler {
            PING => "ping",
            CLOSE => "close",
            GETROOT => "root",
            GETATTR => "getattr",
            DELATTR => "delattr",
            SETATTR => "setattr",
            CALL => "call",
            CALLATTR => "method call",
            REPR => "repr",
            STR => "str",
            CMP => "comparison",
            HASH => "hash",
            DIR => "dir",
            PICKLE => "pickle",
            DEL => "del",
            INSPECT => "inspect",
            BUFFITER => "buffiter",
            OLDSLICING => "slicing",
            CTXEXIT => "context exit",
            INSTANCECHECK => "isinstance",
            AHEAD => "iteration",
            _ => "request",
        }
    }

    /// Writes the arguments.
    ///
    /// # Errors
    /// What the world or the wire refuses.
    pub fn write<W: World<Object = T>>(&self, world: &W, boxer: &mut Boxer<'_>) -> Result<(), W::Error> {
        let args: &[&T] = match self {
            Self::Ping { data } => &[data],
            Self::Close | Self::GetRoot => &[],
            Self::GetAttr { object, name } | Self::DelAttr { object, name } => &[object, name],
            Self::SetAttr { object, name, value } => &[object, name, value],
            Self::Call { object, args, kwargs } => &[object, args, kwargs],
            Self::CallAttr { object, name, args, kwargs } => &[object, name, args, kwargs],
            Self::Repr { object } | Self::Str { object } | Self::Hash { object } | Self::Dir { object } => {
                &[object]
            }
            Self::Cmp { object, other, op } => &[object, other, op],
            Self::Pickle { object, protocol } => &[object, protocol],
            Self::Del { object, count } => &[object, count],
            Self::Inspect { pack } => return Ok(boxer.inspect(pack)?),
            Self::BuffIter { object, count } => &[object, count],
            Self::OldSlicing { object, attempt, fallback, start, stop, args } => {
                &[object, attempt, fallback, start, stop, args]
            }
            Self::CtxExit { object, exception } => &[object, exception],
            Self::InstanceCheck { object, other } => &[object, other],
            Self::Ahead { container, iterator, numbers } => &[container, iterator, numbers],
            Self::Other { args, .. } => return boxer.arguments(world, &args.iter().collect::<Vec<_>>()),
        };
        boxer.arguments(world, args)
    }

    /// Builds a request from a message.
    ///
    /// # Errors
    /// [`BadRequest::Arguments`] if they are not those of this request, or what the world refuses to build.
    pub fn read<W>(world: &W, message: &mut Inbound<W::Shared>) -> Result<Self, BadRequest<W::Error>>
    where
        W: World<Object = T>,
    {
        let handler = message.handler();
        if handler == handlers::INSPECT
            && let Ok(pack) = message.inspected()
        {
            return Ok(Self::Inspect { pack });
        }
        Self::from_arguments(world, handler, message.arguments(world).map_err(BadRequest::World)?)
    }

    /// Makes a request of its handler's number and arguments. The id pack of an INSPECT is none of a world's objects, so that
    /// one only comes from a [message](Self::read).
    ///
    /// # Errors
    /// [`BadRequest::Arguments`] if they are not those of this request.
    pub fn from_arguments<W>(world: &W, handler: i64, args: Vec<T>) -> Result<Self, BadRequest<W::Error>>
    where
        W: World<Object = T>,
    {
        use handlers::*;
        let mut args = args.into_iter();
        let count = args.len();
        let wrong = BadRequest::Arguments { request: Self::describe(handler), count };
        let empty = || world.tuple(Vec::new()).map_err(BadRequest::World);
        macro_rules! take {
            () => {
                match args.next() {
                    Some(argument) => argument,
                    None => return Err(wrong),
                }
            };
        }
        let request = match handler {
            PING => Self::Ping { data: take!() },
            CLOSE => Self::Close,
            GETROOT => Self::GetRoot,
            GETATTR => Self::GetAttr { object: take!(), name: take!() },
            DELATTR => Self::DelAttr { object: take!(), name: take!() },
            SETATTR => Self::SetAttr { object: take!(), name: take!(), value: take!() },
            CALL => {
                Self::Call { object: take!(), args: take!(), kwargs: args.next().map_or_else(empty, Ok)? }
            }
            CALLATTR => Self::CallAttr {
                object: take!(),
                name: take!(),
                args: take!(),
                kwargs: args.next().map_or_else(empty, Ok)?,
            },
            REPR => Self::Repr { object: take!() },
            STR => Self::Str { object: take!() },
            CMP => {
                let (object, other) = (take!(), take!());
                let default_op = || world.str("__cmp__").map_err(BadRequest::World);
                Self::Cmp { object, other, op: args.next().map_or_else(default_op, Ok)? }
            }
            HASH => Self::Hash { object: take!() },
            DIR => Self::Dir { object: take!() },
            PICKLE => Self::Pickle { object: take!(), protocol: take!() },
            DEL => Self::Del { object: take!(), count: args.next().map_or_else(|| Ok(world.int(1)), Ok)? },
            BUFFITER => Self::BuffIter { object: take!(), count: take!() },
            OLDSLICING => Self::OldSlicing {
                object: take!(),
                attempt: take!(),
                fallback: take!(),
                start: take!(),
                stop: take!(),
                args: take!(),
            },
            CTXEXIT => Self::CtxExit { object: take!(), exception: take!() },
            INSTANCECHECK => Self::InstanceCheck { object: take!(), other: take!() },
            AHEAD => Self::Ahead { container: take!(), iterator: take!(), numbers: take!() },
            INSPECT => return Err(wrong),
            handler => return Ok(Self::Other { handler, args: args.collect() }),
        };
        if args.len() > 0 { Err(wrong) } else { Ok(request) }
    }
}

/// Why a message is not a request that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest<E> {
    /// The wrong number or kind of arguments.
    #[error("a {request} request does not take these {count} arguments")]
    Arguments {
        /// The request, as [`Request::describe`] names it.
        request: &'static str,
        /// How many arguments came.
        count: usize,
    },
    /// An argument could not be built.
    #[error("{0}")]
    World(E),
}

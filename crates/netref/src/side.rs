//! This side of a connection: its root object, its rules, and the proxies of the peer's objects. Both drivers use it.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use netref_core::extension::Features;
use netref_core::limits::Limits;
use netref_core::message::Handler;
use netref_core::policy::{Access, Denied, Rules, is_safe_by_default};
use netref_core::refs::{IdPack, PackRef, give_room_back};
use netref_core::request::{BadRequest, Request};

use crate::args::{Args, IntoArgs};
use crate::convert::IntoValue;
use crate::error::{Error, Exception, Result};
use crate::iter;
use crate::object::{BoundMethod, Class, ObjectRef};
use crate::peer::Peer;
use crate::place::Place;
use crate::raising::caught;
use crate::remote::{self, Remote};
use crate::repr::repr;
use crate::time_limit;
use crate::value::Value;

/// What this crate's objects understand beyond RPyC: there are no copies here.
pub(crate) const FEATURES: Features = Features { copies: false, descriptions: false, ..Features::ALL };

pub(crate) struct Side {
    pub(crate) root: ObjectRef,
    pub(crate) rules: Rules<'static>,
    pub(crate) limits: Limits,
    /// Where the peer is, for messages, or nothing.
    address: String,
    timeout: Mutex<Option<Duration>>,
    proxies: Mutex<HashMap<IdPack, Weak<remote::Inner>>>,
    /// The classes of what was lent.
    classes: Mutex<HashSet<Arc<Class>>>,
}

impl Side {
    pub(crate) fn new(
        root: ObjectRef,
        rules: Rules<'static>,
        limits: Limits,
        address: String,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            root,
            rules,
            limits,
            address,
            timeout: Mutex::new(timeout),
            proxies: Mutex::default(),
            classes: Mutex::default(),
        }
    }

    /// How long an operation of the calling thread waits.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        time_limit::of_block().unwrap_or_else(|| *self.timeout.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn timed_out(&self, handler: Handler<'_>, limit: Option<Duration>) -> Error {
        let what = match handler {
            Handler::Number(number) => Request::<Value>::describe(number).to_owned(),
            Handler::Name(name) => name.to_owned(),
        };
        let in_block = time_limit::of_block().is_some();
        let setting = if in_block { "netref::with_timeout" } else { "option timeout" };
        let peer = if self.address.is_empty() { "the peer" } else { &self.address };
        Error::TimedOut { what, peer: peer.to_owned(), limit: limit.unwrap_or_default(), setting }
    }

    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) {
        *self.timeout.lock().unwrap_or_else(PoisonError::into_inner) = timeout;
    }

    // ---- proxies

    /// The proxy of the object named `pack`, which was received once more.
    pub(crate) fn proxy(&self, pack: PackRef<'_>, peer: &Peer) -> Remote {
        let pack_key = pack.to_owned();
        let mut proxies = self.proxies();
        if let Some(inner) = proxies.get(&pack_key).and_then(Weak::upgrade) {
            drop(proxies);
            return Remote::received_again(inner);
        }
        let remote = Remote::new(pack, peer.clone());
        proxies.insert(pack_key, Arc::downgrade(remote.inner()));
        remote
    }

    /// The proxy is gone; a new one of the same object may have taken its place already.
    pub(crate) fn forget(&self, pack: &IdPack) {
        let mut proxies = self.proxies();
        if proxies.get(pack).is_some_and(|inner| inner.strong_count() == 0) {
            proxies.remove(pack);
            give_room_back(&mut proxies);
        }
    }

    fn proxies(&self) -> MutexGuard<'_, HashMap<IdPack, Weak<remote::Inner>>> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The class that stands for all with this description. Classes are kept for as long as the connection, and there are objects
    /// that make theirs anew whenever they are asked.
    pub(crate) fn known_class(&self, class: Arc<Class>) -> Arc<Class> {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = classes.get(&class).cloned();
        known.unwrap_or_else(|| {
            classes.insert(class.clone());
            class
        })
    }

    // ---- requests

    /// Carries out a request. Returns what it did, for a traceback, beside the outcome. A panic is an error like others.
    pub(crate) fn perform(
        &self,
        peer: &Peer,
        request: Result<Request<Value>, BadRequest<Error>>,
    ) -> (Place, Result<Value>) {
        let (place, action) = self.plan(request);
        (place, action.and_then(|action| self.carry_out(peer, action)))
    }

    /// What a request comes to, and how a traceback describes it. No method of any object is called yet.
    pub(crate) fn plan(&self, request: Result<Request<Value>, BadRequest<Error>>) -> (Place, Result<Action>) {
        let mut place = Place::Words("request");
        let request = match request {
            Ok(request) => request,
            Err(BadRequest::World(error)) => return (Place::Words("arguments"), Err(error)),
            Err(error) => return (place, Err(Error::raise("TypeError", error.to_string()))),
        };
        let action = caught(|| {
            place = Place::of(&request);
            self.resolve(request)
        });
        (place, action)
    }

    /// Does it. A panic is an error like others.
    pub(crate) fn carry_out(&self, peer: &Peer, action: Action) -> Result<Value> {
        caught(|| self.act(peer, action))
    }

    fn resolve(&self, request: Request<Value>) -> Result<Action> {
        if let Some(remote) = third_party(&request) {
            return Ok(Action::Relay { remote: remote.clone(), request });
        }
        match request {
            Request::Call { object, args, kwargs } => {
                let args = arguments(args, kwargs)?;
                match object {
                    Value::Object(object) if object.class().has("__call__") => {
                        Ok(Action::Call { object, name: "__call__".to_owned(), args })
                    }
                    other => Err(Error::raise(
                        "TypeError",
                        format!("{:?} object is not callable", other.type_name()),
                    )),
                }
            }
            Request::CallAttr { object, name, args, kwargs } => {
                let args = arguments(args, kwargs)?;
                let (object, name) = self.access(Access::Get, &object, name)?;
                let object = object.clone();
                if object.class().has(&name) {
                    Ok(Action::Call { object, name, args })
                } else {
                    Ok(Action::CallAttribute { object, name, args })
                }
            }
            other => Ok(Action::Other(other)),
        }
    }

    fn act(&self, peer: &Peer, action: Action) -> Result<Value> {
        match action {
            Action::Call { object, name, args } => object.call_method(&name, args),
            Action::CallAttribute { object, name, args } => {
                let attribute = object.get_attr(&name)?;
                self.act(peer, self.resolve(args_request(attribute, args))?)
            }
            Action::Relay { remote, request } => remote.request(request),
            Action::Other(request) => self.serve(peer, request),
        }
    }

    fn serve(&self, peer: &Peer, request: Request<Value>) -> Result<Value> {
        match request {
            Request::Ping { data } => Ok(data),
            Request::Close => Ok(Value::None),
            Request::GetRoot => Ok(Value::Object(self.root.clone())),
            Request::GetAttr { object, name } => self.get_attr(&object, name),
            Request::SetAttr { object, name, value } => {
                let (object, name) = self.access(Access::Set, &object, name)?;
                object.set_attr(&name, value).map(|()| Value::None)
            }
            Request::DelAttr { object, name } => {
                let (object, name) = self.access(Access::Delete, &object, name)?;
                object.del_attr(&name).map(|()| Value::None)
            }
            Request::Repr { object } => Ok(repr(&object).into_value()),
            Request::Str { object } => Ok(match object {
                Value::Object(object) => object.str(),
                Value::Str(text) => text,
                other => repr(&other),
            }
            .into_value()),
            Request::Cmp { object, other, op } => compare(&object, other, &op.extract::<String>()?),
            Request::Hash { object } => hash(&object),
            Request::Dir { object } => Ok(self.dir(&object)),
            Request::Pickle { .. } => {
                Err(Error::raise("ValueError", "pickling is disabled: Rust objects have no pickle"))
            }
            Request::Inspect { pack } => inspect(peer, &pack),
            Request::BuffIter { object, count } => self.next_items(&object, count.extract()?),
            Request::OldSlicing { object, attempt, fallback, start, stop, args } => {
                let slice = Value::Slice(Box::new([start.clone(), stop.clone(), Value::None]));
                let rest: Vec<Value> = args.extract()?;
                let with =
                    |first: Vec<Value>| first.into_iter().chain(rest.clone()).collect::<Vec<_>>().into_args();
                let (owner, name) = self.access(Access::Get, &object, attempt)?;
                owner.call_method(&name, with(vec![slice])).or_else(|_| {
                    let (owner, name) = self.access(Access::Get, &object, fallback)?;
                    owner.call_method(&name, with(vec![start, stop]))
                })
            }
            Request::CtxExit { object, exception } => {
                let (object, name) = self.access(Access::Get, &object, "__exit__".into_value())?;
                object.call_method(&name, (exception.clone(), exception, Value::None).into_args())
            }
            Request::InstanceCheck { .. } => Ok(Value::Bool(false)),
            Request::Ahead { container, iterator, numbers } => {
                self.look_ahead(&container, &iterator, numbers.extract()?)
            }
            Request::Other { handler, .. } => Err(Exception::new("KeyError").with_arg(handler).into()),
            _ => Err(Error::raise("KeyError", "this request is not known here")),
        }
    }

    fn get_attr(&self, object: &Value, name: Value) -> Result<Value> {
        let (object, name) = self.access(Access::Get, object, name)?;
        if object.class().has(&name) {
            let method = BoundMethod { object: object.clone(), name };
            return Ok(Value::Object(Arc::new(method)));
        }
        match object.get_attr(&name) {
            // Every Python object has one, and Python's tools count on it.
            Err(Error::Raised(error)) if name == "__doc__" && error.is("AttributeError") => Ok(Value::None),
            outcome => outcome,
        }
    }

    /// Finds the attribute that `name` reaches under the rules.
    fn access<'o>(&self, access: Access, object: &'o Value, name: Value) -> Result<(&'o ObjectRef, String)> {
        let mut name = match name {
            Value::Bytes(name) => {
                String::from_utf8(name.into()).map_err(|_| Error::raise("TypeError", "name is not UTF-8"))?
            }
            name => name.extract().map_err(|_| Error::raise("TypeError", "name must be a string"))?,
        };
        let Value::Object(object) = object else {
            return Err(Error::no_attribute(&object.type_name(), &name));
        };
        let class = object.class();
        let has = |name: &str| class.has(name) || object.attributes().iter().any(|known| known == name);
        // What an object lists, its author has exposed: there is a prefixed name for each, as in Python, and no other. So a name
        // with the prefix reaches what follows that, and one without reaches the attribute with the prefix as itself.
        let bare = name.strip_prefix(&*self.rules.prefix);
        let after_prefix = name.len() - bare.unwrap_or(&name).len();
        let exposed = || Ok::<_, Infallible>(has(&name).then_some(0));
        let has_plain = || Ok(bare.is_some_and(has));
        let Ok(found) =
            self.rules.resolve(access, &name, is_safe_by_default, after_prefix, exposed, has_plain);
        match found {
            Some(start) => {
                name.drain(..start);
                Ok((object, name))
            }
            // What may be set need not be there yet: the object itself decides.
            None if access == Access::Set && self.rules.set && !name.starts_with('_') => Ok((object, name)),
            None => Err(Error::raise("AttributeError", Denied { name }.to_string())),
        }
    }

    fn look_ahead(
        &self,
        container: &Value,
        iterator: &Value,
        (taken, taken_there, count): (usize, usize, usize),
    ) -> Result<Value> {
        let (Value::Object(_), Value::Object(iterator)) = (container, iterator) else {
            return Ok(Value::None); // of a third process
        };
        let (container, _) = self.access(Access::Get, container, "__iter__".into_value())?;
        let count = count.min(self.limits.max_buffiter);
        let seen = iter::look_ahead(container, iterator, taken, taken_there, count);
        Ok(seen.map_or(Value::None, IntoValue::into_value))
    }

    fn dir(&self, object: &Value) -> Value {
        let Value::Object(object) = object else { return Value::Tuple(Vec::new()) };
        let class = object.class();
        let mut names: Vec<_> = class.method_names().map(str::to_owned).chain(object.attributes()).collect();
        names.sort();
        names.dedup();
        names.into_value()
    }

    fn next_items(&self, object: &Value, count: usize) -> Result<Value> {
        let Value::Object(object) = object else {
            return Err(Error::raise(
                "TypeError",
                format!("{:?} object is not iterable", object.type_name()),
            ));
        };
        let iterator = if object.class().has("__next__") {
            object.clone()
        } else {
            object.call_method("__iter__", Args::default())?.extract()?
        };
        let mut items = Vec::new();
        for _ in 0..count.min(self.limits.max_buffiter) {
            match iterator.call_method("__next__", Args::default()) {
                Ok(item) => items.push(item),
                Err(error) if error.exception().is_some_and(|exception| exception.is("StopIteration")) => {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Value::Tuple(items))
    }
}

/// What a request comes to, before any method of an object is called.
pub(crate) enum Action {
    /// Calls a method.
    Call { object: ObjectRef, name: String, args: Args },
    /// Reads an attribute and calls what it finds.
    CallAttribute { object: ObjectRef, name: String, args: Args },
    /// Asks a third process, whose object the request is about.
    Relay { remote: Remote, request: Request<Value> },
    /// Everything else.
    Other(Request<Value>),
}

/// The object of a third process that the request is about, if it is: the request is then asked there.
fn third_party(request: &Request<Value>) -> Option<&Remote> {
    match request {
        Request::GetAttr { object: Value::Remote(remote), .. }
        | Request::SetAttr { object: Value::Remote(remote), .. }
        | Request::DelAttr { object: Value::Remote(remote), .. }
        | Request::Call { object: Value::Remote(remote), .. }
        | Request::CallAttr { object: Value::Remote(remote), .. }
        | Request::Repr { object: Value::Remote(remote) }
        | Request::Str { object: Value::Remote(remote) }
        | Request::Cmp { object: Value::Remote(remote), .. }
        | Request::Hash { object: Value::Remote(remote) }
        | Request::Dir { object: Value::Remote(remote) }
        | Request::Pickle { object: Value::Remote(remote), .. }
        | Request::BuffIter { object: Value::Remote(remote), .. }
        | Request::OldSlicing { object: Value::Remote(remote), .. }
        | Request::CtxExit { object: Value::Remote(remote), .. } => Some(remote),
        _ => None,
    }
}

fn arguments(args: Value, kwargs: Value) -> Result<Args> {
    let wrong = |value: &Value| Error::raise("TypeError", format!("bad arguments: {}", value.type_name()));
    let Value::Tuple(positional) = args else { return Err(wrong(&args)) };
    let Value::Tuple(pairs) = kwargs else { return Err(wrong(&kwargs)) };
    let mut args = positional.into_args();
    for pair in pairs {
        let (name, value): (String, Value) = pair.extract()?;
        args.named.push((name, value));
    }
    Ok(args)
}

fn args_request(object: Value, args: Args) -> Request<Value> {
    let named = args.named.into_iter().map(|(name, value)| Value::Tuple(vec![Value::Str(name), value]));
    Request::Call { object, kwargs: Value::Tuple(named.collect()), args: Value::Tuple(args.positional) }
}

fn compare(object: &Value, other: Value, op: &str) -> Result<Value> {
    let identical = *object == other;
    match object {
        Value::Object(object) if object.class().has(op) => object.call_method(op, (other,).into_args()),
        _ => Ok(match op {
            "__eq__" if identical => Value::Bool(true),
            "__ne__" if identical => Value::Bool(false),
            "__eq__" | "__ne__" | "__lt__" | "__le__" | "__gt__" | "__ge__" => Value::NotImplemented,
            _ => return Err(Error::raise("AttributeError", format!("cannot access {op:?}"))),
        }),
    }
}

fn hash(object: &Value) -> Result<Value> {
    // A keyed hash, so that it tells nothing about addresses.
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let hash = |bytes: &[u8]| ((KEY.hash_one(bytes) >> 2) as i64).into_value();
    match object {
        Value::Object(object) if object.class().has("__hash__") => {
            object.call_method("__hash__", Args::default())
        }
        Value::Object(object) if object.class().has("__eq__") => {
            Err(Error::raise("TypeError", format!("unhashable type: {:?}", object.class().name())))
        }
        Value::Object(object) => Ok(hash(&Arc::as_ptr(object).cast::<()>().addr().to_ne_bytes())),
        other => Ok(hash(repr(other).as_bytes())),
    }
}

fn inspect(peer: &Peer, pack: &IdPack) -> Result<Value> {
    let unknown = || Error::raise("KeyError", format!("{} is not lent to this peer", pack.name));
    let object = peer.lent_object(pack).ok_or_else(unknown)?;
    methods(&object)
}

/// The methods of an object, with their documentation.
pub(crate) fn methods(object: &ObjectRef) -> Result<Value> {
    let methods = object.inspect()?.into_iter().map(|method| (method.name, method.doc));
    Ok(methods.collect::<Vec<_>>().into_value())
}

//! What a peer asks for, carried out on Python objects.

use std::sync::Arc;
use std::time::Instant;

use netref::threads::{Link, StartError};
use netref_core::boxing::Boxer;
use netref_core::extension::COPY;
use netref_core::message::{Inbound, Seq};
use netref_core::refs::IdPack;
use netref_core::request::Request;
use netref_core::session::ReplyKind;
use netref_core::world::World;
use pyo3::exceptions::{
    PyException, PyKeyError, PyKeyboardInterrupt, PyRuntimeError, PyStopIteration, PySystemExit, PyTypeError,
    PyValueError,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PySlice, PyString, PyTuple};

use crate::ahead;
use crate::classes::ProxyClasses;
use crate::connection::Connection;
use crate::copying;
use crate::coroutines;
use crate::errors::{WorldError, from_bad_request, from_start};
use crate::host::PyHost;
use crate::policy::Policy;
use crate::proxy::BaseNetref;
use crate::steps;
use crate::user_code;
use crate::world::{Objects, Shared};

/// Carries out a request and answers it, whatever happens.
///
/// # Errors
/// What is to end this thread's serving too, by the connection's settings.
pub(crate) fn handle<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    mut message: Inbound<Shared>,
) -> PyResult<()> {
    let _held = message.take_held();
    if connection.get().has_own_steps() {
        return steps::handle(connection, link, message);
    }
    let seq = message.seq();
    let outcome = Request::read(&Objects::of(connection, link), &mut message)
        .map_err(from_bad_request)
        .and_then(|request| {
            let may_go_on =
                matches!(request, Request::Call { .. } | Request::CallAttr { .. } | Request::BuffIter { .. });
            Ok((perform(connection, link, request)?, may_go_on))
        });
    drop(message);
    let answered = outcome.and_then(|(value, may_go_on)| {
        let rest = if may_go_on { coroutines::take(connection, link, seq, value)? } else { Some(value) };
        rest.map_or(Ok(()), |value| answer(connection, link, seq, &value, None))
    });
    let Err(error) = answered else { return Ok(()) };
    answer_exception(connection, link, seq, &error, None);
    if ends_serving(connection, &error)? { Err(error) } else { Ok(()) }
}

/// Whether an exception that a request raised is also raised where the connection is served.
pub(crate) fn ends_serving(connection: &Bound<'_, Connection>, error: &PyErr) -> PyResult<bool> {
    let py = connection.py();
    if error.get_type(py).is(py.get_type::<PySystemExit>()) {
        return Ok(connection.get().settings(py)?.propagate_system_exit);
    }
    if error.get_type(py).is(py.get_type::<PyKeyboardInterrupt>()) {
        return Ok(connection.get().settings(py)?.propagate_keyboard_interrupt);
    }
    Ok(false)
}

/// Answers a request with its result, waiting for room until the deadline at most.
///
/// # Errors
/// What about the result cannot be sent. Then another answer must be.
pub(crate) fn answer<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    seq: Seq,
    value: &Bound<'py, PyAny>,
    deadline: Option<Instant>,
) -> PyResult<()> {
    let world = Objects::of(connection, link);
    match link.reply_until(seq, ReplyKind::Result, deadline, |boxer| boxer.object(&world, value)) {
        Err(StartError::Argument(error)) => Err(error.0),
        Err(StartError::Message(error)) => Err(WorldError::from(error).0),
        _ => Ok(()),
    }
}

/// Answers a request with an exception, or with what can be said of it, waiting for room until the deadline at most.
pub(crate) fn answer_exception(
    connection: &Bound<'_, Connection>,
    link: &Arc<Link<PyHost>>,
    seq: Seq,
    error: &PyErr,
    deadline: Option<Instant>,
) {
    let py = connection.py();
    if reply_exception(connection, link, seq, error, deadline).is_err() {
        let class = error.get_type(py).name().map_or_else(|_| "Exception".into(), |name| name.to_string());
        let text = format!("{class}, which could not be described");
        // One short text: nothing is left that could fail.
        let _ = reply_exception(connection, link, seq, &PyRuntimeError::new_err(text), deadline);
    }
}

fn reply_exception(
    connection: &Bound<'_, Connection>,
    link: &Arc<Link<PyHost>>,
    seq: Seq,
    error: &PyErr,
    deadline: Option<Instant>,
) -> Result<(), StartError<WorldError>> {
    let py = connection.py();
    let world = Objects::of(connection, link);
    // How most iterations end: not worth a traceback, and without one on the wire.
    if error.get_type(py).is(py.get_type::<PyStopIteration>()) {
        return link.reply_until(seq, ReplyKind::Exception, deadline, |boxer| {
            boxer.out.int(1);
            Ok(())
        });
    }
    let dumped = connection
        .call_method1(intern!(py, "_box_exc"), (error.get_type(py), error.value(py), error.traceback(py)))
        .map_err(|error| StartError::Argument(WorldError(error)))?;
    link.reply_until(seq, ReplyKind::Exception, deadline, |boxer| {
        if world.write(&dumped, &mut boxer.out)? { Ok(()) } else { Err(WorldError::not_plain(&dumped)) }
    })
}

/// Does what a request asks for.
pub(crate) fn perform<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    request: Request<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = connection.py();
    let none = || py.None().into_bound(py);
    let policy = Policy { connection };
    match request {
        Request::Ping { data } => Ok(data),
        Request::Close => Ok(none()),
        Request::GetRoot => connection.getattr(intern!(py, "_local_root")),
        Request::GetAttr { object, name } => policy.get(&object, &name),
        Request::SetAttr { object, name, value } => policy.set(&object, &name, value).map(|()| none()),
        Request::DelAttr { object, name } => policy.delete(&object, &name).map(|()| none()),
        Request::Call { object, args, kwargs } => {
            policy.check_call(&object)?;
            copying::returned(&object, call(&object, args, &kwargs)?)
        }
        Request::CallAttr { object, name, args, kwargs } => {
            let method = policy.get(&object, &name)?;
            copying::returned(&method, call(&method, args, &kwargs)?)
        }
        Request::Repr { object } => {
            policy.check_strictly(&object, intern!(py, "__repr__"))?;
            user_code::repr(&object)
        }
        Request::Str { object } => {
            policy.check_strictly(&object, intern!(py, "__str__"))?;
            user_code::str(&object)
        }
        Request::Cmp { object, other, op } => policy.compare(&object, &other, &op),
        Request::Hash { object } => {
            policy.check_strictly(&object, intern!(py, "__hash__"))?;
            Ok(user_code::hash(&object)?.into_pyobject(py)?.into_any())
        }
        Request::Dir { object } => {
            policy.check_strictly(&object, intern!(py, "__dir__"))?;
            Ok(policy.names(&object)?.into_any())
        }
        Request::Pickle { object, protocol } => {
            connection.get().require_pickle(connection)?;
            py.import(intern!(py, "pickle"))?.call_method1(intern!(py, "dumps"), (object, protocol))
        }
        Request::Inspect { pack } => inspect(&policy, link, &pack),
        Request::BuffIter { object, count } => {
            let iterator = policy.iterator(&object)?;
            match coroutines::next_items(iterator.as_any(), &count)? {
                Some(coming) => Ok(coming),
                None => next_items(link, &iterator, count.extract()?),
            }
        }
        Request::OldSlicing { object, attempt, fallback, start, stop, args } => {
            let rest: Bound<'py, PyTuple> = args.cast_into()?;
            let slice = py.get_type::<PySlice>().call1((&start, &stop))?;
            let with = |mut all: Vec<Bound<'py, PyAny>>| {
                all.extend(rest.iter());
                PyTuple::new(py, all)
            };
            match policy.get(&object, &attempt).and_then(|method| method.call1(with(vec![slice])?)) {
                Ok(value) => Ok(value),
                Err(_) => policy.get(&object, &fallback)?.call1(with(vec![start, stop])?),
            }
        }
        Request::CtxExit { object, exception } => context_exit(&policy, &object, &exception),
        Request::InstanceCheck { object, other } => {
            let module = py.import(intern!(py, "netref.core.netref"))?;
            module.call_method1(intern!(py, "_is_instance"), (connection, object, other))
        }
        Request::Ahead { container, iterator, numbers } => {
            ahead::look_ahead(&policy, &container, &iterator, &numbers, link.limits().max_buffiter)
        }
        Request::Other { handler: COPY, args } => copying::requested(&args),
        Request::Other { handler, .. } => {
            Err(PyKeyError::new_err(format!("{handler} is not a request that this side knows")))
        }
        request => Err(PyKeyError::new_err(request.handler())),
    }
}

fn call<'py>(
    object: &Bound<'py, PyAny>,
    args: Bound<'py, PyAny>,
    kwargs: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let args: Bound<'py, PyTuple> = match args.cast_into() {
        Ok(args) => args,
        Err(error) => error
            .into_inner()
            .try_iter()?
            .collect::<PyResult<Vec<_>>>()
            .and_then(|args| PyTuple::new(py, args))?,
    };
    let pairs = kwargs.cast::<PyTuple>().ok();
    if pairs.is_some_and(|pairs| pairs.is_empty()) {
        return user_code::call(object, &args, None);
    }
    if let Some(pairs) = pairs {
        // Before they are made keys: numbers can be chosen to have the same hash.
        for pair in pairs.iter_borrowed() {
            let is_named = pair.cast::<PyTuple>().is_ok_and(|pair| {
                pair.len() == 2 && pair.get_item(0).is_ok_and(|name| name.is_exact_instance_of::<PyString>())
            });
            if !is_named {
                return Err(PyTypeError::new_err("keywords must be strings, in pairs with their values"));
            }
        }
    }
    let named = PyDict::from_sequence(kwargs)?;
    user_code::call(object, &args, Some(&named))
}

fn inspect<'py>(
    policy: &Policy<'_, 'py>,
    link: &Arc<Link<PyHost>>,
    pack: &IdPack,
) -> PyResult<Bound<'py, PyAny>> {
    let py = policy.connection.py();
    let object = link.session().exports().get(pack.as_ref()).cloned();
    let Some(object) = object else {
        return Err(PyKeyError::new_err(format!("{} is not an object lent to this peer", pack.name)));
    };
    methods(policy, link, &object.into_bound(py))
}

/// The methods of an object, with their documentation, as far as the peer may use them.
fn methods<'py>(
    policy: &Policy<'_, 'py>,
    link: &Arc<Link<PyHost>>,
    object: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let module = py.import(intern!(py, "netref.core.netref"))?;
    let methods = module.call_method1(intern!(py, "_inspect"), (object,))?;
    if object.cast::<BaseNetref>().is_ok() {
        return Ok(methods);
    }
    policy.methods(object, methods.cast()?, link.limits().max_methods)
}

/// Says what the object named `pack` can do before the peer is told of it, unless it knows by the name. What cannot be said is left
/// for the peer to ask, which is told why then.
///
/// # Errors
/// What is no error of the object's, such as an interrupt.
pub(crate) fn describe<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    object: &Bound<'py, PyAny>,
    pack: &IdPack,
) -> PyResult<()> {
    let py = object.py();
    // What a third peer's object can do would have to be asked there.
    if object.cast::<BaseNetref>().is_ok() || ProxyClasses::builtin(py, &pack.name)?.is_some() {
        return Ok(());
    }
    let world = Objects::plain(py);
    let described = methods(&Policy { connection }, link, object).and_then(|methods| {
        let write = |boxer: &mut Boxer<'_>| match boxer.description(&world, pack, &methods)? {
            true => Ok(()),
            false => Err(WorldError::not_plain(&methods)),
        };
        link.describe(write).map_err(from_start)
    });
    match described {
        Err(error) if !error.is_instance_of::<PyException>(py) => Err(error),
        _ => Ok(()),
    }
}

fn next_items<'py>(
    link: &Arc<Link<PyHost>>,
    iterator: &Bound<'py, PyIterator>,
    count: i128,
) -> PyResult<Bound<'py, PyAny>> {
    let py = iterator.py();
    let most = link.limits().max_buffiter;
    if count < 0 {
        return Err(PyValueError::new_err(format!("{count} items are asked for")));
    }
    let count = usize::try_from(count).unwrap_or(most).min(most);
    let next = |_| user_code::next(iterator).transpose();
    let items = (0..count).map_while(next).collect::<PyResult<Vec<_>>>()?;
    Ok(PyTuple::new(py, items)?.into_any())
}

/// A stock peer can only send the exception's class, by reference; what its `__exit__` here can be given is an exception
/// of the same class, if that is a built-in one.
fn context_exit<'py>(
    policy: &Policy<'_, 'py>,
    object: &Bound<'py, PyAny>,
    exception: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let module = py.import(intern!(py, "netref.core.netref"))?;
    let info = module.call_method1(intern!(py, "_local_exception"), (exception,))?;
    let exit = policy.get(object, intern!(py, "__exit__").as_any())?;
    user_code::call(&exit, &info.cast_into::<PyTuple>()?, None)
}

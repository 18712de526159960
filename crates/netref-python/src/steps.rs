//! The steps that a message goes through, one by one, for the Python methods of connections whose programs have replaced
//! some of them (`netref.core.steps`).
//!
//! Such a connection's messages are made and opened by those methods, from boxes as they are on the wire. Frames, numbers,
//! the tables of references, DEL, CLOSE and plain PINGs stay the session's business.

use std::sync::Arc;

use netref::threads::{Call, Link};
use netref_core::boxing::Boxer;
use netref_core::message::{Inbound, Seq};
use netref_core::policy::Access;
use netref_core::refs::IdPack;
use netref_core::request::{Request, handlers};
use netref_core::session::ReplyKind;
use netref_core::world::{Reference, World};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::connection::Connection;
use crate::errors::{WorldError, from_bad_request, from_start};
use crate::exit;
use crate::host::PyHost;
use crate::policy::Policy;
use crate::proxy::{self, BaseNetref};
use crate::requests;
use crate::result::AsyncResult;
use crate::world::{Objects, Shared};

/// Has `_dispatch_request` carry out a request and answer it.
///
/// # Errors
/// What it raises that is to end this thread's serving too.
pub(crate) fn handle(
    connection: &Bound<'_, Connection>,
    link: &Arc<Link<PyHost>>,
    message: Inbound<Shared>,
) -> PyResult<()> {
    let (seq, handler) = (message.seq(), message.handler());
    let dispatch = intern!(connection.py(), "_dispatch_request");
    let outcome = message
        .into_box(&Objects::of(connection, link))
        .map_err(PyErr::from)
        .and_then(|(arguments, _kept)| connection.call_method1(dispatch, (seq, (handler, arguments))));
    let Err(error) = outcome else { return Ok(()) };
    // If it has answered before it failed, the peer takes no notice of a second answer.
    requests::answer_exception(connection, link, seq, &error, None);
    if requests::ends_serving(connection, &error)? { Err(error) } else { Ok(()) }
}

/// The result in a reply, as `_unbox` makes it.
pub(crate) fn result<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    message: Inbound<Shared>,
) -> PyResult<Bound<'py, PyAny>> {
    let (boxed, _kept) = message.into_box(&Objects::of(connection, link))?;
    connection.call_method1(intern!(connection.py(), "_unbox"), (boxed,))
}

/// A number for a request.
#[pyfunction]
pub(crate) fn take_number(connection: &Bound<'_, Connection>) -> PyResult<Seq> {
    Ok(connection.get().link()?.session().take_number())
}

/// Sends a message: `(handler, box of its arguments)` for a request, a result's box, or an exception as plain data.
///
/// The reply to a request goes to what the connection's `_request_callbacks` has under its number.
///
/// :param lent: id packs of references lent for the message; emptied once it answers for them
#[pyfunction]
#[pyo3(signature = (connection, msg, seq, args, lent=None))]
pub(crate) fn send<'py>(
    connection: &Bound<'py, Connection>,
    msg: u8,
    seq: Seq,
    args: &Bound<'py, PyAny>,
    lent: Option<&Bound<'py, PyList>>,
) -> PyResult<()> {
    let link = connection.get().link()?;
    let kind = match msg {
        1 => return send_request(connection, link, seq, args, lent),
        2 => ReplyKind::Result,
        3 => ReplyKind::Exception,
        _ => return Err(PyValueError::new_err(format!("a message is of kind 1, 2 or 3, not {msg}"))),
    };
    link.reply(seq, kind, |boxer| write(connection, link, boxer, args, lent)).map_err(from_start)
}

fn send_request<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    seq: Seq,
    args: &Bound<'py, PyAny>,
    lent: Option<&Bound<'py, PyList>>,
) -> PyResult<()> {
    let py = connection.py();
    let (handler, arguments): (i64, Bound<'py, PyAny>) = args.extract()?;
    let callbacks: Bound<'py, PyDict> =
        connection.getattr(intern!(py, "_request_callbacks"))?.cast_into().map_err(PyErr::from)?;
    let result = callbacks.get_item(seq)?.and_then(|callback| callback.cast_into::<AsyncResult>().ok());
    if result.is_some() {
        callbacks.del_item(seq)?;
    }
    let write = |boxer: &mut Boxer<'_>| write(connection, link, boxer, &arguments, lent);
    let call = link.start_numbered(seq, handler, write).map_err(from_start)?;
    match result {
        Some(result) => AsyncResult::is_sent(&result, call, None),
        None => deliver(connection, seq, &call),
    }
    Ok(())
}

/// Has the reply go to `_seq_request_callback`.
fn deliver(connection: &Bound<'_, Connection>, seq: Seq, call: &Arc<Call<Shared>>) {
    let (connection, awaited) = (connection.clone().unbind(), call.clone());
    let on_reply = move || {
        let _ = exit::attach(|py| {
            let Some(outcome) = awaited.take() else { return };
            let connection = connection.bind(py);
            let args = match Connection::finish(connection, outcome) {
                Ok(value) => (2, seq, false, value),
                Err(error) => (3, seq, true, error.into_value(py).into_bound(py).into_any()),
            };
            if let Err(error) = connection.call_method1(intern!(py, "_seq_request_callback"), args) {
                error.write_unraisable(py, Some(connection.as_any()));
            }
        });
    };
    if let Err(on_reply) = call.on_completion(Box::new(on_reply)) {
        on_reply();
    }
}

fn write<'py>(
    connection: &Bound<'py, Connection>,
    link: &Arc<Link<PyHost>>,
    boxer: &mut Boxer<'_>,
    value: &Bound<'py, PyAny>,
    lent: Option<&Bound<'py, PyList>>,
) -> Result<(), WorldError> {
    if let Some(lent) = lent {
        boxer.answer_for(read_packs(lent)?);
        lent.del_slice(0, lent.len())?;
    }
    let is_plain = Objects::of(connection, link).write(value, &mut boxer.out)?;
    if is_plain { Ok(()) } else { Err(WorldError::not_plain(value)) }
}

/// Names an object to the peer by a pair (label, id pack). If it is one of ours, that lends it once more.
#[pyfunction]
pub(crate) fn refer<'py>(
    connection: &Bound<'py, Connection>,
    object: &Bound<'py, PyAny>,
) -> PyResult<(i64, Bound<'py, PyTuple>)> {
    let link = connection.get().link()?;
    let (label, pack) = match Objects::of(connection, link).refer(object)? {
        Reference::Theirs(pack) => (3, pack),
        Reference::Lent(pack) => (4, pack),
    };
    Ok((label, proxy::pack_tuple(connection.py(), pack.as_ref())?))
}

/// Takes back references that were lent, each once, for a message that is not sent.
#[pyfunction]
pub(crate) fn take_back<'py>(connection: &Bound<'py, Connection>, lent: &Bound<'py, PyList>) -> PyResult<()> {
    let packs = read_packs(lent)?;
    let garbage = connection.get().link()?.session().exports().roll_back(&packs);
    drop(garbage);
    Ok(())
}

/// The object of ours that the peer names by an id pack.
///
/// :raises KeyError: if it is not lent to the peer
#[pyfunction]
pub(crate) fn lent<'py>(
    connection: &Bound<'py, Connection>,
    id_pack: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let link = connection.get().link()?;
    let pack = read_pack(id_pack)?;
    let found = link.session().exports().get(pack.as_ref()).cloned();
    let object = found
        .ok_or_else(|| PyKeyError::new_err(format!("{} is not an object lent to this peer", pack.name)))?;
    Ok(object.into_bound(connection.py()))
}

/// The live proxy that the native part has of the peer's object named, received once more; or None.
#[pyfunction]
pub(crate) fn received<'py>(
    connection: &Bound<'py, Connection>,
    id_pack: &Bound<'py, PyTuple>,
) -> PyResult<Option<Bound<'py, BaseNetref>>> {
    let link = connection.get().link()?;
    let proxy = link.host().live_proxy(connection.py(), read_pack(id_pack)?.as_ref());
    if let Some(proxy) = &proxy {
        proxy.get().received_again();
    }
    Ok(proxy)
}

/// Makes a proxy of the peer's object named. A class not met before costs one round trip.
#[pyfunction]
pub(crate) fn make_proxy<'py>(
    connection: &Bound<'py, Connection>,
    id_pack: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, BaseNetref>> {
    let link = connection.get().link()?;
    let pack = read_pack(id_pack)?;
    let class = link.host().classes().get(connection, pack.as_ref())?;
    proxy::create(&class, connection, link, pack.as_ref())
}

fn read_packs(id_packs: &Bound<'_, PyList>) -> PyResult<Vec<IdPack>> {
    id_packs.iter().map(|pack| read_pack(pack.cast()?)).collect()
}

fn read_pack(id_pack: &Bound<'_, PyTuple>) -> PyResult<IdPack> {
    let (name, class, instance): (String, i64, i64) = id_pack.extract()?;
    Ok(IdPack { name: name.into(), class, instance })
}

/// Does what a request asks for.
#[pyfunction]
#[pyo3(signature = (connection, handler, *args))]
pub(crate) fn perform<'py>(
    connection: &Bound<'py, Connection>,
    handler: i64,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let link = connection.get().link()?;
    if handler == handlers::INSPECT {
        let (id_pack,): (Bound<'py, PyTuple>,) = args.extract()?;
        return requests::perform(connection, link, Request::Inspect { pack: read_pack(&id_pack)? });
    }
    let world = Objects::of(connection, link);
    let request =
        Request::from_arguments(&world, handler, args.iter().collect()).map_err(from_bad_request)?;
    requests::perform(connection, link, request)
}

/// The name of the attribute that `name` reaches, by the connection's settings.
///
/// :param perm: `"allow_getattr"`, `"allow_setattr"` or `"allow_delattr"`
/// :raises AttributeError: if it reaches none
#[pyfunction]
pub(crate) fn check_attr<'py>(
    connection: &Bound<'py, Connection>,
    obj: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    perm: &str,
) -> PyResult<Bound<'py, PyString>> {
    let access = match perm {
        "allow_getattr" => Access::Get,
        "allow_setattr" => Access::Set,
        "allow_delattr" => Access::Delete,
        _ => return Err(PyValueError::new_err(format!("{perm:?} is no permission"))),
    };
    Policy { connection }.resolve(access, obj, name)
}

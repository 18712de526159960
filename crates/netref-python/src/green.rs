//! Connections of programs that gevent has patched: waiting is gevent's, and requests of the peer run in greenlets.
//!
//! The driver's own threads read. What they have for the program they hand to the hub that the connection was made under, by
//! way of `netref.core.green.Hub`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use netref::threads::{Call, Interrupted, Link, WaitError};
use netref_core::message::Inbound;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::host::{self, PyHost};
use crate::world::Shared;
use crate::{exit, requests};

/// Waits until `call` completes: in a greenlet if `link` is for those, and else by reading.
///
/// # Errors
/// As of [`Link::wait`].
pub(crate) fn wait(
    py: Python<'_>,
    link: &Arc<Link<PyHost>>,
    call: &Arc<Call<Shared>>,
    deadline: Option<Instant>,
) -> Result<(), WaitError> {
    let Some(hub) = link.host().hub() else { return link.wait(call, deadline) };
    link.send_joined(deadline)?;
    wait_in_greenlet(hub.bind(py), call, deadline).unwrap_or_else(|error| {
        host::interrupt(error);
        Err(Interrupted.into())
    })
}

fn wait_in_greenlet(
    hub: &Bound<'_, PyAny>,
    call: &Call<Shared>,
    deadline: Option<Instant>,
) -> PyResult<Result<(), WaitError>> {
    let py = hub.py();
    let event = hub.call_method0(intern!(py, "event"))?;
    let set = event.getattr(intern!(py, "set"))?.unbind();
    let wake = Box::new(move || {
        let _ = exit::attach(|py| {
            if let Err(error) = set.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    });
    if call.on_completion(wake).is_err() {
        return Ok(Ok(()));
    }
    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64());
    let in_time = event.call_method1(intern!(py, "wait"), (left,))?.is_truthy()?;
    Ok(if in_time { Ok(()) } else { Err(WaitError::TimedOut) })
}

/// Has a request carried out in a greenlet of the hub.
pub(crate) fn handle(py: Python<'_>, hub: &Py<PyAny>, link: &Arc<Link<PyHost>>, request: Inbound<Shared>) {
    let link = link.clone();
    let request = Mutex::new(Some(request));
    let work = move |args: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let py = args.py();
        let request = request.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(request), Some(connection)) = (request, link.host().connection(py)) {
            // A greenlet of the hub serves nobody who could be interrupted.
            let _ = requests::handle(&connection, &link, request);
        }
    };
    let spawned = PyCFunction::new_closure(py, None, None, work)
        .and_then(|work| hub.call_method1(py, intern!(py, "spawn"), (work,)));
    if let Err(error) = spawned {
        error.write_unraisable(py, None);
    }
}

//! What a connection has done so far, for programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use netref::threads::Link;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::host::PyHost;

/// The counters that `Connection.stats` documents.
pub(crate) fn of<'py>(py: Python<'py>, link: &Arc<Link<PyHost>>) -> PyResult<Bound<'py, PyDict>> {
    let mut lent: BTreeMap<String, usize> = BTreeMap::new();
    let (counters, pending, inflight, queued) = {
        let mut session = link.session();
        for name in session.exports().names() {
            count(&mut lent, name);
        }
        (session.counters(), session.tokens().count(), session.inflight(), session.queued())
    };
    let mut held = BTreeMap::new();
    for proxy in link.host().live_proxies(py) {
        count(&mut held, &proxy.get().pack().name);
    }
    let (calls, received) = link.traffic();
    let stats = PyDict::new(py);
    stats.set_item("calls", calls)?;
    stats.set_item("round_trips", counters.requests_sent)?;
    stats.set_item("requests_served", counters.requests_received)?;
    stats.set_item("messages_out", counters.messages_sent)?;
    stats.set_item("messages_in", counters.messages_received)?;
    stats.set_item("bytes_out", counters.bytes_sent.saturating_sub(queued as u64))?;
    stats.set_item("bytes_in", received)?;
    stats.set_item("pending", pending)?;
    stats.set_item("unanswered", inflight)?;
    stats.set_item("queued_bytes", queued)?;
    stats.set_item("objects_lent", lent.values().sum::<usize>())?;
    stats.set_item("lent", lent)?;
    stats.set_item("held", held)?;
    stats.set_item("references_released", counters.references_released)?;
    stats.set_item("malformed", counters.malformed)?;
    stats.set_item("refused", counters.refused)?;
    Ok(stats)
}

fn count(of: &mut BTreeMap<String, usize>, name: &str) {
    match of.get_mut(name) {
        Some(known) => *known += 1,
        None => drop(of.insert(name.to_owned(), 1)),
    }
}

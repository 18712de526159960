//! Which threads of the peer's await what.

use std::collections::BTreeMap;

use crate::message::Seq;
use crate::threads::Threads;

/// The threads of the peer's unanswered requests.
#[derive(Debug, Default)]
pub(super) struct Binding {
    requests: BTreeMap<Seq, Threads>,
}

impl Binding {
    pub(super) fn received(&mut self, request: Seq, threads: Threads) {
        self.requests.insert(request, threads);
    }

    pub(super) fn answered(&mut self, request: Seq) {
        self.requests.remove(&request);
    }

    /// For the reply to a request.
    pub(super) fn of_reply(&self, request: Seq) -> Threads {
        self.requests.get(&request).copied().unwrap_or_default().answered()
    }

    /// For a request that is made while the peer's request `parent` is executed.
    pub(super) fn of_request(&self, parent: Option<Seq>) -> Threads {
        parent.map(|request| self.of_reply(request)).unwrap_or_default()
    }
}

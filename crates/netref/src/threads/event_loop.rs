//! What programs need that run on an event loop, whose thread must not block.

use std::sync::Arc;

use netref_core::message::Seq;

use super::{Call, Callback, Host, Link};
use crate::running::RunningRequest;

impl<H: Host> Link<H> {
    /// Calls `then` on a pool thread once there is room to [start](Self::start) a call without waiting, or the connection has
    /// ended.
    pub fn when_there_is_room(self: &Arc<Self>, then: Callback) {
        self.spawn(|link| {
            // No signal interrupts this thread.
            let _ = link.wait_for_room(None);
            then();
        });
    }

    /// Does `work` on a pool thread.
    pub fn aside(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        self.spawn(work);
    }

    /// Does `work` as part of the peer's request `seq`: calls made meanwhile say so.
    pub fn as_part_of<R>(&self, seq: Seq, work: impl FnOnce() -> R) -> R {
        let _running = RunningRequest::enter(self.address(), seq);
        work()
    }

    /// Whether the calling thread waits for the reply to some call, and runs a request meanwhile.
    #[must_use]
    pub fn is_awaited_here(&self) -> bool {
        let calls: Vec<Arc<Call<H::Shared>>> = self.session().tokens().cloned().collect();
        calls.iter().any(|call| call.is_awaited_here())
    }
}

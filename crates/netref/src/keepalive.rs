use std::os::fd::BorrowedFd;

use netref_core::limits::Limits;
use rustix::net::sockopt;

/// Questions that a peer may leave unanswered.
const PROBES: u32 = 3;

/// Has TCP ask a quiet peer whether it is still there, and end the connection if it is not. A socket whose owner has settled
/// that already stays as it is.
pub(crate) fn set(socket: BorrowedFd<'_>, limits: &Limits) {
    let Some(idle) = limits.keepalive else { return };
    if sockopt::socket_keepalive(socket).unwrap_or(true) {
        return;
    }
    // A system that knows less of this asks at the times that it thinks best.
    let _ = sockopt::set_socket_keepalive(socket, true);
    let _ = sockopt::set_tcp_keepidle(socket, idle);
    let _ = sockopt::set_tcp_keepintvl(socket, limits.keepalive_interval.unwrap_or(idle));
    let _ = sockopt::set_tcp_keepcnt(socket, PROBES);
    // What was sent and never acknowledged would otherwise be sent again for a quarter of an hour, and no question asked.
    #[cfg(target_os = "linux")]
    {
        let patience = idle + limits.keepalive_interval.unwrap_or(idle) * PROBES;
        let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let _ = sockopt::set_tcp_user_timeout(socket, patience);
    }
}

use std::sync::{Arc, LazyLock};

use crate::args::Args;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::failure::Closed;
use crate::object::{Class, Object, ObjectRef};
use crate::value::Value;

/// What a server gives its clients: an object, and what to do when they come and go.
///
/// `#[netref::service]` on an `impl` block writes [`Object`] and this; implement this by hand to override
/// [`connected`](Self::connected) and [`disconnected`](Self::disconnected).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service",
    note = "write `#[netref::service]` on its `impl` block, or implement `netref::Service` for what is a `netref::Object`"
)]
pub trait Service: Object {
    /// A client has connected. An error, or a panic, refuses it.
    ///
    /// What the client asks waits until this has returned, but for what is part of calls that are made here. With threads, also
    /// other requests run while this waits for a call of a function or method of the client's, which may depend on them.
    ///
    /// # Errors
    /// Whatever the service finds wrong with the client.
    fn connected(&self, connection: &Connection) -> Result<()> {
        let _ = connection;
        Ok(())
    }

    /// The client is gone. Called once for each successful [`connected`](Self::connected).
    fn disconnected(&self, closed: &Closed) {
        let _ = closed;
    }
}

/// What a side offers that offers nothing.
pub(crate) fn void_service() -> ObjectRef {
    static VOID: LazyLock<Arc<Void>> =
        LazyLock::new(|| Arc::new(Void(Class::new("netref.VoidService").into())));
    VOID.clone()
}

struct Void(Arc<Class>);

impl Object for Void {
    fn class(&self) -> Arc<Class> {
        self.0.clone()
    }

    fn call_method(&self, name: &str, _args: Args) -> Result<Value> {
        Err(Error::no_attribute("VoidService", name))
    }
}

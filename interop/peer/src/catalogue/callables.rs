//! Objects to be called.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use netref::{Args, Class, IntoValue, Object, ObjectRef, Result, Value, function_with_args};

use crate::callee;
use crate::errors::{named_error, no_attribute};
use crate::policy::{Kind, Policy};
use crate::service::pairs;

/// A callable that takes anything and raises an error.
pub(crate) fn raiser(kind: String, args: Vec<Value>) -> ObjectRef {
    function_with_args("raising_callback", move |_| Err::<Value, _>(named_error(&kind, args.clone())))
}

/// A callable that passes calls on.
pub(crate) fn relay(function: Value) -> ObjectRef {
    function_with_args("relaying_callback", move |args| callee::call(&function, args))
}

/// Records each call and returns what it was made with.
pub(crate) struct Recorder {
    policy: Policy,
    answer: Value,
    calls: Mutex<Vec<Value>>,
}

impl Recorder {
    pub(crate) fn make(policy: Policy, answer: Value) -> ObjectRef {
        Arc::new(Self { policy, answer, calls: Mutex::default() })
    }
}

impl Object for Recorder {
    fn class(&self) -> Arc<Class> {
        static KIND: LazyLock<Kind> = LazyLock::new(|| Kind::new("interop.Recorder", &[], &["__call__"]));
        KIND.under(self.policy)
    }

    fn call_method(&self, name: &str, args: Args) -> Result<Value> {
        if name != "__call__" {
            return Err(no_attribute(name));
        }
        let call = (args.positional, pairs(args.named)).into_value();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        Ok(self.answer.clone())
    }

    fn attributes(&self) -> Vec<String> {
        self.policy.listed(["answer", "calls"])
    }

    fn get_attr(&self, name: &str) -> Result<Value> {
        match name {
            "answer" => Ok(self.answer.clone()),
            "calls" => Ok(Value::Tuple(self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone())),
            _ => Err(no_attribute(name)),
        }
    }
}

/// The client's half of the service's `ping_pong`: a callable that passes itself on.
pub(crate) struct Bouncer {
    /// What to raise at the bottom.
    error: Option<(String, Vec<Value>)>,
    this: Weak<Self>,
}

impl Bouncer {
    pub(crate) fn make(kind: Option<String>, args: Vec<Value>) -> ObjectRef {
        Arc::new_cyclic(|this| Self { error: kind.map(|kind| (kind, args)), this: this.clone() })
    }
}

impl Object for Bouncer {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> =
            LazyLock::new(|| Class::new("builtins.function").methods(&["__call__"]).into());
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        if name != "__call__" {
            return Err(no_attribute(name));
        }
        let (partner, depth): (Value, i64) = (args.required("partner")?, args.required("depth")?);
        args.finish()?;
        match &self.error {
            _ if depth > 0 => {
                let trail = callee::call(&partner, (self.this.upgrade(), depth - 1))?;
                Ok(("bounce", depth, trail).into_value())
            }
            Some((kind, args)) => Err(named_error(kind, args.clone())),
            None => Ok(("bounce", 0).into_value()),
        }
    }

    fn repr(&self) -> String {
        "<function bouncing_callback>".to_owned()
    }
}

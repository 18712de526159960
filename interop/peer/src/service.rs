//! The service that every peer offers; SERVICE.md is its specification.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use netref::{
    Args, Class, Connection, Error, IntoValue, Object, Result, Service, Value, function_with_args,
    threads::Closed,
};

use crate::errors::{as_exception, named_error, no_attribute, type_error};
use crate::policy::Policy;
use crate::{IMPLEMENTATION, VERSION, callee, catalogue, operations};

/// One connection's service.
pub(crate) struct InteropService {
    policy: Policy,
    state: Mutex<State>,
    this: Weak<Self>,
}

#[derive(Default)]
struct State {
    /// Where `operate` operates. This and what is remembered keep the connection alive, so both go when it ends.
    connection: Option<Connection>,
    remembered: Value,
}

impl InteropService {
    pub(crate) fn new(policy: Policy) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { policy, state: Mutex::default(), this: this.clone() })
    }

    pub(crate) fn attach(&self, connection: &Connection) {
        self.state().connection = Some(connection.clone());
    }

    /// Lets go of the connection and of everything on it.
    pub(crate) fn detach(&self) {
        let state = std::mem::take(&mut *self.state());
        drop(state);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, thing: Value) {
        let before = std::mem::replace(&mut self.state().remembered, thing);
        drop(before);
    }

    // ---- values

    fn signature(args: &mut Args) -> Result<Value> {
        let a: Value = args.required("a")?;
        let b: Value = args.optional("b")?.unwrap_or(Value::Int(2));
        let rest = args.rest();
        Ok((a, b, rest, pairs(std::mem::take(&mut args.named))).into_value())
    }

    // ---- callbacks

    fn line_counter(file: &Value, function: &Value) -> Result<Value> {
        let lines = callee::call_method(file, "readlines", ())?;
        let iterator = callee::call_method(&lines, "__iter__", ())?;
        let mut count = 0;
        loop {
            match callee::call_method(&iterator, "__next__", ()) {
                Ok(line) => drop(callee::call(function, (line,))?),
                Err(error) if error.exception().is_some_and(|error| error.is("StopIteration")) => {
                    return Ok(Value::Int(count));
                }
                Err(error) => return Err(error),
            }
            count += 1;
        }
    }

    fn ping_pong(this: &Arc<Self>, args: &mut Args) -> Result<Value> {
        let (partner, depth): (Value, i64) = (args.required("partner")?, args.required("depth")?);
        args.finish()?;
        if depth == 0 {
            return Ok(("ping", 0).into_value());
        }
        let service = this.clone();
        let myself = function_with_args("ping_pong", move |mut args| Self::ping_pong(&service, &mut args));
        Ok(("ping", depth, callee::call(&partner, (myself, depth - 1))?).into_value())
    }

    fn catch(args: &mut Args) -> Result<Value> {
        let function: Value = args.required("function")?;
        callee::call(&function, args.rest()).or_else(|error| {
            let error = as_exception(error);
            Ok((error.class(), error.args(), error.traceback()).into_value())
        })
    }

    fn operate(&self, args: &mut Args) -> Result<Value> {
        let operation: String = args.required("operation")?;
        let connection = self.state().connection.clone();
        operations::perform(connection.as_ref(), &operation, callee::remaining(args))
    }
}

impl Object for InteropService {
    fn class(&self) -> Arc<Class> {
        static CLASS: LazyLock<Arc<Class>> = LazyLock::new(|| {
            let methods = [
                "implementation",
                "echo",
                "kind_of",
                "size",
                "add",
                "signature",
                "line_counter",
                "call",
                "ping_pong",
                "raise_error",
                "catch",
                "make",
                "operate",
                "remember",
                "remembered",
                "forget",
                "is_same",
                "live",
            ];
            Class::new("interop.Service").methods(&methods).into()
        });
        CLASS.clone()
    }

    fn call_method(&self, name: &str, mut args: Args) -> Result<Value> {
        let args = &mut args;
        let result = match name {
            "implementation" => (IMPLEMENTATION, VERSION).into_value(),
            "echo" => args.required("value")?,
            "kind_of" => kind_of(&args.required("value")?).into_value(),
            "size" => size(&args.required("value")?)?,
            "add" => {
                let (a, b) = (args.required("a")?, args.required("b")?);
                args.finish()?;
                return add(a, b);
            }
            "signature" => Self::signature(args)?,
            "line_counter" => {
                let (file, function) = (args.required("file")?, args.required("function")?);
                args.finish()?;
                return Self::line_counter(&file, &function);
            }
            "call" => {
                let function: Value = args.required("function")?;
                callee::call(&function, callee::remaining(args))?
            }
            "ping_pong" => {
                let this = self.this.upgrade().ok_or_else(|| no_attribute(name))?;
                Self::ping_pong(&this, args)?
            }
            "raise_error" => return Err(named_error(&args.required::<String>("kind")?, args.rest())),
            "catch" => Self::catch(args)?,
            "make" => catalogue::make(&args.required::<String>("kind")?, args.rest(), self.policy)?,
            "operate" => self.operate(args)?,
            "remember" => {
                self.remember(args.required("thing")?);
                Value::None
            }
            "remembered" => self.state().remembered.clone(),
            "forget" => {
                self.remember(Value::None);
                Value::None
            }
            "is_same" => (args.required::<Value>("thing")? == self.state().remembered).into_value(),
            "live" => catalogue::live(&args.required::<String>("tag")?).into_value(),
            _ => return Err(no_attribute(name)),
        };
        args.finish()?;
        Ok(result)
    }
}

impl Service for InteropService {
    fn connected(&self, connection: &Connection) -> Result<()> {
        self.attach(connection);
        Ok(())
    }

    fn disconnected(&self, _closed: &Closed) {
        self.detach();
    }
}

/// Named arguments as a tuple of pairs, sorted by name.
pub(crate) fn pairs(mut named: Vec<(String, Value)>) -> Value {
    named.sort_by(|(a, _), (b, _)| a.cmp(b));
    named.into_value()
}

fn kind_of(value: &Value) -> String {
    let name = value.type_name();
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

fn size(value: &Value) -> Result<Value> {
    match value {
        Value::Str(text) => Ok(text.chars().count().into_value()),
        Value::Bytes(bytes) => Ok(bytes.len().into_value()),
        Value::Tuple(items) => Ok(items.len().into_value()),
        other => Err(type_error(format!("object of type '{}' has no len()", other.type_name()))),
    }
}

/// Ints are added up to 128 bits, which is more than the suite asks for.
fn add(a: Value, b: Value) -> Result<Value> {
    let (left, right) = (a.type_name(), b.type_name());
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => Ok((a + &b).into_value()),
        (Value::Tuple(mut a), Value::Tuple(mut b)) => {
            a.append(&mut b);
            Ok(Value::Tuple(a))
        }
        (a, b) => match (number(&a), number(&b)) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => {
                let overflow = || Error::raise("OverflowError", "the sum does not fit 128 bits");
                Ok(a.checked_add(b).ok_or_else(overflow)?.into_value())
            }
            (Some(a), Some(b)) => {
                let ((real, imag), (more_real, more_imag)) = (a.parts(), b.parts());
                let is_complex = matches!((a, b), (Number::Complex(..), _) | (_, Number::Complex(..)));
                let (real, imag) = (real + more_real, imag + more_imag);
                Ok(if is_complex { Value::Complex(real, imag) } else { Value::Float(real) })
            }
            _ => Err(type_error(format!("unsupported operand type(s) for +: '{left}' and '{right}'"))),
        },
    }
}

#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
    Complex(f64, f64),
}

impl Number {
    fn parts(self) -> (f64, f64) {
        match self {
            Self::Int(int) => (int as f64, 0.0),
            Self::Float(real) => (real, 0.0),
            Self::Complex(real, imag) => (real, imag),
        }
    }
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(value) => Some(Number::Int((*value).into())),
        Value::Int(_) | Value::BigInt(_) => value.clone().extract().ok().map(Number::Int),
        Value::Float(real) => Some(Number::Float(*real)),
        Value::Complex(real, imag) => Some(Number::Complex(*real, *imag)),
        _ => None,
    }
}

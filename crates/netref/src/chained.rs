use std::sync::Arc;

use crate::args::Args;
use crate::error::Result;
use crate::object::{Class, Method, Object};
use crate::remote::Remote;
use crate::value::Value;

/// An object of a third process, lent on: what the peer asks of it is asked there.
pub(crate) struct Chained(pub(crate) Remote);

impl Object for Chained {
    fn class(&self) -> Arc<Class> {
        Class::new(self.0.class_name()).into()
    }

    fn call_method(&self, name: &str, args: Args) -> Result<Value> {
        self.0.call_method(name, args)
    }

    fn repr(&self) -> String {
        format!("{:?}", self.0)
    }

    fn inspect(&self) -> Result<Vec<Method>> {
        let methods = self.0.methods()?;
        Ok(methods.into_iter().map(|(name, doc)| Method { name, doc }).collect())
    }
}

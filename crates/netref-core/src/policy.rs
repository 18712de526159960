//! Which attributes a peer may reach, as a pure function that every object world asks.

use std::borrow::Cow;

/// What a peer wants to do with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read it.
    Get,
    /// Assign to it.
    Set,
    /// Delete it.
    Delete,
}

/// The rules of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules<'a> {
    /// Whether attributes may be read, written and deleted at all.
    pub get: bool,
    /// Whether attributes may be assigned to at all.
    pub set: bool,
    /// Whether attributes may be deleted at all.
    pub delete: bool,
    /// Names in the list of safe attributes are allowed.
    pub safe: bool,
    /// Names with the prefix are allowed, and a plain name reaches the attribute of the prefixed name.
    pub exposed: bool,
    /// Names that do not begin with an underscore are allowed.
    pub public: bool,
    /// Every name is allowed, private ones included. **Dangerous**: it gives a peer the whole object.
    pub dangerous_all: bool,
    /// The prefix of exposed names.
    pub prefix: Cow<'a, str>,
}

impl Default for Rules<'_> {
    fn default() -> Self {
        Self {
            get: true,
            set: false,
            delete: false,
            safe: true,
            exposed: true,
            public: false,
            dangerous_all: false,
            prefix: Cow::Borrowed("exposed_"),
        }
    }
}

/// The peer may not reach the attribute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot access '{name}'")]
pub struct Denied {
    /// The name asked for.
    pub name: String,
}

/// What the rules say about a name, whatever object has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It reaches nothing.
    Nothing,
    /// It reaches the attribute of that name.
    Plain,
    /// It reaches the attribute of the name with the prefix, if there is one.
    Exposed,
    /// The prefixed name wins, unless the attribute of the name itself is there too.
    Either,
}

impl Rules<'_> {
    /// What a name reaches. `is_safe` says whether it is in the list of safe attributes, and is asked only where that matters.
    pub fn reach(&self, access: Access, name: &str, is_safe: impl FnOnce(&str) -> bool) -> Reach {
        let switch = match access {
            Access::Get => self.get,
            Access::Set => self.set,
            Access::Delete => self.delete,
        };
        if !switch {
            return Reach::Nothing;
        }
        let is_allowed = self.dangerous_all
            || (self.exposed && name.starts_with(&*self.prefix))
            || (self.public && !name.starts_with('_'))
            || (self.safe && is_safe(name));
        match (is_allowed, self.exposed && !self.prefix.is_empty()) {
            (false, false) => Reach::Nothing,
            (true, false) => Reach::Plain,
            (false, true) => Reach::Exposed,
            (true, true) => Reach::Either,
        }
    }

    /// What `name` reaches of an object: `plain`, which is its attribute of the name itself, or its attribute of the name with the
    /// prefix, which `exposed` looks for; if nothing, `None`. `has_plain` says whether the former is there, and is asked only
    /// where that matters.
    ///
    /// # Errors
    /// Those of `exposed` and `has_plain`.
    pub fn resolve<A, E>(
        &self,
        access: Access,
        name: &str,
        is_safe: impl FnOnce(&str) -> bool,
        plain: A,
        exposed: impl FnOnce() -> Result<Option<A>, E>,
        has_plain: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Option<A>, E> {
        Ok(match self.reach(access, name, is_safe) {
            Reach::Nothing => None,
            Reach::Plain => Some(plain),
            Reach::Exposed => exposed()?,
            Reach::Either => match exposed()? {
                Some(exposed) if !has_plain()? => Some(exposed),
                _ => Some(plain),
            },
        })
    }
}

/// Whether a name is among those that are [safe](SAFE_ATTRIBUTES) by default.
#[must_use]
pub fn is_safe_by_default(name: &str) -> bool {
    SAFE_ATTRIBUTES.binary_search(&name).is_ok()
}

/// Names that are safe by default, in order: the operators and container protocols of plain values.
///
/// Stock also has `__new__` here, which gives a peer instances of an exposed class without running `__init__`; calling
/// an exposed class needs no such name.
pub const SAFE_ATTRIBUTES: &[&str] = &[
    "__abs__",
    "__add__",
    "__and__",
    "__bool__",
    "__cmp__",
    "__contains__",
    "__delitem__",
    "__delslice__",
    "__div__",
    "__divmod__",
    "__doc__",
    "__enter__",
    "__eq__",
    "__exit__",
    "__float__",
    "__floordiv__",
    "__format__",
    "__ge__",
    "__getitem__",
    "__getslice__",
    "__gt__",
    "__hash__",
    "__hex__",
    "__iadd__",
    "__iand__",
    "__idiv__",
    "__ifloordiv__",
    "__ilshift__",
    "__imod__",
    "__imul__",
    "__index__",
    "__int__",
    "__invert__",
    "__ior__",
    "__ipow__",
    "__irshift__",
    "__isub__",
    "__iter__",
    "__itruediv__",
    "__ixor__",
    "__le__",
    "__len__",
    "__length_hint__",
    "__long__",
    "__lshift__",
    "__lt__",
    "__mod__",
    "__mul__",
    "__ne__",
    "__neg__",
    "__next__",
    "__nonzero__",
    "__oct__",
    "__or__",
    "__pos__",
    "__pow__",
    "__radd__",
    "__rand__",
    "__rdiv__",
    "__rdivmod__",
    "__repr__",
    "__rfloordiv__",
    "__rlshift__",
    "__rmod__",
    "__rmul__",
    "__ror__",
    "__rpow__",
    "__rrshift__",
    "__rshift__",
    "__rsub__",
    "__rtruediv__",
    "__rxor__",
    "__setitem__",
    "__setslice__",
    "__str__",
    "__sub__",
    "__truediv__",
    "__xor__",
    "next",
];

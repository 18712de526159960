//! What the other side may use of our objects.

use std::sync::Arc;

use netref::Class;
use netref_core::policy::Rules;

/// The two attribute policies of SERVICE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Every attribute without a leading underscore may be read, set and deleted.
    Public,
    /// RPyC's default: what is exposed may be read.
    Exposed,
}

impl Policy {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "public" => Some(Self::Public),
            "exposed" => Some(Self::Exposed),
            _ => None,
        }
    }

    pub(crate) fn rules(self) -> Rules<'static> {
        let is_public = self == Self::Public;
        Rules { public: is_public, set: is_public, delete: is_public, ..Rules::default() }
    }

    /// The names that an object lists of its public ones. What a Rust object lists, it exposes; the Python peers expose
    /// nothing of their catalogue, so where `exposed` is the policy, public names are not listed.
    pub(crate) fn listed(self, names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
        match self {
            Self::Public => names.into_iter().map(Into::into).collect(),
            Self::Exposed => Vec::new(),
        }
    }
}

/// A class of the catalogue, as each policy shows it.
pub(crate) struct Kind {
    public: Arc<Class>,
    exposed: Arc<Class>,
}

impl Kind {
    /// A class with public methods and with special ones (`__len__`), which are exposed under either policy.
    pub(crate) fn new(name: &str, public: &[&str], special: &[&str]) -> Self {
        let exposed = Class::new(name).methods(special);
        Self { public: exposed.clone().methods(public).into(), exposed: exposed.into() }
    }

    pub(crate) fn under(&self, policy: Policy) -> Arc<Class> {
        match policy {
            Policy::Public => self.public.clone(),
            Policy::Exposed => self.exposed.clone(),
        }
    }
}

//! Fetching all items of a remote container, for one of this side: a peer may have items without end.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::error::{Error, Result};
use crate::remote::Remote;
use crate::value::Value;

thread_local! {
    /// What the conversion under way on this thread may still fetch.
    static UNDER_WAY: RefCell<Weak<AtomicUsize>> = const { RefCell::new(Weak::new()) };
}

/// Memory that fetched items may take: as much as if they had come in one message (limit `max_decoded`).
pub(crate) struct Budget {
    max: usize,
    left: Arc<AtomicUsize>,
}

impl Budget {
    pub(crate) fn of(container: &Remote) -> Self {
        let max = container.peer().side().limits.max_decoded;
        Self { max, left: Arc::new(AtomicUsize::new(max)) }
    }

    /// The same for a conversion on this thread, of which those of its items are part.
    fn of_conversion(container: &Remote) -> Self {
        let mut this = Self::of(container);
        UNDER_WAY.with_borrow_mut(|under_way| match under_way.upgrade() {
            Some(left) => this.left = left,
            None => *under_way = Arc::downgrade(&this.left),
        });
        this
    }

    /// An item that was fetched, if there is room for it.
    pub(crate) fn charge(&self, item: Value) -> Result<Value> {
        match self.left.load(Ordering::Relaxed).checked_sub(weight(&item)) {
            Some(left) => {
                self.left.store(left, Ordering::Relaxed);
                Ok(item)
            }
            None => {
                let text = format!("the items take more than {} bytes (limit max_decoded)", self.max);
                Err(Error::raise("MemoryError", text))
            }
        }
    }
}

/// All items of a value, many to a round trip.
pub(crate) fn fetched(container: &Value) -> Result<Box<dyn Iterator<Item = Result<Value>>>> {
    let items = container.iter()?.prefetched();
    Ok(match container {
        Value::Remote(remote) => {
            let budget = Budget::of_conversion(remote);
            Box::new(items.map(move |item| budget.charge(item?)))
        }
        _ => items,
    })
}

/// The items of a remote mapping: its keys in a few round trips, then one for each value. (`items()` would be fewer, but a
/// default RPyC server does not give access to it.)
pub(crate) fn fetched_pairs(mapping: &Remote) -> Result<Vec<(Value, Value)>> {
    let budget = Budget::of_conversion(mapping);
    let keys = mapping.iter()?.prefetched();
    keys.map(|key| {
        let key = budget.charge(key?)?;
        let value = budget.charge(mapping.get_item(key.clone())?)?;
        Ok((key, value))
    })
    .collect()
}

/// Bytes that a value takes, about.
fn weight(value: &Value) -> usize {
    /// A proxy, and what its connection knows of it.
    const PROXY: usize = 256;
    let more = match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::BigInt(digits) => digits.as_str().len(),
        Value::Tuple(items) | Value::FrozenSet(items) => items.iter().map(weight).sum(),
        Value::Slice(parts) => parts.iter().map(weight).sum(),
        Value::Remote(_) => PROXY,
        _ => 0,
    };
    size_of::<Value>() + more
}

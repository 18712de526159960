//! Numbers for the objects that the agent keeps.

use std::collections::BTreeMap;

use netref::Value;

/// Objects by number. The same object keeps its number as long as it is kept; numbers are never used twice.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    objects: BTreeMap<u64, Value>,
    last: u64,
}

impl Handles {
    /// The number of an object, which is kept from now on.
    pub(crate) fn number(&mut self, object: &Value) -> u64 {
        if let Some(number) = self.find(object) {
            return number;
        }
        self.last += 1;
        self.objects.insert(self.last, object.clone());
        self.last
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Value> {
        self.objects.get(&number)
    }

    pub(crate) fn drop(&mut self, object: &Value) {
        if let Some(number) = self.find(object) {
            self.objects.remove(&number);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.objects.clear();
    }

    fn find(&self, object: &Value) -> Option<u64> {
        self.objects.iter().find(|(_, kept)| *kept == object).map(|(number, _)| *number)
    }
}

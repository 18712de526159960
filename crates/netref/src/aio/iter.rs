use super::Remote;
use crate::error::Result;
use crate::fetching::Budget;
use crate::value::Value;

/// Steps through a remote iterator.
///
/// One round trip for each item, so that the other side produces an item only when it is asked for. An error ends the
/// iteration.
///
/// ```no_run
/// # async fn example(samples: netref::aio::Remote) -> netref::Result<()> {
/// let mut samples = samples.iter().await?;
/// while let Some(sample) = samples.next().await {
///     println!("{}", sample?.extract::<f64>()?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RemoteIter {
    inner: crate::RemoteIter,
}

impl RemoteIter {
    pub(super) fn new(inner: crate::RemoteIter) -> Self {
        Self { inner }
    }

    /// The next item; `None` at the end.
    ///
    /// Cancel safety: if the future is dropped, an item may be lost.
    pub async fn next(&mut self) -> Option<Result<Value>> {
        if self.inner.has_ended() {
            return None;
        }
        let item = self.as_remote().call_method("__next__", ()).await;
        self.inner.step(item)
    }

    /// The remote iterator itself.
    #[must_use]
    pub fn as_remote(&self) -> Remote {
        self.inner.as_remote().clone().into()
    }

    /// Fetches many items in one round trip. The other side then produces items that may never be asked for: right
    /// for containers, wrong for a generator whose steps have effects, or fail: the items of the same round trip are lost then.
    #[must_use]
    pub fn prefetched(self) -> Prefetched {
        Prefetched { inner: self.inner.prefetched() }
    }
}

/// Steps through a remote iterator, many items to a round trip. See [`RemoteIter::prefetched`].
#[derive(Debug)]
pub struct Prefetched {
    inner: crate::Prefetched,
}

impl Prefetched {
    /// The next item; `None` at the end.
    ///
    /// Cancel safety: if the future is dropped, items may be lost.
    pub async fn next(&mut self) -> Option<Result<Value>> {
        if let Some(count) = self.inner.due() {
            let items = Remote::from(self.inner.as_remote().clone()).next_items(count).await;
            if let Err(error) = self.inner.fill(items) {
                return Some(Err(error));
            }
        }
        self.inner.pop().map(Ok)
    }

    /// All items that are left, each converted as [`Value::extract`] does. They take no more memory than the limit `max_decoded`
    /// says.
    ///
    /// ```no_run
    /// # async fn example(names: netref::aio::Remote) -> netref::Result<()> {
    /// let names: Vec<String> = names.iter().await?.prefetched().collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first error, of a step or a conversion.
    pub async fn collect<T: crate::FromValue>(mut self) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let budget = Budget::of(self.inner.as_remote());
        while let Some(item) = self.next().await {
            items.push(budget.charge(item?)?.extract()?);
        }
        Ok(items)
    }
}

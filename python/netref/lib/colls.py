"""Collections: one that does not keep what it holds alive, and one that counts how often a thing was put in."""

import threading
import weakref


class WeakValueDict:
    """A dictionary whose entries go when nobody else holds their values. Getting a value that has gone is a ``KeyError``."""

    __slots__ = ("_dict",)

    def __init__(self):
        self._dict = {}

    def __repr__(self):
        return repr(self._dict)

    def __iter__(self):
        return iter(self._dict.keys())

    def __len__(self):
        return len(self._dict)

    def __contains__(self, key):
        return self.get(key) is not None

    def __getitem__(self, key):
        value = self._dict[key]()
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        entries = self._dict

        def forget(reference):
            # Only its own entry: the key may have a new value by now.
            if entries.get(key) is reference:
                entries.pop(key, None)

        entries[key] = weakref.ref(value, forget)

    def __delitem__(self, key):
        del self._dict[key]

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self):
        return self._dict.keys()

    iterkeys = keys

    def iteritems(self):
        for key, reference in list(self._dict.items()):
            value = reference()
            if value is not None:
                yield key, value

    def items(self):
        return list(self.iteritems())

    def itervalues(self):
        return (value for _, value in self.iteritems())

    def values(self):
        return list(self.itervalues())

    def clear(self):
        self._dict.clear()


class RefCountingColl:
    """Objects by key, each until it was taken out as often as it was put in. Can be used from several threads."""

    __slots__ = ("_dict", "_lock")

    def __init__(self):
        self._lock = threading.Lock()
        self._dict = {}

    def __repr__(self):
        return repr(self._dict)

    def __getitem__(self, key):
        with self._lock:
            return self._dict[key][0]

    def add(self, key, obj):
        """Puts an object in, or counts that it was put in once more."""
        with self._lock:
            # What is counted are the times beyond the first.
            slot = self._dict.setdefault(key, [obj, -1])
            slot[1] += 1

    def decref(self, key, count=1):
        """Takes an object out ``count`` times.

        :raises KeyError: if it is not there
        """
        with self._lock:
            slot = self._dict[key]
            if slot[1] >= count:
                slot[1] -= count
                return
            del self._dict[key]
        # The object may go here, and run code, which must not find the lock held.
        del slot

    def clear(self):
        """Takes everything out."""
        with self._lock:
            # Kept until the lock is released, for the same reason.
            gone, self._dict = self._dict, {}
        gone.clear()

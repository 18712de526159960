"""Proxies of remote objects.

A proxy's class has a method for each that the remote object's class has, so that ``len(proxy)``, ``for x in proxy`` and the
operators work where they work on the object, and nowhere else. Plain attribute access never uses those: it asks the owner.
"""

import sys
import types
import weakref

from netref._netref import BaseNetref, ContainerIterator, call, call_method
from netref.core import consts
from netref.lib import get_id_pack, get_methods, methods_of_instances

#: Attributes that no proxy has: on the strength of them numpy would read memory of this process.
DELETED_ATTRS = frozenset(["__array_struct__", "__array_interface__"])

#: Attributes that are the proxy's own and not asked of the remote object.
LOCAL_ATTRS = DELETED_ATTRS | frozenset(
    """
    ____conn__ ____id_pack__ ____refcount__ __class__ __cmp__ __del__ __delattr__ __dict__ __dir__ __doc__ __eq__ __exit__
    __ge__ __getattr__ __getattribute__ __gt__ __hash__ __init__ __instancecheck__ __le__ __lt__ __metaclass__ __methods__
    __module__ __ne__ __new__ __reduce__ __reduce_ex__ __repr__ __setattr__ __slots__ __str__ __weakref__
    """.split()
)

#: Nothing fills it, here or in RPyC.
builtin_id_pack_cache = {}

#: Classes of proxies of objects whose classes every Python has, by name: no round trip is needed to learn about them.
builtin_classes_cache = {}

_builtin_types = [
    type, object, bool, complex, dict, float, int, list, slice, str, tuple, set, frozenset, BaseException, Exception,
    type(None), types.BuiltinFunctionType, types.GeneratorType, types.MethodType, types.CodeType, types.FrameType,
    types.TracebackType, types.ModuleType, types.FunctionType, types.MappingProxyType, types.WrapperDescriptorType,
    types.MethodWrapperType, type(iter([])), type(iter(())), type(iter(set())), bytes, bytearray, type(iter(range(1))),
    memoryview,
]  # fmt: skip
_normalized_builtin_types = {}

#: Iterators whose proxies read ahead, where nobody can tell.
_CONTAINER_ITERATORS = frozenset(
    f"builtins.{name}"
    for name in (
        "bytearray_iterator dict_itemiterator dict_keyiterator dict_valueiterator list_iterator longrange_iterator "
        "range_iterator set_iterator tuple_iterator"
    ).split()
)


def syncreq(proxy, handler, *args):
    """Sends a request about ``proxy`` and waits for its result."""
    return proxy.____conn__.sync_request(handler, proxy, *args)


def asyncreq(proxy, handler, *args):
    """Sends a request about ``proxy`` and returns an :class:`~netref.core.async_.AsyncResult`."""
    return proxy.____conn__.async_request(handler, proxy, *args)


class NetrefMetaclass(type):
    """The class of proxies' classes: it shows whose proxies they are."""

    __slots__ = ()

    def __repr__(self):
        name = f"{self.__module__}.{self.__name__}" if self.__module__ else self.__name__
        return f"<netref class '{name}'>"


class NetrefClass:
    """Answers ``proxy.__class__`` with the class of this process that has the remote class's name."""

    def __init__(self, class_obj):
        self._class_obj = class_obj

    @property
    def instance(self):
        """The class of which the remote object is an instance."""
        return self._class_obj

    @property
    def owner(self):
        """The class of that class, for the proxy of a class."""
        return self._class_obj.__class__

    def __get__(self, netref_instance, netref_owner):
        return self.owner if netref_instance.____id_pack__[2] == 0 else self.instance


def class_factory(id_pack, methods):
    """The class for proxies of objects like the one named.

    :param id_pack: the object's id pack
    :param methods: pairs (name, docstring), as INSPECT returns them
    """
    name = id_pack[0]
    described = _describe_class(name)
    base = ContainerIterator if name in _CONTAINER_ITERATORS and id_pack[2] else BaseNetref
    methods = tuple(methods)
    key = name, described and described.instance, base, methods, _make_method
    made = _made_classes.get(key)
    if made is None:
        made = _made_classes[key] = _make_class(name, described, base, methods)
    return made


#: Connections to servers of one kind share their classes: to make one takes longer than a round trip.
_made_classes = weakref.WeakValueDictionary()


def _make_class(name, described, base, methods):
    namespace = {"__slots__": (), "__class__": described}
    for method, doc in methods:
        method = sys.intern(str(method))  # as the native part knows its own names
        if method not in LOCAL_ATTRS and method not in vars(base):
            namespace[method] = _make_method(method, doc)
    return NetrefMetaclass(name, (base,), namespace)


def _describe_class(name):
    """What stands for the class called ``name`` in this process, or None if it is not here."""
    if name in _normalized_builtin_types:
        return NetrefClass(_normalized_builtin_types[name])
    module_name = name
    while module_name:
        module = sys.modules.get(module_name)
        if module is not None:
            found = getattr(module, name[len(module_name) + 1 :], None) if module_name != name else None
            if found is not None:
                return NetrefClass(found) if hasattr(found, "__class__") else None
            return NetrefClass(type(module))
        module_name = module_name.rpartition(".")[0]
    return None


def _make_method(name, doc):
    """The method of a proxy's class that runs the remote object's method."""
    maker = _special_makers.get(name)
    if maker is not None:
        method = maker(name)
    else:

        def method(_self, /, *args, **kwargs):
            return call_method(_self, name, args, kwargs)

    method.__name__ = name
    method.__doc__ = doc
    return method


def _make_call(name):
    def __call__(_self, /, *args, **kwargs):
        return call(_self, args, kwargs)

    return __call__


def _make_slicer(name):
    """Python 2's slicing methods, which a peer may still ask for."""
    item_method = name.replace("slice", "item")

    def method(self, start, stop, *args):
        stop = None if stop == sys.maxsize else stop
        return syncreq(self, consts.HANDLE_OLDSLICING, item_method, name, start, stop, args)

    return method


def _make_array(name):
    def __array__(self, *args, **kwargs):
        # Unpickling what a peer sent takes our own consent.
        loads, pickled = self.__reduce_ex__(-1)
        # It is a copy already. NumPy 2.0 to 2.2 crash if it is to be copied.
        kwargs.pop("copy", None)
        return loads(*pickled).__array__(*args, **kwargs)

    return __array__


_special_makers = {
    "__call__": _make_call,
    "__getslice__": _make_slicer,
    "__setslice__": _make_slicer,
    "__delslice__": _make_slicer,
    "__array__": _make_array,
}


def _inspect(obj):
    """The answer to INSPECT: what :func:`class_factory` needs on the other side."""
    if isinstance(obj, BaseNetref):
        return obj.____conn__.sync_request(consts.HANDLE_INSPECT, obj.____id_pack__)
    return tuple(get_methods(LOCAL_ATTRS, obj))


def _is_instance(conn, cls, other_id_pack):
    """The answer to INSTANCECHECK: the other object is of a third process, and known here only by its class's name."""
    if isinstance(cls, BaseNetref):
        return cls.____conn__.sync_request(consts.HANDLE_INSTANCECHECK, cls, other_id_pack)
    known = _describe_class(other_id_pack[0])
    return known is not None and isinstance(known.instance, type) and issubclass(known.instance, cls)


def _local_exception(exc):
    """The arguments for an ``__exit__`` here, given what the peer sent for the exception: None, the exception, or its class."""
    if exc is None or exc is False:
        return None, None, None
    if isinstance(exc, BaseException) and not isinstance(exc, BaseNetref):
        return type(exc), exc, exc.__traceback__
    if isinstance(exc, type) and not isinstance(exc, BaseNetref) and issubclass(exc, BaseException):
        return exc, exc(), None
    described = _describe_class(exc.____id_pack__[0]) if isinstance(exc, BaseNetref) else None
    cls = described.instance if described is not None else None
    if not (isinstance(cls, type) and issubclass(cls, BaseException)):
        cls = Exception
    if not exc.____id_pack__[2]:
        return cls, cls(), None  # a stock peer sends the exception's class
    try:
        args = tuple(exc.args)
    except AttributeError:
        args = (str(exc),)  # the peer does not show its exception's arguments, as is the default
    return cls, cls(*args), None


for _builtin in _builtin_types:
    _id_pack = get_id_pack(_builtin)
    _normalized_builtin_types[_id_pack[0]] = _builtin
for _builtin in _builtin_types:
    # Of its instances, that is: what a class can do, such as being called, they cannot.
    _id_pack = get_id_pack(_builtin)
    _of_instance = (*_id_pack[:2], 1)
    builtin_classes_cache[_id_pack[0]] = class_factory(_of_instance, methods_of_instances(LOCAL_ATTRS, _builtin))
del _builtin, _id_pack, _of_instance

"""Programs that iterate over a peer's containers, and would notice items that were read too early. Each gets the package and the
port of an everyday server, which keeps what it is given and calls what it is told to."""


def _connect(api, port):
    return api.connect("127.0.0.1", int(port))


def _collect(iterable, step=lambda index, item: None):
    """The items, with something done after each."""
    items = []
    for index, item in enumerate(iterable):
        items.append(item)
        step(index, item)
    return items


def every_container_to_its_end(api, port):
    with _connect(api, port) as conn:
        for source in (
            "[]", "[1]", "list(range(1000))", "[[i] for i in range(70)]", "{i: str(i) for i in range(500)}", "{}",
            "{i: i for i in range(99)}.values()", "{i: [i] for i in range(99)}.items()", "set(range(300))", "bytearray(200)",
            "range(0, 3000, 3)", "range(10**20, 10**20 + 50)", "(i for i in range(100))", "iter([1, 2, 3])", "map(str, range(9))",
        ):  # fmt: skip
            here = list(eval(source))
            there = _collect(conn.root.evaluate(source))
            assert [repr(item) for item in there] == [repr(item) for item in here], source


def items_appended_while_iterating(api, port):
    """A list that grows while it is gone through, as a breadth-first search has it."""
    with _connect(api, port) as conn:
        conn.root.keep_evaluated("[0]")
        kept = conn.root.kept()
        assert _collect(kept, lambda index, item: index < 200 and conn.root.execute("kept.append(len(kept))")) == list(range(201))


def items_replaced_and_removed_while_iterating(api, port):
    with _connect(api, port) as conn:
        conn.root.keep_evaluated("list(range(100))")
        kept = conn.root.kept()

        def step(index, item):
            if index == 40:
                conn.root.execute("kept[41] = 'replaced'; del kept[42:90]")

        assert _collect(kept, step) == [*range(41), "replaced", *range(90, 100)]


def changes_by_way_of_the_proxy(api, port):
    with _connect(api, port) as conn:
        numbers = conn.root.evaluate("list(range(60))")

        def step(index, item):
            if index in (3, 30):
                numbers[index + 1] = "replaced"

        assert _collect(numbers, step) == [*range(4), "replaced", *range(5, 31), "replaced", *range(32, 60)]


def a_dict_that_changes_its_size(api, port):
    with _connect(api, port) as conn:
        for view in ("kept", "kept.keys()", "kept.items()", "kept.values()"):
            conn.root.keep_evaluated("{i: i for i in range(50)}")
            taken = []
            try:
                for item in conn.root.evaluate(view):
                    taken.append(item)
                    if len(taken) == 20:
                        conn.root.execute("kept['more'] = 1")
            except RuntimeError as error:
                assert "changed size" in str(error)
            else:
                raise AssertionError("nobody noticed")
            assert len(taken) == 20, view


def values_that_change(api, port):
    with _connect(api, port) as conn:
        conn.root.keep_evaluated("{i: 0 for i in range(50)}")
        view = conn.root.evaluate("kept.values()")
        assert _collect(view, lambda index, item: index == 9 and conn.root.execute("kept[30] = 1")).index(1) == 30


def an_iterator_that_is_handed_back(api, port):
    with _connect(api, port) as conn:
        for source in ("list(range(100))", "set(range(100))", "{i: i for i in range(100)}", "range(100)"):
            container = conn.root.evaluate(source)
            order = list(conn.root.evaluate(source))
            for taken in (0, 1, 2, 5, 60, 99, 100):
                iterator = iter(container)
                here = [next(iterator) for _ in range(taken)]
                there = conn.root.each(iterator)
                assert [*here, *there] == order, (source, taken)
                assert list(iterator) == []


def an_iterator_at_its_end(api, port):
    with _connect(api, port) as conn:
        conn.root.keep_evaluated("[1, 2, 3]")
        kept = conn.root.kept()
        iterator = iter(kept)
        assert list(iterator) == [1, 2, 3]
        conn.root.execute("kept.append(4)")
        assert next(iterator, "end") == "end"
        assert list(conn.root.each(iterator)) == []
        assert list(kept) == [1, 2, 3, 4]


def two_iterators_of_one_container(api, port):
    with _connect(api, port) as conn:
        numbers = conn.root.evaluate("list(range(30))")
        pairs = [(a, b) for a in numbers for b in numbers]
        assert pairs == [(a, b) for a in range(30) for b in range(30)]
        one, other = iter(numbers), iter(numbers)
        assert [next(one) - next(other) for _ in range(30)] == [0] * 30


def what_an_iterator_is(api, port):
    with _connect(api, port) as conn:
        numbers = conn.root.evaluate("[5, 6, 7]")
        iterator = iter(numbers)
        assert isinstance(iterator, type(iter([])))
        assert iter(iterator) is iterator
        assert next(iterator) == 5
        assert iterator.__length_hint__() == 2
        assert next(iterator) == 6
        assert iterator.__length_hint__() == 1
        assert "list_iterator" in repr(iterator)
        assert next(iterator) == 7
        assert iterator.__length_hint__() == 0


def callbacks_that_change_what_is_gone_through(api, port):
    """The server goes through a list of this side's, and calls this side for each item."""
    with _connect(api, port) as conn:
        items = list(range(60))
        seen = []

        def step(item):
            seen.append(item)
            if item == 20:
                items[30] = "replaced"
            if item == 21:
                items.append("appended")

        conn.root.for_each(items, step)
        assert seen == [*range(30), "replaced", *range(31, 60), "appended"]
        made = []
        conn.root.for_each_made(lambda: list(range(100)), made.append)
        assert made == list(range(100))

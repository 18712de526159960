"""Behaviour that a program written for RPyC relies on, as scenarios that run on netref and on stock RPyC alike.

A scenario is a public function that gets a :class:`scenarios.host.Side` and runs in the client's process. Functions whose names
begin with an underscore are its parts; what it hands to ``far`` runs in the server's process. Both may have either
implementation; only ``differences.py`` may say that an outcome depends on it.
"""

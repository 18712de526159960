"""A server, and what peers look for here."""

"""Commands: a classic server, a registry, and running programs written for RPyC."""

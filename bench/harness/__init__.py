"""Measures pairings of RPyC implementations side by side; `bench/run.py` is its command."""

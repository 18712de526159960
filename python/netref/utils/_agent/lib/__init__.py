"""What peers look for here."""

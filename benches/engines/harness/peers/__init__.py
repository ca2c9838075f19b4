"""The other engines."""

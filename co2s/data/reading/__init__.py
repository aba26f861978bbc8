"""Pixels and classes of a record from files of any kind, by one set of rules."""

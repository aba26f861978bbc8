"""Benchmarks behind tools/benchmark.py; nothing in the library imports them.

Each is a module with `add_arguments(parser)`, `run(args)` -> results that JSON can hold, and
`tables(results)` -> the texts to print.
"""

"""The checkpoints of the method's authors (method section 9), read and converted strictly."""

from .conversion import convert, released
from .files import read_student

__all__ = ["convert", "read_student", "released"]

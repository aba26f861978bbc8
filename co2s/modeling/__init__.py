"""Models: backbones, guidance, heads, students and the methods that train them."""

from . import backbone, guidance, heads, meta_arch  # each registers its parts
from .student import Student, build_student

__all__ = ["Student", "backbone", "build_student", "guidance", "heads", "meta_arch"]

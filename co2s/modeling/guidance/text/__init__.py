"""Text as guidance: concepts -> sentences -> CLIP's text encoder -> one vector for each class."""

from .preparation import name_prototypes, prepare_prototypes
from .prototypes import FROM_CHECKPOINT, TextPrototypes
from .request import wanted_record

__all__ = [
    "FROM_CHECKPOINT",
    "TextPrototypes",
    "name_prototypes",
    "prepare_prototypes",
    "wanted_record",
]

"""Models of the package transformers: loaded with one message where they cannot be."""

from pathlib import Path
from typing import Any

from co2s.files import file_digest
from co2s.optional import import_extra


def transformers() -> Any:
    """The package; ModuleNotFoundError says which extra brings it."""
    return import_extra("transformers", "vlm")


def loaded(kind: Any, name: str, **options: Any) -> Any:
    """`kind.from_pretrained`, of a folder or the name of published weights.

    OSError where they cannot be had.
    """
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise OSError(
            f"The model {name} cannot be loaded: {first} Give the name of published weights where "
            "the network can be reached, or a folder that holds them."
        ) from error


def version(name: str, config: Any) -> str:
    """What tells the weights of a name from others: their commit, or a folder's digests."""
    if commit := getattr(config, "_commit_hash", None):
        return str(commit)
    files = sorted(Path(name).glob("*.safetensors"))
    return "-".join(file_digest(path)[:16] for path in files)

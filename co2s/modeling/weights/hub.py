"""Published weights on the Hugging Face hub: from the local cache first, then from the network."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError

from .files import WeightsError


def fetch(repository: str, names: Sequence[str], advice: str) -> Path:
    """The first of the named files that the repository has, downloaded unless it is cached.

    What is cached is used without asking the network: published weights do not change. Raises
    WeightsError where none can be had; `advice` ends its message.
    """
    for name in names:
        try:
            return Path(hf_hub_download(repository, name, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
    reason = "it has none of these files"
    for name in names:
        try:
            return Path(hf_hub_download(repository, name))
        except GatedRepoError:
            reason = "it is gated, and no account with access to it is logged in here"
            break
        except LocalEntryNotFoundError:  # an EntryNotFoundError, too, yet one of the network
            reason = "the Hugging Face hub cannot be reached"
            break
        except EntryNotFoundError:
            continue
        except Exception as error:  # whatever else the client or the network raises
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            break
    raise WeightsError(f"Cannot get {' or '.join(names)} of {repository}: {reason}. {advice}")

"""Views: what a method wants to see of an unlabelled image."""

from dataclasses import dataclass

PARTNERS = ("other", "same")


@dataclass(frozen=True)
class Views:
    """The weak view is always there; nothing else is decoded or drawn that no loss reads.

    `strong`: strong views of the weak crop. `cutmix`: a box for each of them, and a partner whose
    pixels go inside: "other", another unlabelled image, or "same", another crop of the image
    itself, as in the authors' release. ValueError for any other partner.
    """

    strong: int = 0
    cutmix: bool = False
    partner: str = "other"

    def __post_init__(self) -> None:
        if self.partner not in PARTNERS:
            raise ValueError(
                f'DATALOADER.CUTMIX_PARTNER must be "other" or "same", found "{self.partner}".'
            )

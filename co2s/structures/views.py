"""Views: what a method wants to see of an unlabelled image."""

from dataclasses import dataclass

DRAWN_PARTNERS = ("other", "same")
PARTNERS = (*DRAWN_PARTNERS, "rolled", "previous")


@dataclass(frozen=True)
class Views:
    """The weak view is always there; nothing else is decoded or drawn that no loss reads.

    `strong`: strong views of the weak crop. `cutmix`: a box for each of them, and a partner whose
    pixels go inside: "other", another unlabelled image, as in UniMatch; "same", another crop of the
    image itself, as in the authors' release; "rolled", the item before in the batch; "previous",
    the item in the same place of the batch before. The first two are drawn and sent through the
    students for their labels; the last two are there already, and cost no pass. ValueError for any
    other partner. `labeled`: whether labelled images come along, which pretraining has no use for.
    """

    strong: int = 0
    cutmix: bool = False
    partner: str = "other"
    labeled: bool = True

    def __post_init__(self) -> None:
        if self.partner not in PARTNERS:
            raise ValueError(
                f'DATALOADER.CUTMIX_PARTNER is "{self.partner}"; it may be {", ".join(PARTNERS)}.'
            )

    @property
    def draws_partner(self) -> bool:
        """Whether an item brings a partner of its own."""
        return self.cutmix and self.partner in DRAWN_PARTNERS

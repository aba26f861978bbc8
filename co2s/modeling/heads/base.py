"""Head: what a decoder gives away besides its logits."""

from collections.abc import Mapping

from torch import Tensor, nn

Hidden = dict[str, Tensor]  # what the last layers read, by name; "feature" is the decoder's own map
Layers = Mapping[str, nn.Module]


class Head(nn.Module):
    """A decoder whose last layers stand apart: logits are `classify(hidden(maps, vectors))`.

    For methods that compare pixels by their features, or put a second classifier on them. A
    registered decoder need not be one; such methods refuse it then.
    """

    feature_dim: int  # channels D of the feature

    def hidden(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Hidden:
        """Maps (B, C, h, w), class vectors -> what the last layers read.

        "feature" (B, D, h', w') is the last map of the decoder, at the size of its logits.
        """
        raise NotImplementedError

    def classifier(self) -> dict[str, nn.Module]:
        """The last layers by name: all that turns `hidden` into logits, to copy or to train."""
        raise NotImplementedError

    def classify(self, hidden: Hidden, layers: Layers | None = None) -> Tensor:
        """Logits (B, N, h', w'), by layers like those of `classifier`, or by its own."""
        raise NotImplementedError

    def forward(self, maps: dict[str, Tensor], guidance: Tensor | None = None) -> Tensor:
        return self.classify(self.hidden(maps, guidance))


def checked(head: nn.Module) -> Head:
    """A head that is a `Head`; ValueError for a decoder that gives its feature away to nobody."""
    if not isinstance(head, Head):
        raise ValueError(
            f"The method reads the last feature of the decoder, and {type(head).__name__} gives "
            "none. Derive it from co2s.modeling.heads.Head, or choose another HEAD.NAME."
        )
    return head

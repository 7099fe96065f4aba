"""How the networks of a supernet run: at which resolution, and with which regularisation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nas.search_spaces.network import Network


@dataclass(frozen=True, slots=True)
class Form:
    """The changes of a network of the space that make it one of the supernet.

    Attributes:
        resolution: side in pixels of the images of a network whose deployment resolution is ``reference``; others get
            images of proportionally other sides.
        reference: largest deployment resolution of the space.
        dropout: dropout rate before the classifier; ``None``: the network's own.
        drop_connect: drop rate at the end of the stochastic-depth ramp; ``None``: the network's own.
        norm_momentum: momentum of BatchNorm; ``None``: the network's own.
        norm_epsilon: epsilon of BatchNorm; ``None``: the network's own.
    """

    resolution: int
    reference: int
    dropout: float | None = None
    drop_connect: float | None = None
    norm_momentum: float | None = None
    norm_epsilon: float | None = None

    def of(self, network: Network, classes: int) -> Network:
        """Return the network as it runs.

        Raises:
            InputError: if its images are too small for its strides.
        """
        side = max(1, round(self.resolution * network.resolution / self.reference))
        found = network.at(resolution=side, classes=classes)
        if self.dropout is not None:
            found = replace(found, head=replace(found.head, dropout=self.dropout))
        if self.drop_connect is not None:
            found = replace(found, drop_connect=self.drop_connect)
        if self.norm_epsilon is not None:
            found = replace(found, norm_epsilon=self.norm_epsilon)
        return found if self.norm_momentum is None else replace(found, norm_momentum=self.norm_momentum)

"""The network that a proxy trains for a network of a space: at the proxy's resolution, with the data's classes."""

from __future__ import annotations

from dataclasses import replace

from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces.network import Network


def proxy_resolution(network: Network, settings: ProxySettings, side: int) -> int:
    """Return the side in pixels at which a network trains if images are stored at ``side``."""
    if settings.reference_resolution is None:
        return side
    return max(1, round((settings.resolution or side) * network.resolution / settings.reference_resolution))


def proxy_network(network: Network, settings: ProxySettings, side: int, classes: int) -> Network:
    """Return the network that is trained for ``network``.

    Args:
        network: the deployed network.
        settings: settings of the proxy.
        side: side of the stored images in pixels.
        classes: number of classes of the images.

    Raises:
        InputError: if the training resolution is too small for the network's strides.
    """
    proxy = network.at(resolution=proxy_resolution(network, settings, side), classes=classes)
    if settings.drop_connect is not None:
        proxy = replace(proxy, drop_connect=settings.drop_connect)
    if settings.dropout is not None:
        proxy = replace(proxy, head=replace(proxy.head, dropout=settings.dropout))
    return replace(proxy, norm_momentum=settings.batch_norm_momentum)

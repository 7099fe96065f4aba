"""The proxy's training step: images on the device, augmentation, precision, the step itself, and its schedule.

Imports nothing but torch and numpy (and torchvision for RandAugment alone), so that it runs wherever torch does.
"""

__all__: list[str] = []

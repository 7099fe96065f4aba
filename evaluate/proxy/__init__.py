"""The proxy's training step: images on the device, augmentation, precision, the step itself, and its schedule.

The training itself needs only torch and numpy (and torchvision for RandAugment), so it runs wherever torch runs.
"""

__all__: list[str] = []

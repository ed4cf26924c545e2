"""What the twin answers beyond moto, one module per pillar."""

import importlib
import pkgutil


def load() -> None:
    """Import every module of this package, so that its operations register themselves."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")

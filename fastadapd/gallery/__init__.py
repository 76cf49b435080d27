"""Problems that are ready to run."""

from fastadapd.gallery.localization import Localization, localization

__all__ = ["Localization", "localization"]

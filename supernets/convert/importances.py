"""Names of the scores by which channels are kept. No torch: the service checks requests with them."""

from __future__ import annotations

from supernets.errors import ConvertError, nearest

DEFAULT = "magnitude"
IMPORTANCES = (
    DEFAULT,
    "norm_scale",
    "fisher",
    "plain_magnitude",
    "average_magnitude",
    "cosine",
    "taylor",
    "taylor_squared",
    "hesso",
)
"""Each is computed in :mod:`supernets.convert.ranking`."""
WITHOUT_EXAMPLES = (DEFAULT, "norm_scale")


def check_importance(name: str) -> None:
    """Refuse a score that does not exist with a ``ConvertError``."""
    if name not in IMPORTANCES:
        choices = ", ".join(IMPORTANCES)
        raise ConvertError(f"unknown importance {name!r}; choices: {choices}{nearest(name, IMPORTANCES)}")

"""``python_source``: the source of Python's standard library, which is on every machine."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from supernets.data.sources.corpus import CorpusSource


class PythonSource(CorpusSource):
    """The modules of this Python's standard library, without packages inside it; another version is other text."""

    def texts(self) -> list[Path]:
        """The top-level modules, sorted."""
        return sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))

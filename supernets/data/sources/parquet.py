"""``parquet:PATH``: a file, or a folder of files whose names contain train, validation or test; held in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from supernets.data.encoded import EncodedSource
from supernets.data.stored.examples import Found
from supernets.data.stored.tables import index_files, split_files
from supernets.errors import DataError
from supernets.words import counted


class ParquetSource(EncodedSource):
    """Rows with an encoded image and a label."""

    def files(self) -> list[Path]:
        """Those of all splits."""
        return [path for paths in self._splits()[0].values() for path in paths]

    def found(self) -> Found:
        """Rows and labels of every split."""
        splits, others = self._splits()
        found = index_files(splits, self.spec.unlabelled)
        if not others:
            return found
        names = ", ".join(path.name for path in others[:5])
        message = f"{counted(len(others), 'parquet file')} without a split in the name left out: {names}"
        found.skipped["parquet files without a split in their name"] = len(others)
        return replace(found, problems=(*found.problems, ("warning", "files_skipped", message)))

    def _splits(self) -> tuple[dict[str, list[Path]], list[Path]]:
        path = Path(self.spec.location)
        if path.is_dir():
            return split_files(path)
        if not path.is_file():
            raise DataError(
                f"{self.spec.source}:PATH must name a parquet file or a folder of them, but there is none at {path}",
                "data_missing",
            )
        return {"train": [path]}, []

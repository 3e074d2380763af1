"""What a fine-tune changes in quality. No torch."""

from __future__ import annotations

from typing import Literal

from supernets.records import Record

Classifier = Literal["kept", "new"]


class QualityRecord(Record):
    """A quality and its standard error."""

    value: float
    standard_error: float


class ChangeRecord(Record):
    """Quality before and after on the same examples; the error of the difference is that of paired scores."""

    metric: str
    split: str
    n: int
    before: QualityRecord
    after: QualityRecord
    difference: float
    standard_error: float

    def words(self) -> str:
        """``accuracy 0.9012 -> 0.9301 (+0.0289 ± 0.0050) on 1000 test examples``."""
        return (
            f"{self.metric} {self.before.value:.4f} -> {self.after.value:.4f} ({self.difference:+.4f} ± "
            f"{self.standard_error:.4f}) on {self.n} {self.split} examples"
        )

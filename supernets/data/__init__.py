"""Data sets: three splits of images or texts with hashes, what is wrong with them, and how a batch is made.

``load_data("digits")`` needs no download; ``fashion_mnist`` and ``cifar10`` come from the folder named by
``NETWRIGHT_DATA`` or from the Hugging Face hub; ``folder:PATH`` and ``parquet:PATH`` are a user's own images,
``stream:PATH`` and ``hub:NAME`` those that need not fit into memory. ``text:PATH`` are labelled texts, ``corpus:PATH``
running text, and ``python_source`` that of Python's standard library. Options follow: ``folder:PATH,channels=3``.
"""

from supernets.data.batches import augment, batch_indices, distort, epoch_order, prepare, step_generator
from supernets.data.dataset import DataSet
from supernets.data.source import (
    Facts,
    check_data,
    data_facts,
    data_report,
    fingerprint,
    load_data,
    look_at,
    open_source,
)
from supernets.data.splits import HeldSplit, Split
from supernets.data_facts.report import DataReport
from supernets.data_facts.spec import DataSpec

__all__ = [
    "DataReport",
    "DataSet",
    "DataSpec",
    "Facts",
    "HeldSplit",
    "Split",
    "augment",
    "batch_indices",
    "check_data",
    "data_facts",
    "data_report",
    "distort",
    "epoch_order",
    "fingerprint",
    "load_data",
    "look_at",
    "open_source",
    "prepare",
    "step_generator",
]

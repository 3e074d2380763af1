"""Data sets: three splits of uint8 images with hashes, and what is done to a batch.

``load_data("digits")`` needs no download; ``fashion_mnist`` and ``cifar10`` come from the folder named by
``NETWRIGHT_DATA`` or from the Hugging Face hub; ``folder:PATH`` and ``parquet:PATH`` are one's own images,
``stream:PATH`` and ``hub:NAME`` those that need not fit into memory.
"""

from supernets.data.batches import augment, batch_indices, epoch_order, prepare, step_generator
from supernets.data.dataset import DataSet, Split
from supernets.data.facts import Facts, data_facts
from supernets.data.load import DATASETS, check_data, load_data

__all__ = [
    "DATASETS",
    "DataSet",
    "Facts",
    "Split",
    "augment",
    "batch_indices",
    "check_data",
    "data_facts",
    "epoch_order",
    "load_data",
    "prepare",
    "step_generator",
]

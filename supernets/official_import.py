"""A released once-for-all supernet as a supernet directory that is evaluated on a given data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from supernets.checkpoints import load_official, save_supernet
from supernets.data.dataset import DataSet
from supernets.errors import DataError
from supernets.manifest import Manifest
from supernets.official import imagenet
from supernets.records import DataRecord


def import_official(name: str, path: Path, images: Callable[[], DataSet], directory: Path) -> Manifest:
    """Write the supernet directory of a released file, to be evaluated on some images.

    Args:
        name: key of :data:`supernets.official.nets.OFFICIAL`.
        path: the file.
        images: loads ImageNet or a part of it, whose classes are WordNet ids, class names or numbers 0..999. It is
            called once the file is known to be good: it may take minutes.
        directory: created.

    Raises:
        UnknownNameError: no released supernet has this name.
        CheckpointError: see :func:`supernets.official.nets.load_official_net`.
        DataError: classes that ImageNet does not have, or grey images.
    """
    supernet = load_official(name, path)
    data = images()
    if data.channels != 3:
        raise DataError(f"a released supernet reads colour images, {data.name!r} has {data.channels} channel")
    record = DataRecord.model_validate(
        {**data.describe(), "outputs": list(imagenet.outputs_of(data.classes))}
    )
    manifest = supernet.manifest.model_copy(update={"data": record})
    save_supernet(directory, supernet.net, manifest)
    return manifest

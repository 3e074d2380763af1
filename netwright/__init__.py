"""Netwright from a laptop or a device: the Python client and the command line. Needs no torch.

::

    import netwright

    client = netwright.Client("http://127.0.0.1:8000")
    search = client.searches.create(supernet="digits", target="cpu", constraints={"latency_ms": 0.066})
    search.wait(progress=True).front().pick(max_latency_ms=0.06).download_onnx("m.onnx")
"""

from netwright.client import Client
from netwright.errors import (
    ApiError,
    ConflictError,
    IntegrityError,
    InvalidRequestError,
    JobFailedError,
    NetwrightError,
    NoSuchPointError,
    NotAllowedError,
    NotFoundError,
    ServerError,
    UnreachableError,
    WaitTimeoutError,
)

__all__ = [
    "ApiError",
    "Client",
    "ConflictError",
    "IntegrityError",
    "InvalidRequestError",
    "JobFailedError",
    "NetwrightError",
    "NoSuchPointError",
    "NotAllowedError",
    "NotFoundError",
    "ServerError",
    "UnreachableError",
    "WaitTimeoutError",
]

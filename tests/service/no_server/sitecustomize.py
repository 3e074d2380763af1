"""On PYTHONPATH this makes a device of any environment: what only a server has cannot be imported."""

import importlib.abc
import sys

REFUSED = {
    "torch",
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "dbos",
    "onnx",
    "onnxscript",
    "pandas",
    "safetensors",
    "scipy",
    "service",
    "search",
    "sklearn",
}


class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"{name} is not there on a device", name=name)
        return None


sys.meta_path.insert(0, Refuse())

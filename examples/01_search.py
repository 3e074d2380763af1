"""From a limit to an ONNX file in Python.

Needs a running service with predictors of the supernet, as after the commands in README.md, section "Use it":

    python examples/01_search.py --url http://127.0.0.1:8000 --limit-ms 0.03
"""

from __future__ import annotations

import argparse
from pathlib import Path

import netwright


def search(
    client: netwright.Client, supernet: str, target: str, limit_ms: float, budget: int, out: Path
) -> Path:
    """Ask for the most accurate subnets under a latency limit, and save the best of them."""
    found = client.searches.create(
        supernet, target=target, constraints={"latency_ms": limit_ms}, budget=budget
    )
    found.wait(progress=True)
    if not found.feasible:
        misses = found.nearest.violations if found.nearest else []
        raise SystemExit(f"no subnet meets latency_ms <= {limit_ms}; the nearest misses by {misses}")
    front = found.front()
    for point in front:
        print(point.id, point.summary())
    front.pick(max_latency_ms=limit_ms).download_onnx(out, progress=True)
    return out


def main() -> None:
    """Read the arguments and search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--supernet", default="digits")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--limit-ms", type=float, required=True)
    parser.add_argument("--budget", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path("subnet.onnx"))
    given = parser.parse_args()
    with netwright.Client(given.url) as client:
        search(client, given.supernet, given.target, given.limit_ms, given.budget, given.out)


if __name__ == "__main__":
    main()

"""What a search pays in images and seconds for a front, with all images for every subnet and with images as a budget.

    python -m benchmarks.search_cost --supernet cifar10 [--evaluations 80] [--seeds 3] [--cache DIR] --json OUT

Both searches are ``surrogate`` with a Gaussian process of accuracy, on the zoo's real supernet; the second objective
is MACs, which are known exactly, so that nothing but evaluating has a cost. The first evaluates every subnet on all
validation images. The second has the same number of evaluations and follows the rules of the service
(``search/images.py``): every subnet on a part of the images, and on all images those whose expected gain of
hypervolume is the largest. It ends as a search of the service ends, and then goes on, as an extended search does,
until the front of what was evaluated on all images has the hypervolume of the first search. Images are those of the
validation split and those for BatchNorm statistics; seconds are processor time on one thread. A ``--cache`` keeps
evaluations, with the seconds that they took.

With ``--first`` the first search starts with that number of subnets, spread over the space, not with 30 diverse ones:
``--first 100 --evaluations 124`` is what was done before images were a budget, when 100 subnets were evaluated for a
predictor and 24 in the search.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import read_figures
from predictors.acquire import spread_sample
from predictors.quality.gaussian_process import GaussianProcess
from predictors.quality.parts import Shift
from predictors.scope import Scope
from search.algorithm import make_algorithm
from search.constraints import Key
from search.fronts.exact import Uncertain, largest_gains
from search.fronts.front import hypervolume, non_dominated
from search.fronts.pick import spread
from search.images import (
    FRESH_PAIRS,
    LAST_BATCH,
    LAST_BATCHES,
    LEAST_GAIN,
    believed,
    whole_after,
)
from search.optimise import reference_point
from service.supernets.images import usual_part
from supernets.checkpoints import Supernet, load_supernet
from supernets.data import DataSet, load_data
from supernets.evaluate import calibration_for, evaluate_arch
from supernets.metrics import MACS
from supernets.spaces.space import Population

Values = NDArray[np.float64]
ZOO = Path(__file__).parents[1] / "zoo"
START, BATCH = 30, 5
TESTED = 8


@dataclass(frozen=True)
class Paid:
    """A quality, its standard error, and what it took."""

    value: float
    error: float
    images: int
    seconds: float


class Evaluator:
    """Qualities of subnets of one supernet, from the cache where they are there."""

    def __init__(self, supernet: Supernet, data: DataSet, cache: Path | None) -> None:
        self.supernet, self.data, self._cache = supernet, data, cache
        self.all = len(data.validation)
        self.part = usual_part(self.all) or self.all
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)

    def __call__(self, row: NDArray[np.int64], examples: int | None, split: str = "validation") -> Paid:
        """The quality of one subnet on a part of a split, or on all of it."""
        arch = self.supernet.space.decode(row[None])[0]
        file = None if self._cache is None else self._cache / f"{arch.id}-{split}-{examples or 'all'}.json"
        if file is not None and file.exists():
            return Paid(**read_figures(file))
        began = time.process_time()
        found = evaluate_arch(self.supernet, self.data, arch, split, examples=examples)
        seconds = time.process_time() - began
        paid = Paid(found.value, found.standard_error, found.n + calibration_for(examples), seconds)
        if file is not None:
            file.write_text(json.dumps(asdict(paid)))
        return paid


@dataclass(frozen=True)
class Moment:
    """What was spent, and the hypervolume of the subnets evaluated on all images."""

    images: int
    seconds: float
    evaluations: int
    hypervolume: float


@dataclass
class Run:
    """A search in progress. ``whole`` and ``part`` are qualities ``(n,)``, NaN where there is none."""

    evaluate: Callable[..., Paid]
    supernet: Supernet
    archs: Population
    whole: list[float] = field(default_factory=list)
    part: list[float] = field(default_factory=list)
    stated: list[float] = field(default_factory=list)
    pairs: int = 0
    images: int = 0
    seconds: float = 0.0
    trace: list[Moment] = field(default_factory=list)

    @classmethod
    def begin(cls, evaluate: Callable[..., Paid], supernet: Supernet) -> Run:
        """Nothing is evaluated yet."""
        return cls(evaluate, supernet, np.zeros((0, supernet.space.d), dtype=np.int64))

    def _pay(self, row: int, examples: int | None) -> Paid:
        paid = self.evaluate(self.archs[row], examples)
        self.images, self.seconds = self.images + paid.images, self.seconds + paid.seconds
        return paid

    def add(self, archs: Population, examples: int | None) -> None:
        """Evaluate further archs."""
        first = len(self.archs)
        self.archs = np.concatenate([self.archs, archs])
        for row in range(first, len(self.archs)):
            paid = self._pay(row, examples)
            self.whole.append(paid.value if examples is None else np.nan)
            self.part.append(np.nan if examples is None else paid.value)
            self.stated.append(0.0 if examples is None else paid.error)

    def more(self, rows: list[int]) -> None:
        """Evaluate some on all images."""
        for row in rows:
            self.whole[row] = self._pay(row, None).value

    @property
    def macs(self) -> Values:
        """``(n,)``, in millions."""
        return self.supernet.family.costs(self.archs)[MACS] / 1e6

    def scores(self) -> Values:
        """Minimised scores ``(k, 2)`` of what was evaluated on all images."""
        known = np.isfinite(self.whole)
        return np.stack([-np.array(self.whole)[known], self.macs[known]], axis=1)

    def note(self, reference: Values) -> float:
        """Add to the trace; returns the hypervolume."""
        size = hypervolume(self.scores(), reference)
        self.trace.append(Moment(self.images, round(self.seconds, 2), len(self.archs), size))
        return size

    def rows(self, share: float) -> tuple[Values, Values]:
        """Values and standard errors ``(n,)`` of all subnets, on the scale of all images."""
        whole, part = np.array(self.whole), np.array(self.part)
        if not np.isnan(whole).any():
            return whole, np.zeros(len(whole))
        first = slice(0, self.pairs)
        shift = Shift.of(whole[first], part[first], np.array(self.stated)[np.isfinite(part)], share)
        partial = np.isnan(whole)
        return np.where(partial, part + shift.offset, whole), np.where(partial, shift.error, 0.0)


class Believed:
    """The accuracy of a fitted process, minimised, as a model of a surrogate search."""

    def __init__(self, process: GaussianProcess) -> None:
        self._process = process

    def fit(self, archs: Population, y: Values) -> None:
        """It is fitted already, to rows with their errors."""

    def predict(self, archs: Population) -> tuple[Values, Values]:
        """Mean and standard deviation ``(n,)``."""
        mean, std = self._process.predict(archs)
        return -mean, std

    def quantile(self, archs: Population, p: float) -> Values:
        """Quantile ``(n,)``."""
        return -self._process.quantile(archs, 1 - p)


def fitted(run: Run, share: float) -> tuple[GaussianProcess, Values, Values]:
    """A process of accuracy, with expected values and standard errors ``(n,)`` of the evaluated subnets."""
    manifest = run.supernet.manifest
    scope = Scope(
        supernet=manifest.weights_sha256, space_sha256=run.supernet.space.sha256, metric=manifest.quality
    )
    process = GaussianProcess(run.supernet.family, scope)
    values, errors = run.rows(share)
    process.fit(run.archs, values, errors)
    return process, *believed(process, run.archs, values, errors)


def propose(run: Run, process: GaussianProcess, expected: Values, n: int, seed: int) -> Population:
    """The next archs."""
    space, family = run.supernet.space, run.supernet.family
    algorithm = make_algorithm(
        "surrogate",
        space,
        2,
        seed,
        models=[lambda: Believed(process)] * 2,
        known={1: lambda archs: family.costs(archs)[MACS] / 1e6},
        start=2,
    )
    algorithm.tell(run.archs, np.stack([-expected, run.macs], axis=1), np.zeros(len(run.archs)))
    return algorithm.ask(n)


def first_archs(supernet: Supernet, seed: int) -> Population:
    """The start, which both searches share."""
    return make_algorithm("surrogate", supernet.space, 2, seed, start=START).ask(START)


def spread_archs(supernet: Supernet, number: int, seed: int) -> Population:
    """The start of the first search with ``--first``."""
    return spread_sample(supernet.family, number, np.random.default_rng(seed))


def with_all_images(
    evaluate: Evaluator, seed: int, evaluations: int, first: int | None
) -> tuple[Run, Values]:
    """The search that evaluates everything on all images, and its reference point."""
    run = Run.begin(evaluate, evaluate.supernet)
    start = first_archs(run.supernet, seed) if first is None else spread_archs(run.supernet, first, seed)
    run.add(start, None)
    reference = reference_point(run.scores())
    run.note(reference)
    while len(run.archs) < evaluations:
        process, expected, _ = fitted(run, 0.5)
        run.add(propose(run, process, expected, BATCH, seed + len(run.archs)), None)
        run.note(reference)
    return run, reference


class PartsSearch:
    """The search that evaluates on a part first."""

    def __init__(self, evaluate: Evaluator, seed: int, reference: Values, evaluations: int) -> None:
        self._part, self._share = evaluate.part, evaluate.part / evaluate.all
        self._seed, self._reference, self._evaluations = seed, reference, evaluations
        self.run = Run.begin(evaluate, evaluate.supernet)
        self.run.add(first_archs(self.run.supernet, seed), self._part)
        self.run.pairs = FRESH_PAIRS
        self.run.more(list(range(FRESH_PAIRS)))
        self.run.note(reference)

    def round(self) -> None:
        """New subnets on a part, and as many as the rules say on all images."""
        process, expected, _ = fitted(self.run, self._share)
        new = propose(self.run, process, expected, BATCH, self._seed + len(self.run.archs))
        self.run.add(new, self._part)
        self.exact(whole_after(BATCH))

    def exact(self, most: int) -> bool:
        """Evaluate on all images what adds most; whether there was any."""
        if most == 0:
            return False
        run = self.run
        _, expected, errors = fitted(run, self._share)
        quality: Key = (run.supernet.manifest.quality, None)
        macs: Key = (MACS, None)
        archs = Uncertain({quality: expected, macs: run.macs}, quality, errors)
        rows = largest_gains(archs, [quality, macs], [], self._reference, most, LEAST_GAIN).tolist()
        run.more(rows)
        run.note(self._reference)
        return bool(rows)

    def whole(self, goal: float) -> None:
        """All rounds, and then what is expected to add to the front; it ends early with the hypervolume ``goal``."""
        while len(self.run.archs) < self._evaluations and self.run.trace[-1].hypervolume < goal:
            self.round()
        for _ in range(LAST_BATCHES):
            if self.run.trace[-1].hypervolume >= goal or not self.exact(LAST_BATCH):
                break

    def extend(self, goal: float, most: float) -> None:
        """Further rounds until it has the hypervolume ``goal`` or spent ``most`` images."""
        while self.run.trace[-1].hypervolume < goal and self.run.images < most:
            self.round()


def on_test(run: Run) -> Values:
    """Scores ``(k, 2)`` on test of a few subnets, spread over the front of what was evaluated on all images."""
    known = np.flatnonzero(np.isfinite(run.whole))
    scores = run.scores()
    front = np.flatnonzero(non_dominated(scores))
    chosen = known[front[spread(scores[front], TESTED)]]
    values = [run.evaluate(run.archs[row], None, "test").value for row in chosen.tolist()]
    return np.stack([-np.array(values), run.macs[chosen]], axis=1)


def compared(evaluate: Evaluator, seed: int, evaluations: int, first: int | None) -> dict[str, object]:
    """Both searches with one seed."""
    before, reference = with_all_images(evaluate, seed, evaluations, first)
    goal = before.trace[-1].hypervolume
    search = PartsSearch(evaluate, seed, reference, evaluations)
    search.whole(goal)
    ended, tests = search.run.trace[-1], [on_test(run) for run in (before, search.run)]
    search.extend(goal, before.images)
    last = search.run.trace[-1]
    return {
        "seed": seed,
        "ended": shares(ended, before.trace[-1]),
        "reached": last.hypervolume >= goal,
        "last": shares(last, before.trace[-1]),
        "on_test": [hypervolume(scores, reference) for scores in tests],
        "all_images": [asdict(each) for each in before.trace],
        "parts": [asdict(each) for each in search.run.trace],
    }


def shares(moment: Moment, whole: Moment) -> dict[str, float]:
    """What was spent and reached by then, as shares of the search with all images at its end."""
    return {
        name: round(getattr(moment, name) / getattr(whole, name), 4)
        for name in ("images", "seconds", "evaluations", "hypervolume")
    }


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--supernet", default="cifar10", help="a supernet of the zoo")
    parser.add_argument("--evaluations", type=int, default=80, help="of the search with all images")
    parser.add_argument("--first", type=int, help="spread subnets that the first search starts with")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    supernet = load_supernet(ZOO / arguments.supernet)
    evaluate = Evaluator(supernet, load_data(supernet.manifest.data.name), arguments.cache)
    rows = []
    for seed in range(arguments.seeds):
        row = compared(evaluate, seed, arguments.evaluations, arguments.first)
        rows.append(row)
        shown = {key: value for key, value in row.items() if key not in ("all_images", "parts")}
        print(json.dumps(shown), flush=True)
    meta = {
        "supernet": arguments.supernet,
        "evaluations": arguments.evaluations,
        "first": arguments.first,
        "part": evaluate.part,
    }
    arguments.json.write_text(json.dumps({"rows": rows, "meta": meta}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The exact invariants of losses, samplers and hooks, method by method (no training, no noise)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare

from supernets.families.mobilenet_v3 import MobileNetV3, MobileNetV3Config
from supernets.families.proxyless import Proxyless, ProxylessConfig
from supernets.recipes.hooks.masked import MaskedGradients
from supernets.recipes.hooks.opening_ramp import OpeningRamp
from supernets.recipes.losses.alpha_divergence import AlphaDivergence, divergence
from supernets.recipes.losses.labels_and_teacher import LabelsAndTeacher
from supernets.recipes.parts import Item, ItemGradients, Moment, Setting
from supernets.recipes.samplers.attentive import AttentiveSampler
from supernets.recipes.samplers.buckets import Buckets
from supernets.recipes.samplers.shift import ShiftSampler
from supernets.recipes.samplers.shift_learned import LearnedShiftSampler
from supernets.recipes.samplers.uniform import UniformSampler
from supernets.spaces.coupled import CoupledSpace, couple
from tests.small import TASK, small_family

FAMILY = small_family()
SPACE = FAMILY.space()


def setting(steps: int = 100) -> Setting:
    return Setting(FAMILY, steps, 0)


# --- alpha divergence (AlphaNet) -------------------------------------------------------------------


def true_divergence(p: torch.Tensor, z: torch.Tensor, alpha: float) -> torch.Tensor:
    q = F.softmax(z, 0)
    r = p / q
    if alpha == 1:
        return (p * r.log()).sum()
    if alpha == 0:
        return -(q * r.log()).sum()
    return (q * (r**alpha - 1)).sum() / (alpha * (alpha - 1))


@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_the_surrogates_gradient_is_that_of_the_divergence(alpha: float) -> None:
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    student = torch.randn(1, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    value, surrogate = divergence(teacher, student, alpha)
    surrogate.sum().backward()
    p, z, step = F.softmax(teacher[0], 0), student.detach()[0], 1e-5
    assert float(value[0]) == pytest.approx(float(true_divergence(p, z, alpha)), rel=1e-9)
    for k in range(6):
        move = torch.zeros(6, dtype=torch.float64)
        move[k] = step
        slope = (true_divergence(p, z + move, alpha) - true_divergence(p, z - move, alpha)) / (2 * step)
        assert float(student.grad[0, k]) == pytest.approx(float(slope), abs=1e-8)


def test_each_sample_learns_from_the_larger_divergence() -> None:
    teacher = torch.tensor([[4.0, 0.0, 0.0], [0.0, 0.1, 0.0]], dtype=torch.float64)
    student = torch.tensor([[0.0, 0.0, 0.0], [3.0, -3.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = AlphaDivergence(clip=100.0)
    item = Item(SPACE.min(), "min", targets_from="max")
    got = torch.autograd.grad(loss(TASK, item, student, torch.zeros(2).long(), {"max": teacher}), student)[0]
    low, high = (divergence(teacher, student, alpha, 100.0) for alpha in (-1.0, 1.0))
    larger = [low if bool(low[0][k] > high[0][k]) else high for k in range(2)]
    assert larger[0] is not larger[1]
    for k in range(2):
        wanted = torch.autograd.grad(larger[k][1][k] / 2, student, retain_graph=True)[0][k]
        assert torch.allclose(got[k], wanted)


def test_the_clip_bounds_the_surrogates_weights() -> None:
    teacher = torch.tensor([[20.0, 0.0]], dtype=torch.float64)
    student = torch.tensor([[-20.0, 0.0]], dtype=torch.float64, requires_grad=True)
    for alpha in (-1.0, 0.5, 2.0):
        _, surrogate = divergence(teacher, student, alpha, clip=5.0)
        log_q = F.log_softmax(student, 1)
        bound = float(-(log_q.exp() * 5.0 / abs(alpha) * log_q).sum().detach())
        assert abs(float(surrogate.detach())) <= bound + 1e-12


def test_labels_and_teacher_add_up() -> None:
    logits, labels = torch.randn(4, 10), torch.arange(4)
    loss = LabelsAndTeacher(label_smoothing=0.1, kappa=2.0)
    alone = loss(TASK, Item(SPACE.max(), "a"), logits, labels, {})
    assert float(alone) == pytest.approx(float(F.cross_entropy(logits, labels, label_smoothing=0.1)))
    teacher = torch.randn(4, 10)
    both = loss(TASK, Item(SPACE.max(), "a", targets_from="teacher"), logits, labels, {"teacher": teacher})
    extra = -(F.softmax(teacher, 1) * F.log_softmax(logits, 1)).sum(1).mean()
    assert float(both - alone) == pytest.approx(2 * float(extra), rel=1e-5)


# --- compound space (CompOFA) ----------------------------------------------------------------------


def test_the_compound_space_has_exactly_243_subnets() -> None:
    family = MobileNetV3(MobileNetV3Config(resolutions=(224,), kernels=(5,)))
    space = couple(family.space(), {"expand": "depth"})
    rows = space.enumerate()
    assert space.size() == len(rows) == len(np.unique(rows, axis=0)) == 3**5
    pairs = {2: 3, 3: 4, 4: 6}
    for arch in (*space.decode(rows[::20]), *space.decode(space.sample(np.random.default_rng(0), 50))):
        assert space.contains(arch)
        for stage in range(1, 6):
            for block in range(1, int(arch[f"stage{stage}.depth"]) + 1):
                assert arch[f"stage{stage}.block{block}.expand"] == pairs[int(arch[f"stage{stage}.depth"])]


def test_a_coupled_space_keeps_the_promises_of_a_space() -> None:
    space = couple(SPACE, {"expand": "depth"})
    rng = np.random.default_rng(0)
    rows = space.sample(rng, 30)
    other = space.sample(rng, 30)
    for made in (
        rows,
        space.mutate(rng, rows, 0.3),
        space.crossover(rng, rows, other),
        space.repair(rows + 1),
    ):
        assert space.member(made).all()
        assert (space.encode(space.decode(made)) == made).all()
    near = space.neighbours(rows[0])
    assert space.member(near).all() and not (near == rows[0]).all(axis=1).any()
    assert space.contains(space.max()) and space.contains(space.min())
    assert space.enumerate().shape[0] == space.size() < SPACE.size()
    small = space.restrict({"depth": [1]})
    assert isinstance(small, CoupledSpace)
    assert {arch["stage1.block1.expand"] for arch in small} == {1}
    assert small.sha256 != SPACE.restrict({"depth": [1]}).sha256


def test_an_arch_that_breaks_a_coupling_is_refused() -> None:
    from supernets.errors import ArchError, SpaceError

    space = couple(SPACE, {"expand": "depth"})
    with pytest.raises(ArchError, match="follows 'stage1.depth'"):
        space.arch({**space.max().as_dict(), "stage1.block1.expand": 1})
    with pytest.raises(SpaceError, match="restrict that axis instead"):
        space.restrict({"expand": [1]})
    with pytest.raises(SpaceError, match="kinds"):
        couple(SPACE, {"colour": "depth"})
    with pytest.raises(SpaceError, match="no stage has an axis of kind 'resolution'"):
        couple(SPACE, {"expand": "resolution"})


def test_a_stage_of_fixed_depth_keeps_its_expansions_free() -> None:
    """ProxylessNAS's last stage has one block and thus no axis of depth."""
    space = couple(Proxyless().space(), {"expand": "depth"})
    last = f"stage{len(ProxylessConfig().stages)}."
    free = [axis.name for axis in space.axes if axis.kind == "expand" and axis.name not in space.leaders]
    assert free == [f"{last}block1.expand"]
    assert set(space.leaders.values()) == {axis.name for axis in space.axes if axis.kind == "depth"}


# --- attentive sampling ----------------------------------------------------------------------------


def test_drawn_buckets_follow_their_frequency() -> None:
    """With one candidate the sampler is bucket sampling; chi-square against the table."""
    sampler = AttentiveSampler(slots=8, k=1, buckets=6)
    sampler.begin(setting())
    table = Buckets(FAMILY, SPACE, 6, 0)
    rng = np.random.default_rng(3)
    archs = [item.arch for step in range(60) for item in sampler.plan(SPACE, step, rng)[1:-1]]
    counts = np.bincount(table.of(archs), minlength=6)
    often = table.frequency > 0.01
    expected = table.frequency[often] / table.frequency[often].sum() * counts[often].sum()
    assert chisquare(counts[often], expected).pvalue > 0.001
    assert table.frequency.sum() == pytest.approx(1.0)


def test_candidates_share_a_bucket() -> None:
    sampler = AttentiveSampler(slots=2, k=3, buckets=4)
    sampler.begin(setting())
    table = Buckets(FAMILY, SPACE, 4, 0)
    for step in range(5):
        plan = sampler.plan(SPACE, step, np.random.default_rng(step))
        assert [item.role for item in plan] == ["max", "attentive1", "attentive2", "min"]
        for item in plan[1:-1]:
            assert len(item.candidates) == 3
            assert len(set(table.of(list(item.candidates)).tolist())) == 1


# --- probability shift -----------------------------------------------------------------------------


def test_uniform_axes_give_a_bell_and_shifted_draws_follow_pi() -> None:
    table = Buckets(FAMILY, SPACE.restrict({"resolution": [16]}), 7, 0)
    mode = int(table.frequency.argmax())
    assert 0 < mode < 6
    assert (np.diff(table.frequency[: mode + 1]) > 0).all() and (np.diff(table.frequency[mode:]) < 0).all()
    sampler = ShiftSampler(slots=8, buckets=5)
    sampler.begin(setting())
    sampler.norms = [1.0, 2.0, 3.0, 4.0, 10.0]
    own = sampler.buckets(SPACE)
    pi = sampler.probabilities(own)
    rng = np.random.default_rng(0)
    archs = [item.arch for step in range(50) for item in sampler.plan(SPACE, step, rng)[1:-1]]
    counts = np.bincount(own.of(archs), minlength=5)
    assert chisquare(counts, pi * counts.sum()).pvalue > 0.001
    assert pi == pytest.approx(0.9 * np.array([1, 2, 3, 4, 10]) / 20 + 0.1 / 5)


class FakeView:
    """Validation gradients of a size that depends on the cost of the arch alone."""

    def __init__(self, step: int, norm_of: object, space: object = SPACE) -> None:
        self.step, self.steps, self.turn, self.space, self.regions = step, 100, 0, space, (space,)
        self._norm_of, self.asked, self.trained = norm_of, 0, []

    def gradients(self, shard, arch, draw, split="train", moved=None):
        self.asked += 1
        norm = self._norm_of(arch)
        if split == "train":
            self.trained.append(norm)
            return {"w": torch.tensor([norm, 0.0])}
        place = (moved or {"w": torch.zeros(2)})["w"]
        return {"w": torch.tensor([norm, 0.0]) * (1 + place[0])}


def test_a_bucket_with_large_gradients_is_drawn_more_often() -> None:
    sampler = ShiftSampler(buckets=4, every=1)
    sampler.begin(setting())
    table = sampler.buckets(SPACE)
    even = sampler.probabilities(table)
    assert even == pytest.approx(np.full(4, 0.25))
    view = FakeView(0, lambda arch: 10.0 if table.of([arch])[0] == 0 else 1.0)
    sampler.observe(view, {}, np.random.default_rng(0))
    assert view.asked == 4
    assert sampler.probabilities(table)[0] > 0.6
    again = ShiftSampler(buckets=4, every=1)
    again.begin(setting())
    again.restore(sampler.state())
    assert again.probabilities(table) == pytest.approx(sampler.probabilities(table))


def test_the_generator_learns_to_meet_costs() -> None:
    sampler = LearnedShiftSampler(generator_lr=1e-2, batch=32)
    sampler.begin(setting())
    region = SPACE.restrict({"resolution": [16]})
    wanted = np.linspace(0.35, 0.9, 40)

    def error() -> float:
        archs = sampler.generate(region, wanted, np.random.default_rng(9))
        macs = FAMILY.costs(region.encode(archs))["macs"]
        return float(np.abs(sampler.cost(region).scaled(macs) - wanted).mean())

    before = error()
    for step in range(60):
        sampler.learn_costs(region, np.random.default_rng(step))
    assert error() < 0.7 * before


def test_learned_logits_rise_where_training_lowers_the_expected_norm() -> None:
    sampler = LearnedShiftSampler(buckets=4, every=1)
    sampler.begin(setting())
    view = FakeView(0, lambda arch: float(FAMILY.costs(SPACE.encode([arch]))["macs"][0]) / 1e4)
    sampler.observe(view, {}, np.random.default_rng(0))
    state = sampler.state()
    again = LearnedShiftSampler(buckets=4, every=1)
    again.begin(setting())
    again.restore(state)
    rng = [np.random.default_rng(5) for _ in range(2)]
    assert sampler.plan(SPACE, 1, rng[0]) == again.plan(SPACE, 1, rng[1])
    # In this view a step lowers the expected norm the more, the larger the arch's own gradient is.
    assert len(set(view.trained)) > 1
    assert (
        np.argsort(sampler.logits, kind="stable").tolist() == np.argsort(view.trained, kind="stable").tolist()
    )
    assert view.asked == 4 * 4


# --- delayed shrinking and uniform sampling --------------------------------------------------------


def test_the_ramp_lifts_the_effective_rate_linearly_to_the_schedules() -> None:
    hook = OpeningRamp(start=0.5, length=0.1)
    item, largest = Item(SPACE.min(), "min", targets_from="max"), Item(SPACE.max(), "max")

    def rate(step: int) -> float:
        return 1.0 - step / 200

    effective = [hook.weight(item, Moment(step, 100, rate)) * rate(step) for step in range(50, 61)]
    assert effective == pytest.approx([rate(60) * k / 10 for k in range(11)])
    assert hook.weight(item, Moment(50, 100, rate)) == 0.0
    assert hook.weight(item, Moment(60, 100, rate)) == hook.weight(item, Moment(99, 100, rate)) == 1.0
    assert all(hook.weight(largest, Moment(step, 100, rate)) == 1.0 for step in range(100))


def test_masked_aggregates() -> None:
    item = Item(SPACE.min(), "min")
    parts = [
        ItemGradients(item, 1.0, {"w": torch.tensor([2.0, 2.0, 2.0])}, {"w": torch.tensor([1.0, 1.0, 0.0])}),
        ItemGradients(item, 3.0, {"w": torch.tensor([4.0, 4.0, 4.0])}, {"w": torch.tensor([1.0, 0.0, 0.0])}),
    ]
    assert MaskedGradients("sum").combine(parts)["w"].tolist() == [14.0, 2.0, 0.0]
    assert MaskedGradients("mean").combine(parts)["w"].tolist() == [3.5, 2.0, 0.0]
    assert MaskedGradients("sqrt_mean").combine(parts)["w"].tolist() == [7.0, 2.0, 0.0]


def test_uniform_follows_its_numbers_and_shares_a_resolution() -> None:
    sampler = UniformSampler(subnets=[[0.0, 1], [0.5, 4]], shared=["resolution"])
    sampler.begin(setting())
    assert [len(sampler.plan(SPACE, step, np.random.default_rng(0))) for step in (0, 49, 50, 99)] == [
        1,
        1,
        4,
        4,
    ]
    seen = set()
    for step in range(60, 80):
        resolutions = {
            item.arch["resolution"] for item in sampler.plan(SPACE, step, np.random.default_rng(step))
        }
        assert len(resolutions) == 1
        seen |= resolutions
    assert seen == {8, 16}

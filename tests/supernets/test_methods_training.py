"""The exact invariants of methods that touch weights, regions and gradients, on a few steps of tiny nets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from supernets.data import DataSet, load_data
from supernets.elastic.active import use
from supernets.elastic.masks import Masks
from supernets.elastic.reorder import order, reorder
from supernets.errors import TrainingError
from supernets.families.mobilenet_v3 import MobileNetV3
from supernets.recipes.controllers.gradient_split import GradientSplit, maximum_cut
from supernets.recipes.controllers.stages import opened
from supernets.recipes.recipe import Recipe
from supernets.spaces.coupled import within
from supernets.training.loop import STATE_INFO, Training, restore, save, train_step
from tests.small import small_family, start, train

FAMILY = small_family()
SPACE = FAMILY.space()


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


def recipe(name: str = "sandwich", **changes: object) -> Recipe:
    values = {**Recipe.read(name).as_json(), "steps": 8, "batch_size": 8, "schedule": {"warmup_steps": 0}}
    return Recipe.parse({**values, **changes})


def begin(made: Recipe, data: DataSet, family: MobileNetV3 = FAMILY) -> Training:
    return start(made, family, data, seed=0)


def weights(training: Training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.net.state_dict().items()}


def outputs(training: Training, arch: object, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), use(training.net.train(), arch):
        return training.net(image)


# --- recipes ---------------------------------------------------------------------------------------


def test_later_fields_at_their_default_leave_old_hashes_alone() -> None:
    assert (
        Recipe.read("sandwich").sha256 == "e327779868f554ad023fb6a4b934e04685ccdfbeaff38d94f12f84f09a0db2f5"
    )
    old = Recipe.read("sandwich").as_json()
    for changed in (
        {"ema_decay": 0.9},
        {"precision": "bf16"},
        {"schedule": {**old["schedule"], "decay": 2.0}},
    ):
        assert Recipe.parse({**old, **changed}).sha256 != Recipe.parse(old).sha256
    assert Recipe.parse(old) == Recipe.read("sandwich")


COMBINED = """
name = "combined"
steps = 8
batch_size = 8
[sampler]
kind = "shift"
every = 2
buckets = 3
[loss]
kind = "alpha_divergence"
[optimizer]
lr = 0.05
clip_norm = 5.0
[[controllers]]
kind = "stages"
stages = [{ start = 0.0, open = { resolution = 1 } }, { start = 0.5, open = "all", reorder = true }]
[[hooks]]
kind = "opening_ramp"
start = 0.5
length = 0.25
"""


def test_shift_alpha_and_delayed_opening_combine_in_one_file(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "combined.toml").write_text(COMBINED)
    made = Recipe.read(tmp_path / "combined.toml")
    whole = train(made, FAMILY, data, tmp_path / "whole", evaluate_every=8)
    for until in (3, 4, 7, None):
        parts = train(made, FAMILY, data, tmp_path / "parts", until_step=until, evaluate_every=8)
    for name, value in weights(whole).items():
        assert torch.equal(value, parts.net.state_dict()[name]), name
    assert whole.passes == parts.passes == 4 * 1 + 4 * 4 + 2 * 3
    assert whole.sampler.state() == parts.sampler.state()
    info = json.loads((tmp_path / "whole" / STATE_INFO).read_text())
    assert info["identity"]["recipe"] == made.sha256
    assert info["parts"]["sampler"]["norms"] == whole.sampler.state()["norms"]


# --- delayed shrinking -----------------------------------------------------------------------------


def test_passes_are_one_a_step_before_opening_and_four_after(data: DataSet) -> None:
    training = begin(recipe("delayed_shrinking"), data)
    passes = []
    for _ in range(8):
        before = training.passes
        train_step(training)
        passes.append(training.passes - before)
    assert passes == [1, 1, 1, 1, 4, 4, 4, 4]


def test_weight_zero_is_bit_identical_to_training_the_largest_alone(data: DataSet) -> None:
    """At the ramp's first step the others weigh nothing: the update is that of the largest net."""
    stages = [{"start": 0.0, "open": {"resolution": 1}}, {"start": 0.5, "open": "all"}]
    changes = {"controllers": [{"kind": "stages", "stages": stages}]}
    ramped = begin(recipe("delayed_shrinking", **changes), data)
    closed = begin(
        recipe("delayed_shrinking", controllers=[{"kind": "stages", "stages": stages[:1]}], hooks=[]), data
    )
    for _ in range(5):
        train_step(ramped)
        train_step(closed)
    assert ramped.passes == 4 + 4 and closed.passes == 5
    assert all(torch.equal(value, weights(closed)[name]) for name, value in weights(ramped).items())
    train_step(ramped)
    train_step(closed)
    assert any(not torch.equal(value, weights(closed)[name]) for name, value in weights(ramped).items())


def test_item_by_item_equals_accumulation(data: DataSet) -> None:
    fast = begin(recipe(optimizer={"lr": 0.05}), data)
    slow = begin(recipe(optimizer={"lr": 0.05}, hooks=[{"kind": "masked", "aggregate": "sum"}]), data)
    for _ in range(3):
        losses = [train_step(fast), train_step(slow)]
        for role, value in losses[0].items():
            assert losses[1][role] == pytest.approx(value, abs=1e-6)
        for (name, a), b in zip(fast.net.named_parameters(), slow.net.parameters(), strict=True):
            assert torch.allclose(a.grad, b.grad, atol=1e-6), name


def test_masks_are_the_slices_an_arch_uses(data: DataSet) -> None:
    training = begin(recipe(), data)
    masks = Masks(training.net, lambda arch: training.task.example(training.family.dimensions(arch)))
    widest = masks(SPACE.max())
    kernel_matrix = "blocks.1.conv.depth_conv.conv.5to3_matrix"
    assert not bool(widest[kernel_matrix].any())
    # A kernel's rim is out of reach where the image has become smaller than the kernel.
    kernels = {name for name in widest if name.endswith(("_matrix", "depth_conv.conv.conv.weight"))}
    assert all(bool(mask.all()) for name, mask in widest.items() if name not in kernels)
    smallest = masks(SPACE.min())
    assert bool(smallest[kernel_matrix].all())
    plan = FAMILY.plan(SPACE.min())
    for block in plan.blocks[1:]:
        expand = smallest[f"blocks.{block.index}.conv.inverted_bottleneck.conv.conv.weight"]
        assert bool(expand[: block.middle, : block.in_channels].all())
        assert int(expand.sum()) == block.middle * block.in_channels
    used = {block.index for block in plan.blocks}
    for name, mask in smallest.items():
        if name.startswith("blocks.") and int(name.split(".")[1]) not in used:
            assert not bool(mask.any())
    with use(training.net.train(), SPACE.min()):
        training.net(torch.randn(4, 1, 8, 8)).sum().backward()
    for name, parameter in training.net.named_parameters():
        outside = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        assert float((outside * (1 - smallest[name])).abs().max()) == 0.0, name


# --- progressive shrinking -------------------------------------------------------------------------


def randomised(training: Training) -> None:
    generator = torch.Generator().manual_seed(5)
    for parameter in training.net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3 + 0.1


def test_sorting_channels_leaves_the_full_width_alone_and_helps_the_narrow(data: DataSet) -> None:
    training = begin(recipe(), data)
    randomised(training)
    # Channels that matter lie last, where truncation would lose them.
    for group in training.net.channel_groups():
        name, dim = group.importance
        weight = dict(training.net.named_parameters())[name]
        scale = torch.linspace(0.01, 2.0, weight.shape[dim])
        weight.data *= scale.view([-1 if d == dim else 1 for d in range(weight.ndim)])
    image = torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    narrow = SPACE.arch({k: 1 if k.endswith("expand") else v for k, v in SPACE.max().as_dict().items()})
    full, cut = outputs(training, SPACE.max(), image), outputs(training, narrow, image)
    region = SPACE.restrict({"expand": [2]})
    reorder(training.net, training.net.channel_groups(), region)
    again, sorted_cut = outputs(training, SPACE.max(), image), outputs(training, narrow, image)
    assert float((full - again).abs().max()) / max(1.0, float(full.abs().max())) <= 1e-5
    assert float((sorted_cut - full).norm()) < float((cut - full).norm())


def test_sorting_never_crosses_a_trained_width_and_takes_momentum_along(data: DataSet) -> None:
    training = begin(recipe(), data)
    train_step(training)
    randomised(training)
    group = training.net.channel_groups()[0]
    state = dict(training.net.named_parameters())
    inner = group.boundaries(SPACE)[0]
    permutation = order(group, state, SPACE)
    assert sorted(permutation[:inner].tolist()) == list(range(inner))
    free = order(group, state, SPACE.restrict({"expand": [2]}))
    assert sorted(free.tolist()) == list(range(len(free))) and free.tolist() != permutation.tolist()
    narrow = SPACE.arch({k: 1 if k.endswith("expand") else v for k, v in SPACE.max().as_dict().items()})
    image = torch.randn(8, 1, 16, 16)
    before = outputs(training, narrow, image)
    name, dim = group.members[0]
    shard = training.shards[0]
    momentum, weight = shard.momenta()[name].clone(), state[name].detach().clone()
    from supernets.training.steps.structure import reorder_shard

    reorder_shard(shard)
    moved = [
        int((weight.select(dim, k) == row).all(-1).all().int())
        for k, row in enumerate(state[name].unbind(dim))
    ]
    assert not all(moved)
    assert torch.equal(shard.momenta()[name], momentum.index_select(dim, permutation))
    assert torch.equal(state[name], weight.index_select(dim, permutation))
    assert torch.allclose(outputs(training, narrow, image), before, atol=1e-4)


def test_stages_open_kernel_then_depth_then_expand_and_samples_stay_inside(data: DataSet) -> None:
    training = begin(recipe("progressive_shrinking", steps=20), data)
    sizes = []
    for _ in range(20):
        plan_region = training.shards[0].region
        train_step(training)
        region = training.shards[0].region
        assert region.size() >= (plan_region.size() if training.step > 1 else 0)
        sizes.append(region.size())
    assert sizes[0] == 2 and sizes[-1] == SPACE.size()
    assert len(set(sizes)) == 4  # two choices an axis: kernel, depth (at once), expand (at once)
    kernel_only = within(SPACE, opened(SPACE, {"kernel": "all"}))
    assert sizes[5] == kernel_only.size()
    assert training.teacher is not None
    assert training.forwards > 0
    assert not any(p.requires_grad for p in training.teacher.parameters())


def test_smaller_kernel_at_the_start_is_the_centre_crop(data: DataSet) -> None:
    depthwise = begin(recipe(), data).net.blocks[1].conv.depth_conv.conv
    assert torch.equal(depthwise.weight(4, 3), depthwise.conv.weight[:4, :, 1:4, 1:4])


def test_a_frozen_teacher_teaches_from_batch_statistics_and_is_resumed(data: DataSet, tmp_path: Path) -> None:
    training = begin(recipe("progressive_shrinking", steps=20), data)
    for _ in range(8):
        train_step(training)
    save(training, tmp_path)
    again = begin(recipe("progressive_shrinking", steps=20), data)
    restore(again, tmp_path)
    assert again.teacher is not None and again.teacher.training
    assert [train_step(training) for _ in range(3)] == [train_step(again) for _ in range(3)]


# --- gradient split --------------------------------------------------------------------------------


def test_the_cut_is_the_maximum_one() -> None:
    hard = np.array([[0, 0.9, 0.1], [0.9, 0, 0.9], [0.1, 0.9, 0]])
    assert maximum_cut(hard) == (((0, 2), (1,)), pytest.approx(1.8))
    rng = np.random.default_rng(0)
    for _ in range(20):
        d = rng.random((5, 5))
        d = d + d.T
        cuts = [[k for k in range(5) if bits >> k & 1] for bits in range(1, 31)]
        slow = max(sum(d[i, j] for i in left for j in range(5) if j not in left) for left in cuts)
        assert maximum_cut(d)[1] == pytest.approx(slow)


def test_equal_gradients_stay_together_and_their_axis_is_chosen() -> None:
    """Choices 3 and 5 of a kernel pull one way, 7 the other; all other axes agree."""
    space = small_family(kernels=[3, 5, 7]).space().restrict({"resolution": [16]})

    class View:
        step, steps, turn, regions = 5, 10, 0, (space,)

        def gradients(self, shard, arch, draw, split="train", moved=None):
            sign = -1.0 if arch["stage1.block1.kernel"] == 7 else 1.0
            return {"w": torch.tensor([sign, 0.5])}

        def masks(self, arch):
            return {"w": torch.tensor([1.0, 1.0])}

    (split,) = GradientSplit(at=[0.5], repeats=2).observe(View())
    assert split.axis == "stage1.block1.kernel"
    assert {frozenset(group) for group in split.groups} == {frozenset({0, 1}), frozenset({2})}


def test_children_start_as_their_parent_and_take_turns(data: DataSet, tmp_path: Path) -> None:
    made = recipe(
        "gradient_split", controllers=[{"kind": "gradient_split", "at": [0.25, 0.5], "repeats": 1, "axes": 2}]
    )
    training = begin(made, data)
    for _ in range(2):
        train_step(training)
    parent, momentum = weights(training), training.shards[0].momenta()
    from supernets.recipes.parts import Split
    from supernets.training.steps.structure import apply

    apply(Split(0, "stage1.block1.kernel", ((0,), (1,))), training)
    for shard in training.shards:
        assert all(torch.equal(value, parent[name]) for name, value in shard.net.state_dict().items())
        assert all(torch.equal(value, momentum[name]) for name, value in shard.momenta().items())
    one, two = (shard.region for shard in training.shards)
    assert one.size() + two.size() == SPACE.size()
    assert training.shards[0].net is not training.shards[1].net
    straight = train(made, FAMILY, data, tmp_path / "whole", evaluate_every=8)
    for until in (3, 5, None):
        parts = train(made, FAMILY, data, tmp_path / "parts", until_step=until, evaluate_every=8)
    assert len(straight.shards) == len(parts.shards) == 4
    for a, b in zip(straight.shards, parts.shards, strict=True):
        assert a.region == b.region
        assert all(torch.equal(v, b.net.state_dict()[n]) for n, v in a.net.state_dict().items())
    assert straight.passes == parts.passes > 8
    assert sum(shard.region.size() for shard in straight.shards) == SPACE.size()
    for arch in SPACE.decode(SPACE.sample(np.random.default_rng(0), 5)):
        assert sum(shard.region.contains(arch) for shard in straight.shards) == 1
        assert straight.result.of(arch) is straight.result_of(arch)


# --- attentive, average, precision, faults ---------------------------------------------------------


def test_the_best_and_the_worst_candidate_are_trained_and_billed(data: DataSet) -> None:
    losses = {}
    for pick in ("best", "worst"):
        sampler = {"kind": "attentive", "slots": 2, "k": 4, "pick": pick, "buckets": 3}
        loss = {"kind": "labels_and_teacher", "kappa": 0, "label_smoothing": 0}
        training = begin(recipe("attentive", sampler=sampler, loss=loss), data)
        randomised(training)
        step = train_step(training)
        assert (training.passes, training.forwards) == (4, 8)
        assert training.billed == pytest.approx(4 + 8 / 3)
        losses[pick] = step["attentive1"] + step["attentive2"]
    assert losses["best"] < losses["worst"]


def test_averaged_weights_follow_and_are_resumed(data: DataSet, tmp_path: Path) -> None:
    made = recipe(ema_decay=0.5)
    training = begin(made, data)
    first = weights(training)
    train_step(training)
    average = training.result.state_dict()
    for name, parameter in training.net.named_parameters():
        assert torch.allclose(average[name], (first[name] + parameter) / 2, atol=1e-7)
    save(training, tmp_path)
    again = begin(made, data)
    restore(again, tmp_path)
    train_step(training)
    train_step(again)
    for name, value in training.result.state_dict().items():
        assert torch.equal(value, again.result.state_dict()[name])


def test_bf16_forward_passes_stay_near_fp32(data: DataSet) -> None:
    losses = [train_step(begin(recipe(precision=p), data)) for p in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    for role, value in losses[0].items():
        assert losses[1][role] == pytest.approx(value, rel=0.02)


def test_running_out_of_memory_says_what_to_try() -> None:
    from supernets.training.steps.faults import explained

    message = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has 24 GiB of which 1.00 GiB is free."
    with pytest.raises(TrainingError, match=r"2.50 GiB did not fit into 1.00 GiB free.*try batch_size 32"):
        with explained(64):
            raise torch.OutOfMemoryError(message)
    huge = 2**45  # no address space is that large
    with pytest.raises(
        TrainingError, match=rf"{4 * huge / 1e6:,.0f} MB did not fit at batch_size 64; try batch_size 32"
    ):
        with explained(64):
            torch.empty(huge)
    with pytest.raises(RuntimeError, match="another"), explained(64):
        raise RuntimeError("another fault")


def test_a_layer_that_is_not_finite_is_named(data: DataSet) -> None:
    from supernets.training.steps.faults import first_bad

    net = begin(recipe(), data).net.train()
    net.blocks[1].conv.inverted_bottleneck.conv.conv.weight.data.fill_(1e30)
    net.blocks[1].conv.inverted_bottleneck.bn.bn.weight.data.fill_(1e38)
    inputs = (torch.randn(4, 1, 16, 16) * 1e30,)
    assert "the input of layer 'blocks." in first_bad(net, SPACE.max(), inputs)
    net.classifier.linear.bias.data.fill_(float("nan"))
    assert "classifier.linear.bias" in first_bad(net, SPACE.max(), inputs)

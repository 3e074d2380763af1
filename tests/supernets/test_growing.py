"""Networks that grow while they train: nothing else changes at that moment, and the result is a network again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernets.checkpoints import load_supernet
from supernets.convert import convert
from supernets.data import DataSet, load_data
from supernets.errors import RecipeError
from supernets.extract import extract
from supernets.families.converted.traced_net import TracedNet
from supernets.families.family import Family
from supernets.recipes.controllers.self_expanding import SelfExpanding
from supernets.recipes.parts import Grow, Open, Score
from supernets.recipes.recipe import Recipe
from supernets.spaces.cost import costs
from supernets.spaces.growth import Deepen, Growth, Widen
from supernets.training.finish import finish
from supernets.training.loop import train_step
from supernets.training.plan import TrainingFiles
from supernets.training.steps.growing import natural, score
from supernets.training.steps.structure import apply
from supernets.training.steps.training import Training
from tests.small import converted_family, small_family, start, train

STEPS = 12


def recipe(optimizer: dict[str, Any] | None = None, **options: Any) -> Recipe:
    """Asks at every step, with few examples."""
    own = {"kind": "self_expanding", "every": 1 / STEPS, "cool_down": 1 / STEPS, "examples": 4, **options}
    values = Recipe.read("self_expanding").as_json()
    changes = {"steps": STEPS, "batch_size": 16, "schedule": {"warmup_steps": 0}, "controllers": [own]}
    return Recipe.parse({**values, **changes, "optimizer": {**values["optimizer"], **(optimizer or {})}})


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


@pytest.fixture(scope="module")
def family() -> Family:
    return converted_family()


class Mixed(nn.Module):
    """Depthwise, concatenated and flattened channels, and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depth = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point, self.norm = nn.Conv2d(8, 6, 1, bias=False), nn.BatchNorm2d(6)
        self.inner, self.outer = nn.Conv2d(14, 10, 3, 2, 1), nn.Conv2d(10, 10, 3, padding=1)
        self.head = nn.Linear(10 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.stem(x))
        second = F.relu6(self.norm(self.point(self.depth(first))))
        x = F.relu(self.inner(torch.cat([first, second], 1)))
        x = F.relu(x + self.outer(x))
        return self.head(F.adaptive_max_pool2d(x, 2).flatten(1))


@pytest.fixture(params=["mixed", "residual"])
def net(request: pytest.FixtureRequest) -> TracedNet:
    if request.param == "mixed":
        torch.manual_seed(0)
        made = convert(Mixed(), torch.randn(2, 1, 16, 16), multiple=1).net
    else:
        torch.manual_seed(1)
        made = converted_family().build()
    assert isinstance(made, TracedNet)
    return made


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_nothing_changes_without_noise(net: TracedNet) -> None:
    shape = [int(size) for size in net.family.graph.inputs[0].output.shape[1:]]
    images = torch.randn(5, *shape, generator=generator())
    growths = net.family.growths(3, 2)
    assert {type(growth) for growth in growths} == {Widen, Deepen}
    params = sum(each.numel() for each in net.parameters())
    for growth in growths:
        larger, carry = net.grown(growth, 0.0, generator())
        assert sum(each.numel() for each in larger.parameters()) == params + growth.params
        whole = costs(larger.family.layers(larger.family.space().max()))
        assert whole["params"] == params + growth.params
        for training in (False, True):
            with torch.no_grad():
                got, expected = larger.train(training)(images), net.train(training)(images)
            torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
        again = type(larger.family).from_config(larger.family.config())
        assert again.space().sha256 == larger.family.space().sha256
        plain = extract(larger.eval(), larger.family.space().max(), None)
        with torch.no_grad():
            torch.testing.assert_close(plain(images), larger(images), rtol=1e-5, atol=1e-6)
        after = dict(larger.named_parameters())
        for name, parameter in net.named_parameters():
            marked = carry(name, torch.ones_like(parameter))
            assert marked.shape == after[name].shape and int(marked.sum()) == parameter.numel()
            assert torch.equal(after[name][marked.bool()], parameter.flatten())
            assert not after[name][~marked.bool()].any()


def test_noise_is_that_of_its_scale_and_twice_grown_is_grown(family: Family) -> None:
    net = family.build()
    (growth, *_) = (each for each in family.growths(4, 1) if isinstance(each, Widen))
    (first, carry), (second, _) = (net.grown(growth, 1e-4, generator()) for _ in range(2))
    new = []
    for (name, one), two in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
        known = dict(net.named_parameters())[name]
        new.append(one.detach()[carry(name, torch.ones_like(known)) == 0])
    assert float(torch.cat(new).std()) == pytest.approx(1e-4, rel=0.1)
    blocks = [each for each in first.family.growths(4, 1) if isinstance(each, Deepen)]
    for _ in blocks:
        deeper = next(each for each in first.family.growths(4, 1) if isinstance(each, Deepen))
        first, _ = first.grown(deeper, 0.0, generator())
    assert not any(isinstance(each, Deepen) for each in first.family.growths(4, 1))  # capacity is one a block


@pytest.mark.parametrize("optimizer", [{}, {"kind": "adamw", "lr": 1e-3}])
def test_optimizer_state_of_old_entries_is_kept(
    optimizer: dict[str, Any], data: DataSet, family: Family
) -> None:
    for growth in family.growths(2, 1):
        training = start(recipe(optimizer, threshold=1e9, examples=2), family, data, 0)
        for _ in range(3):
            train_step(training)
        net, before = training.net, training.shard.moments()
        weights = {name: each.detach().clone() for name, each in net.named_parameters()}
        steps = [state.get("step") for state in training.optimizer.state.values()]
        apply(Grow(growth, 0.0), training)
        assert training.net is not net and training.family.config() != family.config()
        _, carry = net.grown(growth, 0.0, generator())
        after = dict(training.net.named_parameters())
        assert len(before) == len(training.shard.moments())
        for slots, moved in zip(before, training.shard.moments(), strict=True):
            assert set(moved) == set(slots)
            for name, value in slots.items():
                old = carry(name, torch.ones_like(value)).bool()
                assert torch.equal(moved[name][old], value.flatten()) and not moved[name][~old].any()
                assert torch.equal(after[name][old], weights[name].flatten())
        assert [state.get("step") for state in training.optimizer.state.values()] == steps
        train_step(training)


def test_a_grown_training_resumes_bit_for_bit(data: DataSet, family: Family, tmp_path: Path) -> None:
    made = recipe(threshold=0.0, channels=2).model_copy(update={"ema_decay": 0.9})
    whole = train(made, family, data, tmp_path / "whole", evaluate_every=1000)
    assert isinstance(whole.controllers[0], SelfExpanding) and len(whole.controllers[0].changed) >= 3
    train(made, family, data, tmp_path / "parts", until_step=7, evaluate_every=1000)
    parts = train(made, family, data, tmp_path / "parts", evaluate_every=1000)
    assert parts.family.config() == whole.family.config() != family.config()
    assert parts.controllers[0].state() == whole.controllers[0].state()
    for one, two in ((parts.net, whole.net), (parts.result, whole.result)):
        state = two.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())


def test_the_result_is_a_network_again(data: DataSet, family: Family, tmp_path: Path) -> None:
    training = train(recipe(threshold=0.0), family, data, tmp_path / "run", evaluate_every=1000)
    finish(training, "large", tmp_path / "run", tmp_path / "out")
    supernet = load_supernet(tmp_path / "out")
    assert supernet.family.config() == training.family.config()
    whole = costs(supernet.family.layers(supernet.space.max()))
    assert whole["params"] > costs(family.layers(family.space().max()))["params"]
    (tmp_path / "run").rename(tmp_path / "out" / "training")  # as netwright train leaves it
    for name in ("random", "hesso"):
        plan = TrainingFiles(recipe=name, source=tmp_path / "out", steps=2).plan()
        assert plan.family.config() == supernet.family.config()
        further = start(plan.recipe, plan.family, data, 0, source=plan.source)
        known = dict(supernet.net.named_parameters())
        assert all(torch.equal(value, known[key]) for key, value in further.net.named_parameters())
        train_step(further)


# --- when it grows ---------------------------------------------------------------------------------


def test_the_score_is_gradients_over_the_diagonal_fisher_information(data: DataSet, family: Family) -> None:
    mean, squares = [torch.tensor([2.0, 0.0, 1.0])], [torch.tensor([8.0, 0.0, 1.0])]
    assert natural(mean, squares, 0.0 + 1e-12) == pytest.approx(4 / 8 + 1)
    assert natural(mean, squares, 1.0) == pytest.approx(4 / (8 + 3) + 1 / (1 + 3))
    assert natural([torch.zeros(2)], [torch.zeros(2)], 1e-3) == 0.0
    training = start(recipe(), family, data, 0)
    before = {name: each.detach().clone() for name, each in training.net.state_dict().items()}
    found = score(training, training.net, 4, 1e-10)
    assert 0 < found.value <= found.params == sum(each.numel() for each in training.net.parameters())
    assert score(training, training.net, 4, 1e-10) == found
    after = training.net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@dataclass
class Fake:
    """A view with given scores: of the present network, and of each candidate."""

    present: float
    scores: dict[Growth, float]
    step: int = 1
    steps: int = 100
    params: int = 1000
    turn: int = 0
    asked: list[Growth] = field(default_factory=list)

    def growths(self, channels: int, capacity: int) -> tuple[Growth, ...]:
        return tuple(self.scores)

    def expansion(self, grow: Grow | None, examples: int, damping: float) -> Score:
        if grow is None:
            return Score(self.present, self.params)
        self.asked.append(grow.growth)
        return Score(self.scores[grow.growth], self.params + grow.growth.params)


WIDER, DEEPER = Widen("stem", 4, 100), Deepen("relu", 500)


def grown(controller: SelfExpanding, view: Any) -> list[Growth]:
    return [event.growth for event in controller.observe(view) if isinstance(event, Grow)]


def test_the_best_candidate_above_the_threshold_is_applied() -> None:
    def controller(**options: Any) -> SelfExpanding:
        fixed = {"threshold": 2.0, "every": 0.01, "cool_down": 0.05, "penalty": 0.0}
        return SelfExpanding(**{**fixed, **options})

    assert grown(controller(), Fake(1.0, {WIDER: 2.0, DEEPER: 1.9})) == []  # not above
    assert grown(controller(), Fake(1.0, {WIDER: 2.1, DEEPER: 2.2})) == [DEEPER]
    assert grown(controller(threshold=2.5), Fake(1.0, {WIDER: 2.1, DEEPER: 2.2})) == []
    # exp(-1 * .5 ** 2) = .78 and exp(-1 * .1 ** 2) = .99
    assert grown(controller(penalty=1.0), Fake(1.0, {WIDER: 2.1, DEEPER: 2.6})) == [WIDER]
    limited = Fake(1.0, {WIDER: 2.1, DEEPER: 9.0})
    assert grown(controller(most=1.2), limited) == [WIDER] == limited.asked
    assert grown(controller(end=0.1), Fake(1.0, {WIDER: 3.0}, step=11)) == []
    assert grown(controller(every=0.1), Fake(1.0, {WIDER: 3.0}, step=11)) == []


def test_nothing_is_asked_while_it_cools_down() -> None:
    controller = SelfExpanding(every=0.01, cool_down=0.05)
    steps = []
    for step in range(1, 20):
        if grown(controller, Fake(1.0, {WIDER: 3.0}, step=step)):
            steps.append(step)
    assert steps == [1, 7, 13, 19] == controller.changed
    again = SelfExpanding(every=0.01, cool_down=0.05)
    again.restore(controller.state())
    assert again.state() == controller.state()


@pytest.mark.parametrize(("width", "grows"), [(2, True), (24, False)])
def test_it_grows_where_it_underfits_and_not_where_it_fits(width: int, grows: bool, data: DataSet) -> None:
    """The same recipe, data and seed: two channels are too few for the digits, 24 are enough."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10),
    )  # fmt: skip
    values = recipe(channels=2, every=0.4, cool_down=0.1, examples=256, threshold=1.4).as_json()
    loss = {"kind": "labels_and_teacher", "label_smoothing": 0.0}
    made = Recipe.parse({**values, "steps": 200, "batch_size": 32, "loss": loss, "augment": {}})
    training = start(made, convert(net, torch.randn(2, 1, 32, 32), multiple=1).family, data, 0)
    params = sum(each.numel() for each in training.net.parameters())
    while not training.finished:
        train_step(training)
    assert isinstance(training.controllers[0], SelfExpanding)
    assert bool(training.controllers[0].changed) is grows
    assert (sum(each.numel() for each in training.net.parameters()) > params) is grows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -1}, "threshold and penalty must be at least 0"),
        ({"channels": 0}, "channels must be a whole number from 1 to 4096"),
        ({"channels": 2.5}, "channels must be a whole number .* got 2.5"),
        ({"channels": 10**8}, "channels must be a whole number from 1 to 4096"),
        ({"capacity": 2.5}, "capacity from 0 to 4096"),
        ({"examples": 1}, "examples from 2 to 4096"),
        ({"examples": 64.5}, "examples from 2 to 4096"),
        ({"most": 0.5}, "most must be at least 1"),
        ({"damping": float("nan")}, "damping above 0 and finite, .* nan"),
        ({"every": 0}, r"every and end must lie in \(0, 1\]"),
        ({"chanels": 2}, "did you mean 'channels'|channels"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe(**options)


def test_what_grows_is_alone() -> None:
    values = recipe().as_json()
    stages = {"kind": "stages", "stages": [{"start": 0.0}]}
    with pytest.raises(RecipeError, match="changes the space .* leave out controller 'stages'"):
        Recipe.parse({**values, "controllers": [*values["controllers"], stages]})
    with pytest.raises(RecipeError, match="leave out pruner 'hesso'"):
        Recipe.parse({**values, "pruner": {"kind": "hesso", "sparsity": 0.5}})


def test_a_family_with_nothing_that_grows_is_refused(data: DataSet) -> None:
    with pytest.raises(RecipeError, match="'mobilenet_v3' has no axis and no block that can grow"):
        start(recipe(), small_family(), data, 0)


def test_the_largest_network_alone_is_trained(data: DataSet, family: Family) -> None:
    training = start(recipe(threshold=1e9), family, data, 0)
    (opened,) = training.controllers[0].observe(FirstView(training))
    assert isinstance(opened, Open)
    train_step(training)
    assert training.shard.region.size() == 1


class FirstView:
    """A view of the first step."""

    def __init__(self, training: Training) -> None:
        self.step, self.steps, self.space = 0, training.recipe.steps, training.space

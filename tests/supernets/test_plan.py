"""One resolver for a training: what is left open, where it comes from, and what each mistake says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from supernets.data import DataSet, Facts, load_data
from supernets.device import choose
from supernets.errors import PlanError, SupernetError
from supernets.recipes.recipe import Recipe
from supernets.records import DataRecord, StageRecord
from supernets.training.launch import main
from supernets.training.plan import (
    ZOO_DIR,
    FamilyRequest,
    Origin,
    TrainingFiles,
    TrainingRequest,
    make_family,
    read_family,
    resolve,
)
from tests.small import SMALL, short, small_family, train

FACTS = Facts("digits", tuple("0123456789"), 1, 32, train=1077, held=1797)
OPEN = {key: value for key, value in SMALL.items() if key not in ("num_classes", "image_channels")}


def stage(seed: int = 5) -> StageRecord:
    return StageRecord(
        recipe={"name": "sandwich"}, seed=seed, data=DataRecord(name="digits"), steps=1, passes=1,
        billed_passes=1.0, images=8, seconds=0.1,
    )  # fmt: skip


def request(**changes: object) -> TrainingRequest:
    values = {"recipe": short("sandwich"), "data": "digits", "family": FamilyRequest("mobilenet_v3", SMALL)}
    return TrainingRequest(**{**values, **changes})  # type: ignore[arg-type]


def origin(seed: int = 5) -> Origin:
    return Origin("before", small_family(), "image_classification", "digits", (stage(seed),))


def test_a_request_without_a_source_has_defaults_and_the_dimensions_of_the_data() -> None:
    found = resolve(request(family=FamilyRequest("mobilenet_v3", OPEN)), FACTS)
    assert (found.task, found.seed, found.data, found.fit) == ("image_classification", 0, "digits", [])
    assert make_family(found) == small_family()


def test_what_only_loading_tells_stays_open_and_is_fitted_later() -> None:
    facts = Facts("hub:x")
    found = resolve(request(data="hub:x", family=FamilyRequest("mobilenet_v3", OPEN)), facts)
    assert found.fit == ["outputs", "channels"]
    assert make_family(found, load_data("digits")) == small_family()


def test_a_task_sizes_the_family_to_what_it_needs() -> None:
    found = resolve(request(task="image_regression", family=FamilyRequest("mobilenet_v3", OPEN)), FACTS)
    assert make_family(found).dimensions(small_family().space().max())["outputs"] == 1


@pytest.mark.parametrize(("asked", "last", "expected"), [(None, 5, 6), (3, 5, 3), (None, 2**31 - 1, 0)])
def test_a_further_stage_takes_data_family_task_and_the_next_seed(
    asked: int | None, last: int, expected: int
) -> None:
    found = resolve(request(data=None, family=None, seed=asked, origin=origin(last)), FACTS)
    assert (found.seed, found.data, found.task) == (expected, "digits", "image_classification")
    assert make_family(found) == small_family()


def test_settings_of_a_file_follow_the_data_and_those_of_a_request_must_fit() -> None:
    wrong = {**SMALL, "num_classes": 7}
    sized = resolve(request(family=FamilyRequest("mobilenet_v3", wrong, sized_by_data=True)), FACTS)
    assert make_family(sized) == small_family()
    with pytest.raises(PlanError, match=r"family.num_classes: must be the 10 outputs of 'digits', got 7"):
        resolve(request(family=FamilyRequest("mobilenet_v3", wrong)), FACTS)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"data": None}, "data", "data is missing"),
        ({"family": None}, "family", "family is missing"),
        ({"family": FamilyRequest("table", {})}, "family.family", "mobilenet_v3"),
        ({"family": FamilyRequest("mobilenet_v3", {"colour": 1})}, "family", "unknown mobilenet_v3 settings"),
        ({"task": "chess"}, "task", "image_classification, image_regression"),
        ({"seed": -1}, "seed", "0 to 2147483647"),
        ({"recipe": short("sandwich", batch_size=2000)}, "recipe.batch_size", "at most 1077"),
        ({"recipe": short("alpha_divergence"), "task": "image_regression",
          "family": FamilyRequest("mobilenet_v3", OPEN)}, "recipe", "compares probabilities"),
        ({"recipe": short("sandwich", space={"restrict": {"colour": [1]}})}, "recipe", "colour"),
        ({"origin": origin(), "task": "image_regression"}, "task", "must have the task of its source 'before'"),
        ({"origin": origin(), "family": FamilyRequest("mobilenet_v3", {**SMALL, "kernels": [3]})},
         "family", r"kernels is \[3, 5\] there, \[3\] here"),
    ],
)  # fmt: skip
def test_every_mistake_names_its_field(changes: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        resolve(request(**changes), FACTS)
    assert caught.value.field == field


def test_data_of_other_dimensions_than_the_source_are_refused() -> None:
    colour = Facts("pets", tuple("0123456789"), 3, 32, train=1000, held=2000)
    with pytest.raises(PlanError, match="source 'before' has 1 channels, 'pets' has 3") as caught:
        resolve(request(data="pets", family=None, origin=origin()), colour)
    assert caught.value.field == "data"


@pytest.fixture(scope="module")
def data() -> DataSet:
    return load_data("digits")


def test_both_command_lines_continue_a_training_alike(data: DataSet, tmp_path: Path) -> None:
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        'name = "short"\nsteps = 2\nbatch_size = 8\n[sampler]\nkind = "uniform"\n'
        '[loss]\nkind = "inplace_distillation"\n[optimizer]\nlr = 0.01\n'
    )
    train(
        short("random", steps=2, schedule={}),
        small_family(),
        data,
        tmp_path / "one",
        seed=4,
        evaluate_every=9,
    )
    plan = TrainingFiles(recipe=str(recipe), source=tmp_path / "one").plan()
    assert (plan.seed, plan.data.name, plan.family) == (5, "digits", small_family())
    arguments = [str(recipe), "--from", str(tmp_path / "one"), "--out", str(tmp_path / "two")]
    assert main([*arguments, "--evaluate-every", "9"]) == 0
    assert TrainingFiles(recipe=str(recipe), source=tmp_path / "two").plan().seed == 6


def test_momentum_without_a_source_is_refused() -> None:
    with pytest.raises(PlanError, match="only be taken over from a source"):
        TrainingFiles(recipe="sandwich", momentum=True).plan()


def test_a_family_is_named_by_a_supernet_of_the_zoo_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_family(Path("digits")) == read_family(ZOO_DIR / "digits" / "family.toml")
    (tmp_path / "digits").write_text('family = "resnet50"\n')  # a file of this name comes first
    assert read_family(Path("digits")).name == "resnet50"
    with pytest.raises(
        PlanError, match=r"a supernet of the zoo \(cifar10, digits, fashion_mnist, gpt_bytes, vit\)"
    ):
        read_family(Path("digit"))


@pytest.mark.parametrize(
    ("read", "name", "near"),
    [
        (Recipe.read, "sandwhich", "sandwich"),
        (lambda name: read_family(Path(name)), "fashion_mnst", "fashion_mnist"),
        (choose, "cude", "cuda"),
    ],
)
def test_a_refused_name_is_answered_with_the_nearest(
    read: Callable[[str], object], name: str, near: str
) -> None:
    with pytest.raises(SupernetError, match=f"did you mean {near}\\?"):
        read(name)

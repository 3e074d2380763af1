"""Settings that would take minutes to compute are refused before anything is computed."""

import pytest

from supernets import FAMILIES
from supernets.errors import RecipeError, SpaceError
from supernets.families.limits import MAX_BLOCKS, MAX_CHOICES
from supernets.recipes.recipe import MAX_PARTS, Recipe
from supernets.spaces.cost import MAX_TABLE
from tests.small import SMALL

ABSURD = [
    ("mobilenet_v3", {"depths": [2, 1_000_000]}, "depths[1] must lie in 0 to 65536, got 1000000"),
    ("mobilenet_v3", {"depths": [2, 60_000]}, "got 300000"),
    ("mobilenet_v3", {"resolutions": list(range(8, 208))}, f"at most {MAX_CHOICES} entries, got 200"),
    ("mobilenet_v3", {"stages": [{"width": 8, "stride": 1}] * 40}, "at most 32 entries, got 40"),
    ("mobilenet_v3", {"stages": [{"width": 8, "stride": 0}]}, "stages[0].stride must lie in 1 to"),
    ("mobilenet_v3", {"divisor": 0}, "divisor must lie in 1 to"),
    ("mobilenet_v3", {"base_width": 1e300}, "base_width must lie in 0 to 65536, got 1e+300"),
    ("mobilenet_v3", {"num_classes": 10**9}, "num_classes must lie in 1 to 1000000, got 1000000000"),
    ("resnet50", {"base_depths": [2, 2, 4, 60_000]}, f"at most {MAX_BLOCKS} blocks in all"),
    ("resnet50", {"widths": [float("nan")]}, "widths[0] must lie in 0 to"),
]


@pytest.mark.parametrize(("family", "settings", "words"), ABSURD)
def test_absurd_settings_are_refused_with_the_limit(family, settings, words):
    values = {**SMALL, **settings} if family == "mobilenet_v3" and "depths" not in settings else settings
    with pytest.raises(SpaceError) as caught:
        FAMILIES.load(family).from_config(values)
    assert words in str(caught.value)


def test_many_choices_on_every_axis_are_refused_before_costs_are_tabulated():
    some = list(range(1, 31))
    config = {"resolutions": some, "widths": some, "expansions": some, "depths": [2]}
    family = FAMILIES.load("mobilenet_v3").from_config(config)
    space = family.space()
    with pytest.raises(SpaceError, match=f"at most {MAX_TABLE} combinations"):
        family.costs(space.encode([space.min()]))


def test_a_recipe_has_a_bounded_number_of_parts():
    values = Recipe.read("random").as_json()
    with pytest.raises(RecipeError, match=f"at most {MAX_PARTS}"):
        Recipe.parse({**values, "hooks": [{"kind": "any"}] * (MAX_PARTS + 1)})

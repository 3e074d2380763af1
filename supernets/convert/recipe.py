"""How a converted network is trained unless something else is asked for: ``conversion.toml``."""

from __future__ import annotations

from pathlib import Path

from supernets.recipes.recipe import Recipe

FILE = Path(__file__).with_name("conversion.toml")


def conversion_recipe(steps: int | None = None, examples: int | None = None) -> Recipe:
    """The recipe; ``steps`` replaces its own, and batches have at most the ``examples`` that there are."""
    recipe = Recipe.read(FILE)
    if steps is not None:
        recipe = recipe.with_steps(steps)
    if examples is not None and examples < recipe.batch_size:
        recipe = Recipe.parse({**recipe.as_json(), "batch_size": max(2, examples)})
    return recipe

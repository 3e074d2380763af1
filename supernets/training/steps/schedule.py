"""Learning rates: pure functions of recipe and step."""

from __future__ import annotations

import math

from supernets.recipes.recipe import Recipe


def average_decay(recipe: Recipe, step: int) -> float | None:
    """Decay of the averaged weights in step ``step``: from ``ema_decay`` by a cosine to ``ema_final``, if it is set."""
    first, last = recipe.ema_decay, recipe.ema_final
    if first is None or last is None:
        return first
    done = step / max(1, recipe.steps - 1)
    return last - (last - first) * 0.5 * (1 + math.cos(math.pi * done))


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of step ``step``; each stage of the schedule warms up and falls by itself."""
    schedule = recipe.schedule
    first, last, warmup, peak = 0, recipe.steps, schedule.warmup_steps, recipe.optimizer.lr
    if schedule.stages:
        starts = [round(stage.start * recipe.steps) for stage in schedule.stages]
        index = max(k for k, start in enumerate(starts) if start <= step)
        first, last = starts[index], [*starts[1:], recipe.steps][index]
        warmup, peak = schedule.stages[index].warmup_steps, peak * schedule.stages[index].lr
    step = step - first
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule.kind == "constant":
        return peak
    done = min((step - warmup) / max(1, last - first - warmup), 1.0)
    if schedule.kind == "exponential":
        return peak * max(schedule.floor, math.exp(-schedule.decay * done))
    return peak * (schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * done)))

"""The table of metrics, and that it is the only place where their names are spelled."""

import pytest

from supernets.errors import UnknownNameError
from supernets.metrics import METRICS, metric_named, names_from


def test_every_metric_is_complete():
    for name, metric in METRICS.items():
        assert metric.name == name and metric.unit and metric.description
        assert metric.maximum is None or metric.minimum is None or metric.minimum < metric.maximum
        assert metric.sign == (1.0 if metric.direction == "min" else -1.0)


def test_names_by_source_cover_the_table():
    split = [*names_from("measured"), *names_from("evaluated"), *names_from("closed_form")]
    assert sorted(split) == sorted(METRICS)


def test_an_unknown_metric_is_answered_with_the_choices():
    with pytest.raises(UnknownNameError, match="latency_ms, energy_mj"):
        metric_named("speed")

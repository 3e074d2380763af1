"""What every registered predictor promises. To register is to be tested."""

import numpy as np
import pytest

from predictors import PREDICTORS
from predictors.dataset import Dataset, Row
from predictors.errors import FitError, NotFittedError, PredictorFileError, ScopeError
from predictors.predictor import load
from tests.predictors.toy import FAMILY, SPACE, archs, made, noisy, scope_for, true_value
from tests.small import small_family

ROWS = 60
SOURCES = {"measured": "latency_ms", "evaluated": "accuracy"}
CASES = [f"{kind} {SOURCES[source]}" for kind in PREDICTORS for source in PREDICTORS.load(kind).suits]
pytestmark = pytest.mark.parametrize("name", CASES)
UNSEEN = archs(160, seed=9)[ROWS:]


def kind_of(name):
    return name.split()[0]


def metric_of(name):
    return name.split()[1]


def fresh(name, **changes):
    return made(kind_of(name), scope_for(metric_of(name), **changes))


def training(name, n=ROWS):
    population = archs(n)
    return population, noisy(metric_of(name), population)


@pytest.fixture(scope="module")
def fitted():
    """One fitted predictor a name, which no test may change."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = fresh(name)
            made[name].fit(*training(name))
        return made[name]

    return get


def test_shapes_and_spread(name, fitted):
    mean, std = fitted(name).predict(UNSEEN)
    assert mean.shape == std.shape == (len(UNSEEN),)
    assert mean.dtype == std.dtype == np.float64
    assert np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all()
    empty = fitted(name).predict(UNSEEN[:0])
    assert empty[0].shape == empty[1].shape == (0,)


def test_quantiles_never_fall_and_lie_around_the_mean(name, fitted):
    levels = [0.001, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999]
    values = np.stack([fitted(name).quantile(UNSEEN, p) for p in levels])
    assert (np.diff(values, axis=0) >= 0).all()
    assert (values[1] < values[-2]).all()
    mean, _ = fitted(name).predict(UNSEEN)
    assert ((values[0] <= mean) & (mean <= values[-1])).all()
    for p in (0.0, 1.0, -1.0, 2.0, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            fitted(name).quantile(UNSEEN, p)


def test_it_learns_and_its_interval_holds(name, fitted):
    mean, _ = fitted(name).predict(UNSEEN)
    truth = true_value(metric_of(name), UNSEEN)
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    measured = noisy(metric_of(name), UNSEEN, seed=5)
    low, high = fitted(name).quantile(UNSEEN, 0.05), fitted(name).quantile(UNSEEN, 0.95)
    assert 0.8 <= ((low <= measured) & (measured <= high)).mean() <= 1.0


def test_no_answer_before_a_fit(name):
    predictor = fresh(name)
    calls = (
        lambda: predictor.predict(UNSEEN),
        lambda: predictor.quantile(UNSEEN, 0.5),
        predictor.dump,
        predictor.report,
    )
    for call in calls:
        with pytest.raises(NotFittedError, match="must be fitted before"):
            call()
    assert predictor.rows == 0


def test_predicting_changes_nothing_and_the_same_fit_answers_the_same(name, fitted):
    before = fitted(name).dump()
    fitted(name).predict(UNSEEN)
    fitted(name).quantile(UNSEEN, 0.9)
    assert fitted(name).dump() == before
    again = fitted(name).fresh()
    assert again.rows == 0
    again.fit(*training(name))
    assert again.dump() == before


def test_of_more_rows_than_it_can_afford_it_learns_from_as_many_drawn_ones(name, monkeypatch):
    predictor = fresh(name)
    monkeypatch.setattr(type(predictor), "most_rows", 40)
    predictor.fit(*training(name))
    archs_kept, values_kept = predictor.data
    given = {row.tobytes(): value for row, value in zip(*training(name), strict=True)}
    assert predictor.rows == 40 == len({row.tobytes() for row in archs_kept})
    assert [given[row.tobytes()] for row in archs_kept] == values_kept.tolist()
    again = predictor.fresh()
    again.fit(archs_kept, values_kept)
    assert again.dump() == predictor.dump()


def test_a_second_fit_replaces_the_first(name, fitted):
    predictor = fresh(name)
    population, values = training(name, 30)
    predictor.fit(population, values)
    population[:] = 0  # what was given stays the caller's
    predictor.fit(*training(name))
    assert predictor.rows == ROWS
    np.testing.assert_array_equal(predictor.predict(UNSEEN)[0], fitted(name).predict(UNSEEN)[0])


def test_saved_and_loaded_it_is_equal_bit_for_bit(name, fitted, tmp_path):
    path = tmp_path / "predictor.npz"
    sha256 = fitted(name).save(path)
    loaded = load(path, FAMILY, fitted(name).scope)
    for left, right in zip(fitted(name).predict(UNSEEN), loaded.predict(UNSEEN), strict=True):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(fitted(name).quantile(UNSEEN, 0.9), loaded.quantile(UNSEEN, 0.9))
    assert (loaded.name, loaded.rows, loaded.scope) == (kind_of(name), ROWS, fitted(name).scope)
    assert loaded.save(tmp_path / "again.npz") == sha256
    assert loaded.report(folds=3).as_json() == fitted(name).report(folds=3).as_json()


def test_a_broken_file_is_refused(name, fitted):
    data = fitted(name).dump()
    for broken in (b"", b"text", data[: len(data) // 2], data[:-30]):
        with pytest.raises(PredictorFileError, match="saved predictor"):
            load(broken, FAMILY)


def test_it_refuses_what_it_does_not_belong_to(name, fitted, tmp_path):
    predictor = fitted(name)
    other_metric = "energy_mj" if predictor.scope.metric == "latency_ms" else "latency_ms"
    changes = [
        {"supernet": "another supernet"},
        {"space_sha256": "another space"},
        {"target": "another target"},
        {"data": "another split"},
        {"metric": other_metric},
    ]
    for change in changes:
        fields = {**predictor.scope.as_json(), **change}
        wanted = type(predictor.scope)(**fields)
        for refuse in (
            lambda w=wanted: predictor.require(w),
            lambda w=wanted: load(predictor.dump(), FAMILY, w),
        ):
            with pytest.raises(ScopeError) as caught:
                refuse()
            ((field, got),) = change.items()
            assert repr(got) in str(caught.value)
            assert repr(getattr(predictor.scope, field)) in str(caught.value)
    predictor.require(predictor.scope)


def test_it_refuses_another_space(name, fitted):
    wider = small_family(kernels=[3, 5, 7])
    with pytest.raises(ScopeError, match="space"):
        made(kind_of(name), fitted(name).scope, wider)
    with pytest.raises(ScopeError, match="space"):
        load(fitted(name).dump(), wider)
    with pytest.raises(ScopeError, match="shape"):
        fitted(name).predict(UNSEEN[:, :-1])


def test_it_learns_from_rows_of_its_own_scope_only(name, fitted):
    population, values = training(name)
    scope = scope_for(metric_of(name))
    rows = [
        Row(arch=a, scope=scope, value=float(v))
        for a, v in zip(SPACE.decode(population), values, strict=True)
    ]
    predictor = fresh(name)
    predictor.fit_rows(Dataset(rows, SPACE))
    np.testing.assert_array_equal(predictor.predict(UNSEEN)[0], fitted(name).predict(UNSEEN)[0])
    with pytest.raises(ScopeError, match="supernet"):
        fresh(name, supernet="another").fit_rows(Dataset(rows, SPACE))


def test_rows_that_cannot_be_learned_from_are_refused(name):
    population, values = training(name)
    few = fresh(name).fewest_rows - 1
    outside, gapped = population.copy(), values.copy()
    outside[7] = 99
    gapped[3] = np.nan
    endless = values.copy()
    endless[5] = np.inf
    cases = [
        (population[:few], values[:few], "at least"),
        (population, gapped, "finite"),
        (population, endless, "finite"),
        (population, values[:-1], "must be"),
        (population[:, :-1], values, "must be"),
        (outside, values, "row 7"),
    ]
    for wrong_archs, wrong_values, message in cases:
        predictor = fresh(name)
        with pytest.raises(FitError, match=message):
            predictor.fit(wrong_archs, wrong_values)
        assert predictor.rows == 0


def test_values_that_a_metric_cannot_have_are_refused(name):
    population, values = training(name)
    impossible = (0.0, -1.0) if metric_of(name) == "latency_ms" else (-0.1, 1.1)
    for value in impossible:
        wrong = values.copy()
        wrong[4] = value
        predictor = fresh(name)
        with pytest.raises(FitError, match=metric_of(name)) as caught:
            predictor.fit(population, wrong)
        assert repr(value) in str(caught.value) and predictor.rows == 0


def test_too_few_rows_say_how_many_are_needed_and_there(name):
    predictor = fresh(name)
    few = predictor.fewest_rows - 1
    with pytest.raises(FitError, match=rf"at least {few + 1} rows, got {few}"):
        predictor.fit(*training(name, few))


def test_the_fewest_rows_are_enough_and_equal_values_do_no_harm(name):
    predictor = fresh(name)
    population, values = training(name, predictor.fewest_rows)
    predictor.fit(population, values)
    assert np.isfinite(predictor.quantile(UNSEEN, 0.95)).all()
    predictor.fit(population, np.full(len(population), 0.5))
    mean, std = predictor.predict(UNSEEN)
    np.testing.assert_allclose(mean, 0.5, rtol=0.05)
    assert (std >= 0).all()


def test_repeated_archs_are_allowed(name):
    population, values = training(name)
    predictor = fresh(name)
    predictor.fit(np.concatenate([population, population]), np.concatenate([values, values * 1.001]))
    assert np.isfinite(predictor.predict(UNSEEN)[0]).all()

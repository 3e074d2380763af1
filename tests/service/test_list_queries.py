"""A list takes as many queries for many rows as for few: what its rows refer to is read together."""

from benchmarks.api_scale_rows import PER_PREDICTOR, Filled
from tests.service.test_scale import statements

FEW, MANY = 2, 20
LISTS = ("supernets", "targets", "measurements", "predictors", "searches", "finetunes", "jobs")


def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(client):
    database = client.app.state.services.database
    Filled(client, database, MANY * PER_PREDICTOR)
    for path in LISTS:
        items, asked = {}, {}
        for size in (FEW, MANY):

            def ask(path=path, size=size, items=items):
                answer = client.get(f"/v1/{path}", params={"page_size": size})
                assert answer.status_code == 200, answer.text
                items[size] = answer.json()["items"]

            asked[size] = len(statements(database.engine, ask))
        assert path == "finetunes" or len(items[MANY]) > len(items[FEW]), path
        # What predictors of one metric and target could be fitted to is counted once.
        counted = {(each["supernet"], each["target"]) for each in items[MANY]} if path == "predictors" else ()
        assert asked[MANY] <= asked[FEW] + len(counted), path
        assert path != "predictors" or len(counted) < len(items[MANY])

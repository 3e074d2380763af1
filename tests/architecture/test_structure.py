"""The two scripts that describe the structure, on trees small enough to count by hand."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def structure():
    return script("structure")


@pytest.fixture(scope="module")
def reading():
    return script("reading")


def write(root, files):
    for package in ("supernets", "predictors", "search", "service", "netwright"):
        (root / package).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_figures_of_a_small_tree(structure, tmp_path):
    write(
        tmp_path,
        {
            "search/a.py": "from typing import Any\nfrom search import b\nJson = dict[str, Any]\n",
            "search/b.py": "def f(x: Any, *, a, b, c, d, e) -> int:\n    from search.a import Json\n"
            "    return x['k']\n",
            "search/c.py": "class C:\n    def m(self):\n        y: Literal['k']\n",
        },
    )
    found = structure.measure(tmp_path)
    assert (found.files, found.lines, found.functions) == (3, 9, 2)
    assert (found.any, found.string_subscripts, found.json_aliases) == (2, 1, 1)
    assert found.functions_over_5_arguments == 1 and found.return_types == 0.5
    assert found.cycles == [["search.a", "search.b"]]


def test_a_cycle_between_folders_is_found_where_no_files_import_each_other(structure, tmp_path):
    write(
        tmp_path,
        {
            "service/x/one.py": "from service.y import two\n",
            "service/y/two.py": "",
            "service/y/three.py": "import service.x.four\n",
            "service/x/four.py": "",
        },
    )
    graph = structure.import_graph(tmp_path)
    assert structure.cycles(graph) == []
    assert structure.cycles(structure.folder_graph(graph, tmp_path)) == [["service.x", "service.y"]]


def test_names_are_followed_through_imports_classes_and_strings(reading, tmp_path):
    write(
        tmp_path,
        {
            "service/routes.py": "from service import job as j\nfrom service.plan import Plan\n"
            "def post(plan: Plan):\n    j.run(plan)\ndef other():\n    import service.unused\n",
            "service/job.py": "def run(plan):\n    step('service.task:work')\n",
            "service/plan.py": "from service.base import Base\nclass Plan(Base): ...\n",
            "service/base.py": "class Base: ...\n",
            "service/task.py": "def work(): ...\n",
            "service/unused.py": "",
        },
    )
    reader = reading.Reader(tmp_path, "service")
    reader.follow("service.routes:post")
    assert sorted(reader.opened) == [f"service.{name}" for name in ("base", "job", "plan", "routes", "task")]
    assert reader.strings == {"service.task:work"}


def test_files_are_grouped_by_feature_and_infrastructure(reading):
    opened = {
        f"service.{name}"
        for name in ("search.job", "search.rounds.judge", "devices.leasing", "db.tables", "ids")
    }
    assert reading.groups(opened, "search") == {
        "the feature": ["service.search.job", "service.search.rounds.judge"],
        "other features": ["service.devices.leasing"],
        "infrastructure": ["service.db.tables", "service.ids"],
    }


def test_an_unknown_name_lists_those_there_are(reading, tmp_path):
    write(tmp_path, {"service/routes.py": "def post(): ...\n"})
    with pytest.raises(SystemExit, match="defines no 'get'; it has post"):
        reading.Reader(tmp_path, "service").follow("service.routes:get")

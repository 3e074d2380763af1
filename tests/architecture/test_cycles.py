"""No module imports itself through others: at the top, for types only and inside functions alike."""

from __future__ import annotations

from pathlib import Path

from docs.structure import cycles, import_graph

ROOT = Path(__file__).parents[2]


def test_no_module_imports_itself_through_others() -> None:
    assert cycles(import_graph(ROOT)) == []


def test_imports_for_types_and_inside_functions_count(tmp_path: Path) -> None:
    for package in ("supernets", "predictors", "search", "service", "netwright"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "search" / "a.py").write_text("def f():\n    from search import b\n")
    (tmp_path / "search" / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from search.a import f\n"
    )
    (tmp_path / "search" / "c.py").write_text("import search.a\n")
    assert cycles(import_graph(tmp_path)) == [["search.a", "search.b"]]

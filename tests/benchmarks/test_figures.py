"""Files of figures that are read again."""

import pytest

from benchmarks.figures import read_figures


def test_a_file_without_figures_ends_with_a_message(tmp_path):
    path = tmp_path / "figures.json"
    path.write_text('{"rows": []}')
    assert read_figures(path) == {"rows": []}
    for text, got in (("", "got an empty file"), ("\n", "got an empty file"), ("{", "got other text")):
        path.write_text(text)
        with pytest.raises(SystemExit, match=got):
            read_figures(path)

"""The page "Bring a transformer", followed as it stands, with a small pretrained folder and real processes."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from supernets.data import load_data
from supernets.export.metadata import read_metadata
from tests.docs.pages import STATUS, TRIES, Shell, blocks
from tests.service.house import House
from tests.small import small_texts

pytest.importorskip("transformers")
from tests.pretrained.test_pretrained import CLASSES, write

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bring-a-transformer.md"


def searched(shell: Shell, commands: str) -> str:
    """A subnet of the front; a busy machine may refuse all latencies, and the page says to run the command again."""
    *setup, search = commands.strip().splitlines()
    shell.run("\n".join(setup))
    for _ in range(TRIES):
        said = shell.attempt(search)
        if STATUS not in said:
            return str(re.findall(r"\bsub_\w+", said)[0])
    raise AssertionError(f"no front in {TRIES} searches:\n{said}")


@pytest.mark.timeout(1800)
def test_the_page_leads_to_a_file_that_classifies_a_sentence(settings: Settings, tmp_path: Path) -> None:
    here = tmp_path / "here"
    imports = here / "imports"
    small_texts(imports, 400)
    (imports / "texts.parquet").rename(imports / "intents.parquet")
    write(here / "pretrained", "bert")
    shutil.copy(ROOT / "examples" / "03_classify_a_text.py", here)
    (tmp_path / "logs").mkdir()
    house = House(settings, tmp_path / "logs", NETWRIGHT_IMPORT_DIR=str(imports))
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        house.serve()
        house.start("worker")
        words, said = {"SUBNET": "SUBNET"}, ""
        with Shell(here, {**os.environ, "PATH": programs, "NETWRIGHT_URL": house.url}) as shell:
            for block in blocks(PAGE):
                if "search run" in block.text:
                    words["SUBNET"] = searched(shell, block.text)
                    continue
                said = shell.run(block.text.replace("SUBNET", words["SUBNET"]))
    finally:
        house.close()
    assert said.split()[-1] in CLASSES
    facts = read_metadata(here / "subnet.onnx")
    assert facts["stats_sha256"] is None and facts["task"] == "text_classification"
    assert facts["tokenizer"] == (here / "pretrained" / "tokenizer.json").read_text()
    data = load_data(f"text:{imports / 'intents.parquet'},tokenizer={imports / 'intents' / 'tokenizer.json'}")
    assert facts["preprocessing"]["tokenizer_sha256"] == data.preprocessing()["tokenizer_sha256"]

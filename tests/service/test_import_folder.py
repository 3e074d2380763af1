"""Files in the import folder: nothing outside it is read, nothing that blocks is opened."""

import json
import os
import shutil
import socket
import threading

import pytest
from pydantic import ValidationError

from service.errors import InvalidError
from service.http import import_folder
from service.settings import ZOO_DIR, Settings
from service.supernets import checkpoints
from tests.service.test_errors import assert_problem

SECRET = b"outside the import folder"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    root = tmp_path / "import"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"content")
    return root


def read(root, path, max_bytes=100):
    return import_folder.read_file(root, path, "path", max_bytes)


@pytest.mark.parametrize("path", ["folder/file", "./folder/file", "folder//file"])
def test_a_regular_file_is_read(root, path):
    assert read(root, path) == b"content"


def link(root):
    (root / "entry").symlink_to(root.parent / "secret")


def link_inside(root):
    (root / "entry").symlink_to(root / "folder" / "file")


def dangling(root):
    (root / "entry").symlink_to("nowhere")


def loop(root):
    (root / "entry").symlink_to("entry")


def fifo(root):
    os.mkfifo(root / "entry")


def unix_socket(root):
    # The path of a socket is limited to about 100 bytes, so it is bound by its name alone.
    here = os.open(".", os.O_RDONLY)
    os.chdir(root)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("entry")
    finally:
        os.fchdir(here)
        os.close(here)


def hard_link(root):
    os.link(root.parent / "secret", root / "entry")


def folder(root):
    (root / "entry").mkdir()


def too_large(root):
    (root / "entry").write_bytes(b"x" * 101)


KINDS = [link, link_inside, dangling, loop, fifo, unix_socket, hard_link, folder, too_large]


@pytest.mark.parametrize("make", KINDS)
def test_anything_but_a_regular_file_of_its_own_is_refused_at_once(root, make):
    make(root)
    with pytest.raises(InvalidError) as refused:
        read(root, "entry")
    assert refused.value.errors[0].field == "path"
    assert str(root) not in str(refused.value)


@pytest.mark.parametrize("make", [link, link_inside, dangling, loop, fifo, unix_socket, hard_link])
def test_a_tree_with_a_link_or_a_special_file_is_refused(root, make):
    make(root)
    for path in (".", "entry"):
        with pytest.raises(InvalidError):
            import_folder.check_tree(root, path, "data")
    assert import_folder.check_tree(root, "folder", "data") == root / "folder"


def test_a_link_to_a_folder_is_followed_in_no_component(root):
    (root.parent / "other").mkdir()
    (root.parent / "other" / "file").write_bytes(SECRET)
    (root / "linked").symlink_to(root.parent / "other")
    for call in (read, lambda root, path: import_folder.check_tree(root, path, "path")):
        with pytest.raises(InvalidError, match="links"):
            call(root, "linked/file")
    with pytest.raises(InvalidError, match="links"):
        import_folder.list_folder(root, "linked", "path")


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../secret",
        "folder/../../secret",
        "/etc/passwd",
        "absent",
        "folder/file/deeper",
        "a" * 5000,
        "a" * 300,
        "a/" * 100 + "b",
        "nul\0",
        "folder/file\0",
        "lone\ud800",
    ],
)
def test_a_path_that_is_not_inside_is_refused(root, path):
    with pytest.raises(InvalidError):
        read(root, path)


def test_without_an_import_folder_nothing_is_read():
    with pytest.raises(InvalidError, match="NETWRIGHT_IMPORT_DIR"):
        read(None, "folder/file")


def test_a_file_that_is_swapped_for_a_link_after_its_check_is_not_followed(root, monkeypatch):
    real = os.stat

    def stat_then_swap(path, **options):
        found = real(path, **options)
        if path == "file":
            (root / "folder" / "file").unlink()
            (root / "folder" / "file").symlink_to(root.parent / "secret")
        return found

    monkeypatch.setattr(import_folder.os, "stat", stat_then_swap)
    with pytest.raises(InvalidError):
        read(root, "folder/file")


def test_a_file_that_is_swapped_for_a_fifo_after_its_check_does_not_block(root, monkeypatch):
    real = os.stat

    def stat_then_swap(path, **options):
        found = real(path, **options)
        if path == "file":
            (root / "folder" / "file").unlink()
            os.mkfifo(root / "folder" / "file")
        return found

    monkeypatch.setattr(import_folder.os, "stat", stat_then_swap)
    with pytest.raises(InvalidError):
        read(root, "folder/file")


def as_link(entry, to):
    """Put a link in the place of a file or folder."""
    entry.rename(entry.with_name(f"{entry.name}.kept"))
    entry.symlink_to(to)


def swap_when_opened(monkeypatch, name, entry, to):
    """At the last moment before ``name`` is opened, ``entry`` becomes a link to ``to``; returns whether it has."""
    real, swapped = os.open, []

    def swap_then_open(path, *arguments, **options):
        if path == name and not swapped:
            swapped.append(path)
            as_link(entry, to)
        return real(path, *arguments, **options)

    monkeypatch.setattr(import_folder.os, "open", swap_then_open)
    return swapped


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_link_that_is_put_there_at_the_moment_of_opening_is_not_followed(root, monkeypatch, what):
    """A folder that is already open stays the same one: what is then put in its place is not read."""
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(SECRET)
    entry, to = (
        (root / "folder", elsewhere) if what == "folder" else (root / "folder" / "file", elsewhere / "file")
    )
    swapped = swap_when_opened(monkeypatch, what, entry, to)
    with pytest.raises(InvalidError, match="link"):
        read(root, "folder/file")
    assert swapped


def test_a_folder_that_is_replaced_while_a_file_in_it_is_opened_stays_the_one_that_was_checked(
    root, monkeypatch
):
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(SECRET)
    assert swap_when_opened(monkeypatch, "file", root / "folder", elsewhere) == []
    assert read(root, "folder/file") == b"content"
    assert (root / "folder").is_symlink()


def test_links_that_come_and_go_while_files_are_read_lead_nowhere(root):
    """Another process swaps a file, and its folder, for links and back: what is read is the file, or refused."""
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(SECRET)
    stop, rounds = threading.Event(), []

    def swap():
        while not stop.is_set() and len(rounds) < 100_000:
            for entry, to in ((root / "folder" / "file", elsewhere / "file"), (root / "folder", elsewhere)):
                as_link(entry, to)
                entry.unlink()
                entry.with_name(f"{entry.name}.kept").rename(entry)
            rounds.append(1)
            stop.wait(0.0002)  # both are in place meanwhile, so that some reads succeed

    swapper = threading.Thread(target=swap)
    swapper.start()
    found = []
    try:
        while (len(rounds) < 50 or b"content" not in found) and len(found) < 100_000:
            try:
                found.append(read(root, "folder/file"))
            except InvalidError:
                found.append(None)
    finally:
        stop.set()
        swapper.join(30)
    assert set(found) <= {b"content", None} and b"content" in found and len(rounds) >= 50


def test_a_file_that_grows_after_its_check_is_read_up_to_the_limit_only(root):
    with import_folder.open_file(root, "folder/file", "path", 100) as file:
        (root / "folder" / "file").write_bytes(b"x" * 1000)
        with pytest.raises(InvalidError):
            import_folder._at_most(file.read(101), "folder/file", "path", 100)


def test_a_tree_has_a_bound_on_its_files(root):
    with pytest.raises(InvalidError, match="at most 1 files"):
        import_folder.check_tree(root, ".", "data", max_entries=1)


def test_what_libraries_say_of_a_folder_names_it_as_the_request_did(client, settings):
    (settings.import_dir / "file").write_text("no folder")
    for path, more in (("/v1/trainings:estimate", {}), ("/v1/trainings", {"name": "x"})):
        answer = client.post(path, json={"data": "folder:file", "family": "digits", **more})
        assert_problem(answer, 422)
        assert str(settings.import_dir) not in answer.text and "folder:file" in answer.text


# --- through the API -------------------------------------------------------------------------------


@pytest.fixture
def mine(settings):
    shutil.copytree(ZOO_DIR / "digits", settings.import_dir / "mine")
    return settings.import_dir / "mine"


FILES = ["manifest.json", "supernet.safetensors", "report.md", "metrics.jsonl", "curve.png"]


def put_link(entry, _settings):
    entry.symlink_to("/etc/passwd")


def put_link_to_database(entry, settings):
    entry.symlink_to(settings.home / "netwright.db")


def put_fifo(entry, _settings):
    os.mkfifo(entry)


def put_hard_link_to_database(entry, settings):
    os.link(settings.home / "netwright.db", entry)


def test_no_file_of_a_supernet_directory_leads_anywhere_else(client, settings, mine, tmp_path):
    for name in FILES:
        for put in (put_link, put_link_to_database, put_fifo, put_hard_link_to_database):
            entry, kept = mine / name, tmp_path / "kept"
            entry.rename(kept)
            put(entry, settings)
            problem = assert_problem(client.post("/v1/supernets", json={"path": "mine"}), 422)
            assert problem.errors[0].field == "path", (name, put)
            assert str(tmp_path) not in problem.model_dump_json()
            entry.unlink()
            kept.rename(entry)
    assert client.get("/v1/supernets").json()["items"] == []
    assert not list(settings.home.glob("import-*"))


@pytest.mark.parametrize("name", ["manifest.json", "report.md"])
def test_a_link_that_is_put_there_while_an_import_runs_leads_nowhere(
    client, settings, mine, monkeypatch, name
):
    swapped = swap_when_opened(monkeypatch, name, mine / name, settings.home / "netwright.db")
    problem = assert_problem(client.post("/v1/supernets", json={"path": "mine"}), 422)
    assert swapped and problem.errors[0].field == "path"
    assert client.get("/v1/supernets").json()["items"] == []
    assert not list(settings.home.glob("import-*"))


def test_an_import_leaves_no_copy_behind(client, settings, mine):
    assert client.post("/v1/supernets", json={"path": "mine"}).status_code == 201
    assert not list(settings.home.glob("import-*"))


PATHS = ("parquet:/etc", "folder:/etc", "folder:../..", "stream:/", "nonsense:x", "/etc/passwd", "..", "")


def test_a_manifest_may_name_only_data_that_a_training_could(client, settings, mine, monkeypatch):
    monkeypatch.setattr(checkpoints, "check_fully", checkpoints.check)  # the tensors are those of the zoo
    manifest = json.loads((mine / "manifest.json").read_text())

    def register(name):
        manifest["data"]["name"] = name
        (mine / "manifest.json").write_text(json.dumps(manifest))
        return client.post("/v1/supernets", json={"path": "mine"})

    for name in PATHS:
        assert_problem(register(name), 422)
    assert client.get("/v1/supernets").json()["items"] == []
    (settings.import_dir / "photos" / "cat").mkdir(parents=True)
    assert register(f"folder:{settings.import_dir / 'photos'}").status_code == 201


@pytest.mark.parametrize(
    ("home", "import_dir", "more"),
    [
        ("import/home", "import", {}),
        ("home", "home/import", {}),
        ("home", "home", {}),
        ("home", "import", {"database_url": "sqlite:///{}/import/x.db"}),
        ("home", "import", {"artifacts_url": "{}/import/artifacts"}),
        ("home", "import", {"artifacts_url": "file://{}/import/artifacts"}),
    ],
)
def test_the_import_folder_lies_apart_from_the_files_of_the_service(tmp_path, home, import_dir, more):
    values = {name: value.format(tmp_path) for name, value in more.items()}
    with pytest.raises(ValidationError, match="apart"):
        Settings(home=tmp_path / home, import_dir=tmp_path / import_dir, **values)


def test_a_link_to_the_home_folder_is_no_way_around(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "import").symlink_to(tmp_path / "home")
    with pytest.raises(ValidationError, match="apart"):
        Settings(home=tmp_path / "home", import_dir=tmp_path / "import")

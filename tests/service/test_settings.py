"""One table of settings: documented, checked, without secrets in sight."""

import socket

import pytest
from pydantic import ValidationError

from service.errors import InvalidError, UnavailableError
from service.http.keys import make_key
from service.ids import DEFAULT_PROJECT
from service.run import (
    migrate,
    other_database,
    require_free_port,
    require_private,
    require_schema,
    warn_of_folders,
)
from service.settings import Settings, setting_fault, without_password


def test_folders_of_the_server_are_not_public(tmp_path):
    folders = {"home": tmp_path / "home", "import_dir": tmp_path / "import", "data": tmp_path / "data"}
    settings = Settings(**folders)
    text = "; ".join(f"{folder}/a/b, {folder}" for folder in folders.values())
    assert settings.public(text) == (
        "NETWRIGHT_HOME/a/b, NETWRIGHT_HOME; a/b, the import folder; NETWRIGHT_DATA/a/b, NETWRIGHT_DATA"
    )


def test_every_setting_has_a_help_text():
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NETWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("NETWRIGHT_PORT", "8111")
    monkeypatch.setenv("NETWRIGHT_ALLOWED_HOSTS", "netwright.local, VM:8475,,[fe80::1]:80")
    settings = Settings()
    hosts = ["netwright.local", "vm", "[fe80::1]"]
    assert (settings.home, settings.port, settings.allowed_hosts) == (tmp_path, 8111, hosts)
    assert settings.database == f"sqlite:///{tmp_path / 'netwright.db'}"
    assert settings.artifacts == str(tmp_path / "artifacts")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.com", "::"])
def test_without_a_key_only_loopback_is_listened_on(settings, database, host):
    public = settings.model_copy(update={"host": host})
    with pytest.raises(InvalidError, match="loopback"):
        require_private(public)
    with database.write() as session:
        make_key(session, DEFAULT_PROJECT, "first", ["admin"])
    require_private(public)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_addresses_are_fine(settings, host):
    require_private(settings.model_copy(update={"host": host}))


def test_a_password_is_not_in_the_representation():
    settings = Settings(database_url="postgresql+psycopg://u:secret@h/d")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/d",
        "mysql://u@h/d?password=secret",
        "postgresql+psycopg://u:secret@h:port/d",
        "host=h user=u password=secret",
        "u:secret",
    ],
)
def test_a_password_is_in_no_message(url):
    with pytest.raises(ValidationError) as refused:
        Settings(database_url=url)
    assert "secret" not in str(refused.value)
    assert not any("secret" in setting_fault(fault) for fault in refused.value.errors())


def test_a_url_is_shown_without_its_password():
    assert without_password("postgresql+psycopg://u:se@cr:et@h/d") == "postgresql+psycopg://u:***@h/d"
    assert without_password("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"
    assert (
        without_password("postgresql+psycopg://u@h/d?password=se&x=1")
        == "postgresql+psycopg://u@h/d?password=***&x=1"
    )
    assert without_password("host=h password='s e' user=u") == "host=h password=*** user=u"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///x.db?timeout=a",
    ],
)
def test_a_database_that_is_no_file_is_refused(url):
    with pytest.raises(ValidationError, match="must name a file"):
        Settings(database_url=url)


@pytest.mark.parametrize("name", ["heartbeat_s", "poll_s", "worker_timeout_s", "lease_s", "body_timeout_s"])
@pytest.mark.parametrize("value", ["inf", "nan"])
def test_times_are_finite(name, value):
    with pytest.raises(ValidationError):
        Settings(**{name: value})


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql://h/d", "nonsense"])
def test_other_databases_are_refused(url):
    with pytest.raises(ValidationError):
        Settings(database_url=url)


@pytest.mark.parametrize("text", ["a b", "http://vm", '["vm"]', "vm/", "-"])
def test_host_names_that_are_none_are_explained(text):
    with pytest.raises(ValidationError, match="host names separated by commas, such as vm,vm.lan"):
        Settings(allowed_hosts=text)


def test_any_name_needs_a_key(settings, database):
    public = settings.model_copy(update={"allowed_hosts": ["*"]})
    with pytest.raises(InvalidError, match="NETWRIGHT_ALLOWED_HOSTS must be .* until there is a key"):
        require_private(public)
    with database.write() as session:
        make_key(session, DEFAULT_PROJECT, "first", ["admin"])
    require_private(public)


def test_the_address_to_listen_on_is_a_name_of_the_service():
    assert Settings(host="192.168.1.5", allowed_hosts="vm").host_names == ["vm", "192.168.1.5"]
    assert Settings(host="fe80::1").host_names == ["[fe80::1]"]
    assert Settings().host_names == []
    assert socket.gethostname().lower() in Settings(host="0.0.0.0").host_names


def test_a_log_level_is_a_name():
    assert Settings(log_level="debug").log_level == "DEBUG"
    with pytest.raises(ValidationError, match="'DEBUG', 'INFO', 'WARNING' or 'ERROR'"):
        Settings(log_level="LOUD")


def test_an_absent_database_names_its_path_and_the_one_used_before(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    used = Settings(home=tmp_path / "first")
    migrate(used)
    require_schema(used)
    other = Settings(home=tmp_path / "second")
    with pytest.raises(UnavailableError) as refused:
        require_schema(other)
    text = str(refused.value)
    assert f"no database at {tmp_path / 'second' / 'netwright.db'}" in text
    assert f"the one used before is {tmp_path / 'first' / 'netwright.db'}" in text
    assert f"NETWRIGHT_HOME={tmp_path / 'first'}" in text
    assert str(tmp_path / "first" / "netwright.db") in (other_database(other) or "")
    assert other_database(used) is None
    assert not (tmp_path / "second").exists(), "looking makes nothing"
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "netwright.db").touch()
    with pytest.raises(UnavailableError, match="third/netwright.db is empty.*run netwright migrate"):
        require_schema(Settings(home=tmp_path / "third"))


def test_a_port_that_is_in_use_is_a_sentence_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UnavailableError, match=rf"cannot listen at 127.0.0.1:{port}: .*--port"):
            require_free_port(Settings(port=port))
    require_free_port(Settings(port=port))


def test_folders_that_cannot_be_used_are_named_at_the_start(tmp_path, caplog):
    there = Settings(home=tmp_path / "home", data=tmp_path)
    warn_of_folders(there)
    assert not caplog.records
    warn_of_folders(there.model_copy(update={"data": tmp_path / "gone", "import_dir": tmp_path / "away"}))
    assert [record.message.split(";")[0] for record in caplog.records] == [
        f"NETWRIGHT_IMPORT_DIR: {tmp_path / 'away'} does not exist",
        f"NETWRIGHT_DATA: {tmp_path / 'gone'} does not exist",
    ]

"""One table of settings: documented, checked, without secrets in sight."""

import pytest
from pydantic import ValidationError

from service.errors import InvalidError
from service.http.keys import make_key
from service.ids import DEFAULT_PROJECT
from service.run import require_private
from service.settings import Settings, setting_fault, without_password


def test_every_setting_has_a_help_text():
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith("."), name


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("NETWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("NETWRIGHT_PORT", "8111")
    monkeypatch.setenv("NETWRIGHT_ALLOWED_HOSTS", '["netwright.local"]')
    settings = Settings()
    assert (settings.home, settings.port, settings.allowed_hosts) == (tmp_path, 8111, ["netwright.local"])
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


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "postgresql+psycopg://u:secret@h:port/d"])
def test_a_password_is_in_no_message(url):
    with pytest.raises(ValidationError) as refused:
        Settings(database_url=url)
    assert "secret" not in str(refused.value)
    assert not any("secret" in setting_fault(fault) for fault in refused.value.errors())


def test_a_url_is_shown_without_its_password():
    assert without_password("postgresql+psycopg://u:se@cr:et@h/d") == "postgresql+psycopg://u:***@h/d"
    assert without_password("sqlite:////tmp/x.db") == "sqlite:////tmp/x.db"


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql://h/d", "nonsense"])
def test_other_databases_are_refused(url):
    with pytest.raises(ValidationError):
        Settings(database_url=url)

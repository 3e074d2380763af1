"""Every setting, with its help text: the environment, the command line and the docs read this table."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from service.hosts import names_of
from service.logs import LogFormat

PASSWORD = re.compile(r"(://[^:/\s]*):\S*@")
NAMED_PASSWORD = re.compile(r"(?i)(pass\w*\s*=\s*)(?:'[^']*'|[^\s&;]+)")
"""Of a URL's query, or of the driver's own ``host=… password=…``."""
HOST = re.compile(r"(\*|\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?)(?::\d+)?")
LONGEST_S, MOST = 1e7, 10**9
"""Upper ends of times and counts: what is larger is a mistake, and more than a system can wait for or store."""
ZOO_DIR = Path(__file__).resolve().parents[1] / "zoo"


class Settings(BaseSettings):
    """Settings of a service, its workers and its migrations; read from ``NETWRIGHT_*`` and nowhere else."""

    model_config = SettingsConfigDict(
        env_prefix="NETWRIGHT_", frozen=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False
    )

    home: Path = Field(
        Path("netwright-data"),
        description="Folder of the embedded database, the artifacts and the logs of jobs.",
    )
    database_url: str = Field(
        "",
        repr=False,
        description="SQLAlchemy URL of the database; empty means SQLite in the home folder. "
        "PostgreSQL: postgresql+psycopg://user:password@host/database.",
    )
    artifacts_url: str = Field(
        "",
        description="fsspec URL of the artifact store; empty means the home folder's 'artifacts'.",
    )
    import_dir: Path | None = Field(
        None, description="The only folder that paths in requests may name; empty refuses such requests."
    )
    zoo_dir: Path = Field(ZOO_DIR, description="Folder of the trained supernets that ship with the service.")
    data: Path | None = Field(
        None, description="Folder of data sets that are already on this machine; 'digits' needs none."
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on; until there is a key, it must be a loopback address."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Names, separated by commas, under which other machines reach this service, such as `vm,vm.lan`; "
        "`*` allows every name and needs a key. Loopback names, the address to listen on, and with 0.0.0.0 the names "
        "of this machine are always allowed.",
    )
    header_timeout_s: float = Field(
        10.0, gt=0, le=LONGEST_S, description="Seconds a client has to send the headers of a request."
    )
    body_timeout_s: float = Field(
        60.0, gt=0, le=LONGEST_S, description="Seconds a client has to send a request's body."
    )
    heartbeat_s: float = Field(
        2.0, gt=0, le=LONGEST_S, description="Seconds between two signs of life of a worker."
    )
    worker_timeout_s: float = Field(
        30.0,
        gt=0,
        le=LONGEST_S,
        description="Seconds without a sign of life after which a worker counts as dead.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=MOST,
        description="Workers that may die on a job before it is parked (state failed, error code parked).",
    )
    poll_s: float = Field(
        0.3, gt=0, le=LONGEST_S, description="Seconds between two looks into the queue or for new events."
    )
    job_kinds: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Kinds of job a worker takes, separated by commas, such as `search,fit,export`; empty means all.",
    )
    job_limits: Annotated[dict[str, int], NoDecode] = Field(
        default_factory=dict,
        description="How many jobs of a kind all workers together run at once, such as `train=1,evaluate=4`; a kind "
        "that is not named has no limit. Every worker needs the same value.",
    )
    keep_unused_days: float = Field(
        30.0,
        ge=0,
        le=36_500,
        description="Days after which a worker deletes an artifact that nothing refers to, and the folder of a "
        "training that has ended; 0 keeps them.",
    )
    project_workers: int = Field(
        0,
        ge=0,
        le=MOST,
        description="Jobs of one project that all workers together run at once; 0 is no limit.",
    )
    max_jobs: int = Field(
        0,
        ge=0,
        le=MOST,
        description="Jobs of a project that have not ended, beyond which it gets 429; 0 is no limit.",
    )
    max_stored_mb: float = Field(
        0.0,
        ge=0,
        le=1e12,
        description="MB (10^6 bytes) a project may store before it gets 429 for new jobs; 0 is no limit.",
    )
    requests_per_s: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="Requests a second of one key to one process of the service, 10 seconds' worth of them at once; "
        "0 is no limit.",
    )
    lease_s: float = Field(
        120.0,
        gt=0,
        le=LONGEST_S,
        description="Seconds a device's agent may be silent before the nets it measures are leased to others.",
    )
    agent_wait_s: float = Field(
        0.0,
        ge=0,
        le=LONGEST_S,
        description="Seconds a job waits for a target without any agent before it fails; 0 waits for ever.",
    )
    measure_rounds: int = Field(
        60,
        ge=20,
        le=1000,
        description="Rounds of a measuring run. Nets with a small enough standard error stop earlier; nets whose "
        "latency would be refused go on for up to three times as many.",
    )
    measure_block_ms: float = Field(
        15.0, ge=1, le=1000, description="Milliseconds that a net is timed in each round of a measuring run."
    )
    threads: int = Field(1, ge=1, le=1024, description="Threads of a job that trains or evaluates.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where trainings run: cpu, cuda, or auto, which is a GPU where there is one."
    )
    require_key: bool = Field(
        False,
        description="Start only with a key, also on a loopback address; `netwright migrate` makes the first key and "
        "prints it once. Set in containers.",
    )
    log_format: LogFormat = Field(
        "text", description="text for people, or json: an object a line, with the ids of request and job."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """``vm, other:8475`` as names without ports."""
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple):
            return value
        return [_host_name(str(name)) for name in names if str(name).strip()]

    @field_validator("job_kinds", mode="before")
    @classmethod
    def _kinds(cls, value: object) -> object:
        return (
            [kind.strip() for kind in value.split(",") if kind.strip()] if isinstance(value, str) else value
        )

    @field_validator("job_limits", mode="before")
    @classmethod
    def _limits(cls, value: object) -> object:
        """``train=1,evaluate=4`` as a dictionary."""
        if not isinstance(value, str):
            return value
        limits = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            kind, _, most = part.partition("=")
            if not kind.strip() or not most.strip().isdecimal() or int(most) < 1:
                raise ValueError(
                    f"must be kind=number with a number from 1 on, such as train=1, got {part!r}"
                )
            limits[kind.strip()] = int(most)
        return limits

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url:
            return url
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # their texts may hold the password
            raise ValueError("must be a SQLAlchemy URL such as postgresql+psycopg://user@host/name") from None
        if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
            raise ValueError(
                f"must start with sqlite:/// or postgresql+psycopg://, got {parsed.drivername!r}"
            )
        in_memory = parsed.database in (None, "", ":memory:")
        if _is_sqlite(parsed) and (in_memory or parsed.query or parsed.host):
            raise ValueError(
                "must name a file and no options: sqlite:////absolute/path.db or sqlite:///relative.db"
            )
        return url

    @model_validator(mode="after")
    def _import_dir_apart(self) -> Settings:
        """Files below the import folder can be registered and downloaded, so nothing of the service may lie there."""
        if self.import_dir is None:
            return self
        root = self.import_dir.resolve()
        url = make_url(self.database)
        own = {"home": self.home.resolve(), "artifacts_url": _local_folder(self.artifacts)}
        own["database_url"] = Path(url.database).resolve() if url.database and _is_sqlite(url) else None
        for name, path in own.items():
            if path is not None and (path.is_relative_to(root) or root.is_relative_to(path)):
                raise ValueError(
                    f"NETWRIGHT_IMPORT_DIR must lie apart from NETWRIGHT_{name.upper()}: neither may hold the other, "
                    f"got {root} and {path}"
                )
        return self

    def public(self, text: str) -> str:
        """A text as others may see it: paths in the import folder as requests name them, other folders by setting."""
        named = {"NETWRIGHT_DATA": self.data, "NETWRIGHT_HOME": self.home, "NETWRIGHT_ZOO_DIR": self.zoo_dir}
        names = {"": self.import_dir, **named}
        found = {str(path.resolve()): name for name, path in names.items() if path is not None}
        for folder in sorted(found, key=len, reverse=True):
            inside = f"{found[folder]}/" if found[folder] else ""
            text = text.replace(f"{folder}/", inside).replace(folder, found[folder] or "the import folder")
        return text

    @property
    def host_names(self) -> list[str]:
        """Names that requests may be addressed to, besides the loopback ones."""
        own = [] if is_loopback(self.host) else names_of(self.host)
        return [*self.allowed_hosts, *own]

    @property
    def database(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'netwright.db'}"

    @property
    def artifacts(self) -> str:
        """The artifact store's URL, with the default filled in."""
        return self.artifacts_url or str(self.home.resolve() / "artifacts")


def _host_name(text: str) -> str:
    """A name as requests are addressed to it; a port is left out."""
    found = HOST.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(
            f"must be host names separated by commas, such as vm,vm.lan, or *; got {text.strip()!r}"
        )
    return found[1]


def without_password(text: str) -> str:
    """A URL, or a text with one in it, as it may be shown."""
    return NAMED_PASSWORD.sub(r"\1***", PASSWORD.sub(r"\1:***@", text))


def setting_fault(error: Mapping[str, Any]) -> str:
    """One validation error of :class:`Settings` in words, without passwords."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:  # a rule about several settings
        return message
    name = ".".join(map(str, error["loc"])).upper()
    # What is no URL may hold a password anywhere.
    hidden = name in ("DATABASE_URL", "ARTIFACTS_URL") and "://" not in str(error["input"])
    given = "***" if hidden else without_password(str(error["input"]))
    return f"NETWRIGHT_{name}={given}: {message}"


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _local_folder(url: str) -> Path | None:
    """The folder of an artifact store on this machine; None for a bucket."""
    protocol, found, path = url.partition("://")
    if found and protocol not in ("file", "local"):
        return None
    return Path(path if found else url).resolve()


def is_loopback(host: str) -> bool:
    """Whether the address cannot be reached from outside this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""What the client's objects share: one thing on the server, a list of them, and where they are found."""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar, overload

from netwright.client.http import models
from netwright.client.http.connection import Connection
from netwright.client.http.decode import read
from netwright.errors import NetwrightError, NotFoundError

if TYPE_CHECKING:
    import pandas

    from netwright.client.http.models import Object

R = TypeVar("R", bound="Resource")
HTML_ROWS = 100


class Resource:
    """One thing on the server; its attributes are the fields that the server answered (``client/models.py``)."""

    path: ClassVar[str] = ""
    """Where things of this kind are found."""
    shown: ClassVar[tuple[str, ...]] = ("id",)
    """Attributes that identify it to a person."""
    id: str
    _connection: Connection
    _answer: Object

    @classmethod
    def of(cls, connection: Connection, answer: Object) -> Self:
        """The object for an answer."""
        made = read(cls, answer)
        made._connection, made._answer = connection, answer
        return made

    def refresh(self) -> Self:
        """Read it from the server again."""
        fresh = self._connection.get(f"{self.path}/{self.id}")
        vars(self).update(vars(type(self).of(self._connection, fresh)))
        return self

    def to_dict(self) -> Object:
        """All its fields as the server's JSON."""
        return dict(self._answer)

    def row(self) -> dict[str, object]:
        """All its fields in one line of a table; nested ones as ``outer.inner``."""
        return dict(_flat(self._answer))

    def summary(self) -> dict[str, object]:
        """What identifies it to a person."""
        return {name: getattr(self, name) for name in self.shown}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and self._answer == other._answer

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        values = [f"{name}={_short(value)}" for name, value in self.summary().items() if value is not None]
        return f"{type(self).__name__}({', '.join(values)})"

    def _repr_html_(self) -> str:
        return html_table(["", type(self).__name__], list(self.summary().items()))


class Deletable(Resource):
    """A resource that a user makes and may delete."""

    def delete(self) -> Removed:
        """Delete it, or archive it where other resources refer to it; see ``state`` and ``referred_by``."""
        return Removed.of(self._connection, self._connection.delete(f"{self.path}/{self.id}"))


class Removed(Resource, models.Removed):
    """What became of a deleted resource: ``deleted``, or ``archived`` because others refer to it."""

    shown: ClassVar[tuple[str, ...]] = ("id", "state", "referred_by")


class Listing(Sequence[R]):
    """Resources of the server, read page by page as they are used."""

    def __init__(self, rows: Iterable[R], noun: str) -> None:
        self._left, self._read, self._noun = iter(rows), list[R](), noun

    def _fetch(self, count: int | None = None) -> list[R]:
        """At least ``count`` things, or all."""
        while count is None or len(self._read) < count:
            try:
                self._read.append(next(self._left))
            except StopIteration:
                break
        return self._read

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> list[R]: ...
    def __getitem__(self, index: int | slice) -> R | list[R]:
        if isinstance(index, int) and index >= 0:
            return self._fetch(index + 1)[index]
        return self._fetch()[index]

    def __iter__(self) -> Iterator[R]:
        position = 0
        while len(self._fetch(position + 1)) > position:
            yield self._read[position]
            position += 1

    def __len__(self) -> int:
        return len(self._fetch())

    def __repr__(self) -> str:
        return (
            f"<{counted(len(self), self._noun)}: {', '.join(map(repr, self[:3]))}{', …' * (len(self) > 3)}>"
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """A pandas table with a line a thing; needs pandas."""
        return dataframe([each.row() for each in self])

    def _repr_html_(self) -> str:
        rows = [each.summary() for each in self[:HTML_ROWS]]
        return html_table(list(rows[0]) if rows else [], [list(row.values()) for row in rows])


class Collection(Generic[R]):
    """All things of a kind; subclasses name the kind."""

    kind: type[R]
    noun: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, id: str) -> R:
        """The one with this id."""
        return self.kind.of(self._connection, self._connection.get(f"{self.kind.path}/{id}"))

    def _listed(self, query: Mapping[str, object]) -> Listing[R]:
        pages = self._connection.pages(self.kind.path, query)
        return Listing((self.kind.of(self._connection, row) for row in pages), self.noun)


class NamedCollection(Collection[R]):
    """Resources with a name and an id."""

    prefix: ClassVar[str]
    """How their ids begin."""
    hint: ClassVar[str]
    """How one is made."""

    def get(self, id_or_name: str) -> R:
        """The one with this id, or the newest of this name."""
        if id_or_name.startswith(self.prefix):
            return super().get(id_or_name)
        for found in self._listed({"name": id_or_name}):
            return found
        names = sorted({str(row["name"]) for row in self._connection.pages(self.kind.path)})
        raise NotFoundError(
            404,
            "not_found",
            f"no {self.noun} is called {id_or_name!r}{did_you_mean(id_or_name, names)}; "
            f"existing: {', '.join(names) or 'none'}; {self.hint}",
        )

    def names(self) -> dict[str, str]:
        """Names by id; archived ones, which results may refer to, are marked as such."""
        rows = self._connection.pages(self.kind.path, {"archived": "true"})
        marks = ((row, " (archived)" if row.get("archived_at") else "") for row in rows)
        return {str(row["id"]): f"{row['name']}{mark}" for row, mark in marks}

    def id_of(self, id_or_name: str) -> str:
        """The id of the one with this id or name."""
        return id_or_name if id_or_name.startswith(self.prefix) else self.get(id_or_name).id


def did_you_mean(got: str, choices: Iterable[str]) -> str:
    """``, did you mean 'latency_ms'?`` where a choice is near, otherwise nothing."""
    by_case = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(got.lower(), by_case, n=1, cutoff=0.6)
    return f" (did you mean {by_case[near[0]]!r}?)" if near else ""


def checked(options: Mapping[str, object], kind: type) -> dict[str, object]:
    """Keyword arguments that the TypedDict ``kind`` declares. Raises TypeError for others, with the nearest name."""
    known = sorted(kind.__annotations__)
    for name in options:
        if name not in known:
            raise TypeError(
                f"there is no option {name!r}{did_you_mean(name, known)}; options: {', '.join(known)}"
            )
    return dict(options)


def counted(n: int, noun: str) -> str:
    """``1 point``, ``2 points``."""
    if n == 1:
        return f"1 {noun}"
    plural = f"{noun}es" if noun.endswith(("ch", "s")) else f"{noun}s"
    return f"{n:,} {plural}"


def dataframe(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    """Rows as a pandas table. Raises NetwrightError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise NetwrightError("a data frame needs pandas: pip install pandas") from error
    return pandas.DataFrame(list(rows))


def _flat(answer: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in answer.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return repr(value)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; every value is escaped."""

    def cells(tag: str, values: Sequence[object]) -> str:
        texts = (value if isinstance(value, str) else _short(value) for value in values)
        return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts) + "</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f"<table><thead>{cells('th', columns)}</thead><tbody>{body}</tbody></table>"

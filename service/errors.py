"""Errors of the service, and the one table that turns an exception into an HTTP answer or a job's error.

::

    ServiceError
    ├── InvalidError            a field that breaks a rule: field, got, allowed
    │   └── PredictorsMissingError   a search whose metrics nothing predicts yet; names the POSTs
    ├── NotFoundError           no such resource in the caller's project
    ├── ConflictError           the resource is in a state that forbids this
    │   ├── NotExportedError    a file that no export has made yet; names the POST
    │   ├── OtherDeviceError    an agent on another device than the target's
    │   ├── StaleTargetError    a target whose device has another runtime now
    │   └── LostLeaseError      a lease whose nets were leased to others meanwhile
    ├── UnauthorizedError       no key, or one that is unknown or revoked
    ├── KeyScopeError           a key that may not do this
    ├── QuotaError              a project or a key that is over its quota
    ├── ForbiddenError          a Host or Origin that is not ours
    ├── MediaTypeError          a body that is not JSON
    ├── TooLargeError           a body or query over the limit of its route
    ├── SlowRequestError        a body that did not arrive in time
    ├── RangeError              a byte range outside the artifact
    ├── ArtifactError           a stored file that is gone or no longer has its hash
    ├── UnavailableError        the service cannot work right now, for instance the schema is old
    │   ├── DatabaseUnavailableError   the database does not answer; the same request works later
    │   └── StorageFullError    the disk of the database or of the artifacts is full
    ├── JobError                a job that failed in its child process, with that error's code
    └── WorkerLostError         this worker was declared dead and must stop
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from predictors.errors import (
    FitError,
    MeasureError,
    PredictorError,
    PredictorFileError,
    ProtocolError,
    RowError,
    ScopeError,
    TableError,
)
from search.errors import AlgorithmError, MissingPredictorError, SearchError, SurrogateError
from service.problems import Action, FieldProblem, Problem, plain
from supernets.errors import (
    ArchError,
    CheckpointError,
    DataError,
    ExportError,
    RecipeError,
    SpaceError,
    SupernetError,
    TrainingError,
    UnknownNameError,
    nearest,
)


class ServiceError(Exception):
    """Base class of everything raised on purpose in this folder."""

    def __init__(
        self, message: str, *, errors: Sequence[FieldProblem] = (), actions: Sequence[Action] = ()
    ) -> None:
        super().__init__(message)
        self.errors, self.actions = list(errors), list(actions)


class InvalidError(ServiceError):
    """A field of a request breaks a rule."""

    def __init__(
        self,
        field: str,
        got: object,
        allowed: object,
        message: str | None = None,
        *,
        actions: Sequence[Action] = (),
    ) -> None:
        super().__init__(
            message or f"{field} must be {_in_words(allowed)}, got {plain(got)!r}{_hint(got, allowed)}",
            errors=[FieldProblem(field=field, got=plain(got), allowed=allowed)],
            actions=actions,
        )


def _in_words(allowed: object) -> str:
    if not isinstance(allowed, list | tuple):
        return str(allowed)
    return f"one of {', '.join(map(str, allowed))}" if allowed else "absent: there is nothing to choose from"


def _hint(got: object, allowed: object) -> str:
    if not isinstance(got, str) or not isinstance(allowed, list | tuple):
        return ""
    return nearest(got, map(str, allowed))


class PredictorsMissingError(InvalidError):
    """A search needs a fitted predictor for each of its measured and evaluated metrics."""


LISTED = {
    "job": "jobs",
    "predictor": "predictors",
    "search": "searches",
    "subnet": "fronts",
    "supernet": "supernets",
    "target": "targets",
}
"""Kinds of resources to the path that lists them; subnets are listed as points of fronts."""


class NotFoundError(ServiceError):
    """There is no such resource in the caller's project."""

    def __init__(self, kind: str, id: str, nearest: Sequence[str] = ()) -> None:
        article = "an" if kind[0] in "aeiou" else "a"
        allowed = list(nearest) or f"the id of {article} {kind}"
        listed = f"; GET /v1/{LISTED[kind]} lists them" if kind in LISTED else ""
        words = nearest_words(nearest) or listed
        super().__init__(
            f"there is no {kind} {plain(id)!r}{words}",
            errors=[FieldProblem(field=kind, got=plain(id), allowed=allowed)],
        )


def nearest_words(names: Sequence[str]) -> str:
    """The end of a message about an unknown name: the names most like it, if any are."""
    return f"; the nearest names are {', '.join(map(repr, names))}" if names else ""


class ConflictError(ServiceError):
    """The resource's state does not allow the request."""


class NotExportedError(ConflictError):
    """No verified file has been made of this subnet yet."""


class OtherDeviceError(ConflictError):
    """An agent runs on another device than the one that its target is defined by."""


class StaleTargetError(ConflictError):
    """The device has another runtime or protocol version than the target was measured with."""


class LostLeaseError(ConflictError):
    """Nothing of a lease belongs to its agent any more."""


class UnauthorizedError(ServiceError):
    """The service has keys, and the request came without a good one."""


class KeyScopeError(ServiceError):
    """The key is good, but not for this."""

    def __init__(self, got: Sequence[str], allowed: Sequence[str], what: str) -> None:
        super().__init__(
            f"{what} needs a key with the scope {' or '.join(allowed)}, this one has {', '.join(got)}",
            errors=[FieldProblem(field="Authorization", got=list(got), allowed=list(allowed))],
        )


class QuotaError(ServiceError):
    """A project or a key is over its quota; the same request may be sent again after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ForbiddenError(ServiceError):
    """The request was addressed to, or sent from, a name that is not ours."""

    def __init__(self, code: str, header: str, got: str, allowed: Sequence[str]) -> None:
        self.code = code
        super().__init__(
            f"the {header} header must be one of {', '.join(allowed)}, got {plain(got)!r}; "
            f"NETWRIGHT_ALLOWED_HOSTS of the service adds names",
            errors=[FieldProblem(field=header, got=plain(got), allowed=list(allowed))],
        )


class MediaTypeError(ServiceError):
    """A body must be JSON."""


class TooLargeError(ServiceError):
    """A body or a query is larger than its route takes."""


class SlowRequestError(ServiceError):
    """A body did not arrive in time."""


class RangeError(ServiceError):
    """A byte range lies outside the artifact."""


class ArtifactError(ServiceError):
    """A stored file is gone, or its content no longer has its hash."""


class UnavailableError(ServiceError):
    """The service cannot work right now."""


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer, or gave up a transaction for another one: trying again later helps."""


class StorageFullError(UnavailableError):
    """The disk of the database or of the artifacts is full: writing works again when there is room."""


class JobError(ServiceError):
    """A job failed; ``code`` is one of the table below."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[JobError], tuple[str, str]]:
        return JobError, (self.code, str(self))


class WorkerLostError(ServiceError):
    """This worker was declared dead; another one has its jobs."""


# The first match wins: subclasses before their bases.
TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (PredictorsMissingError, 422, "predictors_missing"),
    (InvalidError, 422, "invalid_request"),
    (NotFoundError, 404, "not_found"),
    (NotExportedError, 409, "not_exported"),
    (OtherDeviceError, 409, "other_device"),
    (StaleTargetError, 409, "target_stale"),
    (LostLeaseError, 409, "lease_lost"),
    (UnauthorizedError, 401, "unauthorized"),
    (KeyScopeError, 403, "key_scope"),
    (QuotaError, 429, "quota"),
    (ConflictError, 409, "conflict"),
    (ForbiddenError, 403, "forbidden"),
    (MediaTypeError, 415, "unsupported_media_type"),
    (TooLargeError, 413, "too_large"),
    (SlowRequestError, 408, "timeout"),
    (RangeError, 416, "range_not_satisfiable"),
    (ArtifactError, 500, "artifact_damaged"),
    (StorageFullError, 507, "storage_full"),
    (UnavailableError, 503, "unavailable"),
    (UnknownNameError, 422, "unknown_name"),
    (ArchError, 422, "bad_arch"),
    (SpaceError, 422, "bad_space"),
    (CheckpointError, 422, "bad_checkpoint"),
    (DataError, 422, "data_missing"),
    (RecipeError, 422, "bad_recipe"),
    (TrainingError, 500, "training_failed"),
    (ExportError, 500, "export_failed"),
    (SupernetError, 422, "invalid_request"),
    (ScopeError, 422, "foreign_predictor"),
    (ProtocolError, 422, "bad_protocol"),
    (MeasureError, 500, "measuring_failed"),
    (RowError, 422, "bad_rows"),
    (TableError, 422, "bad_table"),
    (FitError, 422, "too_few_rows"),
    (PredictorFileError, 500, "artifact_damaged"),
    (PredictorError, 422, "invalid_request"),
    (MissingPredictorError, 422, "predictors_missing"),
    (AlgorithmError, 422, "bad_algorithm"),
    (SurrogateError, 500, "bad_surrogate"),
    (SearchError, 422, "invalid_request"),
)


INTERNAL = "internal"
"""Code of whatever was not raised on purpose: its text is for the log only."""
HANDLED: tuple[type[Exception], ...] = (ServiceError, SupernetError, PredictorError, SearchError)


def classify(error: BaseException) -> tuple[int, str]:
    """HTTP status and code of an exception; what is not in the table is 500 ``internal``."""
    code = getattr(error, "code", None)
    for kind, status, default in TABLE:
        if isinstance(error, kind):
            return status, code if isinstance(code, str) else default
    if isinstance(error, JobError):
        return 500, error.code
    return 500, INTERNAL


def problem(
    status: int,
    code: str,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    actions: Sequence[Action] = (),
) -> Problem:
    """The body of an error answer."""
    return Problem(
        type=f"urn:netwright:error:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=list(errors),
        actions=list(actions),
    )


def problem_of(error: Exception) -> Problem:
    """The body for an exception of the table."""
    status, code = classify(error)
    if code == INTERNAL:
        return problem(500, code, "the service failed; its log has the details under the request id")
    if isinstance(error, ServiceError):
        return problem(status, code, str(error), error.errors, error.actions)
    return problem(status, code, str(error))

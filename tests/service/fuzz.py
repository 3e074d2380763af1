"""Calls of the whole API that schemathesis makes from its OpenAPI document, many of them with ids that exist."""

import contextlib
import copy
import functools
import json
import random
import time
from collections import Counter

import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, openapi
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

ANSWER_S = 90.0  # a call that takes longer hangs: routes that compute in a child process have 60 s themselves
STREAM_S = 0.2  # how long a stream of events is read
STREAM_BYTES = 64 << 10
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    unsupported_method,
    response_schema_conformance,
]
# Fields of requests that hold an id or a name, by the pool of what exists.
POOL_OF = {
    "supernet": "supernets",
    "target": "targets",
    "targets": "targets",
    "subnet": "subnets",
    "job": "jobs",
    "search": "searches",
    "agent": "agents",
    "from": "supernets",
    "teacher": "supernets",
}

TEXTS = (
    "\0", "a\0b", "\ud800", "x" * 900, "", " ", "..", "../../etc/passwd", "/etc/passwd", "%00", "'\"; --", "${x}",
    "\u202e", "²", "\r\nX: y", "null", "true", "[]", "{}", "1e999", "-0", "0x10", "bytes=0-" + "9" * 400,
    "bytes=-1,0-1", "é" * 300,
)  # fmt: skip
NUMBERS = (-1, 0, 2**31, 2**63 - 1, 2**63, 2**70, 10**400, 1e308, -1e308, 1e-320, float("nan"), float("inf"))
DEEP = functools.reduce(lambda inner, _: {"a": inner}, range(60), {})
VALUES = (
    *TEXTS, *NUMBERS[:8], NUMBERS[9], None, True, [], {}, [[]], ["\0"], {"\0": "\0"}, {"x" * 900: 1}, DEEP, [1] * 2000
)  # fmt: skip
# What a path, a query or a header can carry at all.
SENDABLE = tuple(text for text in (*TEXTS, *map(str, NUMBERS)) if "\ud800" not in text)


class Caller:
    """Sends the cases of every operation, and counts the answers."""

    def __init__(self, url, pools):
        self.url, self.pools = url, pools
        self.session = requests.Session()
        self.schema = openapi.from_url(f"{url}/openapi.json", timeout=ANSWER_S)
        self.statuses = Counter()
        self.longest = (0.0, "")

    def post(self, path, body):
        """A request as a user would send it."""
        return self.session.post(f"{self.url}{path}", json=body, timeout=2 * ANSWER_S)

    def operations(self):
        """All operations of the document; those that remove or cancel come last, so that the others find rows."""
        found = [each.ok() for each in self.schema.get_all_operations()]
        return sorted(found, key=lambda each: (each.method.upper() == "DELETE", ":cancel" in each.path))

    def run(self, operation, examples):
        """Send valid and invalid cases, as many as configured; returns the first of each that was answered wrongly."""
        faults = []
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=examples,
                database=None,
                derandomize=True,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases, real=st.randoms(use_true_random=False))
            def send(case, real):
                self.send(case, real)

            try:
                send()
            except Unsatisfiable:  # an operation without parameters has no invalid cases
                assert mode is GenerationMode.NEGATIVE and not operation.body, operation.label
            except (AssertionError, FailureGroup, requests.RequestException) as error:
                faults.append(f"{operation.label}, {mode.value}: {describe(error)}")
        return faults

    def attack(self, operation, every):
        """Put hostile values into each parameter and each field of the example; every so-manieth is sent."""
        faults = []
        for number, case in enumerate(self._hostile(operation)):
            if number % every:
                continue
            try:
                self.send(case, None)
            except (AssertionError, FailureGroup, requests.RequestException) as error:
                faults.append(f"{operation.label}, hostile: {describe(error)}")
        return faults[:3]

    def _hostile(self, operation):
        """Calls that are right but for one value: in the path, the query, a header or the documented body."""
        one = random.Random(0)
        raw = operation.definition.raw
        parameters = raw.get("parameters", [])
        path = {
            each["name"]: one.choice(self._pool(operation)) for each in parameters if each["in"] == "path"
        }
        body = copy.deepcopy(
            raw.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        )
        query = {each["name"]: one.choice(self.pools[POOL_OF[each["name"]]])
                 for each in parameters if each["in"] == "query" and each.get("required")}  # fmt: skip
        kinds = {"path_parameters": path, "query": query}
        if body is not None:
            self._replace(body, one)
            kinds["body"] = body
            yield operation.Case(**copy.deepcopy(kinds), media_type="application/json")
            for place in places(body):
                for value in VALUES:
                    changed = copy.deepcopy(kinds)
                    put(changed["body"], place, value)
                    yield operation.Case(**changed, media_type="application/json")
        for each in parameters:
            # A client takes an empty or dotted part out of a path, which is another operation then.
            skipped = ("", "..") if each["in"] == "path" else ()
            for value in (text for text in SENDABLE if text not in skipped):
                changed = copy.deepcopy(kinds)
                if each["in"] == "header":
                    encoded = value.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b"")
                    changed["headers"] = {each["name"]: encoded.replace(b"\0", b"").decode("latin-1").strip()}
                else:
                    changed["path_parameters" if each["in"] == "path" else "query"][each["name"]] = value
                yield operation.Case(
                    **changed, **({"media_type": "application/json"} if body is not None else {})
                )

    def _pool(self, operation):
        kind = operation.path.split("/")[2].partition(":")[0]
        assert kind in self.pools, (
            f"tests.service.test_fuzz must stock {kind!r}, which {operation.label} needs"
        )
        return self.pools[kind]

    def send(self, case, real):
        """One call, and what must be true of its answer."""
        if real is not None and real.random() < 0.8:
            self._with_real_ids(case, real)
        began = time.monotonic()
        if case.operation.path.endswith("/events"):
            answer = self._begin_of_stream(case)
        else:
            answer = case.call(base_url=self.url, session=self.session, timeout=ANSWER_S)
        self.longest = max(self.longest, (time.monotonic() - began, case.operation.label))
        self.statuses[answer.status_code] += 1
        request = f"{case.as_curl_command(base_url=self.url)}\n{answer.content[:2000]!r}"
        assert answer.status_code < 500, f"{answer.status_code}: {request}"
        # The schema of a stream is that of its text; schemathesis takes it for that of one event.
        stream = "text/event-stream" in (answer.headers.get("content-type") or [""])[0]
        case.validate_response(answer, checks=CHECKS[:-1] if stream else CHECKS)
        if answer.status_code >= 400:
            assert_public(answer, request)

    def _with_real_ids(self, case, real):
        for name in case.path_parameters:
            case.path_parameters[name] = real.choice(self._pool(case.operation))
        if isinstance(case.query, dict):
            self._replace(case.query, real)
        if isinstance(case.body, dict):
            self._replace(case.body, real)

    def _replace(self, holder, real):
        """Put ids that exist into fields that hold ids, most of the time."""
        for name, value in holder.items():
            pool = POOL_OF.get(name)
            if pool is not None and value is not None and real.random() < 0.9:
                chosen = real.choice(self.pools[pool])
                holder[name] = [chosen] if isinstance(value, list) else chosen
            elif isinstance(value, dict):
                self._replace(value, real)

    def _begin_of_stream(self, case):
        """The answer with the first part of its body: a stream of a job that has not ended goes on for ever."""
        sent = case.as_transport_kwargs(base_url=self.url)
        with self.session.request(**sent, stream=True, timeout=ANSWER_S) as answer:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.raw.connection.sock.settimeout(STREAM_S)
                parts = []
                with contextlib.suppress(requests.RequestException):  # nothing more for now
                    for part in answer.iter_content(None):
                        parts.append(part)
                        if sum(map(len, parts)) >= STREAM_BYTES:
                            break
                answer._content, answer._content_consumed = b"".join(parts), True
            else:
                assert answer.content is not None
            return Response.from_requests(answer, verify=True)


def places(value, start=()):
    """The way to each field and item of a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*start, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*start, key))


def put(holder, place, value):
    """Replace what is at a place."""
    *way, last = place
    for key in way:
        holder = holder[key]
    holder[last] = value


def describe(error):
    """An error in words, and each failed check of it."""
    notes = "\n".join(getattr(error, "__notes__", ())[:1])
    return "\n".join([str(error), *map(str, getattr(error, "exceptions", ())), notes])


def assert_public(answer, request):
    """An error is one problem, and has nothing of the server's inside."""
    text = answer.content.decode()
    for inside in ("Traceback", "psycopg", "sqlite3", "sqlalchemy", "SELECT ", "INSERT ", "/site-packages/"):
        assert inside not in text, f"{inside!r} in {request}"
    if answer.request.method != "HEAD" and text:
        assert json.loads(text)["status"] == answer.status_code, request

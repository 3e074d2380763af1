"""What of a child's standard error a job's log shows: no tracebacks, and no folders of the server."""

from __future__ import annotations

import re

HIDDEN = "an error in the program; the log of the worker has its text"
BEGINS = re.compile(r"\s*(Traceback \(most recent call last\):|Fatal Python error|Exception (in|ignored in) |"
                    r"(Current )?[Tt]hread 0x|Stack \(most recent call)")  # fmt: skip
BETWEEN = re.compile(r"(During handling of the above exception|The above exception was the direct cause)")
AFTER = re.compile(r"\[SQL|\[parameters|\(Background on this error")  # further lines of a database's error
FOLDERS = re.compile(r"(?<![\w.:/\\])/(?:[^\s/:'\",;()\[\]<>]+/)+")


class PublicLines:
    """Line by line: a traceback, with all that belongs to it, becomes one line; paths keep only their names."""

    def __init__(self) -> None:
        self._inside = False

    def of(self, line: str) -> str:
        """The line as it may be shown; empty for a part of a traceback but its first."""
        if BEGINS.match(line):
            first, self._inside = not self._inside, True
            return HIDDEN if first else ""
        if BETWEEN.match(line):
            self._inside = True
            return ""
        if AFTER.match(line):
            return ""
        if self._inside:
            # The frames are indented; the exception, which ends them, is not, and may hold paths or SQL too.
            self._inside = line.startswith((" ", "\t")) or not line
            return ""
        return FOLDERS.sub("", line)

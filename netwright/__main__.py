"""``python -m netwright`` is the command line."""

from netwright.cli import app

app(prog_name="netwright")

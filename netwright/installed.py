"""The server's packages: whether they are installed, and their errors as messages of the command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from netwright.errors import NetwrightError

NEEDED = ("torch", "fastapi")


@contextmanager
def server_packages() -> Iterator[None]:
    """Raise where the server's packages are not installed, and turn their errors into one of ours.

    A bad setting, a database that does not answer and a folder that cannot be written are errors of the surroundings:
    they are one sentence, not a traceback.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NetwrightError(
            f"this command needs the server's packages, {', '.join(missing)} not found; "
            f"install them with: pip install 'netwright[server]'"
        )
    from pydantic import ValidationError
    from sqlalchemy.exc import DBAPIError

    from predictors.errors import PredictorError
    from service.errors import ServiceError
    from service.settings import setting_fault, without_password
    from supernets.errors import SupernetError

    try:
        yield
    except (SupernetError, PredictorError, ServiceError) as error:
        raise NetwrightError(str(error)) from error
    except ValidationError as error:
        raise NetwrightError("; ".join(setting_fault(fault) for fault in error.errors())) from error
    except DBAPIError as error:
        reason = without_password(str(error.orig or error).strip().replace("\n", " "))
        raise NetwrightError(
            f"the database does not answer: {reason}; NETWRIGHT_DATABASE_URL and NETWRIGHT_HOME set which one is used"
        ) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise NetwrightError(
            f"{error.filename}: {error.strerror}; NETWRIGHT_HOME is the folder for data"
        ) from error

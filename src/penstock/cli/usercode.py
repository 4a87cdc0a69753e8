"""Running code that the user wrote: from one seed, with its prints out of the way and its errors made readable."""

from __future__ import annotations

import contextlib
import inspect
import random
import sys
from collections.abc import Iterator

from penstock.errors import ModelError, message


def seed_everything(seed: int) -> None:
    """Seed what user code may draw from. Only a command may do this: its process, and the random state, are its own."""
    random.seed(seed)
    # Those that are loaded are all that the code to be called can use; loading one to seed it would be no use.
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


@contextlib.contextmanager
def user_code(doing: str) -> Iterator[None]:
    """Run the user's own code: what it prints goes to stderr, what it raises becomes one readable error.

    Raises:
        ModelError: if that code fails.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
        files = [f for f in frames if not f.filename.startswith("<frozen") and f.filename != __file__]
        # The last line of the user's own, where there is one: what it called is seldom at fault.
        own = [f for f in files if "site-packages" not in f.filename and "/lib/python" not in f.filename] or files
        at = f"{own[-1].filename}:{own[-1].lineno}" if own else None
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ModelError(message(f"{doing} raised {text}", at=at, hint="--debug shows the traceback")) from error

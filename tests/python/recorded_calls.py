"""A record of what of the official API has been called, for the contract tests."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from official_api import MADE_BY_FACTORIES, NOTHING, PACKAGES, find, rows

CALLABLE = {"method", "classmethod", "property"}


def built() -> dict[tuple[type, str], str]:
    """Class and member of every callable of the API that is there, and its name; the constructors of models too."""
    found: dict[tuple[type, str], str] = {}
    for dotted, row in rows(*PACKAGES):
        owner = find(dotted.rpartition(".")[0])
        if row["is"] in CALLABLE and isinstance(owner, type) and find(dotted) is not NOTHING:
            found.setdefault((owner, dotted.rpartition(".")[2]), dotted)
            if row.get("settable"):
                found.setdefault((owner, f"{dotted.rpartition('.')[2]}="), f"{dotted} = …")
        made = find(dotted) if row["is"] == "class" else NOTHING
        if isinstance(made, type) and made.__name__ not in MADE_BY_FACTORIES:
            found.setdefault((made, "__init__"), dotted)
    return found


BUILT = built()
CALLED: set[str] = set()
"""Names out of `BUILT`."""


def note(receiver: object, member: str) -> None:
    cls = receiver if isinstance(receiver, type) else type(receiver)
    CALLED.update(BUILT[base, member] for base in cls.__mro__ if (base, member) in BUILT)


def noting(function: Callable[..., Any], member: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(receiver: object, *args: Any, **kwargs: Any) -> Any:
        note(receiver, member)
        return function(receiver, *args, **kwargs)

    return call


@contextmanager
def recording() -> Iterator[None]:
    """Within it, calls of the public API are noted in `CALLED`."""
    with pytest.MonkeyPatch.context() as patch:
        done: set[tuple[type, str]] = set()
        for cls, noted in BUILT:
            member = noted.rstrip("=")
            owner = next(base for base in cls.__mro__ if member in vars(base))
            if owner is object or (owner, member) in done:
                continue
            done.add((owner, member))
            raw = inspect.getattr_static(owner, member)
            new: Any
            if isinstance(raw, property):
                assert raw.fget
                new = property(noting(raw.fget, member), raw.fset and noting(raw.fset, f"{member}="))
            elif isinstance(raw, classmethod):
                new = classmethod(noting(raw.__func__, member))
            else:
                new = noting(raw, member)
            patch.setattr(owner, member, new)
        yield

"""One line of the ledger: what was written to one parameter, and how it is written again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from penstock.errors import ArgumentError, message
from penstock.geometry import Geometry
from penstock.recipes import recipe_from_dict
from penstock.recipes.recipe import Moments, Recipe

Kind = Literal["parameter", "buffer"]
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A box of a parameter and the hash of what it holds.

    Attributes:
        digest: BLAKE2b of the box's bytes: row-major by logical index, little-endian; 64 hexadecimal digits.
        box: first index and the one behind the last, of each axis; None for the whole parameter.
    """

    digest: str
    box: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one parameter, or one buffer, got.

    Attributes:
        name: its first name in the model.
        shape: its logical shape, whatever part of it a rank holds.
        dtype: of its elements.
        reason: one sentence: why.
        recipe: what was drawn; None for values that came from elsewhere.
        geometry: the axis roles that it was drawn with.
        key: the 64 bits that it was drawn under; None for values that came from elsewhere.
        requested: mean and standard deviation that the recipe asks for.
        measured: those of the values that are there, on this rank; None where some are not finite.
        parts: hashes of what is there: one of the whole, or one for each box that this rank holds.
        factors: numbers that the drawn values were then multiplied by, one after the other (calibration).
        stored: the bytes themselves, in base64, of a small parameter whose values came from elsewhere.
        kind: "parameter" or "buffer".
        ties: its other names.
        drawn_as: the name that its key is made from; "" for its own.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    reason: str
    recipe: Recipe | None = None
    geometry: Geometry | None = None
    key: int | None = None
    requested: Moments | None = None
    measured: Moments | None = None
    parts: tuple[Part, ...] = ()
    factors: tuple[float, ...] = ()
    stored: str | None = None
    kind: Kind = "parameter"
    ties: tuple[str, ...] = ()
    drawn_as: str = ""

    @property
    def digest(self) -> str | None:
        """Hash of the whole parameter; None where this ledger holds hashes of boxes only."""
        return self.parts[0].digest if len(self.parts) == 1 and self.parts[0].box is None else None

    @property
    def rebuildable(self) -> bool:
        """Whether the values can be made again from this record alone."""
        return self.recipe is not None or self.stored is not None or 0 in self.shape

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data for JSON; what is empty is left out."""
        data: dict[str, Any] = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}
        data["reason"] = self.reason
        if self.recipe is not None:
            data["recipe"] = self.recipe.to_dict()
        if self.geometry is not None:
            data["geometry"] = _changed(self.geometry)
        if self.key is not None:
            data["key"] = f"{self.key:016x}"
        for name in ("requested", "measured"):
            moments = getattr(self, name)
            if moments is not None:
                data[name] = {"mean": moments.mean, "std": moments.std}
        data["parts"] = [
            {"blake2b": p.digest} | ({} if p.box is None else {"box": [list(b) for b in p.box]}) for p in self.parts
        ]
        if self.factors:
            data["factors"] = list(self.factors)
        if self.stored is not None:
            data["stored"] = self.stored
        if self.kind != "parameter":
            data["kind"] = self.kind
        if self.drawn_as:
            data["drawn_as"] = self.drawn_as
        return data | ({"ties": list(self.ties)} if self.ties else {})


def record_from_dict(data: Any) -> Record:
    """The record that `Record.to_dict` wrote.

    Raises:
        ArgumentError: if the data is none; every type and every number is looked at, since files can be damaged.
    """
    if not isinstance(data, Mapping):
        raise _bad("a record must be an object", data)
    name = data.get("name")
    if not isinstance(name, str):
        raise _bad("a record must have a name", name)
    kind = data.get("kind", "parameter")
    if kind not in ("parameter", "buffer"):
        raise _bad(f"kind of {name!r} must be parameter or buffer", kind)
    shape = _sizes(name, data.get("shape"))
    texts = {key: data.get(key) for key in ("dtype", "reason")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise _bad(f"dtype and reason of {name!r} must be text", texts)
    recipe = data.get("recipe")
    if recipe is not None and not isinstance(recipe, Mapping):
        raise _bad(f"recipe of {name!r} must be an object", recipe)
    stored = data.get("stored")
    if stored is not None and not isinstance(stored, str):
        raise _bad(f"stored of {name!r} must be text", type(stored).__name__)
    drawn_as = data.get("drawn_as", "")
    if not isinstance(drawn_as, str):
        raise _bad(f"drawn_as of {name!r} must be text", drawn_as)
    return Record(
        name=name,
        shape=shape,
        dtype=str(texts["dtype"]),
        reason=str(texts["reason"]),
        recipe=None if recipe is None else recipe_from_dict(recipe),
        geometry=None if data.get("geometry") is None else _geometry(name, data["geometry"], shape),
        key=_key(name, data.get("key")),
        requested=_moments(name, data.get("requested")),
        measured=_moments(name, data.get("measured")),
        parts=tuple(_part(name, shape, part) for part in _list(name, "parts", data.get("parts"))),
        factors=tuple(_number(name, value) for value in _list(name, "factors", data.get("factors"))),
        stored=stored,
        kind=kind,
        ties=tuple(str(tie) for tie in _list(name, "ties", data.get("ties"))),
        drawn_as=drawn_as,
    )


def _key(name: str, key: Any) -> int | None:
    if key is None:
        return None
    try:
        number = int(key, 16)
    except (TypeError, ValueError):
        raise _bad(f"key of {name!r} must be hexadecimal digits", key) from None
    if not 0 <= number < 2**64:
        raise _bad(f"key of {name!r} must be 64 bits", key)
    return number


def _changed(geometry: Geometry) -> dict[str, Any]:
    """The fields that are not the defaults; the shape is the record's."""
    plain = Geometry(geometry.shape)
    names = [f.name for f in fields(geometry) if getattr(geometry, f.name) != getattr(plain, f.name)]
    return {n: list(v) if isinstance(v := getattr(geometry, n), tuple) else v for n in names}


def _geometry(name: str, data: Any, shape: tuple[int, ...]) -> Geometry:
    known = {f.name: f for f in fields(Geometry)} if isinstance(data, Mapping) else {}
    plain = Geometry(shape)
    for key, value in data.items() if known else ():
        default = getattr(plain, key, None)
        fits = isinstance(value, list) if isinstance(default, tuple) else type(value) is type(default)
        if key == "shape" or key not in known or not fits:
            raise _bad(f"geometry of {name!r} has a field that it cannot have", key)
    if not known:
        raise _bad(f"geometry of {name!r} must be an object", data)
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    try:
        return Geometry(shape, **values)
    except TypeError as error:
        raise _bad(f"geometry of {name!r} must hold numbers", error) from None


def _sizes(name: str, data: Any) -> tuple[int, ...]:
    if not isinstance(data, list) or not all(type(size) is int and size >= 0 for size in data):
        raise _bad(f"shape of {name!r} must be a list of sizes", data)
    if math.prod(data) >= 2**63:
        raise _bad(f"shape of {name!r} must have less than 2**63 elements", data)
    return tuple(data)


def _part(name: str, shape: tuple[int, ...], data: Any) -> Part:
    digest = data.get("blake2b") if isinstance(data, Mapping) else None
    if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise _bad(f"each part of {name!r} must have 64 hexadecimal digits", digest)
    box = data.get("box")
    if box is None:
        return Part(digest)
    fits = isinstance(box, list) and len(box) == len(shape)
    if not fits or not all(
        isinstance(side, list) and len(side) == 2 and all(type(i) is int for i in side) and 0 <= side[0] <= side[1] <= n
        for side, n in zip(box, shape, strict=True)
    ):
        raise _bad(f"each box of {name!r} must lie inside {shape}", box)
    return Part(digest, tuple((side[0], side[1]) for side in box))


def _moments(name: str, data: Any) -> Moments | None:
    if data is None:
        return None
    if not isinstance(data, Mapping) or set(data) != {"mean", "std"}:
        raise _bad(f"moments of {name!r} must be a mean and a std", data)
    return Moments(_number(name, data["mean"]), _number(name, data["std"]))


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(f"numbers of {name!r} must be finite", value)
    return float(value)


def _list(name: str, field: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _bad(f"{field} of {name!r} must be a list", value)
    return value


def _bad(fact: str, got: Any) -> ArgumentError:
    return ArgumentError(message(f"Ledger.from_dict: {fact}; got {str(got)[:80]!r}."))

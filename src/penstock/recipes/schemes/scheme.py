"""What every scheme is: a frozen rule over a whole network, that gives numbers for each place in it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from penstock.recipes.arguments import count, one_of
from penstock.recipes.recipe import finite

Role = Literal[
    "input",
    "embedding",
    "hidden",
    "query_key",
    "value",
    "branch_out",
    "output",
    "bias",
    "norm",
    "branch",
    "attention",
]
"""What a parameter does: a first weight; a look-up; a weight inside; one of queries or keys; of values; the last
weight of a residual branch; the readout; a bias; a norm's scale. "branch" is no weight but the sum of a residual
branch with its stream, "attention" the attention's logits."""

ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a parameter stands.

    Attributes:
        role: what it does.
        fan_in: terms that it sums. For biases and norms, 1.
        fan_out: units that it makes.
        base_fan_in: fan_in in the base model on which learning rates were tuned; None for the same.
        base_fan_out: fan_out there.
        depth: residual blocks in this part of the network (transformer layers; each may hold two residual sums).
        base_depth: that of the base model; None for the same.
        index: number of this block, 1 to depth; for a branch of `UnitMuP`, of this residual sum.
        branch_layers: weights in one residual branch.
        head_dim: size of an attention head.
    """

    role: Role = "hidden"
    fan_in: float = 1.0
    fan_out: float = 1.0
    base_fan_in: float | None = None
    base_fan_out: float | None = None
    depth: int = 1
    base_depth: int | None = None
    index: int = 1
    branch_layers: int = 2
    head_dim: int = 1

    def __post_init__(self) -> None:
        one_of("Place", "role", self.role, ROLES)
        for argument in ("fan_in", "fan_out", "base_fan_in", "base_fan_out"):
            value = getattr(self, argument)
            if value is not None:
                object.__setattr__(self, argument, finite("Place", argument, value, at_least=1e-30))
        for argument in ("depth", "index", "branch_layers", "head_dim"):
            count("Place", argument, getattr(self, argument))
        if self.base_depth is not None:
            count("Place", "base_depth", self.base_depth)

    @property
    def width_in(self) -> float:
        """fan_in over that of the base model."""
        return self.fan_in / (self.base_fan_in or self.fan_in)

    @property
    def width_out(self) -> float:
        """fan_out over that of the base model."""
        return self.fan_out / (self.base_fan_out or self.fan_out)

    @property
    def deeper(self) -> float:
        """Depth over that of the base model."""
        return self.depth / (self.base_depth or self.depth)

    @property
    def glorot(self) -> float:
        """sqrt(2 / (fan_in + fan_out))."""
        return math.sqrt(2.0 / (self.fan_in + self.fan_out))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What a scheme says about one place.

    Attributes:
        std: of the elements; None where the scheme leaves the law alone.
        value: the constant that a parameter starts at (0 for zeroed weights, the branch's scale); None for random ones.
        multiplier: of this parameter's output, or of the residual branch, at the start.
        trainable: whether the multiplier is a parameter that learns.
        skip: of the residual stream, where a branch is added to it.
        lr_sgd, lr_adam: factor of the learning rate.
        weight_decay: factor of decoupled weight decay that is multiplied by the learning rate.
        epsilon: factor of Adam's epsilon.
    """

    std: float | None = None
    value: float | None = None
    multiplier: float = 1.0
    trainable: bool = False
    skip: float = 1.0
    lr_sgd: float = 1.0
    lr_adam: float = 1.0
    weight_decay: float = 1.0
    epsilon: float = 1.0


@dataclass(frozen=True, slots=True)
class Scheme(ABC):
    """A published rule over many parameters.

    Attributes:
        name: the name in JSON and the catalogue.
        formula: the rule in short.
        when: what it is for.
        source: where it was published.
    """

    name: ClassVar[str]
    formula: ClassVar[str]
    when: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def factors(self, place: Place) -> Factors:
        """The numbers for one place in the network."""

    def to_dict(self) -> dict[str, Any]:
        """The scheme as plain data for JSON; `penstock.recipes.schemes.scheme_from_dict` reads it back."""
        return {"scheme": self.name} | {field.name: getattr(self, field.name) for field in fields(self)}

"""Planning: a measured graph becomes a plan, a recipe and a reason for each parameter."""

from penstock.planning.target import Shaped

__all__ = ["Shaped"]

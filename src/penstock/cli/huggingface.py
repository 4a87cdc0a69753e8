"""Models of the transformers package from a configuration: random weights, never the network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.cli.targets import Target
from penstock.cli.usercode import seed_everything, user_code
from penstock.errors import ArgumentError, MissingFrameworkError, closest, message


def build(target: Target, *, seed: int = 0) -> Any:
    """Make the model that a configuration describes.

    The class is the first of the configuration's `architectures`, else the plain `AutoModel`. Keyword arguments
    overwrite the configuration's own values: `hf:bert(num_hidden_layers=2)`.

    Args:
        target: with `where` a model type ("bert"), a folder with a `config.json`, or such a file.
        seed: for the weights.

    Returns:
        The model, with the weights that its own initialization gives.

    Raises:
        MissingFrameworkError: if transformers is not installed.
        ArgumentError: if there is no such model type or file, or the file is no configuration.
        ModelError: if making the model fails.
    """
    settings = described(target)
    with user_code(f"TARGET: making {target.text}"):
        make, config = maker(settings), configured(settings)
        # Looking the class up has loaded PyTorch, which must be there before it can be seeded.
        seed_everything(seed)
        return make(config)


def described(target: Target) -> dict[str, Any]:
    """The values of the configuration that a target names, `model_type` among them; its arguments overwrite them.

    Raises:
        MissingFrameworkError, ArgumentError: see `build`.
    """
    # Set before the package is loaded, which reads them once.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        import transformers  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise MissingFrameworkError(
            message(f"TARGET: {target.text} needs the transformers package.", hint="pip install transformers torch")
        ) from error
    return {**_read(target), **target.arguments}


def configured(settings: Mapping[str, Any]) -> Any:
    """The configuration with these values."""
    import transformers

    return transformers.AutoConfig.for_model(**settings)


def maker(settings: Mapping[str, Any]) -> Callable[[Any], Any]:
    """What makes a model from a configuration: the first of its `architectures`, else the plain `AutoModel`."""
    import transformers

    names = settings.get("architectures") or []
    named = getattr(transformers, names[0], None) if names else None
    return named or transformers.AutoModel.from_config


def _read(target: Target) -> dict[str, Any]:
    """The values of a configuration, `model_type` among them."""
    from transformers import CONFIG_MAPPING

    path = Path(target.where)
    path = path / "config.json" if path.is_dir() else path
    if path.is_file():
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ArgumentError(f"TARGET: {path} must be JSON; {error}.") from None
        if not isinstance(values, dict) or "model_type" not in values:
            raise ArgumentError(f"TARGET: {path} must be a configuration with a model_type; it has none.")
    elif "/" in target.where or path.suffix:
        raise ArgumentError(
            message(
                f"TARGET: there is no file or folder {target.where!r} with a configuration.",
                because="hf: reads local files only, never the network",
                hint=f"hf:{_near(target.where, CONFIG_MAPPING)}",
            )
        )
    else:
        values = {"model_type": target.where}
    if values["model_type"] not in CONFIG_MAPPING:
        raise ArgumentError(
            message(
                f"TARGET: transformers knows no model type {values['model_type']!r}.",
                hint=f"hf:{_near(str(values['model_type']), CONFIG_MAPPING)}",
            )
        )
    return values


def _near(name: str, known: Any) -> str:
    """The model type that is spelt most like a name ("bert" for "google/bert-base")."""
    words = name.replace("/", "-").split("-")
    exact = next((word for word in words if word in known), None)
    if exact:
        return exact
    told = closest(name, list(known))
    return told.split("'")[1] if told.startswith("Did you mean") else "bert"

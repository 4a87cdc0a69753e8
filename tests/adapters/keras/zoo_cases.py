"""What penstock says of models of `keras.applications`, and of one that is broken, as JSON: one line a model.

    KERAS_BACKEND=torch python tests/adapters/keras/zoo_cases.py MobileNetV2 MobileNetV2:broken

Not collected by pytest: `test_zoo.py` runs it for some models, `benchmarks/applications.py` for all of them. Weights
are random (nothing is downloaded). Pictures are as small as the model takes, and reach it as its users' do: pixels of 0
to 255 through the `preprocess_input` of its family, which leaves them as they are where the model rescales them itself.
"""

from __future__ import annotations

import gc
import inspect
import json
import resource
import sys
import time

import keras
import numpy as np

import penstock

BATCH = 4
SIZES = (64, 71, 75, 96, 128, 224, 331)
"""Widths of the images: the first that the model takes. 71 is the least of Xception, 75 of Inception."""


def names() -> list[str]:
    """Every model of `keras.applications`."""
    return sorted(n for n, made in vars(keras.applications).items() if inspect.isfunction(made))


def build(name: str) -> tuple[keras.Model, np.ndarray]:
    """A model with ten classes and Keras's own random weights, and a batch for it."""
    refused = None
    for size in SIZES:
        keras.utils.set_random_seed(0)
        try:
            model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
        except ValueError as error:
            refused = error
            continue
        family = sys.modules[getattr(keras.applications, name).__module__]
        return model, family.preprocess_input(pictures(size))
    raise ValueError(f"{name}: {refused}")


def pictures(size: int) -> np.ndarray:
    """Pixels of 0 to 255, shape (BATCH, size, size, 3): patches of all sizes, as photographs have them."""
    generator = np.random.default_rng(0)
    total = np.zeros((BATCH, size, size, 3))
    for patch in (1, 2, 4, 8, 16, 32):
        few = -(-size // patch)
        colours = generator.standard_normal((BATCH, few, few, 3))
        total += colours.repeat(patch, axis=1).repeat(patch, axis=2)[:, :size, :size]
    return np.clip(127.5 + 30.0 * total, 0.0, 255.0).astype("float32")


def blow_up(model: keras.Model) -> str:
    """Make the classifier's kernel, the last of all, 1e6 times as large."""
    kernel = next(w for w in reversed(model.trainable_weights) if w.path.endswith("/kernel"))
    kernel.assign(1e6 * kernel)
    return kernel.path


def told(report: penstock.Report) -> list[list[str]]:
    """The findings, as code, severity and place."""
    return [[f.code, f.severity, f.place] for f in report.findings]


def survey(name: str, *, broken: bool = False) -> dict[str, object]:
    """Check, plan, initialize and check again; of a broken model the check alone."""
    model, batch = build(name)
    if broken:
        place = blow_up(model)
        return {"name": f"{name}:broken", "place": place, "before": told(penstock.check(model, batch))}
    start = time.process_time()
    done = penstock.initialize(model, batch, seed=0)
    seconds = time.process_time() - start
    graph = done.after.measured.graph
    return {
        "name": name,
        "size": batch.shape[1],
        "weights": model.count_params(),
        "nodes": len(graph.nodes),
        "unread": list(graph.unknown_ops),
        "kept": {e.name: e.reason for e in done.plan.entries if e.recipe is None},
        "planned": len(done.plan.entries),
        "trainable": len(model.trainable_weights),
        "before": told(done.before),
        "after": told(done.after),
        "notes": list(done.plan.notes),
        "cpu_s": round(seconds, 1),
        "gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1),
    }


def main() -> None:
    """One line a model that is named, or a line with all names."""
    if not sys.argv[1:]:
        print(json.dumps(names()))
    for argument in sys.argv[1:]:
        name, _, how = argument.partition(":")
        print(json.dumps(survey(name, broken=how == "broken")), flush=True)
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()

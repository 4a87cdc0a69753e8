"""The commands on models of JAX in every form that a factory returns them in, and of Keras on two backends."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"


def has(*packages: str) -> bool:
    # By its module and not by import: a folder of tests has the same name but no file.
    specs = [importlib.util.find_spec(package) for package in packages]
    return all(spec is not None and spec.origin is not None for spec in specs)


needs_jax = pytest.mark.skipif(not has("jax", "flax", "equinox", "haiku"), reason="needs JAX, Flax, Equinox, Haiku")


@pytest.fixture
def on_jax(penstock, folder):
    shutil.copy(HERE / "jax_models.py", folder / "jax_models.py")
    return penstock


FORMS = {
    "linen": True,
    "linen(width=8)": True,
    "linen_with_variables": True,
    "linen_with_batch": False,
    "linen_with_both": False,
    "Linen": True,
    "InOrder": False,
    "Nnx": True,
    "equinox": False,
    "haiku": True,
    "haiku_with_state": True,
    "haiku_with_params": True,
    "haiku_state_with_params": True,
    "function": True,
    "compiled": True,
    "function_with_batch": False,
}
"""Whether an input must be given."""


@needs_jax
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_jax_model_is_read(on_jax, form):
    done = on_jax("fans", f"jax_models.py:{form}", *["--input", "16,12"] * FORMS[form])
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    width = "8" if "width=8" in form else "24"
    fans = {tuple(row[3:5]) for row in rows if row[2] == "weight"}
    assert fans == {("12", width), (width, "3")}


@needs_jax
@pytest.mark.parametrize(
    ("form", "name", "size"), [("InOrder", "InOrder", 8), ("linen_with_both", "Linen", 16), ("haiku", "function", 4)]
)
def test_healthy_models_of_jax_are_clean(on_jax, form, name, size):
    done = on_jax("check", f"jax_models.py:{form}", "--format", "json", *["--input", "4,12"] * (size == 4))
    assert done.code == 0, done.out + done.err
    report = json.loads(done.out)
    assert (report["model"], report["batch_size"]) == (name, size)
    # Only of a module whose layers can be seen is an input guessed.
    assert ("input guessed from the first layer: --input 'f32[8,12]'" in done.err) == (form == "InOrder")


@needs_jax
def test_a_broken_jax_model_is_found_and_reported_as_any_other(on_jax):
    done = on_jax("check", "jax_models.py:zeros")
    assert done.code == 1
    assert "ERROR S101" in done.out
    assert on_jax("check", "jax_models.py:zeros", "--format", "github").out.startswith("::error title=")
    assert "<html" in on_jax("check", "jax_models.py:zeros", "--format", "html").out
    # The batch of the command line comes before the factory's own.
    mean = ("--loss", "jax_models.py:loss", "--format", "json")
    small = on_jax("check", "jax_models.py:zeros", "--input", "4,12", *mean)
    assert json.loads(small.out)["batch_size"] == 4


@needs_jax
def test_the_parameters_of_a_module_follow_from_the_seed(on_jax):
    def rms(seed: int) -> list[float]:
        arguments = ("jax_models.py:linen", "--input", "16,12", "--format", "json", "--seed", str(seed))
        return [p["rms"] for p in json.loads(on_jax("check", *arguments).out)["parameters"]]

    first = rms(1)
    assert first == rms(1)
    assert first != rms(2)


@needs_jax
def test_plan_fans_and_init_of_jax_models(on_jax, folder):
    plan = on_jax("plan", "jax_models.py:function_with_batch", "--recipe", "he", "--format", "json")
    assert {e["name"]: e["recipe"]["recipe"] for e in json.loads(plan.out)["entries"]} == {
        "a": "variance_scaling",
        "b": "variance_scaling",
    }, plan.out
    assert on_jax("fans", "jax_models.py:InOrder").out.splitlines()[2].split() == (
        ["layers.0.kernel", "12x24", "weight", "12", "24"]
    )
    assert "params.Dense_1.kernel" in on_jax("fans", "jax_models.py:linen", "--input", "2,12").out
    done = on_jax("init", "jax_models.py:haiku_with_state", "--input", "16,12", "-o", "w.safetensors", "--seed", "3")
    assert done.code == 0, done.err
    assert "safetensors.flax.load_file('w.safetensors') reads it" in done.err
    from safetensors.flax import load_file

    assert load_file(folder / "w.safetensors")["params.linear_1.w"].shape == (12, 24)
    assert on_jax("ledger", "verify", "w.safetensors").code == 0


@needs_jax
def test_audits_of_jax_models(on_jax):
    copies = on_jax("audit", "jax_models.py:from_key", "--format", "json")
    assert [f["code"] for f in json.loads(copies.out)["findings"]] == ["S102"]
    assert copies.code == 1
    done = on_jax("audit", "jax_models.py:linen", "--input", "2,12")
    assert done.code == 0, done.err
    assert "a draw" in done.out
    assert on_jax("audit", "jax_models.py:Nnx").code == 0
    assert "batch must be given" in on_jax("audit", "jax_models.py:linen").err


@needs_jax
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["check", "jax_models.py:linen"], "--input or --batch must be given"),
        (["check", "jax_models.py:Nnx"], "check: Nnx must run on the batch; it raised"),
        (["fans", "jax_models.py:linen"], "batch must be given: Linen makes its parameters from one."),
        (["fans", "jax_models.py:function"], "fans: batch must be given; what function takes cannot be told"),
        (["check", "jax_models.py:haiku", "--input", "i64[4]<3"], "init of the transformed function must run on the"),
        (["check", "jax_models.py:two_numbers", "--input", "4,12"], "got a tuple of 2 (Linen, int)."),
        (["check", "jax_models.py:haiku(x=3)", "--input", "4,12"], "haiku is a model already and takes no arguments"),
        (["check", "jax_models.py:linen", "--input", "4,12", "--batch", "jax_models.py:equinox"], "not be given"),
    ],
)
def test_what_cannot_run_on_jax_says_so(on_jax, arguments, wanted):
    done = on_jax(*arguments)
    assert done.code == 2
    assert wanted in done.err
    assert "Traceback" not in done.err


def keras_is_installed() -> bool:
    try:
        return bool(version("keras"))
    except PackageNotFoundError:
        return False


HASTY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""Small models run once: compiling them well takes longer than running them."""

KERAS = (
    ["check", "keras_models.py:built", "--format", "json"],
    ["check", "keras_models.py:unbuilt", "--input", "16,12"],
    ["fans", "keras_models.py:unbuilt", "--input", "2,12"],
    ["fans", "keras_models.py:unbuilt"],
    ["init", "keras_models.py:built", "-o", "k.safetensors", "--loss", "keras_models.py:loss", "--learning-rate"],
    ["check", "keras_models.py:unbuilt"],
    ["audit", "keras_models.py:shared", "--format", "json"],
    ["audit", "keras_models.py:every_layer", "--format", "json"],
    ["audit", "keras_models.py:every_layer(factor=1.5)", "--format", "json"],
)


@pytest.mark.skipif(not keras_is_installed(), reason="keras is not installed")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_models_on_the_backend_that_the_environment_names(tmp_path, backend):
    if not has(backend):
        pytest.skip(f"{backend} is not installed")
    shutil.copy(HERE / "keras_models.py", tmp_path)
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(SOURCE), **HASTY}
    commands = "\n".join(json.dumps(command) for command in KERAS)
    ran = subprocess.run(
        [sys.executable, "keras_models.py"],
        cwd=tmp_path,
        env=environment,
        input=commands,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    check, unbuilt, fans, too_early, init, unguessed, audit, clean, wrong = json.loads(ran.stdout.splitlines()[-1])
    assert check[0] == 0, check
    assert "input guessed from the first layer: --input 'f32[8,12]'" in check[2]
    assert json.loads(check[1])["model"] == "Sequential"
    assert unbuilt[0] == 0, unbuilt
    assert "it was built from the batch" in unbuilt[1]
    assert fans[1].splitlines()[1].split()[1:] == ["12x24", "weight", "12", "24"]
    assert (too_early[0], unguessed[0]) == (2, 2)
    assert "fans: model must be built" in too_early[2]
    assert "--input or --batch must be given" in unguessed[2]
    assert [f["code"] for f in json.loads(audit[1])["findings"]] == ["S102"], audit
    assert (audit[0], clean[0]) == (1, 0), clean
    assert json.loads(clean[1])["findings"] == []
    found = [(f["code"], f["place"]) for f in json.loads(wrong[1])["findings"]]
    assert found == [("U106", "deep/kernel"), ("U106", "wrong/kernel")], wrong
    assert "safetensors.numpy.load_file('k.safetensors') reads it" in init[2]
    assert re.search(r"learning rate: [\d.]+ for SGD .*[\d.]+ for\s+Adam", init[1]), init[1]
    assert (tmp_path / "k.safetensors").is_file()

"""The journal, processes that hang or die, executors of others, and a race that is killed again and again."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from racing import nets, pieces
from racing.nets import WINE

import penstock
from penstock.racing.arm import Arm, Evaluation, Spent, Task, Trained
from penstock.racing.dispatch import spawned
from penstock.racing.journal import Journal
from penstock.racing.workers import Pool

ARM = Trained(Arm("he", 1, "adam", 1e-3), "finished", (1.0, 0.1234567), (Evaluation(2, 0.5, None),), 1e-3)


def race(starts=("default", "he"), **others):
    return penstock.race(nets.small, starts, "wine", **(WINE | others))


def test_a_journal_gives_back_what_was_put_in(tmp_path):
    path = tmp_path / "race.jsonl"
    first = Journal(path, {"model": "m"})
    first.add([ARM], Spent({"he": 0.5}, 1.0, 2))
    first.close()
    again = Journal(path, {"model": "m"})
    assert again.arms == {ARM.arm: ARM}
    assert again.spent == [Spent({"he": 0.5}, 1.0, 2)]
    again.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_cut_short_is_dropped(tmp_path, cut):
    path = tmp_path / "race.jsonl"
    first = Journal(path, {"model": "m"})
    first.add([ARM], Spent())
    first.close()
    whole = path.read_bytes()
    line = json.dumps({"start": "he", "seed": 2}).encode() * 2
    path.write_bytes(whole + line[:cut])
    again = Journal(path, {"model": "m"})
    assert list(again.arms) == [ARM.arm]
    again.close()
    assert path.read_bytes() == whole


def test_what_the_machine_did_is_tried_again(tmp_path):
    path = tmp_path / "race.jsonl"
    first = Journal(path, {})
    arms = [Arm("he", seed, "adam", 1e-3) for seed in range(4)]
    outcomes = ("killed", "hung", "lost", "failed")
    first.add([Trained(a, o) for a, o in zip(arms, outcomes, strict=True)], Spent())
    first.close()
    again = Journal(path, {})
    assert list(again.arms) == [arms[3]]
    again.close()


def test_a_journal_of_another_race_or_in_use_is_refused(tmp_path):
    path = tmp_path / "race.jsonl"
    first = Journal(path, {"steps": 1})
    with pytest.raises(penstock.ArgumentError, match="journal must not be in use"):
        Journal(path, {"steps": 1})
    first.close()
    with pytest.raises(penstock.ArgumentError, match="of another: steps 1 there, 2 here"):
        Journal(path, {"steps": 2})


def test_a_finished_race_is_not_run_again(tmp_path, monkeypatch):
    path = tmp_path / "race.jsonl"
    first = race(journal=path)
    written = path.read_bytes()
    from penstock.racing import dispatch

    monkeypatch.setattr(dispatch, "train", None)
    assert race(journal=path).to_dict() == first.to_dict()
    assert path.read_bytes() == written


def test_a_race_goes_on_from_any_beginning_of_its_file(tmp_path):
    path = tmp_path / "race.jsonl"
    race(journal=path)
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        race(journal=path)
        assert path.read_bytes() == whole


def test_a_race_that_is_killed_at_any_moment_ends_in_the_same_file(tmp_path):
    """SIGKILL at ten random moments; between them the race goes on from what is there."""
    script = Path(pieces.__file__)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    path, moments, sizes = tmp_path / "race.jsonl", random.Random(0), []
    for _ in range(10):
        before = path.stat().st_size if path.exists() else 0
        process = subprocess.Popen([sys.executable, str(script), str(path)], env=environment)
        # The time to load Python is no part of the race: the clock starts when the first arm of this run has ended.
        while process.poll() is None and (not path.exists() or path.stat().st_size <= before):
            time.sleep(0.002)
        time.sleep(moments.uniform(0.0, 0.04))
        process.kill()
        process.wait()
        sizes.append(path.stat().st_size)
    pieces.whole_race(path)
    whole = tmp_path / "whole.jsonl"
    pieces.whole_race(whole)
    assert path.read_bytes() == whole.read_bytes()
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 5  # control: the kills did come while arms were being written
    assert sizes[4] < whole.stat().st_size


def test_a_pool_tells_what_became_of_each_piece():
    pool = Pool(pieces.piece, 2, timeout=2.0)
    with closing(pool):
        answers = {a.index: a for a in pool.run(["a", "hang", "raise", "die", "b"])}
    assert {i: (a.value, a.trouble) for i, a in answers.items()} == {
        0: ("A", ""),
        1: (None, "hung"),
        2: (None, "raised"),
        3: (None, "killed"),
        4: ("B", ""),
    }
    assert answers[2].message == "ValueError: no"
    assert answers[1].message == "no answer within 2 s"
    assert "died with signal 9" in answers[3].message


def test_arms_that_hang_or_die_are_found_and_the_others_go_on():
    """A task is cut into starts, and where it died into single arms, until only what is at fault is marked."""
    arms = tuple(Arm(start, 0, "adam", rate) for start in ("fine", "hangs", "dies") for rate in (1.0, 2.0))
    one = Arm("fine", 0, "adam", 13.0)
    pool = Pool(pieces.train, 3, timeout=2.0)
    with closing(pool):
        ended = [t for done in spawned(pieces.COURSE, [Task((*arms, one))], pool, print) for t in done.trained]
    outcomes = {t.arm: t.outcome for t in ended}
    assert len(ended) == len(outcomes) == 7
    assert outcomes[one] == "killed"
    assert {arm.start: outcomes[arm] for arm in arms} == {"fine": "finished", "hangs": "hung", "dies": "killed"}


def test_without_processes_the_work_is_done_here():
    told = []
    pool = Pool(pieces.train, 1, timeout=None, prepare=sys.exit)  # no process gets ready
    with closing(pool):
        ended = list(spawned(pieces.COURSE, [Task((Arm("he", 0, "adam", 1.0),))], pool, told.append))
    assert "Trained in this process" in told[0]
    assert ended[0].trained[0].outcome == "failed"  # the factory of this course makes no model


def test_spawned_processes_give_the_same_bits():
    assert race(workers=2).to_dict(times=False) == race().to_dict(times=False)


def test_what_cannot_be_sent_is_trained_here():
    def local():
        return nets.small()

    raced = penstock.race(local, ["he"], "wine", **(WINE | {"workers": 2}))
    assert {t.outcome for t in raced.arms} == {"finished"}
    assert "Trained in this process" in raced.notes[0]


def test_a_script_that_races_while_it_is_imported_is_told_so(monkeypatch):
    import multiprocessing

    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(penstock.ArgumentError, match="must not race while it is imported"):
        race()
    monkeypatch.undo()
    assert race(seeds=1).arms  # control


def test_dask_gives_the_same_bits():
    distributed = pytest.importorskip("distributed")
    alone = race()
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert race(executor=client.get_executor()).to_dict(times=False) == alone.to_dict(times=False)


def test_progress_is_one_line_an_arm(capsys):
    race(progress=True, seeds=1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("[1/4] default")
    assert "loss" in lines[0]
    race(progress=False, seeds=1)
    assert capsys.readouterr().err == ""

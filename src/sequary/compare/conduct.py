"""The phases of a comparison, on one pool of workers and one store of results."""

from __future__ import annotations

import dataclasses
from time import perf_counter
from typing import Any

from sequary.compare import planning
from sequary.compare.ask import Ask
from sequary.compare.course import Course, Step
from sequary.compare.plan import Plan, shortened
from sequary.compare.plan import load as load_plan
from sequary.compare.pool import Pool
from sequary.compare.prepare import Prepared
from sequary.compare.store import Store
from sequary.compare.tell import Tell
from sequary.compare.worker import Job
from sequary.tasks.saved import CONTRACT

MODELS = ("winner", "best-system")
"""Folders of models: the winner, or, where a floor or a rival won, the best system, for those cannot be saved."""
MEASURING = 0.5
"""Part of an equal share that measuring may take; with less than the rest, nothing could be learnt."""
LEAST_S = 5.0
"""Seconds that measuring may always take."""


class Conduct:
    """The phases, on one pool of workers and one store of results."""

    def __init__(self, ready: Prepared, store: Store, tell: Tell) -> None:
        self.ready, self.store, self.tell = ready, store, tell
        self.pool = Pool(ready.task, ready.options.workers)
        self.pool.warm()
        self.results = {e.id: store.results(e.id) for e in ready.entrants}
        self.began = perf_counter()
        ran = [r["seconds"] for done in self.results.values() for name, r in done.items() if name != "probe"]
        self.before = sum(ran) / ready.options.workers  # of the comparison that this one continues
        self.frozen: dict[str, Any] = {}
        self.courses: dict[str, Course] = {}

    def measure(self) -> None:
        """Plans: those of the store, or made from short measurements and frozen there."""
        ready = self.ready
        found = self.store.plan()
        if found is None:
            measured = self._measured([e for e in ready.entrants if e.kind != "floor"])
            found = {**self._planned(measured), "measured": measured}
        elif found.get("replayed"):
            found = self._reconsidered(found)
        if found.get("replayed"):
            self.tell.say(f"replays the plan in {self.store.out / 'manifest.json'}; delete that file to measure again")
        self.frozen = {**found, "plans": {id: _plain(plan) for id, plan in found["plans"].items()}}
        self.store.freeze(self.frozen)
        for entrant in ready.entrants:
            self.results[entrant.id].setdefault("measure", found["measured"].get(entrant.id, {}))
            self.courses[entrant.id] = Course(load_plan(self.frozen["plans"][entrant.id]), ready.ask)

    def _measured(self, learners: list[Any]) -> dict[str, dict[str, Any]]:
        given = self.ready.options
        shares = sum(e.kind != "floor" for e in self.ready.entrants)
        limit = max(LEAST_S, MEASURING * given.budget * given.workers / max(1, shares))
        self._all([self._job(e, "measure", "measure", limit_s=limit) for e in learners], "measuring")
        found = {e.id: {k: v for k, v in self.results[e.id]["measure"].items() if k != "trace"} for e in learners}
        for each in found.values():  # a process of its own costs time too
            if "start" in each:
                each["start"] += each.get("start_up", 0.0)
        return found

    def _reconsidered(self, found: dict[str, Any]) -> dict[str, Any]:
        """A plan of an earlier run, as it is; or all planned anew where a candidate that it refused need not be.

        What was refused was refused with the memory, the load and the clock of that day, which no argument shows.
        """
        refused = {id for id, plan in found["plans"].items() if plan["refused"]}
        if not refused:
            return found
        measured = {**found["measured"], **self._measured([e for e in self.ready.entrants if e.id in refused])}
        planned = self._planned(measured)
        freed = sorted(id for id in refused if not planned["plans"][id].refused)
        if not freed:
            return found
        self.tell.say(f"{', '.join(freed)}: refused by the plan of an earlier run, but not now: all is planned anew")
        return {**planned, "measured": measured}

    def _planned(self, measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """`plans`, and `share_s`: None where steps were asked for."""
        ready, given = self.ready, self.ready.options
        what = (ready.task, ready.entrants, measured, ready.ask)
        if given.steps is not None:
            return {"plans": planning.by_steps(*what, steps=given.steps, seeds=given.seeds), "share_s": None}
        left = max(0.1 * given.budget, given.budget - self._spent())
        made, share = planning.by_time(*what, seconds=left, workers=given.workers, seeds=given.seeds)
        return {"plans": made, "share_s": share}

    def train(self) -> None:
        """All rungs and final runs; always the next run of the candidate with the most left to do."""
        whole = sum(self._left(e) for e in self.ready.entrants) or 1.0
        for entrant in self.ready.entrants:
            self._settle(entrant)

        def jobs() -> list[Job]:
            order = sorted(self.ready.entrants, key=lambda e: -self._left(e))
            return [self._trial(e, step) for e in order for step in self.courses[e.id].todo(self.results[e.id])]

        def tick() -> None:
            self.tell.stage("training", 1 - sum(self._left(e) for e in self.ready.entrants) / whole)

        self.pool.run(jobs, self._ended, tick)

    def probe(self) -> None:
        """The leak probe, for everyone who has a final run."""
        ran = [e for e in self.ready.entrants if any(name.startswith("seed") for name in self.results[e.id])]
        ran.sort(key=lambda e: -self.results[e.id]["measure"].get("seconds", 0.0))  # cores end together
        todo = [self._job(e, "probe", "probe", ask=self._replayed(e)) for e in ran]
        self._all(todo, "probing for leaks")

    def _replayed(self, entrant: Any) -> Ask:
        """The setting that won and the precision that was measured; a rival's sizes are small in a replay."""
        if not entrant.trained:
            return self.ready.ask
        course = self.courses[entrant.id]
        setting = {**course.plan.settings[course.rungs(self.results[entrant.id])[2] or 0], **course.plan.fixed}
        return self.ready.ask.but(setting={k: v for k, v in setting.items() if k != "batch"})

    def refit(self, entrant: Any, name: str) -> None:
        """On all data, with the setting that was chosen and the first seed; into the folder `name`."""
        folder, ended = self.ready.options.out / name, "refit" in self.results[entrant.id]
        if ended and (folder / CONTRACT).exists():  # by the run that this one continues
            return
        self.results[entrant.id].pop("refit", None)
        self.store.clear(MODELS)
        course = self.courses[entrant.id]
        won = course.rungs(self.results[entrant.id])[2]
        assert won is not None  # it has scores
        job = self._job(entrant, "refit", "refit", ask=course.final(won, 0).ask, folder=folder)
        self._all([job], "refitting the winner")

    def _spent(self) -> float:
        """Wall seconds of the budget that are used."""
        return self.before + perf_counter() - self.began

    def _settle(self, entrant: Any) -> None:
        """Once a setting has won: fewer final steps where the runs so far took longer than measured, and so frozen."""
        course = self.courses[entrant.id]
        plan, won = course.plan, course.rungs(self.results[entrant.id])[2]
        if plan.refused or plan.steps is None or plan.final is not None or won is None:
            return
        ahead = sum(self._left(e) for e in self.ready.entrants) / self.ready.options.workers
        last = plan.run_s * course.pace(self.results[entrant.id])  # refitting the winner comes after all others
        steps = shortened(plan.steps, self.ready.options.budget - self._spent() - last, ahead)
        self.courses[entrant.id] = dataclasses.replace(course, plan=dataclasses.replace(plan, final=steps))
        self.frozen["plans"][entrant.id] = _plain(self.courses[entrant.id].plan)
        self.store.freeze(self.frozen)

    def _left(self, entrant: Any) -> float:
        course, done = self.courses[entrant.id], self.results[entrant.id]
        return course.left(done) if course.todo(done) else 0.0

    def _all(self, jobs: list[Job], stage: str) -> None:
        todo = [j for j in jobs if j.run not in self.results[j.candidate]]
        total = len(todo)

        def left() -> list[Job]:
            return [j for j in todo if j.run not in self.results[j.candidate]]

        self.pool.run(left, self._ended, lambda: self.tell.stage(stage, 1 - len(left()) / max(1, total)))

    def _ended(self, job: Job, found: dict[str, Any]) -> None:
        self.results[job.candidate][job.run] = found
        if job.action == "trial":
            self._settle(job.entrant)
        if "error" in found and job.action != "measure":
            self.tell.say(f"{job.candidate}: {job.run} failed: {found['error']}")

    def _trial(self, entrant: Any, step: Step) -> Job:
        drawn = self.ready.drawn if step.name == "seed0" else ()
        return self._job(entrant, step.name, "trial", ask=step.ask, role=step.role, drawn=drawn)

    def _job(self, entrant: Any, run: str, action: Any, **more: Any) -> Job:
        return Job(
            candidate=entrant.id,
            entrant=entrant,
            run=run,
            action=action,
            file=self.store.file(entrant.id, run),
            metric=self.ready.metric,
            limits=self.ready.options.limits,
            need_mb=self.results[entrant.id].get("measure", {}).get("memory_need_mb", 0.0),
            **{"ask": self.ready.ask, **more},
        )


def _plain(plan: Plan | dict[str, Any]) -> dict[str, Any]:
    return dataclasses.asdict(plan) if isinstance(plan, Plan) else plan

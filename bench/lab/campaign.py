# SPDX-License-Identifier: MIT
"""A run of bench/run: who takes part, test after test, and the report as it grows. Whatever fails
belongs to one row, and the run goes on; Ctrl-C ends it with the rows that there are."""
import datetime
import json
import os
import sys
import time
from pathlib import Path

from . import check, generator, laboratory, peer, plan, roster, tables, trial, witness

FORMAT = "leat bench 1"
CHECK_S = 0.25  # of one row, for the plan
MESSAGES_S, WITNESS_ROUNDS, WITNESS_S, WITNESS_BESIDE_S = 12, 3, 1.0, 0.35
FAULTS = (laboratory.Fault, laboratory.Skip, peer.Missing, OSError, ValueError, KeyError)


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Campaign:
    def __init__(self, lab, options, entries, progress):
        self.lab = lab
        self.options = options
        self.entries = entries
        self.progress = progress
        self.unfit = {}  # (row name, answer) -> why it may not be measured
        self.saturation = {}
        self.started = time.monotonic()
        self.report = {
            "format": FORMAT, "started": now(), "took_s": 0.0, "interrupted": False,
            "quick": options.quick, "command": sys.argv, "host": lab.facts(), "lost": lab.lost,
            "versions": {}, "tests": [], "messages": None, "witnesses": []}

    # -- what is to be done

    def turns(self, test):
        """Every (row, point) of a test, those that cannot run included."""
        points = test.points[:1] if self.options.quick else test.points
        return [(entry, point) for point in points for entry in self.entries
                if test.takes(entry.row, point)]

    def reason(self, test, entry, point):
        needs = (point.answer or test.answer, *test.answers_too, *(
            [check.CLOSE] if test.is_closing else []))
        return entry.reason or next((self.unfit[entry.name, need] for need in needs
                                     if (entry.name, need) in self.unfit), "")

    def shape(self, test):
        able = [turn for turn in self.turns(test) if not self.reason(test, *turn)]
        return plan.shape(test, [entry.row.warm_s for entry, _ in able], self.options)

    def witness_rounds(self):
        return 1 if self.options.quick else WITNESS_ROUNDS

    def witness_servers(self):
        found = witness.chosen([entry for entry in self.entries
                                if not entry.reason and "small" in entry.row.answers
                                and (entry.name, "small") not in self.unfit])
        return found[:1] if self.options.quick else found

    def estimate_s(self):
        shapes = [self.shape(test) for test in self.options.tests]
        seconds = sum(shape.rounds * shape.round_s for shape in shapes)
        if "messages" in self.options.extras:
            seconds += 0.1 if self.options.quick else MESSAGES_S
        if "witnesses" in self.options.extras:
            seconds += (len(self.witness_servers()) * self.witness_rounds()
                        * (1 + len(witness.COMMANDS)) * (WITNESS_S + WITNESS_BESIDE_S))
        return seconds

    # -- doing it

    def run(self):
        self.prepare()
        self.progress.plan(self.estimate_s())
        self.progress.tell(f"{len(self.entries)} rows, {len(self.options.tests)} tests",
                           is_new=True)
        for test in self.options.tests:
            self.run_test(test)
        if "messages" in self.options.extras:
            self.report["messages"] = self.run_messages()
            self.save()
        if "witnesses" in self.options.extras:
            self.run_witnesses()
        self.save()

    def prepare(self):
        """Builds the peers, and asks each row for what it will be measured by."""
        self.save()
        roster.build(self.entries, self.options.folder, self.lab, self.options.quick,
                     self.progress.tell)
        self.report["versions"] = roster.versions(self.entries, self.lab.build)
        self.report["versions"]["leat"] = peer.load("leat").version_text(self.lab.build)
        self.lab.content()
        self.report["host"]["busy_percent_before"] = self.lab.look_around()
        self.progress.plan(CHECK_S * len(self.entries))
        for entry in self.entries:
            if not entry.reason:
                self.progress.tell(f"checking {entry.name}")
                wanted = {answer: (entry.row.answers[answer][0], peer.CONTENT[answer])
                          for answer in self.answers_needed(entry) if answer in peer.CONTENT}
                wrong = check.row(self.lab, entry, wanted, self.close_path(entry))
                self.unfit |= {(entry.name, answer): why for answer, why in wrong.items()}
            self.progress.done(CHECK_S)
        found = [(entry.name, entry.reason) for entry in self.entries if entry.reason]
        found += [(name, why) for (name, _), why in self.unfit.items()]
        for name, why in dict.fromkeys(found):
            self.progress.remark(f"{name}: not run: {why}")

    def answers_needed(self, entry):
        needs = {need for test in self.options.tests for point in test.points
                 if test.takes(entry.row, point)
                 for need in (point.answer or test.answer, *test.answers_too)}
        if "witnesses" in self.options.extras and "small" in entry.row.answers:
            needs.add("small")
        return sorted(needs)

    def close_path(self, entry):
        return next((entry.row.answers[test.answer][0] for test in self.options.tests
                     if test.is_closing and test.takes(entry.row, test.points[0])), None)

    def blank_row(self, test, entry, point):
        reason = self.reason(test, entry, point)
        source = entry.row.answers[point.answer or test.answer][1]
        return {"name": entry.name, "title": entry.row.title, "peer": entry.peer.name,
                "role": entry.row.role, "source": source, "note": entry.row.note,
                "status": "not run" if reason else "ok", "reason": reason,
                "label": point.label, "x": point.x, "rounds": []}

    def run_test(self, test):
        turns = self.turns(test)
        shape = self.shape(test)
        rows = [self.blank_row(test, *turn) for turn in turns]
        stored = {"name": test.name, "title": test.title, "what": test.what, "kind": test.kind,
                  "connections": test.connections, "rounds": shape.rounds,
                  "seconds": shape.seconds, "order_by": test.order_by, "rows": rows}
        self.report["tests"].append(stored)
        self.progress.tell(f"{test.title}: {shape.rounds} rounds of {shape.seconds:g} s, "
                           f"{len(shape.warm_s)} turns each", is_new=True)
        try:
            for number in range(shape.rounds):
                self.run_round(test, shape, number, list(zip(turns, rows)))
        except KeyboardInterrupt:
            for row in rows:
                if row["status"] == "ok" and len(row["rounds"]) < shape.rounds:
                    row |= {"status": "interrupted",
                            "reason": f"after {len(row['rounds'])} of {shape.rounds} rounds"}
            raise
        finally:
            tables.finish(rows, test.order_by)
        if test.name == "small":
            self.saturation |= trial.saturations(rows)
        self.save()

    def run_round(self, test, shape, number, turns):
        """Each row once, beginning with another one each time, and backwards every other time."""
        first = number * len(turns) // shape.rounds
        order = turns[first:] + turns[:first]
        for (entry, point), row in order[::-1] if number % 2 else order:
            if row["status"] != "ok":
                continue
            self.progress.tell(f"{test.title}, round {number + 1} of {shape.rounds}: {entry.name} "
                               f"{point.label}".rstrip())
            turn = trial.Turn(test, point, shape.seconds, self.options.quick, self.saturation)
            entry.connections = turn.connections
            try:
                row["rounds"].append(test.measure(self.lab, turn, entry))
            except FAULTS as error:
                row |= {"status": "not run",
                        "reason": f"round {number + 1}: {roster.one_line(error)}"}
                self.progress.remark(f"{entry.name}: {row['reason']}")
            self.progress.done(shape.turn_s(entry.row.warm_s))

    def run_messages(self):
        self.progress.tell("messages: one trade encoded and decoded", is_new=True)
        title = "One trade, encoded and decoded"
        argv = [self.lab.bin / "messages"] + (["--quick"] if self.options.quick else [])
        try:
            out, _ = generator.run_client(self.lab, argv, 20 * MESSAGES_S)
            found = json.loads(out)
        except (*FAULTS, json.JSONDecodeError) as error:
            return {"title": title, "what": "", "rows": [
                {"name": "messages", "title": title, "version": "", "status": "not run",
                 "reason": roster.one_line(error), "bytes": None, "figures": {}}]}
        for row in found["rows"]:
            row["figures"] = tables.summarize(row.get("rounds", []))
        self.progress.done(0.1 if self.options.quick else MESSAGES_S)
        return {"title": title, **found}

    def run_witnesses(self):
        for entry in self.witness_servers():
            self.progress.tell(f"witnesses beside our load generator: {entry.name}", is_new=True)
            self.report["witnesses"].append(witness.testify(
                self.lab, entry, self.witness_rounds(), WITNESS_S,
                self.report["versions"]["leat"],
                lambda: self.progress.done(WITNESS_S + WITNESS_BESIDE_S)))
            self.save()

    # -- the report

    def save(self):
        """report.json, whole or not at all."""
        self.report["took_s"] = round(time.monotonic() - self.started, 1)
        path = Path(self.options.out) / "report.json"
        beside = path.with_name(f".report-{os.getpid()}.json")
        beside.write_text(json.dumps(self.report, indent=1) + "\n")
        beside.replace(path)
        return path

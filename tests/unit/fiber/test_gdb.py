# SPDX-License-Identifier: MIT
"""scripts/gdb/leat.py on a program with parked fibers. Exit status 77: there is no gdb here.

Usage: test_gdb.py SCRIPT PROGRAM
"""

import os
import re
import shutil
import subprocess
import sys

SKIPPED = 77


def block(output, name):
    """The backtrace of the fiber `name`: the function names, newest first."""
    lines = iter(output.splitlines())
    for line in lines:
        if re.match(r"0x[0-9a-f]+ \w+ +(\w+ )*%s scope" % name, line):
            break
    else:
        raise AssertionError("no fiber %s in:\n%s" % (name, output))
    names = []
    for line in lines:
        match = re.match(r"    #\d+ +(\S+)", line)
        if not match:
            break
        names.append(match.group(1))
    return names


def main():
    script, program = sys.argv[1:]
    if not shutil.which("gdb"):
        return SKIPPED
    commands = ["break gdb_stops_here", "run", "source %s" % script, "leat fibers", "leat bt"]
    # the process is as it was: its own backtrace, and its end
    commands += ["printf \"then\\n\"", "bt", "continue"]
    arguments = [item for command in commands for item in ("-ex", command)]
    environment = dict(os.environ, DEBUGINFOD_URLS="", LC_ALL="C", ASAN_OPTIONS="detect_leaks=0")
    result = subprocess.run(
        ["gdb", "--batch", "--nx", *arguments, program],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, env=environment)
    output = result.stdout
    print(output)
    if "ptrace: Operation not permitted" in output or "Could not trace" in output:
        return SKIPPED

    assert "4 fibers" in output
    listing, rest = output.split("4 fibers")
    for line in (
        r"running +main scope - in run_main",
        r"parked +alice scope 0x\w+ in alice",
        r"parked +bob scope 0x\w+ in bob",
        r"ready +not begun scope 0x\w+ in bob",
    ):
        assert re.search(line, listing), line
    traces, own = rest.split("then\n")
    alice = block(traces, "alice")
    assert [name for name in alice if name == "wait_deep"] == ["wait_deep"] * 4, alice
    assert alice.index("leat_sleep_until") < alice.index("wait_deep"), alice
    # the chain ends where the fiber began: no frame of garbage, none of another stack
    assert alice[-3:] == ["alice", "fiber_main", "context_begin"], alice
    bob = block(traces, "bob")
    assert "leat_channel_recv" in bob and bob[-3:] == ["bob", "fiber_main", "context_begin"], bob
    assert block(traces, "not begun") == ["context_begin"]
    assert re.search(r"#0 +(0x\w+ in )?gdb_stops_here", own)
    assert re.search(r"context_begin \(\)", own) and "corrupt" not in output
    assert "exited normally" in output
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""Fibers for gdb: what each of them waits for, without disturbing any.

    (gdb) source scripts/gdb/leat.py
    (gdb) leat fibers             one line a fiber: address, state, name, scope, entry
    (gdb) leat bt [NAME|ADDRESS]  the backtraces of the parked and ready ones

Works on a running process and on a core file alike: nothing is called and nothing written in the
process. A fiber that does not run is a stack pointer to the frame of context_x86_64.S; an unwinder
of ours tells gdb that the newest frame of the selected thread "was called" from there.
"""

import gdb
from gdb.unwinder import Unwinder

STATES = ("parked", "ready", "running", "ended")
# context_x86_64.S: where the registers lie from the saved stack pointer on.
REGISTERS = {"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48, "rip": 56}
FRAME_SIZE = 64
FRAMES_MAX = 64


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class FiberUnwinder(Unwinder):
    """While `stack_pointer` is set, the newest frame's caller is the fiber that was left there."""

    def __init__(self):
        super().__init__("leat-fiber")
        self.enabled = True
        self.stack_pointer = None
        self.newest_sp = None

    def __call__(self, pending_frame):
        if self.stack_pointer is None:
            return None
        if int(pending_frame.read_register("rsp")) != self.newest_sp:
            return None
        # An identity below the fiber's frames, so that they are older by address too.
        identity = FrameId(gdb.Value(self.stack_pointer), pending_frame.read_register("rip"))
        info = pending_frame.create_unwind_info(identity)
        word = gdb.lookup_type("unsigned long")
        for name, offset in REGISTERS.items():
            place = gdb.Value(self.stack_pointer + offset).cast(word.pointer())
            info.add_saved_register(name, place.dereference())
        info.add_saved_register("rsp", gdb.Value(self.stack_pointer + FRAME_SIZE).cast(word))
        return info

    def frames(self, stack_pointer):
        """The fiber's frames, newest first. Valid until the next call only."""
        newest = gdb.newest_frame()
        self.newest_sp = int(newest.read_register("rsp"))
        self.stack_pointer = stack_pointer
        gdb.invalidate_cached_frames()
        try:
            frame = gdb.newest_frame().older()
            for _ in range(FRAMES_MAX):
                if frame is None or not frame.is_valid():
                    break
                yield frame
                frame = frame.older()
        finally:
            self.stack_pointer = None
            gdb.invalidate_cached_frames()


UNWINDER = FiberUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def listed(head, type_name, member):
    """The structures in an intrusive list (base/list.h)."""
    wanted = gdb.lookup_type(type_name)
    offset = next(field.bitpos // 8 for field in wanted.fields() if field.name == member)
    node = head["next"]
    while node != head.address:
        address = int(node) - offset
        yield gdb.Value(address).cast(wanted.pointer()).dereference()
        node = node["next"]


def fibers():
    try:
        schedulers = gdb.parse_and_eval("scheduler_list")["head"]
    except gdb.error as error:
        raise gdb.GdbError("no leat in this program, or no debug information: %s" % error)
    for scheduler in listed(schedulers, "struct scheduler", "node"):
        yield from listed(scheduler["fibers"], "struct fiber", "node")


def text(value):
    return value.string(errors="replace") if int(value) else "(none)"


def function_name(value):
    symbol = gdb.block_for_pc(int(value))
    return symbol.function.name if symbol and symbol.function else "0x%x" % int(value)


def describe(fiber):
    flags = " cancelled" if fiber["is_cancelled"] else ""
    flags += " shielded" if fiber["is_shielded"] else ""
    scope = "0x%x" % int(fiber["scope"]) if int(fiber["scope"]) else "-"
    return "0x%x %-8s%s %s scope %s in %s" % (
        int(fiber.address),
        STATES[int(fiber["state"])],
        flags,
        text(fiber["name"]),
        scope,
        function_name(fiber["fn"]),
    )


class Leat(gdb.Command):
    """Commands for programs made with leat."""

    def __init__(self):
        super().__init__("leat", gdb.COMMAND_STACK, prefix=True)


class LeatFibers(gdb.Command):
    """leat fibers: one line for each fiber of the process."""

    def __init__(self):
        super().__init__("leat fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        count = 0
        for fiber in fibers():
            print(describe(fiber))
            count += 1
        print("%d fibers" % count)


class LeatBt(gdb.Command):
    """leat bt [NAME|ADDRESS]: the backtraces of the fibers that do not run."""

    def __init__(self):
        super().__init__("leat bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = argument.strip()
        for fiber in list(fibers()):
            if wanted and wanted not in (text(fiber["name"]), "0x%x" % int(fiber.address)):
                continue
            print(describe(fiber))
            if STATES[int(fiber["state"])] not in ("parked", "ready"):
                print("    it runs: see its thread's own backtrace")
                continue
            stack_pointer = int(fiber["flow"]["context"]["stack_pointer"])
            for level, frame in enumerate(UNWINDER.frames(stack_pointer)):
                place = frame.find_sal()
                where = " at %s:%d" % (place.symtab.filename, place.line) if place.symtab else ""
                name = frame.name() or "0x%x" % frame.pc()
                print("    #%-2d %s%s" % (level, name, where))


Leat()
LeatFibers()
LeatBt()

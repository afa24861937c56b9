# SPDX-License-Identifier: MIT
"""The room: a network namespace of its own, pinned processes, and their CPU time.

A new namespace is needed because a host's default congestion control may pace on loopback (bbr
does), which makes every figure the figure of a timer. The namespace is made by unshare(2), without
a name: it goes with the last process in it, however that one ends. The server has core 0, the
client core 1. Processes, control groups and files are removed on the way out, also after Ctrl-C;
if the laboratory itself is killed, its servers get SIGKILL from the kernel, and the next
laboratory sweeps the empty groups away.

CPU time is a control group's where one can be made (lab/account.py): nanoseconds, exact at a
context switch, and it includes threads and children that have ended. /proc/PID/schedstat, the
second choice, forgets threads that are gone.
"""
import contextlib
import ctypes
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import account

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PREFIX = "leat-lab-"
START_LIMIT_S = 20

libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This host can not run the experiment; exit status 77."""


class Fault(Exception):
    """A program is missing or misbehaves; exit status 2."""


def exit_status(program, run, options):
    """What `run` returns, or the status and the line of what kept it from its end."""
    try:
        return run(options)
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    except Fault as fault:
        print(f"{program}: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted, everything ended and removed", file=sys.stderr)
        return 130


def libc_call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def group_root(controller):
    """Where this process may make groups of a version 1 controller, or None."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, options = line.split()[:4]
        if kind == "cgroup" and controller in options.split(","):
            for own in Path("/proc/self/cgroup").read_text().splitlines():
                _, controllers, path = own.split(":", 2)
                inside = Path(mount + path)
                if controller in controllers.split(",") and inside.is_dir():
                    return inside
            return Path(mount)
    return None


class Group:
    """A control group: of a version 1 controller, or of version 2."""

    count = 0

    def __init__(self, path):
        self.path = path

    @classmethod
    def make(cls, controller):
        return cls.make_below(group_root(controller))

    @classmethod
    def make_unified(cls):
        """A group of version 2, which keeps CPU time without any controller."""
        return cls.make_below(account.unified_root())

    @classmethod
    def make_below(cls, root):
        if root is None:
            return None
        cls.count += 1
        path = root / f"{PREFIX}{os.getpid()}-{cls.count}"
        try:
            path.mkdir()
        except OSError:
            return None
        return cls(path)

    def processes(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def remove(self):
        for _ in range(100):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            try:
                self.path.rmdir()
                return
            except (FileNotFoundError, PermissionError):  # gone, or another user's
                return
            except OSError:
                time.sleep(0.02)


def sweep(directory):
    """Removes what laboratories left that were killed themselves: named after their process."""
    roots = {group_root("cpuacct"), group_root("blkio"), account.unified_root()} - {None}
    for path in [path for root in (*roots, directory) for path in root.glob(PREFIX + "*")]:
        if Path("/proc", path.name[len(PREFIX):].split("-")[0]).exists():
            continue
        if path.parent == directory:
            shutil.rmtree(path, ignore_errors=True)
        else:
            Group(path).remove()


def core_times(core):
    """Busy and total ticks of a core; steal counts as busy, for nobody else could run."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            ticks = [int(text) for text in line.split()[1:9]]
            return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    raise Fault(f"/proc/stat does not know core {core}")


class Running:
    """A started server: where it listens and what it has cost."""

    def __init__(self, process, address, account, errors):
        self.process = process
        self.address = address
        self.account = account
        self.errors = errors
        self.may_end = False

    def cpu_ns(self):
        return self.cpu().total_ns

    def cpu(self):
        """What it has cost so far, as an account.Cpu."""
        if self.account is not None:
            return account.read_group(self.account.path)
        return account.read_session(self.process.pid)

    def complaint(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-2000:].strip()


class Laboratory:
    def __init__(self, build, quiet=False):
        self.build = Path(build).resolve()
        self.bin = self.build / "bench"
        self.quiet = quiet
        self.exits = contextlib.ExitStack()
        self.port = 10000
        self.server_core, self.client_core = self.choose_cores(sorted(os.sched_getaffinity(0)))

    def choose_cores(self, cores):
        if len(cores) < 2:
            raise Skip("needs two cores: one for the server, one for the client")
        return cores[:2]

    # -- coming and going

    def __enter__(self):
        # Also where SIGINT came ignored, as a shell's background jobs have it.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            self.enter_namespace()
            sweep(self.bin)
            self.directory = self.make_directory()
            self.exits.callback(shutil.rmtree, self.directory, ignore_errors=True)
        except BaseException:
            self.exits.close()
            raise
        return self

    def __exit__(self, *_):
        self.exits.close()

    def make_directory(self):
        return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=self.bin))

    def enter_namespace(self):
        if os.geteuid() != 0:
            raise Skip("needs root: it makes a network namespace of its own")
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.exits.callback(os.close, home)
        try:
            self.namespace = self.new_namespace()
        except OSError as error:
            raise Skip(f"may not make a network namespace ({error})") from error
        self.exits.callback(libc_call, "setns", home, CLONE_NEWNET)

    def new_namespace(self):
        """Moves this process to a fresh namespace; returns a descriptor of it."""
        libc_call("unshare", CLONE_NEWNET)
        self.command("ip", "link", "set", "lo", "up")
        Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.exits.callback(os.close, namespace)
        return namespace

    def second_namespace(self):
        """A namespace for the client at 10.77.0.2, joined by a veth pair of MTU 1500 to the
        laboratory's own, 10.77.0.1."""
        other = self.new_namespace()
        libc_call("setns", self.namespace, CLONE_NEWNET)
        self.command("ip", "link", "add", "server0", "mtu", "1500", "type", "veth",
                     "peer", "name", "client0", "mtu", "1500")
        holder = self.spawn(["sleep", "infinity"], self.client_core, namespace=other)
        self.command("ip", "link", "set", "client0", "netns", str(holder.pid))
        self.command("ip", "address", "add", "10.77.0.1/24", "dev", "server0")
        self.command("ip", "link", "set", "server0", "up")
        libc_call("setns", other, CLONE_NEWNET)
        self.command("ip", "address", "add", "10.77.0.2/24", "dev", "client0")
        self.command("ip", "link", "set", "client0", "up")
        libc_call("setns", self.namespace, CLONE_NEWNET)
        return other

    # -- programs

    def tool(self, name):
        found = shutil.which(name)
        if found is None:
            raise Skip(f"{name} is not installed")
        return found

    def command(self, *argv):
        self.tool(argv[0])
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise Fault(f"{shlex.join(argv)}: {done.stderr.strip()}")

    def spawn(self, argv, core, namespace=None, groups=(), **options):
        parent = os.getpid()

        def prepare():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            os.sched_setaffinity(0, {core})
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            if namespace is not None:
                libc_call("setns", namespace, CLONE_NEWNET)
            for group in groups:
                (group.path / "cgroup.procs").write_text("0")

        argv = [str(part) for part in argv]
        if shutil.which(argv[0]) is None:
            raise Fault(f"{argv[0]}: no such program (build it first: make build)")
        process = subprocess.Popen(argv, preexec_fn=prepare, start_new_session=True,
                                   stdin=subprocess.DEVNULL, **options)
        self.exits.callback(self.end, process)
        return process

    def end(self, process, grace_s=2.0):
        """SIGTERM, then SIGKILL to the session the process leads."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def client(self, program, *arguments, namespace=None):
        """Runs load or receive on the client's core; returns its figures."""
        process = self.start_client(program, *arguments, namespace=namespace)
        return self.finish_client(process)

    def start_client(self, program, *arguments, namespace=None):
        return self.spawn([self.bin / program, *arguments], self.client_core, namespace=namespace,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)

    def finish_client(self, process):
        out, errors = process.communicate()
        if process.returncode != 0:
            raise Fault(f"{shlex.join(process.args)}: {errors.decode().strip()}")
        return json.loads(out)

    def next_port(self, _host):
        """The namespace has no ports but ours."""
        return self.port + 1 if self.port < 30000 else 10001

    @contextlib.contextmanager
    def serve(self, server, directory, host="127.0.0.1", groups=(), wrapper=(), core=None, **words):
        """Starts a server, waits until it accepts, gives a Running, ends it."""
        self.port = self.next_port(host)
        listen = f"{host}:{self.port}"
        argv = server.argv(self, directory, listen, words)
        with contextlib.ExitStack() as exits:
            errors = exits.enter_context(tempfile.TemporaryFile())
            group = Group.make("cpuacct") or Group.make_unified()
            if group is not None:
                exits.callback(group.remove)
                groups = [*groups, group]
            process = self.spawn([*wrapper, *argv], self.server_core if core is None else core,
                                 groups=groups, stdout=subprocess.DEVNULL, stderr=errors)
            exits.callback(self.end, process)
            running = Running(process, listen, group, errors)
            self.await_listener(running, (host, self.port))
            yield running
            if process.poll() is not None and not running.may_end:
                raise Fault(f"{server.name} ended by itself, status {process.returncode}: "
                            f"{running.complaint()}")

    def await_listener(self, running, address):
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until:
            if running.process.poll() is not None:
                raise Fault(f"{shlex.join(running.process.args)}: {running.complaint()}")
            with contextlib.suppress(OSError):
                socket.create_connection(address, 1).close()
                return
            time.sleep(0.01)
        raise Fault(f"{shlex.join(running.process.args)}: does not accept on {address}")

    @contextlib.contextmanager
    def costs(self, running):
        """Measures what happens inside: CPU time of the server, load of both cores."""
        cost = {}
        cores = {"server": self.server_core, "client": self.client_core}
        before = {name: core_times(core) for name, core in cores.items()}
        cpu, start = running.cpu(), time.monotonic()
        yield cost
        spent = running.cpu() - cpu
        cost["elapsed_s"] = time.monotonic() - start
        cost |= {"cpu_us": spent.total_ns / 1e3, "cpu_user": spent.user, "cpu_system": spent.system}
        for name, core in cores.items():
            busy, total = (now - then for now, then in zip(core_times(core), before[name]))
            cost[f"{name}_core_percent"] = 100 * busy / total if total else 0.0

    # -- material and talk

    def content(self):
        """A directory with 1k.txt and 1m.bin, both in the page cache."""
        path = self.directory / "content"
        if not path.exists():
            path.mkdir(mode=0o755)
            (path / "1k.txt").write_bytes((b"leat carries water to a mill\n" * 64)[:1024])
            (path / "1m.bin").write_bytes(os.urandom(1 << 20))
        return path

    def say(self, text=""):
        print(text, flush=True)

    def note(self, text):
        """Progress, for a person at a terminal only."""
        if sys.stderr.isatty() and not self.quiet:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def host_facts(lab):
    release = os.uname()
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {"kernel": release.release, "machine": release.machine,
            "cpu": model.group(1) if model else "unknown", "cores": os.cpu_count(),
            "server_core": lab.server_core, "client_core": lab.client_core,
            "congestion_control":
                Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
            "cpu_time_from": account.source(group_root("cpuacct")),
            "load_average": os.getloadavg()[0]}

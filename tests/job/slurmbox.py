#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""slurmbox.py - a private Slurm cluster on one machine, for tests.

    slurmbox.py start DIR [-n NODES] [-m ports|netns] [-x 'Key=Value']...
    slurmbox.py run DIR COMMAND...       with srun, sbatch, scontrol in reach
    slurmbox.py on DIR NODE COMMAND...   inside one node
    slurmbox.py kill DIR NODE            the node is gone at once
    slurmbox.py stop DIR

or, in Python: with Cluster(nodes=3, mode="netns") as box: box.run(["srun"...])

The cluster lives in a *box*: namespaces for processes, network, host name,
mounts and IPC. The first process of the box keeps it alive; when that process
dies, and it dies with the Python process that made it (unless by 'start'),
the kernel ends all others and frees network, mounts and shared memory. So
nothing can be left behind, whatever happens to the test, and ports and paths
of one cluster are not seen by another.

ports: all nodes are slurmd processes in the box itself, on loopback, told
       apart by their ports. One host name, one /dev/shm: Slurm's nodes, but
       one machine.
netns: each node has namespaces of its own inside the box, a host name, an
       address (10.77.0.1, ...) on a bridge, and a private /dev/shm. To kill
       the first process of a node is the loss of a machine.

Needs root, munge and Slurm with its PMIx plugin. It is not a sandbox: the
file system is the machine's own, but for /tmp/chare-*/t, /dev/shm, /etc/hosts.
"""

import argparse
import ctypes
import glob
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HEAD = "head"
HEAD_ADDRESS = "10.77.0.254"
CPUS = 16  # of each node, however many the machine has
START_SECONDS = 60  # for the whole cluster to be idle, on a busy machine
STOP_SECONDS = 10
PROGRAMS = ("unshare", "nsenter", "ip", "mount", "munged", "slurmctld",
            "slurmd", "srun", "sbatch", "scontrol", "sinfo", "scancel")
PLUGINS = ("/usr/lib*/slurm*/mpi_pmix*.so", "/usr/lib/*/slurm*/mpi_pmix*.so",
           "/usr/local/lib*/slurm*/mpi_pmix*.so")

SLURM_CONF = """\
ClusterName=box
{controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={dir}/munge/sock
StateSaveLocation={dir}/ctld
SlurmdSpoolDir={dir}/spool/%n
TmpFS={dir}/tmp/%n
SlurmctldPidFile={dir}/run/slurmctld.pid
SlurmdPidFile={dir}/run/slurmd.%n.pid
SlurmctldLogFile={dir}/log/slurmctld.log
SlurmdLogFile={dir}/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
InactiveLimit=0
SlurmdTimeout=10
SlurmctldTimeout=10
MessageTimeout=10
UnkillableStepTimeout=10
PropagateResourceLimits=NONE
{nodes}
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP \
OverSubscribe=YES:4
"""

# What the first process of a box or node does before it sleeps for ever.
# Slurm's step daemons get reparented to it: it lets the kernel reap them.
FIRST = """
set -e
hostname "$1"
test ! -e /etc/hosts || test ! -e "$2" || mount --bind "$2" /etc/hosts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
# Control groups are not used, least of all those of the machine.
test ! -d /sys/fs/cgroup || mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
ip link set lo up
test -z "$3" || mount -t tmpfs -o mode=755 tmpfs "$3"
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""


class SlurmError(Exception):
    """The cluster could not be made; the text says what failed."""


def missing():
    """Why there can be no cluster here, or None."""
    if os.geteuid() != 0:
        return "a private Slurm needs root"
    absent = [name for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if absent:
        return "not installed: " + " ".join(absent)
    tried = subprocess.run(["unshare", "--net", "--uts", "--mount", "--ipc",
                            "--pid", "--fork", "true"], text=True,
                           capture_output=True, env=ENV)
    if tried.returncode != 0:
        return f"no namespaces here: {tried.stderr.strip()}"
    if not any(glob.glob(pattern) for pattern in PLUGINS):
        return "Slurm has no PMIx plugin"
    return None


PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
# Nothing of a Slurm job that this test may itself be part of goes in.
ENV = {name: value for name, value in os.environ.items()
       if not name.startswith(("SLURM", "PMI", "OMPI"))}
ENV["PATH"] = PATH


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _stat_of(pid):
    """(state, parent, start time) of a process; None when there is none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    field = text[text.rindex(")") + 2:].split()
    return field[0], int(field[1]), field[19]


def _alive(pid, start=None):
    stat = _stat_of(pid)
    return stat is not None and stat[0] not in "ZX" and \
        start in (None, stat[2])


def _child_of(pid):
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat_of(name)
            if stat and stat[1] == pid:
                return int(name)
    return None


def _wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SlurmError(f"{what}: not after {seconds} s")
        time.sleep(0.02)


class Cluster:
    def __init__(self, nodes=1, mode="ports", extra=(), topology=None,
                 directory=None, keep=False):
        """A cluster of 'nodes' nodes; start() makes it.

        extra:     'Key=Value' lines that replace those of slurm.conf
        topology:  text of topology.conf; None: no switches
        directory: where; None: a new one in /tmp, removed by stop()
        keep:      it outlives this process (for the command line)
        """
        self.nodes = nodes
        self.mode = mode
        self.extra = list(extra)
        self.topology = topology
        self.keep = keep
        self.base = directory
        self.pids = {}  # of the first processes: [pid, start time]
        self.parents = []  # the processes that hold them, where we made them

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *unused):
        self.stop()

    # -- inside

    @property
    def dir(self):
        """Where the cluster's files are, as seen from inside."""
        return f"{self.base}/t"

    def path(self, name):
        """A file of the cluster, as seen from outside."""
        return pathlib.Path(f"/proc/{self.pids[HEAD][0]}/root{self.dir}/"
                            f"{name}")

    def inside(self, where, command):
        """The argv that runs a command in the box or in a node."""
        if where not in self.pids:
            where = HEAD
        return ["nsenter", "-t", str(self.pids[where][0]), "-n", "-u", "-m",
                "-i", "-p", "--", "sh", "-c", 'cd "$1"; shift; exec "$@"',
                "sh", os.getcwd(), "env", f"SLURM_CONF={self.dir}/slurm.conf",
                *map(str, command)]

    def popen(self, command, where=HEAD, env=None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.inside(where, command),
                                env=dict(ENV, **(env or {})),
                                preexec_fn=_die_with_parent, **options)

    def run(self, command, where=HEAD, env=None, seconds=60):
        """Run to the end, bounded; a result with its output as text.

        The time limit is kept inside the box, where signals reach it.
        """
        process = self.popen(["timeout", "-k", "10", str(seconds), *command],
                             where, env, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=seconds + 60)
        return subprocess.CompletedProcess(command, process.returncode, out,
                                           err)

    def must(self, command, where=HEAD, seconds=30):
        result = self.run(command, where, seconds=seconds)
        if result.returncode != 0:
            raise SlurmError(f"{' '.join(map(str, command))}: rc "
                             f"{result.returncode}: {result.stdout} "
                             f"{result.stderr}")
        return result.stdout

    # -- start and stop

    def start(self):
        if self.base is None:
            # Short: names of UNIX sockets have room for 108 bytes.
            self.base = tempfile.mkdtemp(prefix="chare-", dir="/tmp")
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.base, 0o755)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self):
        hosts = pathlib.Path(self.base, "hosts")
        hosts.write_text(self._hosts())
        self._first(HEAD, hosts, self.dir)
        for name in ("munge", "ctld", "spool", "tmp", "log", "run"):
            self.path(name).mkdir()
        self.path("slurm.conf").write_text(self._conf())
        # Else slurmd looks for the kind that the machine has, and gives up
        # where there is none, as in many containers.
        self.path("cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        if self.topology:
            self.path("topology.conf").write_text(self.topology)
        self._start_munge()
        if self.mode == "netns":
            self.must(["sh", "-c", "ip link add br0 type bridge && "
                       f"ip addr add {HEAD_ADDRESS}/24 dev br0 && "
                       "ip link set br0 up"])
            for index in range(self.nodes):
                self._plug(index)
        else:
            # Names are not resolved where 127.0.0.1 is the only address.
            self.must(["ip", "addr", "add", f"{HEAD_ADDRESS}/32", "dev",
                       "lo"])
        self.must(["slurmctld", "-i"])
        for index in range(self.nodes):
            self.start_slurmd(index)
        _wait_until(self._idle, START_SECONDS, "all nodes idle")
        self._save()

    def _idle(self):
        result = self.run(["sinfo", "-h", "-t", "idle", "-o", "%D"],
                          seconds=20)
        return result.stdout.strip() == str(self.nodes)

    def _hosts(self):
        lines = ["127.0.0.1 localhost"]
        lines.append(f"{HEAD_ADDRESS} {HEAD}")
        if self.mode == "netns":
            lines += [f"10.77.0.{index + 1} n{index}"
                      for index in range(self.nodes)]
        return "\n".join(lines) + "\n"

    def _conf(self):
        controller = (f"SlurmctldHost={HEAD}({HEAD_ADDRESS})\n"
                      "SlurmctldPort=6817")
        lines = []
        for index in range(self.nodes):
            if self.mode == "netns":
                where = f"NodeAddr=10.77.0.{index + 1} Port=6818"
            else:
                where = (f"NodeHostname={HEAD} NodeAddr={HEAD_ADDRESS} "
                         f"Port={7000 + index}")
            lines.append(f"NodeName=n{index} {where} CPUs={CPUS} "
                         "State=UNKNOWN")
        conf = SLURM_CONF.format(dir=self.dir, controller=controller,
                                 nodes="\n".join(lines))
        for line in self.extra:
            key = line.split("=")[0] + "="
            conf = "".join(old for old in conf.splitlines(True)
                           if not old.startswith(key))
            conf = f"{line}\n{conf}"
        return conf

    def _first(self, name, hosts, tmpfs="", inside=None):
        """Make namespaces and their first process."""
        command = ["unshare", "--net", "--uts", "--mount", "--ipc", "--pid",
                   "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                   FIRST, "sh", name, str(hosts), tmpfs]
        if inside:
            command = self.inside(inside, command)
        log = open(f"{self.base}/{name}.log", "wb")
        process = subprocess.Popen(
            command, env=ENV, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            preexec_fn=None if self.keep else _die_with_parent)
        log.close()
        ready = process.stdout.readline()
        process.stdout.close()
        if ready != "ready\n":
            process.kill()
            process.wait()
            text = pathlib.Path(f"{self.base}/{name}.log").read_text()
            raise SlurmError(f"no namespaces for {name}: {text}")
        pid = _child_of(process.pid)
        if inside:
            pid = _child_of(pid)
        self.parents.append(process)
        self.pids[name] = [pid, _stat_of(pid)[2]]
        self.pids[f"{name}.parent"] = [process.pid, _stat_of(process.pid)[2]]

    def _start_munge(self):
        key = self.path("munge/key")
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        munge = f"{self.dir}/munge"
        self.must(["munged", f"--key-file={munge}/key",
                   f"--socket={munge}/sock", f"--pid-file={munge}/pid",
                   f"--log-file={munge}/log", f"--seed-file={munge}/seed"])

    def _plug(self, index):
        """Make a node and connect it to the bridge."""
        name = f"n{index}"
        self._first(name, f"{self.base}/hosts", inside=HEAD)
        # The pid as the box sees it names the network namespace there.
        status = pathlib.Path(f"/proc/{self.pids[name][0]}/status")
        line = [line for line in status.read_text().splitlines()
                if line.startswith("NSpid:")][0]
        pid = line.split()[-2]
        self.must(["sh", "-c", f"ip link add v{index} type veth peer name "
                   f"eth0 netns {pid} && ip link set v{index} master br0 up"])
        self.must(["sh", "-c", f"ip addr add 10.77.0.{index + 1}/24 dev eth0 "
                   "&& ip link set eth0 up"], where=name)

    def start_slurmd(self, index):
        name = f"n{index}"
        self.path(f"spool/{name}").mkdir(exist_ok=True)
        self.path(f"tmp/{name}").mkdir(exist_ok=True)
        try:
            self.must(["slurmd", "-N", name], where=name)
        except SlurmError as error:
            log = self.path(f"log/slurmd.{name}.log")
            text = log.read_text() if log.exists() else "no log"
            raise SlurmError(f"{error}\n{text}") from None

    def kill_node(self, index):
        """Everything on a node is gone at once, without a word."""
        os.kill(self.pids[f"n{index}"][0], signal.SIGKILL)

    def stop(self):
        # The box first: with it goes all the rest.
        for name in sorted(self.pids, key=lambda name: name != HEAD):
            pid, start = self.pids[name]
            if _alive(pid, start):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + STOP_SECONDS
        for pid, start in self.pids.values():
            while _alive(pid, start) and time.monotonic() < end:
                time.sleep(0.01)
        for process in self.parents:
            process.wait()
        self.parents = []
        self.pids = {}
        if self.base:
            shutil.rmtree(self.base, ignore_errors=True)

    # -- for the command line

    def _save(self):
        state = {"nodes": self.nodes, "mode": self.mode, "pids": self.pids}
        pathlib.Path(self.base, "state.json").write_text(json.dumps(state))

    @classmethod
    def load(cls, directory):
        try:
            text = pathlib.Path(directory, "state.json").read_text()
        except OSError:
            raise SlurmError(f"no cluster in {directory}") from None
        state = json.loads(text)
        box = cls(state["nodes"], state["mode"], directory=directory,
                  keep=True)
        box.pids = state["pids"]
        return box


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action",
                        choices=("start", "run", "on", "kill", "stop"))
    parser.add_argument("dir", type=os.path.abspath)
    parser.add_argument("-n", "--nodes", type=int, default=3)
    parser.add_argument("-m", "--mode", choices=("ports", "netns"),
                        default="netns")
    parser.add_argument("-x", "--extra", action="append", default=[])
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    reason = missing()
    if reason:
        sys.exit(f"slurmbox: {reason}")
    try:
        return act(args)
    except SlurmError as error:
        sys.exit(f"slurmbox: {error}")


def act(args):
    if args.action == "start":
        if os.path.exists(args.dir):
            sys.exit(f"slurmbox: {args.dir} is there already")
        box = Cluster(args.nodes, args.mode, args.extra, directory=args.dir,
                      keep=True)
        box.start()
        return 0
    box = Cluster.load(args.dir)
    if args.action == "stop":
        box.stop()
        return 0
    if args.action == "kill":
        box.kill_node(int(args.rest[0]))
        return 0
    where = HEAD
    if args.action == "on":
        where = f"n{int(args.rest.pop(0))}"
    command = box.inside(where, args.rest)
    os.execvpe(command[0], command, ENV)


if __name__ == "__main__":
    sys.exit(main())

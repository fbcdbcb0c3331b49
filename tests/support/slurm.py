"""A real SLURM on one machine: four nodes, fake GPUs, in a folder of its own.

    python tests/support/slurm.py start FOLDER   # prints the line that points a shell at it
    python tests/support/slurm.py stop FOLDER

Nothing outside the folder is touched: its own munge key and socket, its own ports, its own process
ids, by which it is stopped. Debian's packages slurm-wlm and munge are needed; root is not, but only
root gets memory limits by cgroup.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from getpass import getuser
from pathlib import Path

NODES = 4
DEVICES = ("/dev/null", "/dev/zero")  # the fake GPUs of each node
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol")
SYSTEM_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))

SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmdLogFile={folder}/slurmd-%n.log
# Two real cores pose as four nodes.
SlurmdParameters=config_overrides
ProctrackType={proctrack}
TaskPlugin={task}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
{overrun}
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MpiDefault=none
SwitchType=switch/none
{accounting}
ReturnToService=2
# A node that does not answer is down soon, and nobody waits for what was cancelled.
SlurmdTimeout=10
KillWait=5
MinJobAge=3600
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2,sched_min_interval=0
PartitionName=main Nodes={nodes} Default=YES MaxTime=INFINITE State=UP
"""
NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
ACCOUNTING = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.socket"""
SLURMDBD_CONF = """
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
"""
GRANT = """
CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
GRANT ALL ON *.* TO slurm@'127.0.0.1';
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus}"
NODE += " RealMemory={memory} Gres=gpu:fake:{gpus} State=UNKNOWN\n"


def missing_programs() -> list[str]:
    """What of SLURM is not installed here."""
    return [program for program in PROGRAMS if not found(program)]


def found(program: str) -> str | None:
    """Where a program is, in the folders that only root's PATH may have, too."""
    return shutil.which(program, path=os.environ["PATH"] + os.pathsep + SYSTEM_PATH)


class Cluster:
    """A cluster in ``folder``: `start` it, give `variables` to what should see it, `stop` it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        # cgroups are called after nodes: another cluster on this machine must have other ones.
        mark = secrets.token_hex(2)
        self.names = [f"t{mark}n{k}" for k in range(1, NODES + 1)]
        self._database: subprocess.Popen[bytes] | None = None
        self.variables = {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": os.pathsep.join((str(self.folder / "bin"), os.environ["PATH"], SYSTEM_PATH)),
        }

    def start(self, cpus: int = 2, memory_mb: int = 16_000, accounting: bool = False) -> None:
        """Every daemon, until all nodes are idle.

        Args:
            cpus: that each node pretends to have.
            memory_mb: the same; nothing is set aside.
            accounting: with slurmdbd and a MariaDB (Debian's slurmdbd and mariadb-server, and
                root), so that sacct answers.

        Raises:
            RuntimeError: a daemon did not start; with the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "state").mkdir(exist_ok=True)
        for name in self.names:
            (self.folder / f"spool-{name}").mkdir(exist_ok=True)
        self._start_munge()
        told = self._start_accounting() if accounting else NO_ACCOUNTING
        self._configure(cpus, memory_mb, told)
        self._wrap_srun()
        self._daemon("slurmctld", "slurmctld.log", "slurmctld")
        for name in self.names:
            self.start_node(name)
        self.wait_for(lambda: self.nodes() == dict.fromkeys(self.names, "idle"))

    def _start_munge(self) -> None:
        self.folder.chmod(0o755)  # munged refuses folders that others may write to
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
        options = [f"--{name}={self.folder}/munge.{end}" for name, end in files.items()]
        seed = f"--seed-file={self.folder}/munge.seed"
        self._daemon("munged", "munge.log", "munged", "--force", *options, seed)

    def _start_accounting(self) -> str:
        """MariaDB and slurmdbd; the lines of slurm.conf that make use of them."""
        port, database = free_ports(2)
        data = self.folder / "database"
        data.mkdir()
        shutil.chown(data, "mysql")  # it refuses to run as root
        where = (f"--datadir={data}", "--user=mysql")
        self._daemon("mariadb", "-", "mariadb-install-db", *where, "--skip-test-db")
        socket_file = f"--socket={data}/socket"
        self._database = subprocess.Popen(
            ["mariadbd", *where, socket_file, f"--pid-file={data}/pid", f"--port={database}",
             "--bind-address=127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.wait_for(lambda: self.run("mariadb", socket_file, "-e", GRANT) == "")
        config = self.folder / "slurmdbd.conf"
        config.write_text(
            SLURMDBD_CONF.format(folder=self.folder, port=port, database=database, user=getuser())
        )
        config.chmod(0o600)
        (self.folder / "slurm.conf").touch()
        self._daemon("slurmdbd", "slurmdbd.log", "slurmdbd")
        self.wait_for(lambda: listens(port))  # the controller does not wait for it
        return ACCOUNTING.format(port=port, folder=self.folder)

    def _configure(self, cpus: int, memory_mb: int, accounting: str) -> None:
        ports = free_ports(NODES + 1)
        host = socket.gethostname().split(".")[0]
        cgroups = os.access("/sys/fs/cgroup/memory", os.W_OK) and os.getuid() == 0
        nodes = "".join(
            NODE.format(
                name=name, host=host, port=port, cpus=cpus, memory=memory_mb, gpus=len(DEVICES)
            )
            for name, port in zip(self.names, ports[1:], strict=True)
        )
        (self.folder / "slurm.conf").write_text(
            SLURM_CONF.format(
                folder=self.folder,
                host=host,
                port=ports[0],
                user=getuser(),
                proctrack="proctrack/cgroup" if cgroups else "proctrack/linuxproc",
                task="task/cgroup" if cgroups else "task/none",
                accounting=accounting,
                overrun="" if cgroups else "JobAcctGatherParams=OverMemoryKill",
                nodes=",".join(self.names),
            )
            + nodes
        )
        (self.folder / "cgroup.conf").write_text(
            "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainRAMSpace=yes\n"
        )
        # Character devices that every machine has: what is handed out is only their number.
        (self.folder / "gres.conf").write_text(
            "".join(
                f"NodeName={name} Name=gpu Type=fake File={device}\n"
                for name in self.names
                for device in DEVICES
            )
        )

    def _wrap_srun(self) -> None:
        """The plugin calls srun without SLURM_CONF: on a real cluster the file is where it is
        looked for."""
        srun = self.folder / "bin" / "srun"
        srun.parent.mkdir(exist_ok=True)
        srun.write_text(f'#!/bin/sh\n{self._config_line()} exec {found("srun")} "$@"\n')
        srun.chmod(0o755)

    def start_node(self, name: str) -> None:
        """The daemon of one node."""
        self._daemon("slurmd", f"slurmd-{name}.log", "slurmd", "-N", name)

    def stop_node(self, name: str) -> None:
        """Kill a node's daemon, as when its machine loses power: jobs on it die with it."""
        for job, nodes in re.findall(r"(\d+)\|(\S+)", self.run("squeue", "-ho", "%A|%N")):
            if nodes == name:
                self._kill_job(job)
        self._kill(self.folder / f"slurmd-{name}.pid", signal.SIGKILL)

    def _kill_job(self, job: str) -> None:
        """Every process of a job, by the job's number in its environment."""
        wanted = f"SLURM_JOB_ID={job}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (process / "environ").read_bytes().split(b"\0")
                if wanted in environment and self._config_line().encode() in environment:
                    os.kill(int(process.name), signal.SIGKILL)

    def _config_line(self) -> str:
        return f"SLURM_CONF={self.variables['SLURM_CONF']}"

    def _daemon(self, name: str, log: str, *command: str) -> None:
        done = subprocess.run(
            command,
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            path = self.folder / log
            told = path.read_text()[-2000:] if path.exists() else ""
            raise RuntimeError(f"{name} did not start: {done.stdout}{done.stderr}{told}")

    def run(self, *command: str) -> str:
        """What a command of SLURM prints."""
        return subprocess.run(
            command,
            env=os.environ | self.variables,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def nodes(self) -> dict[str, str]:
        """State of every node."""
        return dict(line.split() for line in self.run("sinfo", "-hNo", "%N %t").splitlines())

    def jobs(self, states: str = "all") -> dict[str, str]:
        """State of every job that SLURM remembers, by its number."""
        lines = self.run("squeue", "-h", "-t", states, "-o", "%A %T").splitlines()
        return dict(line.split() for line in lines)

    def wait_for(self, condition, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
        """Until ``condition()`` holds.

        Raises:
            RuntimeError: it does not within ``seconds``.
        """
        end = time.monotonic() + seconds
        while not self._holds(condition):
            if time.monotonic() > end:
                logs = [path.read_text()[-2000:] for path in self.folder.glob("slurm*d.log")]
                raise RuntimeError(f"waited {seconds} s in vain\n" + "\n".join(logs))
            time.sleep(0.2)

    @staticmethod
    def _holds(condition) -> bool:  # type: ignore[no-untyped-def]
        try:
            return bool(condition())
        except subprocess.CalledProcessError:  # the controller is not up yet
            return False

    def stop(self) -> None:
        """Cancel what runs and end every daemon that `start` started."""
        with suppress(subprocess.SubprocessError, OSError):
            if running := self.jobs("pending,running,suspended,completing"):
                self.run("scancel", *running)
                self.wait_for(lambda: not self.jobs("running,completing"), 20)
        for pid in (*self.folder.glob("slurmd-*.pid"), *self.folder.glob("slurmctld.pid")):
            self._kill(pid, signal.SIGTERM)
        self._kill(self.folder / "slurmdbd.pid", signal.SIGTERM)
        if self._database is not None:
            self._database.terminate()
            self._database.wait()
        self._kill(self.folder / "munge.pid", signal.SIGTERM)

    @staticmethod
    def _kill(file: Path, number: int) -> None:
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            file.unlink()  # the number may be another process's by the next time
            os.kill(pid, number)
            for _ in range(100):
                os.kill(pid, 0)  # raises once it is gone
                time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)


def listens(port: int) -> bool:
    """Whether somebody does, on this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def temporary_folder() -> Path:
    """Short, as the path of a socket may have no more than 107 bytes."""
    return Path(tempfile.mkdtemp(prefix="slurm-"))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("start", "stop"):
        sys.exit(__doc__)
    cluster = Cluster(Path(sys.argv[2]))
    if sys.argv[1] == "start":
        try:
            cluster.start()
        except BaseException:
            cluster.stop()
            raise
        print(f"export SLURM_CONF={cluster.folder}/slurm.conf PATH={cluster.folder}/bin:$PATH")
    else:
        cluster.stop()

"""A real Slurm of two nodes on this host, from Debian's packages: munged, slurmctld, and a slurmd per node.

It lives in namespaces of its own (`make test-cluster`), which end with the process that began them: no daemon, port, socket or file
outlives it, whatever killed it, none of the host's is in its way, and no network but the loopback is there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "ip", "unshare")
PACKAGES = "slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins iproute2"
CONFIGURED = Path("/etc/slurm")  # jobs look here: the plugin takes SLURM_CONF from their environment
SECONDS_TO_START = 120  # machines may be busy
HOSTS = {"login": "10.0.0.1", "node1": "10.0.0.2", "node2": "10.0.0.3"}
NODES = ("node1", "node2")


def missing() -> str:
    """Return what keeps Slurm from running here, with the fix; empty where nothing does."""
    if os.geteuid():
        return "the namespaces of a Slurm need root; run as root"
    if absent := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"no {', '.join(absent)}; apt-get install {PACKAGES}"
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        return "not in namespaces of their own; run make test-cluster"
    return ""


class Slurm:
    """Starts with the object, ends with the namespaces.

    Parameters
    ----------
    folder : Path
        For keys, states and logs.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(mode=0o755)
        run("ip", "link", "set", "lo", "up")
        for address in HOSTS.values():
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
        hosts = folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{ip} {name}\n" for name, ip in HOSTS.items()))
        run("mount", "--bind", str(hosts), "/etc/hosts")
        run("hostname", "login")
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        run(
            "munged", f"--key-file={key}", f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed", "--force",
        )  # fmt: skip
        (folder / "slurm.conf").write_text(self._configuration())
        gpu = f"NodeName={NODES[0]} Name=gpu File=/dev/null\n"  # to be scheduled, not to be used
        (folder / "gres.conf").write_text(gpu)
        run("mount", "--bind", str(folder), str(CONFIGURED))
        run("slurmctld")
        for node in NODES:
            self.start_node(node)
        self.wait_until_idle()

    def _configuration(self) -> str:
        folder = self.folder
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={node} NodeAddr={node} Port={6820 + i} CPUs=2 RealMemory=64000 "
            f"State=UNKNOWN {'Gres=gpu:1' if node == NODES[0] else ''}"
            for i, node in enumerate(NODES)
        )
        return f"""
ClusterName=test
SlurmctldHost=login
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd_%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd_%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed
MpiDefault=none
SwitchType=switch/none
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=600
SlurmdTimeout=10
KillWait=2
ReturnToService=2
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefMemPerCPU=500 State=UP
"""

    def start_node(self, node: str) -> None:
        """Start a node, under its own host name."""
        (self.folder / f"spool_{node}").mkdir(exist_ok=True)
        run("unshare", "--uts", "sh", "-c", f"hostname {node}; exec slurmd -N {node}")

    def kill_node(self, node: str) -> None:
        """Kill all that runs on a node, as a power cut would: those in the UTS namespace of its daemon."""
        daemon = int((self.folder / f"slurmd_{node}.pid").read_text())
        namespace = os.readlink(f"/proc/{daemon}/ns/uts")
        for process in psutil.process_iter():
            with suppress(OSError, psutil.NoSuchProcess):
                if os.readlink(f"/proc/{process.pid}/ns/uts") == namespace:
                    process.kill()

    def kill_job(self, job: str) -> None:
        """Kill all processes of a job, and leave it to Slurm to notice."""
        for step in [
            p
            for p in psutil.process_iter(["cmdline"])
            if f"slurmstepd: [{job}." in " ".join(p.info["cmdline"] or ())
        ]:
            for child in step.children():
                kill_tree(child)

    def wait_until_idle(self) -> None:
        """Wait for all nodes."""
        deadline = time.monotonic() + SECONDS_TO_START
        while set(run("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N").split()) != set(NODES):
            if time.monotonic() > deadline:
                logs = "\n".join(file.read_text() for file in sorted(self.folder.glob("*.log")))
                raise TimeoutError(f"Slurm does not start:\n{logs}")
            time.sleep(0.2)

    def completed(self) -> list[dict[str, str]]:
        """Return what Slurm recorded of each job, once all have ended: JobId, JobState, NodeList, …"""
        self.wait_until_idle()
        file = self.folder / "completed"
        lines = file.read_text().splitlines() if file.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


def job_of(process: int) -> tuple[str, str]:
    """Return the number and the node of the job to which a process belongs."""
    variables = psutil.Process(process).environ()
    return variables["SLURM_JOB_ID"], variables["SLURMD_NODENAME"]


def kill_tree(process: psutil.Process) -> None:
    """Kill a process and all that it started."""
    for victim in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            victim.kill()


def run(*command: str) -> str:
    """Run a command; returns what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}")
    return done.stdout

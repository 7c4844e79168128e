"""Placement and scheduler: used when they answer, started when they do not."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dapr_bridge.testing import Runtime
from local.ports import is_answering, lent_port
from local.processes import Service, start_service
from local.project import Project
from local.readiness import wait_until_ready
from local.run_file import Common

LOOPBACK = "127.0.0.1"
_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One service of the control plane: its name, where sidecars look for it, and how to start it there."""

    name: str
    address: str
    command: tuple[str | Path, ...]
    healthz_port: int

    @property
    def health_url(self) -> str:
        """Where it says that it is ready."""
        return f"http://{LOOPBACK}:{self.healthz_port}/healthz"


def needs_binaries(common: Common) -> bool:
    """Tell whether placement or scheduler has to be started here."""
    return not (is_answering(common.placement) and is_answering(common.scheduler))


async def start_control_plane(
    common: Common,
    *,
    runtime: Runtime,
    project: Project,
    environment: Mapping[str, str],
    keep: Callable[[Service], None],
) -> list[str]:
    """Start what does not answer yet, wait until it is healthy, and return the names of what was started.

    Args:
        common: Where sidecars look for the two services.
        runtime: The binaries.
        project: Where the scheduler keeps its jobs, and where logs go.
        environment: What the processes get.
        keep: Is given each process as soon as it exists, so that it is stopped whatever happens next.

    Raises:
        StartError: One ended at once or is not healthy in time.
    """
    parts = [
        part
        for part in (_placement(common, runtime), _scheduler(common, runtime, project))
        if not is_answering(part.address)
    ]
    await asyncio.gather(*(_start(part, project=project, environment=environment, keep=keep) for part in parts))
    return [part.name for part in parts]


async def _start(
    part: Part, *, project: Project, environment: Mapping[str, str], keep: Callable[[Service], None]
) -> None:
    log = project.logs / f"{part.name}.log"
    service = await start_service(part.name, part.command, log=log, folder=project.root, environment=environment)
    keep(service)
    await wait_until_ready(
        part.health_url, name=part.name, log=log, patience=_PATIENCE, is_running=lambda: service.is_running
    )


def _placement(common: Common, runtime: Runtime) -> Part:
    healthz_port = lent_port()
    flags = {"initial-cluster": f"dapr-placement-0={LOOPBACK}:{lent_port()}"}
    command = (runtime.placement, *_flags(common.placement, healthz_port), *_spell(flags))
    return Part(name="placement", address=common.placement, command=command, healthz_port=healthz_port)


def _scheduler(common: Common, runtime: Runtime, project: Project) -> Part:
    healthz_port = lent_port()
    flags = {
        "etcd-data-dir": str(project.data / "scheduler"),
        "etcd-client-listen-address": LOOPBACK,
        "etcd-client-port": str(lent_port()),
        "etcd-initial-cluster": f"dapr-scheduler-server-0=http://{LOOPBACK}:{lent_port()}",
    }
    command = (runtime.scheduler, *_flags(common.scheduler, healthz_port), *_spell(flags))
    return Part(name="scheduler", address=common.scheduler, command=command, healthz_port=healthz_port)


def _flags(address: str, healthz_port: int) -> list[str]:
    return _spell(
        {
            "port": address.rpartition(":")[2],
            "listen-address": LOOPBACK,
            "healthz-port": str(healthz_port),
            # Dapr 1.18 ignores it and listens on every interface.
            "healthz-listen-address": LOOPBACK,
            "enable-metrics": "false",
        }
    )


def _spell(flags: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]

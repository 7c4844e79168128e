"""A real Dapr on free ports: placement and scheduler once, a sidecar for each app id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from dapr_bridge._contexts import Running
from dapr_bridge.testing.processes import Process, answers, free_port
from dapr_bridge.testing.runtime import Runtime, find_runtime

LOOPBACK = "127.0.0.1"
_ANCHOR = Path(__file__).with_name("resources")

_EMPTY_CONFIGURATION = """apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: local
spec: {}
"""


class ControlPlane(Running):
    """Placement and scheduler, shared by the sidecars of a test session."""

    def __init__(self, folder: Path, *, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or find_runtime()
        self.placement_port, self.scheduler_port = free_port(), free_port()
        self._healthz = {"placement": free_port(), "scheduler": free_port()}
        self.placement = Process(self._placement_command(), log=folder / "placement.log")
        self.scheduler = Process(self._scheduler_command(folder / "scheduler"), log=folder / "scheduler.log")

    def start(self) -> Self:
        """Start both and wait until both are healthy."""
        self.placement.start()
        self.scheduler.start()
        self.wait_until_healthy()
        return self

    def wait_until_healthy(self) -> None:
        """Wait for the health endpoint of both; for use after one was killed and started again."""
        for name, process in (("placement", self.placement), ("scheduler", self.scheduler)):
            process.wait_for_http(f"http://{LOOPBACK}:{self._healthz[name]}/healthz", seconds=60)

    def stop(self) -> None:
        """Stop both."""
        self.placement.stop()
        self.scheduler.stop()

    def _placement_command(self) -> list[str]:
        return [
            str(self.runtime.placement),
            *_flags(
                {
                    "port": self.placement_port,
                    "initial-cluster": f"dapr-placement-0={LOOPBACK}:{free_port()}",
                    "listen-address": LOOPBACK,
                    "healthz-port": self._healthz["placement"],
                    "healthz-listen-address": LOOPBACK,
                    "metrics-port": free_port(),
                    "metrics-listen-address": LOOPBACK,
                }
            ),
        ]

    def _scheduler_command(self, data: Path) -> list[str]:
        peer_port, client_port = free_port(), free_port()
        return [
            str(self.runtime.scheduler),
            *_flags(
                {
                    "port": self.scheduler_port,
                    "listen-address": LOOPBACK,
                    "healthz-port": self._healthz["scheduler"],
                    "healthz-listen-address": LOOPBACK,
                    "metrics-port": free_port(),
                    "metrics-listen-address": LOOPBACK,
                    "etcd-data-dir": data,
                    "etcd-client-port": client_port,
                    "etcd-client-listen-address": LOOPBACK,
                    "etcd-initial-cluster": f"dapr-scheduler-server-0=http://{LOOPBACK}:{peer_port}",
                }
            ),
        ]


class Sidecar(Running):
    """One daprd: an app id, a folder of components, free ports.

    Sidecars of one `folder` share a Dapr namespace of their own: what the scheduler still holds for the same app id of
    an earlier test does not reach them.

    Args:
        app_id: Dapr's app id.
        control_plane: placement and scheduler.
        resources: folder of components.
        folder: where logs and relative paths go.
        app_port: where the app listens, if it does.
        env: more variables for daprd.
        flags: more of daprd's flags.
        anchored: whether to add `workflow-anchor.yaml`, without which daprd can come to a standstill when its only
            worker is killed; False when `resources` has it, and for a sidecar that has no worker beside one that has.
    """

    def __init__(
        self,
        app_id: str,
        *,
        control_plane: ControlPlane,
        resources: Path,
        folder: Path,
        app_port: int | None = None,
        env: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
        anchored: bool = True,
    ) -> None:
        self.app_id = app_id
        self.http_port, self.grpc_port = free_port(), free_port()
        self._configuration = folder / f"{app_id}-config.yaml"
        anchor = [f"--resources-path={_ANCHOR}"] if anchored else []
        command = [str(control_plane.runtime.daprd), *self._flags(control_plane, resources, app_port), *anchor, *flags]
        world = {"NAMESPACE": "t" + hashlib.sha256(str(folder).encode()).hexdigest()[:12]}
        self.process = Process(command, log=folder / f"{app_id}-daprd.log", env={**world, **(env or {})}, cwd=folder)

    @property
    def address(self) -> str:
        """The gRPC address, `host:port`."""
        return f"{LOOPBACK}:{self.grpc_port}"

    def environment(self) -> dict[str, str]:
        """The variables by which Dapr's SDKs find this sidecar."""
        return {
            "DAPR_HTTP_PORT": str(self.http_port),
            "DAPR_GRPC_PORT": str(self.grpc_port),
            "APP_ID": self.app_id,
        }

    def start(self, *, wait: bool = True) -> Self:
        """Start it; with `wait`, until its own API answers (it may still wait for the app)."""
        self._configuration.parent.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(_EMPTY_CONFIGURATION)
        self.process.start()
        if wait:
            self.process.wait_for_http(self._url("/v1.0/healthz/outbound"))
        return self

    def is_healthy(self) -> bool:
        """Whether the sidecar answers and its components are loaded."""
        return answers(self._url("/v1.0/healthz/outbound"))

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()

    def stop(self) -> None:
        """End it in order."""
        self.process.stop()

    def _url(self, path: str) -> str:
        return f"http://{LOOPBACK}:{self.http_port}{path}"

    def _flags(self, control_plane: ControlPlane, resources: Path, app_port: int | None) -> list[str]:
        app = {} if app_port is None else {"app-port": app_port, "app-channel-address": LOOPBACK}
        return _flags(
            {
                "app-id": self.app_id,
                "resources-path": resources,
                "config": self._configuration,
                "dapr-listen-addresses": LOOPBACK,
                "dapr-http-port": self.http_port,
                "dapr-grpc-port": self.grpc_port,
                "dapr-internal-grpc-port": free_port(),
                "metrics-port": free_port(),
                "placement-host-address": f"{LOOPBACK}:{control_plane.placement_port}",
                "scheduler-host-address": f"{LOOPBACK}:{control_plane.scheduler_port}",
                **app,
            }
        )


def _flags(values: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]

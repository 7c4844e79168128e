"""Read dapr.yaml: which apps there are and which ports they need."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.errors import RunFileError

DESK = "customer-support-system"


@dataclass(frozen=True, kw_only=True)
class PortNeed:
    """A port and what needs it."""

    port: int
    who: str


class App(BaseModel):
    """One app of dapr.yaml."""

    model_config = ConfigDict(frozen=True)

    app_id: str = Field(alias="appID")
    app_port: int | None = Field(default=None, alias="appPort")
    http_port: int | None = Field(default=None, alias="daprHTTPPort")
    grpc_port: int | None = Field(default=None, alias="daprGRPCPort")

    def port_needs(self) -> Iterator[PortNeed]:
        """Name the ports of the app and of its sidecar."""
        if self.app_port:
            yield PortNeed(port=self.app_port, who=self.app_id)
        if self.http_port:
            yield PortNeed(port=self.http_port, who=f"the sidecar of {self.app_id} (HTTP)")
        if self.grpc_port:
            yield PortNeed(port=self.grpc_port, who=f"the sidecar of {self.app_id} (gRPC)")


class Common(BaseModel):
    """What all apps share; the control plane's addresses are written out, as `host:port`."""

    model_config = ConfigDict(frozen=True)

    placement: str = Field(default="127.0.0.1:50005", alias="placementHostAddress", pattern=r":\d+$")
    scheduler: str = Field(default="127.0.0.1:50006", alias="schedulerHostAddress", pattern=r":\d+$")


class RunFile(BaseModel):
    """The part of dapr.yaml that the launcher must know."""

    model_config = ConfigDict(frozen=True)

    common: Common = Common()
    apps: tuple[App, ...] = Field(min_length=1)

    def port_needs(self) -> list[PortNeed]:
        """Name every port that the apps and their sidecars need."""
        return [need for app in self.apps for need in app.port_needs()]

    @property
    def desk_url(self) -> str:
        """Where the desk's API is.

        Raises:
            RunFileError: No app of dapr.yaml is the desk.
        """
        for app in self.apps:
            if app.app_id == DESK and app.app_port:
                return f"http://127.0.0.1:{app.app_port}"
        raise RunFileError(f"dapr.yaml has no app {DESK!r} with an appPort; it has {[app.app_id for app in self.apps]}")


def read_run_file(path: Path) -> RunFile:
    """Read dapr.yaml.

    Raises:
        RunFileError: It cannot be read, or something in it cannot be used; the message names it.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return RunFile.model_validate(content)
    except (OSError, yaml.YAMLError) as error:
        raise RunFileError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise RunFileError(f"{path} cannot be used: {problems}") from error

"""The first example of the bridge's README, run as its reader would run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dapr_bridge.testing import ControlPlane, Sidecar
from tests.kit.stores import write_sqlite_store

README = Path(__file__).resolve().parents[3] / "dapr_bridge" / "README.md"


def test_the_first_example_answers(control_plane: ControlPlane, tmp_path: Path) -> None:
    example = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)[0]
    (tmp_path / "example.py").write_text(example)
    write_sqlite_store(tmp_path / "resources", "execution-state", tmp_path / "state.db", actors=True)
    sidecar = Sidecar("readme", control_plane=control_plane, resources=tmp_path / "resources", folder=tmp_path)

    with sidecar:
        command = [sys.executable, "example.py"]
        env = {**sidecar.environment(), "PYTHONPATH": str(README.parents[1])}
        ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert "{'question': 'why?', 'answer': 'WHY?'}" in ran.stdout, ran.stderr

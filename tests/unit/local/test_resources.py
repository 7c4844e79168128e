"""What resources/, dapr.yaml and env.template promise to one another."""

from __future__ import annotations

import re

import yaml

from desk.settings import Settings
from graph.settings import OFFLINE_BASE_URL, OFFLINE_MODEL
from mcp_server.settings import Settings as KnowledgeBaseSettings
from seed.offline_model.settings import OfflineModelSettings
from tests.kit.local_project import ROOT

COMPONENTS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "resources").glob("*.yaml")}
RUN_FILE = yaml.safe_load((ROOT / "dapr.yaml").read_text())
DESK = "customer-support-system"


def values(name: str) -> dict[str, str]:
    return {item["name"]: item["value"] for item in COMPONENTS[name]["spec"]["metadata"]}


def test_a_file_is_named_after_its_component() -> None:
    assert {stem: content["metadata"]["name"] for stem, content in COMPONENTS.items()} == {s: s for s in COMPONENTS}


def test_every_component_that_the_desk_uses_is_there() -> None:
    fields = Settings.model_fields
    used = {
        field.default
        for name, field in fields.items()
        if name.endswith(("_store", "_pubsub", "notification_component"))
    }
    assert used <= COMPONENTS.keys()


def test_every_component_says_who_may_see_it() -> None:
    apps = {app["appID"] for app in RUN_FILE["apps"]} | {"data-setup"}
    for name, content in COMPONENTS.items():
        assert content["scopes"], name
        assert set(content["scopes"]) <= apps, name
        assert DESK in content["scopes"], name


def test_the_anchor_of_the_product_and_the_one_for_tests_are_the_same() -> None:
    for_tests = yaml.safe_load((ROOT / "dapr_bridge/testing/resources/workflow-anchor.yaml").read_text())
    assert {**for_tests, "scopes": [DESK]} == COMPONENTS["workflow-anchor"]


def test_each_store_has_a_file_of_its_own_and_the_same_keys_for_all_apps() -> None:
    stores = {name for name, content in COMPONENTS.items() if content["spec"].get("type") == "state.sqlite"}
    assert {values(name)["connectionString"] for name in stores} == {f".data/{name}.db" for name in stores}
    assert {values(name)["keyPrefix"] for name in stores} == {"name"}
    assert [name for name in stores if values(name).get("actorStateStore") == "true"] == ["execution-state"]


def test_the_notification_model_defaults_to_the_offline_model() -> None:
    defaults = values("customer-notification-llm")
    assert (defaults["endpoint"], defaults["model"]) == (OFFLINE_BASE_URL, OFFLINE_MODEL)
    references = {
        item["name"]: item["secretKeyRef"]["name"]
        for item in COMPONENTS["customer-notification-llm"]["spec"]["metadata"]
    }
    assert references == {"key": "OPENAI_API_KEY", "model": "OPENAI_MODEL", "endpoint": "OPENAI_BASE_URL"}


def test_the_desks_sidecar_is_where_the_settings_expect_it() -> None:
    desk = next(app for app in RUN_FILE["apps"] if app["appID"] == DESK)
    fields = Settings.model_fields
    expected = [fields[name].default for name in ("api_port", "dapr_http_port", "dapr_grpc_port")]
    assert [desk["appPort"], desk["daprHTTPPort"], desk["daprGRPCPort"]] == expected


def test_sidecars_listen_on_loopback_only() -> None:
    assert RUN_FILE["common"]["apiListenAddresses"] == "127.0.0.1"


def test_the_template_explains_every_setting_and_no_other() -> None:
    explained = set(re.findall(r"^# ([A-Z][A-Z_]+)=", (ROOT / "env.template").read_text(), re.MULTILINE))
    kinds = (Settings, KnowledgeBaseSettings, OfflineModelSettings)
    known = {name.upper() for kind in kinds for name in kind.model_fields}
    assert known - explained == set()
    # These two are read by others: the shell's tools, and FastAPI.
    assert explained - known == {"EDITOR", "OTEL_EXPORTER_OTLP_ENDPOINT"}


def test_the_template_sets_nothing_by_itself() -> None:
    lines = (ROOT / "env.template").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []

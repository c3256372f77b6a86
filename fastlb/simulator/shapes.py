"""The JSON of apps, tasks and plans, in the form of each Marathon release (MARATHON.md 2.1, 3.1, 3.2).

Pure. 1.5 and later leave out what is unset; 1.4 writes nulls and the fields of the old networking. An app's
JSON is kept as bytes until the app is touched, so that a cluster of thousands answers in about the time of
joining bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from fastlb.simulator.definitions import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastlb.simulator.definitions import Definition, Json, Port
    from fastlb.simulator.dialects import Dialect
    from fastlb.simulator.state import Action, App, Deployment, Health, Task

LEGACY_NETWORKS = {Mode.HOST: "HOST", Mode.BRIDGE: "BRIDGE", Mode.CONTAINER: "USER"}
NULL_WHEN_UNSET_1_4 = ("cmd", "args", "user", "residency", "taskKillGracePeriodSeconds")
EMPTY_WHEN_UNSET_1_4: Json = {
    "env": {},
    "constraints": [],
    "uris": [],
    "fetch": [],
    "storeUrls": [],
    "dependencies": [],
    "readinessChecks": [],
    "secrets": {},
}


def app_bytes(app: App, dialect: Dialect, embeds: frozenset[str]) -> bytes:
    """The app as a GET shows it with ``embeds`` (MARATHON.md 1.1), written once and kept until it changes."""
    written = app.written.get(embeds)
    if written is None:
        written = app.written[embeds] = orjson.dumps(_app_json(app, dialect, embeds))
    return written


def versioned_json(app: App, dialect: Dialect) -> Json:
    """The definition with `version` and `versionInfo`."""
    info = {"lastScalingAt": app.last_scaling_at, "lastConfigChangeAt": app.last_config_change_at}
    return definition_json(app.definition, dialect) | {"version": app.version, "versionInfo": info}


def definition_json(definition: Definition, dialect: Dialect) -> Json:
    """The bare definition; `labels` and `instances` are always there."""
    if not dialect.networks:
        return _legacy_definition(definition)
    body = {
        "id": definition.id,
        **definition.rest,
        "instances": definition.instances,
        "labels": definition.labels,
        "networks": list(definition.networks),
        "requirePorts": definition.require_ports,
    }
    if definition.mode is Mode.HOST:
        body["portDefinitions"] = [_port_definition(port) for port in definition.ports]
        if definition.container is not None:
            body["container"] = definition.container
    else:
        container = definition.container or {"type": "MESOS", "volumes": []}
        body["container"] = container | {"portMappings": [_port_mapping(port) for port in definition.ports]}
    if definition.health_checks:
        body["healthChecks"] = [_health_check(check, dialect) for check in definition.health_checks]
    return body


def counts(app: App) -> Json:
    """The four counters that every list of apps carries (MARATHON.md 2.4)."""
    tasks = app.tasks.values()
    return {
        "tasksStaged": sum(task.state in {"TASK_STAGING", "TASK_STARTING"} for task in tasks),
        "tasksRunning": sum(task.state == "TASK_RUNNING" for task in tasks),
        "tasksHealthy": sum(task.healthy is True for task in tasks),
        "tasksUnhealthy": sum(task.healthy is False for task in tasks),
    }


def task_json(task: Task, dialect: Dialect, *, service_ports: bool = False) -> Json:
    """One task; `servicePorts` is filled where /v2/tasks asks for it only (MARATHON.md 1.5)."""
    arrays: dict[str, list[Any]] = {
        "ports": [] if task.dead else list(task.place.host_ports),
        "servicePorts": task.app.definition.service_ports if service_ports else [],
        "ipAddresses": _ip_addresses(task),
        "healthCheckResults": [_health_json(task, each, dialect) for each in task.health if each is not None],
        "localVolumes": [],
    }
    times = {"stagedAt": task.staged_at, "startedAt": task.started_at, "version": task.version}
    if task.dead:
        times = dict.fromkeys(times)
    body: Json = {
        "id": task.id,
        "appId": task.app.definition.id,
        "host": task.place.host,
        "state": task.state,
    }
    body |= {"slaveId": task.place.agent_id} | times
    if dialect.full_tasks:
        return {key: value for key, value in body.items() if value is not None} | arrays
    kept_null = {key: value for key, value in body.items() if value is not None or key == "startedAt"}
    return kept_null | {key: value for key, value in arrays.items() if value or key == "ports"}


def step_json(step: Iterable[Action]) -> Json:
    """One deployment step as events show it."""
    return {"actions": [{"action": each.action, "app": each.app_id} for each in step]}


def plan_json(deployment: Deployment) -> Json:
    """The light form of a plan (MARATHON.md 5.4)."""
    steps = [step_json(step) for step in deployment.steps]
    return {"id": deployment.id, "version": deployment.version, "steps": steps}


def heavy_plan_json(deployment: Deployment, dialect: Dialect) -> Json:
    """What heavy plans add. The real one holds every app of the cluster, this one those of the deployment."""

    def group(definitions: Iterable[Definition | None]) -> Json:
        apps = [definition_json(each, dialect) for each in definitions if each is not None]
        return {"id": "/", "apps": apps, "groups": [], "dependencies": [], "version": deployment.version}

    return {"original": group(deployment.original.values()), "target": group(deployment.target.values())}


def deployment_json(deployment: Deployment) -> Json:
    """One entry of GET /v2/deployments (MARATHON.md 6.2)."""
    current = deployment.steps[deployment.current_step - 1] if deployment.current_step else []
    return {
        "id": deployment.id,
        "version": deployment.version,
        "affectedApps": list(deployment.target),
        "affectedPods": [],
        "steps": [step_json(step) for step in deployment.steps],
        "currentActions": [action | {"readinessCheckResults": []} for action in step_json(current)["actions"]],
        "currentStep": deployment.current_step,
        "totalSteps": len(deployment.steps),
    }


def _app_json(app: App, dialect: Dialect, embeds: frozenset[str]) -> Json:
    body = versioned_json(app, dialect) | counts(app)
    body["deployments"] = [{"id": each} for each in app.deployment_ids]
    if "tasks" in embeds:
        body["tasks"] = [task_json(task, dialect) for task in app.tasks.values()]
    if "lastTaskFailure" in embeds and app.last_failure is not None:
        body["lastTaskFailure"] = app.last_failure
    if "readiness" in embeds:
        body["readinessCheckResults"] = []
    return body


def _legacy_definition(definition: Definition) -> Json:
    ports = definition.service_ports
    container = definition.container
    if container and "docker" in container:
        mappings = None if definition.mode is Mode.HOST else [_port_mapping(port) for port in definition.ports]
        if definition.ip_per_task:
            mappings = None
        network = {"network": LEGACY_NETWORKS[definition.mode], "portMappings": mappings}
        container = container | {"docker": container["docker"] | network}
    body: Json = (
        {"id": definition.id}
        | dict.fromkeys(NULL_WHEN_UNSET_1_4)
        | EMPTY_WHEN_UNSET_1_4
        | definition.rest
        | {
            "instances": definition.instances,
            "labels": definition.labels,
            "container": container,
            "healthChecks": [_health_check_1_4(check) for check in definition.health_checks],
            "ipAddress": _legacy_ip_address(definition),
        }
    )
    if body["ipAddress"] is None:
        definitions = [_port_definition(port) | {"labels": port.labels} for port in definition.ports]
        body |= {"ports": ports, "portDefinitions": definitions, "requirePorts": definition.require_ports}
    return body


def _legacy_ip_address(definition: Definition) -> Json | None:
    if definition.mode is not Mode.CONTAINER:
        return None
    ports = definition.ports if definition.ip_per_task else ()
    discovered = [
        {
            "number": port.container_port,
            "name": port.name or f"port{index}",
            "protocol": port.protocol,
            "labels": port.labels,
        }
        for index, port in enumerate(ports)
        if port.container_port
    ]
    address: Json = {"groups": [], "labels": {}, "discovery": {"ports": discovered}}
    name = definition.networks[0]["name"]
    return address if name == "default" else address | {"networkName": name}


def _port_definition(port: Port) -> Json:
    body: Json = {"port": port.service_port, "protocol": port.protocol}
    if port.name:
        body["name"] = port.name
    return body | ({"labels": port.labels} if port.labels else {})


def _port_mapping(port: Port) -> Json:
    body: Json = {"containerPort": port.container_port}
    if port.host_port is not None:
        body["hostPort"] = port.host_port
    body |= {"servicePort": port.service_port, "protocol": port.protocol, "labels": port.labels}
    if port.name:
        body["name"] = port.name
    return body | ({"networkNames": list(port.network_names)} if port.network_names else {})


def _health_check(check: Json, dialect: Dialect) -> Json:
    return check | {"ipProtocol": "IPv4"} if dialect.full_tasks and "ipProtocol" not in check else check


def _health_check_1_4(check: Json) -> Json:
    if check["protocol"].startswith("MESOS_") or check["protocol"] == "COMMAND":
        return check
    return {key: value for key, value in check.items() if key != "delaySeconds"}


def _ip_addresses(task: Task) -> list[Json]:
    if not task.address_known or task.dead:
        return []
    mode, place = task.definition.mode, task.place
    shown = {Mode.HOST: place.host, Mode.CONTAINER: place.ip}.get(mode, "127.17.0.2")
    return [{"ipAddress": shown, "protocol": "IPv4"}]


def _health_json(task: Task, health: Health, dialect: Dialect) -> Json:
    """A result; the id of 1.6+ is a debug form and has to look like one (MARATHON.md 3.3)."""
    full = dialect.full_tasks
    body = {
        "alive": health.alive,
        "consecutiveFailures": health.consecutive_failures,
        "firstSuccess": health.first_success,
        "lastSuccess": health.last_success,
        "lastFailure": health.last_failure,
        "lastFailureCause": "ConnectionRefused" if not health.alive else None,
        "instanceId": f"instance [{task.instance_id}]" if full else task.instance_id,
    }
    return {key: value for key, value in body.items() if value is not None} if full else body

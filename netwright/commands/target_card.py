"""A target, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netwright.commands.output import moment, number, print_fields

Json = Mapping[str, Any]


def print_target(data: Json) -> None:
    """What the device is, under which settings, who measures, and whether what was measured holds."""
    description = data.get("description") or {}
    device, runtime = description.get("device") or {}, description.get("runtime") or {}
    print_fields(
        {
            "id": data["id"],
            "name": data["name"],
            "kind": data["kind"],
            "created": moment(data["created_at"]) if data.get("created_at") else None,
            "device": _device(device) or ("not seen yet" if data["kind"] == "agent" else None),
            "runtime": _runtime(runtime),
            "settings": settings_of(data),
            "metrics": " ".join(data.get("metrics") or []),
            "calibrated": _calibrated(data.get("calibrations") or {}),
            "agents": _agents(data),
            "cannot run": f"{data['unsupported']} subnets" if data.get("unsupported") else None,
            "stale": data.get("stale"),
            "valid from": moment(data["valid_from"]) if data.get("valid_from") else None,
        }
    )


def settings_of(data: Json) -> str:
    """``threads 1, precision fp32, batch 1``."""
    return ", ".join(f"{name} {value}" for name, value in (data.get("settings") or {}).items())


def _device(device: Json | str) -> str:
    if isinstance(device, str):
        return device
    known = [
        device.get("cpu"),
        f"{device['cores']} cores" if device.get("cores") else None,
        f"at most {device['max_mhz']} MHz" if device.get("max_mhz") else None,
        f"{device['memory_gb']} GB" if device.get("memory_gb") else None,
        device.get("architecture"),
        device.get("system"),
    ]
    return ", ".join(str(word) for word in known if word)


def _runtime(runtime: Json | str) -> str | None:
    if isinstance(runtime, str):
        return runtime
    if not runtime:
        return None
    providers = ", ".join(runtime.get("providers") or [])
    return f"{runtime.get('name')} {runtime.get('version')}{f' ({providers})' if providers else ''}"


def _calibrated(calibrations: Json) -> str | None:
    """The reference nets' latencies, which put all measurements on one scale."""
    found = [f"{name} {number(float(row['latency_ms']))} ms" for name, row in calibrations.items()]
    return ", ".join(found) or None


def _agents(data: Json) -> str | None:
    if data["kind"] != "agent":
        return None
    found = []
    for agent in data.get("agents") or []:
        there = "connected" if agent["connected"] else f"last seen {moment(agent['seen_at'])}"
        found.append(f"{agent['name']} {there}")
    return ", ".join(found) or "none yet: `netwright agent --target …` on the device"

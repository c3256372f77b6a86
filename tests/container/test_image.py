"""What is in the image, and what is not."""

from __future__ import annotations

import json
import re
import sys

import pytest

from tests.container.stage import engine

pytestmark = pytest.mark.container

MOST_OF_OURS = 110_000_000  # bytes that we put on top of the base, not compressed
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
IMPORT_ALL = """
import importlib, pkgutil, fastlb, fastlb.kernel
for each in pkgutil.walk_packages(fastlb.__path__, "fastlb."):
    if not each.name.endswith("__main__"):
        importlib.import_module(each.name)
print(fastlb.kernel.CHOSEN)
"""
OLD_FILES = """run marathon_lb.py reload_haproxy.sh zdd.py bluegreen_deploy.py getpids.lua getconfig.lua getmaps.lua
signalmlb.lua""".split()


def inside(image, *words):
    return engine("run", "--rm", "--network", "host", "--entrypoint", words[0], image, *words[1:])


def test_every_part_of_fastlb_finds_what_it_needs_and_the_hot_path_is_compiled(image):
    done = inside(image, "/opt/fastlb/bin/python", "-W", "error", "-c", IMPORT_ALL)
    assert (done.returncode, done.stdout) == (0, "compiled\n"), done.stderr


def test_it_is_run_like_the_old_one(image):
    config = json.loads(engine("image", "inspect", "--format", "{{json .Config}}", image).stdout)
    assert config["Entrypoint"] == ["tini", "-g", "--", "/marathon-lb/run"]
    assert config["Cmd"] == ["sse", "--health-check", "--group", "external"]
    assert set(config["ExposedPorts"]) == {"80/tcp", "443/tcp", "9090/tcp", "9091/tcp"}
    assert config["Labels"]["org.opencontainers.image.title"] == "fastlb"


@pytest.mark.parametrize("name", ["gcc", "cc", "make", "pip", "pip3"])
def test_nothing_builds_or_installs_anything(image, name):
    assert inside(image, "/bin/sh", "-c", f"command -v {name}").returncode != 0


def test_the_files_that_others_name_are_there(image):
    done = inside(image, "/bin/ls", *(f"/marathon-lb/{name}" for name in OLD_FILES))
    assert done.returncode == 0, done.stderr


def test_what_we_put_on_the_base_stays_small(image):
    said = engine("history", "--format", "{{.Size}} {{.CreatedBy}}", image).stdout
    layers = [
        (float(size) * UNITS[unit], made_by)
        for size, unit, made_by in re.findall(r"^([\d.]+) ?([kMG]?B) (.*)$", said, re.MULTILINE)
    ]
    for size, made_by in layers:
        sys.stdout.write(f"{size / 1e6:8.1f} MB  {made_by[:90]}\n")
    assert 0 < sum(size for size, _ in layers[:-1]) < MOST_OF_OURS, said

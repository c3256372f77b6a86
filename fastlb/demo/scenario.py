"""The steps of the tour: what is said, what happens in the cluster, and the claim that has to hold afterwards.

Data and small functions on the simulated Marathon; it neither waits nor asks. A lap ends as it began, except that the
blue/green app has changed its colour and the upgraded one its release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.demo.apps import CART_HOST, STEADY_HOST, app, cart, cart_id, colour
from fastlb.demo.claims import Claim

if TYPE_CHECKING:
    from random import Random

    from fastlb.demo.ports import ServicePorts
    from fastlb.simulator.server import SimulatedMarathon

Act = Callable[["SimulatedMarathon"], object]

FRESH, FRESH_HOST = "/demo/fresh", "fresh.example.com"
BROKEN, BROKEN_HOST = "/demo/broken", "broken.example.com"
SEARCH, SEARCH_HOST = "/shop/search", "search.example.com"
BLOG, BLOG_HOST = "/www/blog", "blog.example.com"


@dataclass(frozen=True, slots=True)
class Step:
    """``said`` to the viewer, then ``act``, then ``claim``."""

    title: str
    said: str
    act: Act
    claim: Claim


def lap(number: int, services: ServicePorts, random: Random) -> tuple[Step, ...]:
    """Return the steps of lap ``number``, from 0."""
    return (
        *_deploy_and_scale(services),
        *_fail_and_recover(random),
        _upgrade(number + 1),
        *_swap_colours(number, services),
        *_refuse_and_release(services),
        _delete(),
    )


def _deploy_and_scale(services: ServicePorts) -> tuple[Step, ...]:
    fresh = app(FRESH, services, {"0_VHOST": FRESH_HOST})
    return (
        Step(
            "Deploy",
            f"A new app, {FRESH}, starts with 2 tasks.",
            lambda marathon: marathon.create_app(fresh),
            _answered(FRESH_HOST, FRESH, 2, newcomers=2),
        ),
        Step(
            "Scale up",
            f"{FRESH} grows from 2 to 5 tasks.",
            lambda marathon: marathon.scale(FRESH, 5),
            _answered(FRESH_HOST, FRESH, 5, newcomers=3),
        ),
        Step(
            "Scale down",
            "It shrinks to 2 again; the other three get no more requests.",
            lambda marathon: marathon.scale(FRESH, 2),
            _answered(FRESH_HOST, FRESH, 2),
        ),
    )


def _fail_and_recover(random: Random) -> tuple[Step, ...]:
    victim = random.randrange(3)
    return (
        Step(
            "A task falls ill",
            f"The health check of one of 3 tasks of {SEARCH} fails.",
            lambda marathon: marathon.set_healthy(_task(marathon, SEARCH, victim), healthy=False),
            _answered(SEARCH_HOST, SEARCH, 2),
        ),
        Step(
            "It recovers",
            "The health check succeeds again.",
            lambda marathon: marathon.set_healthy(_task(marathon, SEARCH, victim), healthy=True),
            Claim(f"{SEARCH_HOST} is answered by all 3 tasks again", SEARCH_HOST, SEARCH, 3, newcomers=1),
        ),
        Step(
            "A task crashes",
            f"One task of {SEARCH} ends by itself; Marathon launches another.",
            lambda marathon: marathon.fail_task(_task(marathon, SEARCH, victim)),
            _answered(SEARCH_HOST, SEARCH, 3, newcomers=1),
        ),
    )


def _upgrade(release: int) -> Step:
    options = f"  option forwardfor\n  http-response set-header X-Release {release}\n"

    def act(marathon: SimulatedMarathon) -> None:
        labels = marathon.call(lambda service: service.cluster.app(BLOG).definition.labels)
        marathon.update_app(BLOG, {"labels": labels | {"HAPROXY_0_BACKEND_HTTP_OPTIONS": options}})

    text = f"{BLOG_HOST} is answered by 2 new tasks, with the header X-Release: {release}"
    return Step(
        "Rolling upgrade",
        f"A label of {BLOG} changes; its tasks are replaced one by one.",
        act,
        Claim(text, BLOG_HOST, BLOG, 2, newcomers=2, release=str(release)),
    )


def _swap_colours(number: int, services: ServicePorts) -> tuple[Step, ...]:
    old, new = colour(number), colour(number + 1)
    new_id = cart_id(number + 1)
    return (
        Step(
            f"From {old} to {new}",
            f"The {new} cart starts beside the {old} one, in the same deployment group.",
            lambda marathon: marathon.create_app(cart(number + 1, services)),
            _answered(CART_HOST, new_id, 2, newcomers=2),
        ),
        Step(
            f"Goodbye, {old}",
            f"Nobody needs the {old} cart any more; it is deleted.",
            lambda marathon: marathon.delete_app(cart_id(number)),
            _answered(CART_HOST, new_id, 2),
        ),
    )


def _refuse_and_release(services: ServicePorts) -> tuple[Step, ...]:
    broken = app(BROKEN, services, {"0_VHOST": BROKEN_HOST, "0_BALANCE": "astrology"})
    repaired = broken["labels"] | {"HAPROXY_0_BALANCE": "leastconn"}
    return (
        Step(
            "A bad label",
            f"{BROKEN} wants a balance algorithm that HAProxy does not know.",
            lambda marathon: marathon.create_app(broken),
            Claim(f"{BROKEN} and nothing else is in quarantine", BROKEN_HOST, BROKEN, 0, refused=True),
        ),
        Step(
            "Life goes on",
            f"Meanwhile {FRESH} grows to 3 tasks.",
            lambda marathon: marathon.scale(FRESH, 3),
            _answered(FRESH_HOST, FRESH, 3, newcomers=1),
        ),
        Step(
            "Repaired",
            f"Somebody corrects the label of {BROKEN}.",
            lambda marathon: marathon.update_app(BROKEN, {"labels": repaired}),
            _answered(BROKEN_HOST, BROKEN, 2, newcomers=2),
        ),
    )


def _delete() -> Step:
    def act(marathon: SimulatedMarathon) -> None:
        marathon.delete_app(FRESH)
        marathon.delete_app(BROKEN)

    text = f"nobody answers for {FRESH_HOST} any more"
    return Step("Delete", f"{FRESH} and {BROKEN} are deleted.", act, Claim(text, FRESH_HOST, FRESH, 0))


def steady_claim() -> Claim:
    """Return what holds before the first step: the app that nobody touches is served."""
    return _answered(STEADY_HOST, "/www/home", 3)


def _answered(host: str, app_id: str, count: int, newcomers: int = 0) -> Claim:
    tasks = {0: f"{count} tasks", count: f"{count} new tasks"}.get(
        newcomers, f"{count} tasks ({newcomers} of them new)"
    )
    return Claim(f"{host} is answered by {tasks} and nobody else", host, app_id, count, newcomers)


def _task(marathon: SimulatedMarathon, app_id: str, position: int) -> str:
    task_id: str = marathon.tasks(app_id)[position]["id"]
    return task_id

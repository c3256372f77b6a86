"""Looking only into what changed decides the same as looking into everything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.desired import desired_state
from fastlb.reading import read_app
from fastlb.services import ServiceMemo, Surroundings
from tests.fakes.apps import CHECK, app, rules_of, task

RULES = rules_of("--health-check")
NAMES = ("agent-1.test", "agent-2.test", "127.0.0.7")
TASK_IDS = ("task.1", "task.2", "task.3")


@st.composite
def tasks(draw):
    every = []
    for number in draw(st.lists(st.integers(1, 3), unique=True)):
        alive = draw(st.sampled_from([None, True, False]))
        results = {} if alive is None else {"healthCheckResults": [{"alive": alive}]}
        container = {"ipAddresses": [{"ipAddress": f"127.1.0.{number}"}]}
        every.append(task(number, draw(st.sampled_from(NAMES)), [31000 + number], **results, **container))
    return every


@st.composite
def clusters(draw):
    documents = []
    for app_id in draw(st.lists(st.sampled_from(["/a", "/b", "/c", "/d"]), unique=True)):
        labels = draw(st.sampled_from([{}, {"HAPROXY_0_VHOST": "a.test"}, {"HAPROXY_DEPLOYMENT_GROUP": "c"}]))
        checks = draw(st.sampled_from([[], [CHECK]]))
        shape = draw(st.sampled_from([{}, ASSIGNED]))
        ports = [] if shape else [10000]
        documents.append(app(app_id, ports, labels, tasks=draw(tasks()), healthChecks=checks, **shape))
    return documents


ASSIGNED = {"networks": [{"mode": "container"}], "container": {"portMappings": [{"containerPort": 8080}]}}
surroundings = st.builds(
    Surroundings,
    addresses=st.dictionaries(st.sampled_from(NAMES[:2]), st.sampled_from(["127.0.0.8", "127.0.0.9"])),
    known_alive=st.frozensets(st.sampled_from(TASK_IDS)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(clusters(), surroundings), min_size=2, max_size=6))
def test_a_memo_that_has_seen_other_states_decides_like_none(states):
    memo = ServiceMemo(RULES)
    known = {}
    for documents, around in states:
        read = [read_app(document) for document in documents]
        apps = [known[each.id] if known.get(each.id) == each else each for each in read]
        known = {each.id: each for each in apps}
        assert desired_state(apps, RULES, around, memo) == desired_state(apps, RULES, around)


def test_an_unchanged_app_is_not_looked_into_again():
    memo = ServiceMemo(RULES)
    apps = [read_app(app(f"/app-{n}", [10000 + n])) for n in range(10)]
    desired_state(apps, RULES, memo=memo)
    apps[3] = read_app(app("/app-3", [10003], {"HAPROXY_0_STICKY": "true"}))
    memo.misses = 0
    desired_state(apps, RULES, memo=memo)
    assert memo.misses == 1

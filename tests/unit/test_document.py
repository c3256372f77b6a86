"""A document kept up to date part by part: its entries, its sizes, who writes the map rules, and when it is joined."""

from __future__ import annotations

import pytest

from fastlb import kernel
from fastlb.decision import Decider
from fastlb.store import Store
from tests.fakes.apps import app, document_of, rendered, renderer_of, rules_of

MAPS = "--haproxy-map"


def web(app_id="/web", port=10000, **labels):
    return app(app_id, [port], {"HAPROXY_0_VHOST": f"{app_id[1:]}.test", **labels})


class Cluster:
    """Documents by id, and a decider that is told of each change of them."""

    def __init__(self, *documents, argv=(MAPS,)):
        self.argv = argv
        self.renderer = renderer_of(*argv)
        self.decider = Decider(Store(0.0), self.renderer, rules_of(*argv))
        self.documents = {document["id"]: document for document in documents}
        self.decider.store.take(list(documents), 0.0)
        self.decider.decide()

    def change(self, **documents):
        changes = {f"/{name}": document for name, document in documents.items()}
        self.documents = {k: v for k, v in (self.documents | changes).items() if v is not None}
        self.decider.store.take_apps(changes, 0.0)
        return self.decider.decide()

    def texts_from_scratch(self):
        return rendered(list(self.documents.values()), *self.argv).texts


def test_the_first_service_that_needs_a_map_rule_writes_it_whoever_comes_and_goes():
    cluster = Cluster(web("/b", 10002), web("/c", 10003))
    for change in ({"a": web("/a", 10001)}, {"a": None}, {"b": None}, {"b": web("/b", 10002, HAPROXY_0_PATH="/x")}):
        document = cluster.change(**change)
        assert document.rendering().texts == cluster.texts_from_scratch()
        assert document.rendering().config.count("domain2backend.map") == 2


def test_a_service_that_writes_only_one_of_the_rules_leaves_the_other_to_the_next_one():
    cluster = Cluster(web("/b", 10002))
    document = cluster.change(a=web("/a", 10001, HAPROXY_0_REDIRECT_TO_HTTPS="true"))
    assert document.rendering().texts == cluster.texts_from_scratch()


def test_a_change_of_one_app_renders_its_services_alone():
    cluster = Cluster(*(web(f"/app-{number}", 10000 + number) for number in range(30)))
    before = cluster.renderer.rendered_fragments
    cluster.change(**{"app-7": web("/app-7", 10007, HAPROXY_0_STICKY="true")})
    assert cluster.renderer.rendered_fragments == before + 1


def test_an_equal_answer_makes_no_string_and_no_difference():
    cluster = Cluster(web("/a", 10001), web("/b", 10002))
    rendering = cluster.decider.decide().rendering()
    cluster.decider.accepted()
    before = cluster.renderer.rendered_fragments
    cluster.decider.store.take([web("/a", 10001), web("/b", 10002)], 0.0)
    assert cluster.decider.decide().rendering() is rendering
    assert (cluster.decider.changed, cluster.renderer.rendered_fragments) == (set(), before)


def test_the_tables_hold_what_the_maps_do():
    cluster = Cluster(web("/a", 10001), web("/b", 10002))
    for change in ({"c": web("/c", 10003, HAPROXY_0_VHOST="c.test,a.test")}, {"a": None}, {"c": None}):
        document = cluster.change(**change)
        for table, text in (
            (document.domains, document.rendering().domain_map),
            (document.app_ids, document.rendering().app_map),
        ):
            entries = [tuple(line.split()) for line in text.splitlines()]
            assert len(table) == len(entries)
            assert all(table.count(entry) == 1 for entry in entries)
            assert table.hash == kernel.table_hash(entries)


def test_sizes_are_those_of_the_services_written():
    checked = {"healthChecks": [{"protocol": "TCP", "portIndex": 0, "timeoutSeconds": 1, "intervalSeconds": 1,
                                 "gracePeriodSeconds": 1, "maxConsecutiveFailures": 1}]}  # fmt: skip
    cluster = Cluster(web("/a", 10001) | checked, web("/b", 10002))
    document = cluster.decider.decide()
    assert (document.listening, document.checked, document.servers) == (2, 1, 2)
    assert (cluster.change(a=None).listening, document.checked, document.servers) == (1, 0, 1)


def test_a_copy_goes_its_own_way_and_can_follow():
    cluster = Cluster(web("/a", 10001), web("/b", 10002))
    copy = cluster.decider.decide().copy()
    cluster.decider.accepted()
    before = copy.rendering().texts
    document = cluster.change(a=None, c=web("/c", 10003))
    assert copy.rendering().texts == before
    copy.follow(document, cluster.decider.changed)
    assert copy.rendering().texts == document.rendering().texts
    assert all(copy.part(app_id) == document.part(app_id) for app_id in ("/a", "/b", "/c"))
    assert copy.domains.hash == document.domains.hash


def test_a_document_of_some_apps_is_what_a_cluster_of_these_would_have():
    documents = [web("/a", 10001), web("/b", 10002), web("/c", 10003)]
    some = document_of(documents, MAPS).only({"/b", "/c"})
    assert some.rendering().texts == rendered(documents[1:], MAPS).texts


@pytest.mark.parametrize("argv", [(MAPS,), (), ("--group-https-by-vhost",)])
def test_an_emptied_cluster_has_the_document_of_an_empty_one(argv):
    cluster = Cluster(web("/a", 10001), web("/b", 10002), argv=argv)
    document = cluster.change(a=None, b=None)
    assert document.rendering().texts == rendered([], *argv).texts
    assert (document.domains.hash, document.app_ids.hash, document.listening) == (0, 0, 0)


def test_texts_joined_of_a_copy_are_known_unless_something_has_changed():
    cluster = Cluster(web("/a", 10001))
    document, twin = cluster.decider.document, cluster.decider.document.copy()
    document.learn_texts(twin)
    joined = cluster.renderer.joined_documents
    assert document.rendering() is twin.rendering()
    assert cluster.renderer.joined_documents == joined
    cluster.change(b=web("/b", 10002))
    document.learn_texts(twin)
    assert document.rendering().texts == cluster.texts_from_scratch()


def test_backends_whose_connections_are_dear_are_known_while_they_are_there():
    dear = {"HAPROXY_0_KEEP_CONNECTIONS": "true"}
    cluster = Cluster(web("/a", 10001), web("/b", 10002, **dear))
    assert cluster.decider.document.dear == {"b_10002"}
    assert cluster.change(a=web("/a", 10001, **dear)).dear == {"a_10001", "b_10002"}
    assert cluster.change(b=None).dear == {"a_10001"}

"""A service is written alike, whether all its templates are filled in at once or one after another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.fragments import FragmentWriter
from fastlb.template_sources import template_sources
from fastlb.vhosts import FirstUse
from tests.fakes.apps import CHECK, app, catalogue_of, desired, rules_of, task

# A label that says what the global template says anyway changes nothing but the way.
SAME = {"FRONTEND_BACKEND_GLUE": template_sources({})["FRONTEND_BACKEND_GLUE"].text}

labels = st.fixed_dictionaries(
    {"MODE": st.sampled_from(["http", "http", "tcp", "health"])},
    optional={
        "VHOST": st.sampled_from(["a.example", "A.example,b.example", "a,b,a", "", "a, b,", "É.example"]),
        "PATH": st.sampled_from(["/p", "/É", ""]),
        "AUTH": st.sampled_from(["realm:user:hash", ":user:hash", "realm::hash"]),
        "REDIRECT_TO_HTTPS": st.just("true"),
        "STICKY": st.just("true"),
        "USE_HSTS": st.just("true"),
        "HTTP_BACKEND_PROXYPASS_PATH": st.just("/x"),
        "HTTP_BACKEND_REVPROXY_PATH": st.just("/y"),
        "HTTP_BACKEND_REDIR": st.just("/z"),
        "BACKEND_NETWORK_ALLOWED_ACL": st.sampled_from(["10.0.0.0/8  127.0.0.1", " "]),
        "BACKEND_WEIGHT": st.sampled_from(["0", "7"]),
        "BACKEND_HEALTHCHECK_PORT_INDEX": st.sampled_from(["0", "3"]),
        "SSL_CERT": st.sampled_from(["/c.pem", ""]),
        "BIND_OPTIONS": st.sampled_from(["accept-proxy", ""]),
    },
)
checks = st.fixed_dictionaries(
    {"protocol": st.sampled_from(["HTTP", "TCP", "MESOS_HTTP", "COMMAND"]), "path": st.sampled_from(["/health", "/é"])},
    optional={"port": st.sampled_from([0, 8080]), "timeoutSeconds": st.sampled_from([10**30, True])},
).map(lambda members: [{**CHECK, **members}])
first_uses = st.builds(FirstUse, st.booleans(), st.booleans(), st.booleans(), st.booleans())


@pytest.mark.parametrize("grouped", [(), ("--group-https-by-vhost",)])
@pytest.mark.parametrize("mapped", [(), ("--haproxy-map",), ("--dont-bind-http-https",)])
@settings(max_examples=150, deadline=None)
@given(labels=labels, checks=st.just([]) | checks, first_use=first_uses, count=st.integers(1, 3))
def test_a_service_is_written_alike_in_both_ways(mapped, grouped, labels, checks, first_use, count):
    argv = (*mapped, *grouped)
    texts = {f"HAPROXY_0_{name}": text for name, text in labels.items()}
    tasks = [task(number, f"127.0.0.{number}") for number in range(1, count + 1)]
    (service,) = desired([app("/dir/App.x", labels=texts, healthChecks=checks, tasks=tasks)], *argv).services
    alike = service._replace(options=service.options._replace(templates=SAME))
    writer = FragmentWriter(catalogue_of(*argv), rules_of(*argv))
    assert writer.write(service, first_use) == writer.write(alike, first_use)

"""The catalogue of templates: two languages, what is offered, what is refused and how that is said."""

from __future__ import annotations

import pytest

from fastlb import kernel
from fastlb.dialect import Dialect
from fastlb.errors import TemplateError, UsageError
from fastlb.template_sources import template_sources
from fastlb.templates import (
    NAMES,
    OFFERED,
    STRIPPED,
    VERBATIM,
    Catalogue,
    Source,
    check_head,
    compile_placeholders,
    default_options_text,
)

GLOBALS = {"http_port": 80}


def catalogue(version=(2, 6), **texts):
    """A catalogue of empty templates but for ``texts``; one in Jinja2 begins with ``j2:``."""
    sources = {name: Source("", jinja=False, origin="nowhere") for name in NAMES}
    for name, text in texts.items():
        sources[name] = Source(text.removeprefix("j2:"), jinja=text.startswith("j2:"), origin="a file")
    return Catalogue(sources, Dialect(version), GLOBALS)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("{name} {{x}} {name}", "web {x} web"),
        ("{port:05d}|{name:>5}|{name!r}|{name!s:4}|{wide!a}", "00080|  web|'web'|web |'\\xfc'"),
        ("{check[path]} {check[list][1]}", "/h b"),
        ("{nothing}", "None"),
        ("{braces}", "{name}"),
        ("", ""),
    ],
)
def test_placeholders_are_filled_in_as_python_does(text, filled, kernel_twin):
    values = {
        "name": "web",
        "port": 80,
        "wide": "\xfc",
        "check": {"path": "/h", "list": "ab"},
        "nothing": None,
        "braces": "{name}",
    }
    assert kernel.fill(compile_placeholders(text), values) == filled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "without a name"),
        ("{0}", "without a name"),
        ("{", "Single '{'"),
        ("}", "Single '}'"),
        ("{name", "expected '}'"),
        ("{name.upper}", "{name.upper} is not allowed"),
        ("{name[__class__].x}", "is not allowed"),
        ("{name[]}", "is not allowed"),
        ("{name:{port}}", "format '{port}' of placeholder {name} is not allowed"),
        ("{name:>9999}", "format '>9999'"),
        ("{name!z}", "conversion !z"),
    ],
)
def test_what_is_not_allowed_in_a_placeholder_is_said(text, words):
    with pytest.raises(ValueError, match=words.replace("[", r"\[").replace("{", r"\{").replace("}", r"\}")):
        compile_placeholders(text)


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_a_global_template_may_use_what_it_is_offered_and_nothing_else(name):
    catalogue(**{name: "".join(f"{{{word}}}" for word in OFFERED[name])})
    with pytest.raises(
        UsageError, match=f"template HAPROXY_{name} from a file: unknown placeholder .other. .offered: "
    ):
        catalogue(**{name: "{other}"})
    with pytest.raises(UsageError, match=f"template HAPROXY_{name} from a file: unknown placeholder .other."):
        catalogue(**{name: "j2:{{ other }}"})


@pytest.mark.parametrize("name", sorted(VERBATIM))
def test_verbatim_templates_keep_their_braces(name):
    assert catalogue(**{name: "{ {{x}} } %"}).fill(name, {}, {}) == "{ {{x}} } %"


@pytest.mark.parametrize("name", sorted(STRIPPED))
@pytest.mark.parametrize(("text", "filled"), [(" \n check\n ", " check"), (" \n", ""), ("", ""), ("x", " x")])
def test_server_check_templates_are_stripped_and_led_in_by_a_blank(name, text, filled):
    assert catalogue(**{name: text}).fill(name, {}, {}) == filled
    assert catalogue(**{name: f"j2:{text}"}).fill(name, {}, {}) == filled
    assert catalogue().fill(name, {name: text}, {}) == filled


def test_the_text_of_a_label_wins_over_the_global_one_even_if_it_is_empty():
    templates = catalogue(FRONTEND_BACKEND_GLUE="global")
    assert templates.fill("FRONTEND_BACKEND_GLUE", {"FRONTEND_BACKEND_GLUE": ""}, {}) == ""
    assert templates.fill("FRONTEND_BACKEND_GLUE", {"FRONTEND_HEAD": ""}, {}) == "global"


def test_a_map_template_is_replaced_by_the_label_of_the_plain_one():
    labels = {"HTTP_FRONTEND_ACL": "label", "MAP_HTTP_FRONTEND_ACL": "never"}
    assert catalogue().fill("MAP_HTTP_FRONTEND_ACL", labels, {}, label="HTTP_FRONTEND_ACL") == "label"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{other}", "template BACKEND_HEAD: placeholder {other} is not offered there"),
        ("{", "template BACKEND_HEAD: Single '{'"),
        ("{}", "template BACKEND_HEAD: a placeholder without a name"),
        ("{mode:d}", "template BACKEND_HEAD: a placeholder cannot be filled in: ValueError"),
        ("{mode[x]}", "template BACKEND_HEAD: a placeholder cannot be filled in: TypeError"),
    ],
)
def test_a_label_that_cannot_be_filled_in_is_a_template_error(text, words, kernel_twin):
    with pytest.raises(TemplateError) as caught:
        catalogue().fill("BACKEND_HEAD", {"BACKEND_HEAD": text}, {"mode": "tcp"})
    assert str(caught.value).startswith(words)


def test_jinja_sees_the_placeholders_and_the_globals():
    text = "j2:{% if mode == 'tcp' %}\n{{ mode }} {{ http_port }}\n{% endif %}\n"
    assert catalogue(BACKEND_HEAD=text).fill("BACKEND_HEAD", {}, {"mode": "tcp"}) == "tcp 80\n"


def test_jinja_writes_values_as_they_are():
    assert catalogue(BACKEND_HEAD="j2:{{ mode }}").fill("BACKEND_HEAD", {}, {"mode": "<&\"'"}) == "<&\"'"


@pytest.mark.parametrize("text", ["{% if %}", "{{ mode | nosuch }}"])
def test_jinja_that_cannot_be_compiled_is_a_usage_error(text):
    with pytest.raises(UsageError, match="HAPROXY_BACKEND_HEAD from a file"):
        catalogue(BACKEND_HEAD=f"j2:{text}")


@pytest.mark.parametrize("text", ["{{ mode + 1 }}", "{{ mode.nosuch.x }}", "{{ mode.__class__.mro() }}", "{{ 1 / 0 }}"])
def test_jinja_that_fails_or_reaches_too_far_is_a_template_error(text):
    with pytest.raises(TemplateError):
        catalogue(BACKEND_HEAD=f"j2:{text}").fill("BACKEND_HEAD", {}, {"mode": "tcp"})


@pytest.mark.parametrize("text", ["frontend {backend}\n", "j2:frontend {{ backend }}\n"])
def test_templates_that_open_a_frontend_follow_the_dialect(text):
    values = {"backend": "a_1"}
    assert catalogue((3, 2), FRONTEND_HEAD=text).fill("FRONTEND_HEAD", {}, values) == "frontend a_1\n"
    assert catalogue((3, 3), FRONTEND_HEAD=text).fill("FRONTEND_HEAD", {}, values) == "frontend a_1_in\n"
    label = {"FRONTEND_HEAD": "frontend {backend}\n"}
    assert catalogue((3, 3)).fill("FRONTEND_HEAD", label, values) == "frontend a_1_in\n"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("global\n  daemon\n  stats socket x expose-fd listeners\n", 'remove "daemon"'),
        ("global\n", 'add "stats socket /var/run/haproxy/socket expose-fd listeners"'),
    ],
)
def test_a_head_that_cannot_be_reloaded_is_refused(head, words):
    with pytest.raises(UsageError, match=f"Error in custom HAPROXY_HEAD template: {words}"):
        check_head(head)
    with pytest.raises(UsageError, match=words):
        catalogue(HEAD=head).head({})


def test_a_jinja_head_may_use_the_limits():
    head = catalogue(HEAD="j2:expose-fd listeners {{ maxconn }}").head({"maxconn": 7, "strict_limits": True})
    assert head == "expose-fd listeners 7"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ("redispatch,http-server-close,dontlognull", ["dontlognull", "http-server-close", "redispatch"]),
        (" b , a,b", ["a", "b"]),
        ("", [""]),
    ],
)
def test_default_options_are_sorted_lines_without_duplicates(options, lines):
    assert default_options_text(options) == "".join(f"  option            {line}\n" for line in lines)


def test_every_default_template_compiles_for_every_dialect(tmp_path):
    surroundings = dict.fromkeys(
        """bind_address http_port https_port appid_port stats_port stats_address threads hard_stop_after_s
        max_old_workers mworker_max_reloads strict_sni haproxy_user haproxy_group default_options log_socket
        log_to_stdout runtime_socket server_state_file admin_socket""".split(),
        "x",
    )
    for version in [(2, 0), (2, 6), (3, 4)]:
        dialect = Dialect(version)
        haproxy = {"version": version, "has_promex": True, "has_openssl": True}
        sources = template_sources({}, tmp_path)
        head = Catalogue(sources, dialect, {**surroundings, "dialect": dialect, "haproxy": haproxy}).head(
            {"maxconn": 1, "strict_limits": False}
        )
        assert head.startswith(("\nglobal\n", "global\n"))

# cython: language_level=3, embedsignature=False
"""The hot path, compiled: what is done once per service, per server, per map entry and per event.

Same functions, results and errors as the readable twin ``_native.py``, which documents them; a property test feeds
both the same input. It sees builtin types and the values of fastlb.model, knows no other room and does no I/O. The
parts, each in a file of its own:

    text        texts and numbers where they lie in memory, and the buffer that they are written to
    templates   compiled templates, filled in
    digests     SHA-1 and SHA-256
    servers     names, ids, cookies and lines of servers
    maps        map text and table hash
    events      the event stream, cut into events
    values      values of fastlb.model, and what is odd
    elements    where an object ends in a JSON text
    reading     the JSON of an app to an App
    labels      the labels of an app as options of its services
    pairing     the tasks of an app paired with its service ports
    services    an app to its services
    fragments   what of a service its texts are made of, and all its texts at once
    parts       the services of an app to its part of the document

What is called most has two ways. The plain way sees ASCII texts and small numbers where they lie and, for text, writes
into one growing buffer, without an object per server. Nothing that it looks at can change meanwhile; what it does not
know it leaves as it is: there it returns None or raises `_Odd`, and the general way does it as the twin would. For
apps and services that is the way of the room that asks, which gives it along. Indexes stay checked everywhere: a wrong
argument has to raise, and never to read memory that is not there.
"""

include "_speedups_text.pxi"
include "_speedups_templates.pxi"
include "_speedups_digests.pxi"
include "_speedups_servers.pxi"
include "_speedups_maps.pxi"
include "_speedups_events.pxi"
include "_speedups_values.pxi"
include "_speedups_elements.pxi"
include "_speedups_reading.pxi"
include "_speedups_labels.pxi"
include "_speedups_pairing.pxi"
include "_speedups_services.pxi"
include "_speedups_fragments.pxi"
include "_speedups_parts.pxi"

# cython: language_level=3, embedsignature=False
"""The hot path, compiled: what is done once per service, per server, per map entry and per event.

Same functions, results and errors as the readable twin ``_native.py``, which documents them; a property test feeds
both the same input. Builtin types only, no imports of fastlb, no I/O. The parts, each in a file of its own:

    text        texts and numbers where they lie in memory, and the buffer that they are written to
    templates   compiled templates, filled in
    digests     SHA-1 and SHA-256
    servers     names, ids, cookies and lines of servers
    maps        map text and table hash
    events      the event stream, cut into events
    values      values of fastlb.model, and what is odd
    reading     the JSON of an app to an App
    labels      the labels of an app by service port, and as options
    pairing     the tasks of an app paired with its service ports

What is called most has two ways. The plain way sees ASCII texts and small numbers where they lie and writes into one
growing buffer, without an object per server. It runs no Python code, so nothing that it looks at can change
meanwhile; of what it does not know it makes None, and has changed nothing. Then the general way does it as the twin
would. Indexes stay checked everywhere: a wrong argument has to raise, and never to read memory that is not there.
"""

include "_speedups_text.pxi"
include "_speedups_templates.pxi"
include "_speedups_digests.pxi"
include "_speedups_servers.pxi"
include "_speedups_maps.pxi"
include "_speedups_events.pxi"
include "_speedups_values.pxi"
include "_speedups_reading.pxi"
include "_speedups_labels.pxi"
include "_speedups_pairing.pxi"

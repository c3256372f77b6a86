"""Left alone for long: change, load, held connections and mishaps; in the end all has to be as it should.

``python -m tests.soak --minutes 15 --apps 5000`` is the long form and writes a report, `test_soak` the short one.
"""

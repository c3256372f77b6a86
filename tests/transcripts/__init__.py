"""Pages of documentation that are what a real run printed: `docs/endpoints.md` and `docs/explain.md`.

    python -m tests.transcripts

makes both again; `test_transcripts` makes them, too, and holds their shape against the ones that are committed.
"""

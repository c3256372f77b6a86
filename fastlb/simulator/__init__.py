"""A faithful Marathon for demo, tests and benchmarks; its tasks answer HTTP.

How data flows: a request reaches `api` or `mutations`; `cluster` changes pure state (`state`, `definitions`);
processes on the `agenda` let tasks and deployments take their time; what they say goes to `stream` as events
and to `tasks` as loopback listeners; `shapes` writes the JSON of the Marathon release in `dialects`. `server`
holds it all together.

This file imports nothing, since every start of `fastlb` reads it.
"""

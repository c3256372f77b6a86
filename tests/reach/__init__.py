"""The figures of live changes and reloads under load: each test prints what it saw and asserts counts and ratios.

A short form runs by default; ``REACH=long`` (or ``make reach``) asks for the long one, which takes some minutes.
"""

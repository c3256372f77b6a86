"""The admin server: what fastlb says of itself over HTTP, on two Unix sockets, from a thread of its own.

    HAProxy's stats port --> admin.sock --+
                                          +--> access --> endpoint --> board, the loop (through its inbox), HAProxy
    fastlb explain --------> local.sock --'

`admin.sock` is what HAProxy hands requests to, with the client's address in a header; `local.sock` is for whoever may
open it, the user that fastlb runs as, and limits nothing. The loop is never waited for without a limit, and never waits
for anybody here.
"""

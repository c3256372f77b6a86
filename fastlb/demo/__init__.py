"""The scripted tour: a simulated Marathon, fastlb and a real HAProxy together, for whoever sees fastlb first.

    stage (Marathon, fastlb, HAProxy) <--acts-- scenario <--plays-- tour --asks--> front (HAProxy's doors)
             |                                                        |
             '--journal, processes--> watch --> board <---------------'--> view (terminal, or plain lines)

What is said to the viewer is checked by requests through HAProxy, always. This file imports nothing: rich belongs to
the optional extra `demo`, and `fastlb` has to start without it.
"""

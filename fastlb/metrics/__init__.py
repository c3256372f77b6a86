"""What is measured, for Prometheus and for collectors that speak to Mesos (prometheus-client).

    the loop --Journal.write--> entries: counters and histograms --+
                                                                   +--> one registry --> text, or flat JSON
    board, counts, HAProxy  --at a scrape--> state: gauges --------+

It must not know who reads it. What happens is counted when it is written down, on the loop's thread, for a microsecond;
what is, is read at a scrape, on the reader's thread, from values that the loop replaces and never waits for. No label's
value is an app's id: the number of series does not grow with the cluster.
"""

"""Speed and size against a peer, measured on one machine in one run: ``python -m bench``.

The peer (``bench/peer/``) is the blueprint as a TypeScript app of the same CDK. Its templates are
compared with ours before anything is timed, so that the ratios are of equal work.
"""

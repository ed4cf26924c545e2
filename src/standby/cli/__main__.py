"""``python -m standby.cli``, for where the ``standby`` script is not on the path."""

from standby.cli import main

main()

"""The cloud assembly on disk (``cdk.out``): the one interface between its makers and users."""

"""`python -m superpos_jax`: the command line."""

from superpos_jax.cli.app import main

main()

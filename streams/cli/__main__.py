"""`python -m streams.cli`: how the supervisor starts the stages."""

from streams.cli.main import main

main()

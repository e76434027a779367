"""`python -m edge_assistant` is `edge-assistant`."""

from edge_assistant.cli.main import main

if __name__ == "__main__":
    main()

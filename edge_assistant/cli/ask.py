"""`edge-assistant ask`: the language model alone, in writing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from edge_assistant.cli.options import takes_config
from edge_assistant.cli.output import emit
from edge_assistant.cli.process import in_worker

if TYPE_CHECKING:
    from edge_assistant.cancel import CancelToken
    from edge_assistant.config import Config


@click.command()
@click.argument("text")
@click.option("--speak", is_flag=True, help="Also speak the reply, once it is complete.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply and what it cost as JSON.")
@takes_config("llm", "voice", "output_device")
def ask(text: str, speak: bool, as_json: bool, config: Config) -> None:
    """Ask TEXT (or what comes on stdin, for `-`) and print the reply as it comes."""
    question = sys.stdin.read() if text == "-" else text
    if not question.strip():
        raise click.UsageError("There is nothing to ask.")
    in_worker(lambda token: _answer(question.strip(), speak, as_json, config, token), "llm")


def _answer(question: str, speak: bool, as_json: bool, config: Config, token: CancelToken) -> None:
    from edge_assistant.llm.history import History
    from edge_assistant.pipeline.engines import build_llm
    from edge_assistant.store.store import Store

    store = Store.default()
    model = build_llm(config, store)
    try:
        reply = ""
        messages = History().messages(config.llm.system_prompt, question)
        for piece in model.generate(messages, token):
            fresh = piece if reply else piece.lstrip()
            reply += fresh
            if not as_json:
                click.echo(fresh, nl=False)
        stats = model.stats
    finally:
        model.close()
    if as_json:
        emit(
            {
                "text": reply.strip(),
                "prompt_tokens": stats.prompt_tokens,
                "generated_tokens": stats.generated_tokens,
                "ttft_s": round(stats.ttft_s, 4),
            }
        )
    else:
        click.echo()
    if speak and reply.strip():
        from edge_assistant.cli.speech import speak_aloud

        speak_aloud(reply, config, store, token)
